%% An MQTT 3.1.1 publisher that remembers: QoS 1, a window of unacknowledged messages, and after a lost connection a new
%% one, on which everything unacknowledged is sent again, in order, with DUP. One process for each.
-module(faults_publisher).

-export([start/1]).

-export_type([options/0, ledger/0]).

-define(TICK_MS, 20).
-define(CONNECT_MS, 60000).
-define(RETRY_MS, 100).

-type options() :: #{port := inet:port_number(), client := binary(), window := pos_integer(),
                     rate := pos_integer() | max, size := non_neg_integer(), limit := pos_integer() | infinity,
                     counters := counters:counters_ref(), under := binary(), keyless := boolean()}.
%% It publishes to `under', then its name, unless it is `keyless'.
%% `sent': numbers 1 to N were sent at least once. `acked': ranges of numbers, ascending. `resent': how often one was sent
%% again. `lost': connections that ended by themselves.
-type ledger() :: #{client := binary(), sent := non_neg_integer(), acked := [{pos_integer(), pos_integer()}],
                    resent := non_neg_integer(), lost := non_neg_integer()}.

-record(state, {options :: options(),
                socket = none :: none | gen_tcp:socket(),
                buffer = <<>> :: binary(),
                next = 1 :: pos_integer(),
                %% Packet ids are the numbers modulo 65535, so a window is always one of distinct ids.
                unacked = #{} :: #{1..65535 => pos_integer()},
                acked = [] :: [{pos_integer(), pos_integer()}],
                resent = 0 :: non_neg_integer(),
                lost = 0 :: non_neg_integer(),
                credit = 0.0 :: float(),
                finish = no :: no | {pid(), reference()}}).

%% @doc Starts one. `{finish, Pid, Ref}' ends it as soon as all that it sent is acknowledged, `{abandon, Pid, Ref}' at
%% once; both are answered with `{ledger, Ref, self(), Ledger}'.
-spec start(options()) -> {pid(), reference()}.
start(Options) ->
    spawn_monitor(fun() ->
                          {ok, _} = timer:send_interval(?TICK_MS, tick),
                          loop(connect(#state{options = Options}))
                  end).

loop(State) ->
    receive
        {tcp, Socket, Data} when Socket =:= State#state.socket ->
            Buffer = State#state.buffer,
            go_on(acks(<<Buffer/binary, Data/binary>>, State));
        {tcp_closed, Socket} when Socket =:= State#state.socket ->
            go_on(connection_lost(State));
        {tcp_error, Socket, _} when Socket =:= State#state.socket ->
            go_on(connection_lost(State));
        tick ->
            go_on(earn(State));
        connect ->
            go_on(connect(State));
        {finish, Pid, Ref} ->
            go_on(State#state{finish = {Pid, Ref}});
        {abandon, Pid, Ref} ->
            tell(Pid, Ref, State);
        _FromAnEarlierConnection ->
            loop(State)
    end.

go_on(#state{finish = {Pid, Ref}, unacked = Unacked} = State) when map_size(Unacked) =:= 0 ->
    tell(Pid, Ref, State);
go_on(#state{finish = {_, _}} = State) ->
    loop(State);
go_on(State) ->
    loop(publish(State)).

tell(Pid, Ref, #state{options = #{client := Client}} = State) ->
    close(State#state.socket),
    Pid ! {ledger, Ref, self(), #{client => Client, sent => State#state.next - 1, acked => lists:reverse(State#state.acked),
                                  resent => State#state.resent, lost => State#state.lost}}.

close(none) -> ok;
close(Socket) ->
    _ = gen_tcp:send(Socket, <<16#E0, 0>>),
    gen_tcp:close(Socket).

%% A burst after a pause is as large as 100 ms' worth.
earn(#state{options = #{rate := max}} = State) ->
    State;
earn(#state{options = #{rate := Rate}, credit = Credit} = State) ->
    State#state{credit = min(Credit + Rate * ?TICK_MS / 1000, 1 + Rate / 10)}.

%% New messages, as many as window, rate and limit let through.
publish(#state{socket = none} = State) ->
    State;
publish(#state{options = #{window := Window} = Options, unacked = Unacked, next = Next, credit = Credit} = State) ->
    Free = Window - map_size(Unacked),
    case lists:min([Free, allowed(Options, Credit), left(Options, Next)]) of
        Count when Count > 0 ->
            Numbers = lists:seq(Next, Next + Count - 1),
            counters:add(maps:get(counters, Options), 1, Count),
            Spent = State#state{next = Next + Count, credit = spent(Options, Credit, Count),
                                unacked = lists:foldl(fun(N, Acc) -> Acc#{id(N) => N} end, Unacked, Numbers)},
            send([packet(N, 0, Options) || N <- Numbers], Spent);
        _ ->
            State
    end.

allowed(#{rate := max}, _Credit) -> 65535;
allowed(_Options, Credit) -> trunc(Credit).

spent(#{rate := max}, Credit, _Count) -> Credit;
spent(_Options, Credit, Count) -> Credit - Count.

left(#{limit := infinity}, _Next) -> 65535;
left(#{limit := Limit}, Next) -> Limit - Next + 1.

id(Number) -> (Number - 1) rem 65535 + 1.

packet(Number, Dup, #{client := Client, size := Size} = Options) ->
    Topic = topic(Options),
    Payload = faults_payload:make(Client, Number, Size),
    Length = 2 + byte_size(Topic) + 2 + byte_size(Payload),
    [<<3:4, Dup:1, 1:2, 0:1>>, length_bytes(Length), <<(byte_size(Topic)):16>>, Topic, <<(id(Number)):16>>, Payload].

topic(#{under := Under, keyless := true}) -> Under;
topic(#{under := Under, client := Client}) -> <<Under/binary, Client/binary>>.

length_bytes(Length) when Length < 128 -> [Length];
length_bytes(Length) -> [Length rem 128 + 128 | length_bytes(Length div 128)].

send([], State) ->
    State;
send(Bytes, #state{socket = Socket} = State) ->
    case gen_tcp:send(Socket, Bytes) of
        ok -> State;
        {error, _} -> connection_lost(State)
    end.

%% Whatever the broker sends here is PUBACKs.
acks(<<16#40, 2, Id:16, Rest/binary>>, State) ->
    acks(Rest, acked(maps:take(Id, State#state.unacked), State));
acks(Rest, State) when byte_size(Rest) < 4 ->
    State#state{buffer = Rest}.

%% One that is acknowledged twice, because it was sent twice.
acked(error, State) ->
    State;
acked({Number, Unacked}, #state{options = #{counters := Counters}} = State) ->
    counters:add(Counters, 2, 1),
    State#state{unacked = Unacked, acked = extend(Number, State#state.acked)}.

extend(Number, [{From, To} | Ranges]) when Number =:= To + 1 -> [{From, Number} | Ranges];
extend(Number, Ranges) -> [{Number, Number} | Ranges].

connection_lost(#state{socket = Socket, options = #{counters := Counters}} = State) ->
    ok = gen_tcp:close(Socket),
    counters:add(Counters, 3, 1),
    retry(State#state{socket = none, buffer = <<>>, lost = State#state.lost + 1}).

%% All clients do not come back in the same moment by themselves; each tries again soon.
retry(State) ->
    _ = erlang:send_after(?RETRY_MS + rand:uniform(?RETRY_MS), self(), connect),
    State.

connect(#state{options = #{port := Port, client := Client}} = State) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}, {nodelay, true}, {send_timeout, 30000}], ?CONNECT_MS) of
        {ok, Socket} -> connack(handshake(Socket, Client), Socket, State);
        {error, _} -> retry(State)
    end.

%% Clean session off: the messages under way are the session's, as MQTT has it.
handshake(Socket, Client) ->
    Body = [<<4:16, "MQTT", 4, 0, 0:16>>, <<(byte_size(Client)):16>>, Client],
    case gen_tcp:send(Socket, [16#10, length_bytes(iolist_size(Body)), Body]) of
        ok -> gen_tcp:recv(Socket, 4, ?CONNECT_MS);
        {error, _} = Error -> Error
    end.

connack({ok, <<16#20, 2, _, 0>>}, Socket, State) ->
    case inet:setopts(Socket, [{active, true}]) of
        ok -> again(State#state{socket = Socket});
        {error, _} -> connack(closed, Socket, State)
    end;
connack(_, Socket, State) ->
    ok = gen_tcp:close(Socket),
    retry(State).

again(#state{options = #{counters := Counters} = Options, unacked = Unacked} = State) ->
    Numbers = lists:sort(maps:values(Unacked)),
    counters:add(Counters, 4, length(Numbers)),
    send([packet(N, 1, Options) || N <- Numbers], State#state{resent = State#state.resent + length(Numbers)}).
