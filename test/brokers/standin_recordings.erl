%% Reads a recording of EMQ 2.3.11's hook calls and brings it, and calls recorded live, to a form
%% in which two runs of the same scenario are equal: pids, ids, times, ports and the node's name
%% are checked for their shape and replaced.
-module(standin_recordings).

-export([read/1, by_process/1, by_client/1]).

-type call() :: {pid() | string(), Process :: mfa(), Hook :: atom(), Args :: [term()]}.
-type plain() :: {Process :: mfa(), [{Hook :: atom(), Args :: [term()]}]}.

%% @doc The calls of a *.term file, with the process of each from the comment above it.
-spec read(file:filename()) -> [call()].
read(File) ->
    {ok, Text} = file:read_file(File),
    calls(string:split(string:trim(Text), <<"\n">>, all)).

calls([<<"%% coding", _/binary>> | Lines]) ->
    calls(Lines);
calls([Comment, Call | Lines]) ->
    {match, [Pid, Process]} = re:run(Comment, "pid=(\\S+) proc=(\\S+)", [{capture, all_but_first, list}]),
    {Hook, Args} = term(binary_to_list(Call)),
    [{Pid, term(Process ++ "."), Hook, Args} | calls(Lines)];
calls([]) ->
    [].

term(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

%% @doc What each process called, in its order; the processes in no order.
-spec by_process([call()]) -> [plain()].
by_process(Calls) ->
    Own = clients_only(Calls),
    lists:sort([{Process, [plain(Call) || {P, _, _, _} = Call <- Own, P =:= Pid]}
                || {Pid, Process} <- lists:usort([{P, Process} || {P, Process, _, _} <- Own])]).

%% @doc What was called for each client, over all processes, in its order.
-spec by_client([call()]) -> [{Client :: term(), [{Process :: mfa(), Hook :: atom()}]}].
by_client(Calls) ->
    Own = [{client(Hook, Args), {Process, Hook}} || {_, Process, Hook, Args} <- clients_only(Calls)],
    [{normal_id(Client), [Call || {C, Call} <- Own, C =:= Client]} || Client <- lists:usort([C || {C, _} <- Own])].

%% The broker's own messages come when they come.
clients_only(Calls) ->
    [Call || {_, {Module, _, _}, _, _} = Call <- Calls,
             not lists:member(Module, [emqttd_broker, emqttd_stats, emqttd_metrics])].

client('message.publish', [Message | _]) -> publisher(element(4, Message), element(5, Message));
client(_, [Client | _]) when is_binary(Client) -> Client;
client(_, [_, Client | _]) when element(1, Client) =:= mqtt_client -> element(2, Client).

publisher(presence, Topic) ->
    {match, [Client]} = re:run(Topic, "/clients/(.*)/", [{capture, all_but_first, binary}]),
    Client;
publisher({Client, _Username}, _Topic) -> Client;
publisher(From, _Topic) -> From.

plain({_, _, Hook, Args}) ->
    {Hook, [normal(Arg) || Arg <- Args]}.

normal({mqtt_message, <<_:128>>, PacketId, From, Topic, Qos, Flags, Retain, Dup, Sys, Headers, Payload, Time}) ->
    {mqtt_message, id, PacketId, normal_from(From), normal_topic(Topic), Qos, Flags, Retain, Dup, Sys,
     Headers, normal_payload(From, Payload), normal_time(Time)};
normal({mqtt_client, Id, Pid, Username, {{127, 0, 0, 1}, Port}, Clean, Version, Keepalive, Will, Headers, Mount, Time})
  when is_integer(Port) ->
    {mqtt_client, normal_id(Id), normal_pid(Pid), Username, peername, Clean, Version, Keepalive, Will,
     Headers, Mount, normal_time(Time)};
normal(Id) when is_binary(Id) ->
    normal_id(Id);
normal(Other) ->
    Other.

normal_from({Client, Username}) -> {normal_id(Client), Username};
normal_from(From) -> From.

%% The id of a client that gave none.
normal_id(<<"emqttd_", _/binary>> = Id) -> re:replace(Id, "^emqttd_[0-9]+$", "emqttd_N", [{return, binary}]);
normal_id(Id) -> Id.

normal_topic(<<"$SYS/brokers/", _/binary>> = Topic) ->
    Node = re:replace(Topic, "^.SYS/brokers/[a-z0-9_]+@127.0.0.1/", "$SYS/brokers/NODE/", [{return, binary}]),
    re:replace(Node, "/emqttd_[0-9]+/", "/emqttd_N/", [{return, binary}]);
normal_topic(Topic) ->
    Topic.

normal_payload(presence, Payload) ->
    Timeless = re:replace(Payload, "\"ts\":[0-9]{10}}$", "\"ts\":TIME}", [{return, binary}]),
    re:replace(Timeless, "\"emqttd_[0-9]+\"", "\"emqttd_N\"", [{return, binary}]);
normal_payload(_, Payload) ->
    Payload.

normal_time({Mega, Second, Micro}) when is_integer(Mega), is_integer(Second), is_integer(Micro) -> time.

normal_pid(Pid) when is_pid(Pid) -> pid;
normal_pid(Quoted) when is_atom(Quoted) -> $< = hd(atom_to_list(Quoted)), pid.
