%% Moves the leadership of the partitions of a run's topics to another replica, every few seconds, while a scenario goes on:
%% the replicas are put into another order (AlterPartitionReassignments, which moves no data where they stay the same), then the
%% first of them is elected (ElectLeaders). By Kafka's protocol, since a JVM for each move would take the machine for itself.
%% Nodes that are down, and topics that are not there yet, are asked again at the next move.
-module(faults_mover).

-export([start/1, stop/1]).

-define(PERIOD_MS, 2000).
-define(ANSWER_MS, 5000).
-define(METADATA, 3).
-define(ELECT_LEADERS, 43).
-define(ALTER_PARTITION_REASSIGNMENTS, 45).

-type partition() :: {Topic :: binary(), Index :: non_neg_integer()}.
-type led() :: #{partition() => {Leader :: integer(), Replicas :: [integer()], InSync :: [integer()]}}.

%% @doc Moves what is in topics whose names begin so.
-spec start(string()) -> pid().
start(Prefix) ->
    spawn_link(fun() -> loop(#{prefix => list_to_binary(Prefix), socket => none, led => #{}, moves => 0}) end).

%% @doc Ends it; how many times a partition has changed its leader.
-spec stop(pid()) -> non_neg_integer().
stop(Mover) ->
    Ref = make_ref(),
    Mover ! {stop, self(), Ref},
    receive {Ref, Moves} -> Moves after 60000 -> error(mover_does_not_answer) end.

loop(#{moves := Moves} = State) ->
    receive
        {stop, From, Ref} -> From ! {Ref, Moves + since(State)}
    after ?PERIOD_MS ->
            loop(moved(State))
    end.

moved(#{socket := none} = State) ->
    connected(addresses(), State);
moved(#{socket := Socket, prefix := Prefix, led := Before, moves := Moves} = State) ->
    try
        Led = led(Socket, Prefix),
        ok = move([{Partition, Order} || {Partition, Is} <- maps:to_list(Led), Order <- order(Is)], Socket),
        State#{led := maps:merge(Before, known(Led)), moves := Moves + changes(Before, Led)}
    catch
        %% The node went down, or answered nothing.
        throw:{no_answer, _} ->
            ok = gen_tcp:close(Socket),
            State#{socket := none}
    end.

%% What the last move came to.
since(#{socket := none}) ->
    0;
since(#{socket := Socket, prefix := Prefix, led := Before}) ->
    try changes(Before, led(Socket, Prefix))
    catch throw:{no_answer, _} -> 0
    end.

%% There may be no cluster yet.
addresses() ->
    try string:lexemes(faults_cluster:address("PLAINTEXT"), ",")
    catch error:_ -> []
    end.

connected([], State) ->
    State;
connected([Address | More], State) ->
    [Host, Port] = string:lexemes(Address, ":"),
    case gen_tcp:connect(Host, list_to_integer(Port), [binary, {active, false}, {packet, 4}], 1000) of
        {ok, Socket} -> moved(State#{socket := Socket});
        {error, _} -> connected(More, State)
    end.

%% A partition without a leader (-1) has had one, and will have one.
known(Led) -> maps:filter(fun(_, {Leader, _, _}) -> Leader >= 0 end, Led).

changes(Before, Led) ->
    length([moved || {Partition, {Leader, _, _}} <- maps:to_list(known(Led)), {Was, _, _} <- [maps:get(Partition, Before, none)],
                     Was =/= Leader]).

%% The replica in sync that comes after the leader is to be the next one. None is, where there is no other.
-spec order({integer(), [integer()], [integer()]}) -> [[integer()]].
order({Leader, Replicas, InSync}) ->
    {Earlier, FromLeader} = lists:splitwith(fun(Replica) -> Replica =/= Leader end, Replicas),
    [[Next | lists:delete(Next, Replicas)]
     || [_ | Later] <- [FromLeader], Next <- lists:sublist([R || R <- Later ++ Earlier, lists:member(R, InSync)], 1)].

move([], _Socket) ->
    ok;
move(Moves, Socket) ->
    %% What one of these answers is seen at the next move: the leaders are what counts.
    _ = ask(Socket, ?ALTER_PARTITION_REASSIGNMENTS, 0, [0], reassignments(Moves)),
    _ = ask(Socket, ?ELECT_LEADERS, 1, [], elections([Partition || {Partition, _} <- Moves])),
    ok.

%%% The protocol: https://kafka.apache.org/protocol

ask(Socket, Api, Version, Tags, Body) ->
    Client = <<"faults_mover">>,
    Header = <<Api:16, Version:16, 1:32, (byte_size(Client)):16, Client/binary, (list_to_binary(Tags))/binary>>,
    answered(gen_tcp:send(Socket, [Header, Body]), Socket).

answered(ok, Socket) ->
    case gen_tcp:recv(Socket, 0, ?ANSWER_MS) of
        {ok, <<1:32, Answer/binary>>} -> Answer;
        Other -> throw({no_answer, Other})
    end;
answered(Error, _Socket) ->
    throw({no_answer, Error}).

by_topic(Pairs) ->
    maps:to_list(lists:foldr(fun({{Topic, Index}, Value}, Topics) ->
                                     Topics#{Topic => [{Index, Value} | maps:get(Topic, Topics, [])]}
                             end, #{}, Pairs)).

%% Compact arrays and strings have their length plus one in front, here always below 127; each structure ends with its tags, none.
reassignments(Moves) ->
    [<<?ANSWER_MS:32>>, compact([[compact_string(Topic), compact([[<<Index:32>>, compact([<<R:32>> || R <- Order]), 0] || {Index, Order} <- Of]), 0]
                                 || {Topic, Of} <- by_topic(Moves)]), 0].

compact(Items) when length(Items) < 127 -> [length(Items) + 1 | Items].

compact_string(Text) when byte_size(Text) < 127 -> [byte_size(Text) + 1, Text].

%% 0: the preferred replica.
elections(Partitions) ->
    Topics = by_topic([{Partition, none} || Partition <- Partitions]),
    [<<0, (length(Topics)):32>>, [[<<(byte_size(Topic)):16>>, Topic, <<(length(Of)):32>>, [<<Index:32>> || {Index, none} <- Of]] || {Topic, Of} <- Topics],
     <<?ANSWER_MS:32>>].

%% Metadata of all topics, none to be created.
-spec led(gen_tcp:socket(), binary()) -> led().
led(Socket, Prefix) ->
    <<_Throttled:32, Brokers:32, Rest/binary>> = ask(Socket, ?METADATA, 4, [], <<-1:32, 0>>),
    {_, AfterBrokers} = array(Brokers, fun broker/1, Rest),
    {_Cluster, <<_Controller:32, Count:32, Topics/binary>>} = string_of(AfterBrokers),
    {All, _} = array(Count, fun topic/1, Topics),
    maps:from_list([{{Topic, Index}, Is} || {Topic, Partitions} <- All, string:prefix(Topic, Prefix) =/= nomatch, {Index, Is} <- Partitions]).

array(0, _Item, Rest) ->
    {[], Rest};
array(N, Item, Bytes) ->
    {First, Rest} = Item(Bytes),
    {More, End} = array(N - 1, Item, Rest),
    {[First | More], End}.

string_of(<<-1:16/signed, Rest/binary>>) -> {none, Rest};
string_of(<<Size:16, Text:Size/binary, Rest/binary>>) -> {Text, Rest}.

broker(<<_Id:32, Bytes/binary>>) ->
    {Host, <<_Port:32, More/binary>>} = string_of(Bytes),
    {_Rack, Rest} = string_of(More),
    {Host, Rest}.

topic(<<_Error:16, Bytes/binary>>) ->
    {Name, <<_Internal, Count:32, More/binary>>} = string_of(Bytes),
    {Partitions, Rest} = array(Count, fun partition/1, More),
    {{Name, Partitions}, Rest}.

partition(<<_Error:16, Index:32, Leader:32/signed, Replicas:32, Bytes/binary>>) ->
    {All, <<InSync:32, More/binary>>} = array(Replicas, fun number/1, Bytes),
    {In, Rest} = array(InSync, fun number/1, More),
    {{Index, {Leader, All, In}}, Rest}.

number(<<Number:32/signed, Rest/binary>>) -> {Number, Rest}.
