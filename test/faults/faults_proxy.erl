%% A TCP proxy between the plugin and Kafka, which can
%%   pass            bytes on, at once
%%   refuse          connections: nobody listens, and those that were there are closed
%%   freeze          take connections and bytes and pass nothing on: a host that has gone silent. held/1 counts the bytes
%%   {delay, Ms}     pass everything on that much later
%%   {rate, Bytes}   pass at most so many bytes a second on for each connection and direction
%% and close every connection at once (cut/1). It stands before one node, or before each of several, on a port for each: all of
%% what it does it does on all of them. One process for each connection, one that listens, and one in charge.
-module(faults_proxy).

-export([start/1, stop/1, address/1, upstream/2, mode/2, cut/1, held/1, passed/1]).

-export_type([proxy/0, mode/0]).

-type proxy() :: pid().
-type mode() :: pass | refuse | freeze | {delay, pos_integer()} | {rate, pos_integer()}.

-define(OPTIONS, [binary, {active, false}, {nodelay, true}, {buffer, 65536}]).

%% @doc Listens on these ports of 127.0.0.1 until the caller ends. Until upstream/2 has said where to, connections are closed.
-spec start([inet:port_number()]) -> proxy().
start(Ports) ->
    Self = self(),
    Counters = counters:new(2, []),
    Proxy = spawn_link(fun() ->
                               process_flag(trap_exit, true),
                               Listening = listen(Ports),
                               Self ! {self(), listening},
                               loop(#{owner => Self, ports => Ports, listening => Listening, upstream => #{}, mode => pass,
                                      connections => #{}, counters => Counters})
                       end),
    receive {Proxy, listening} -> Proxy end.

-spec stop(proxy()) -> ok.
stop(Proxy) ->
    unlink(Proxy),
    call(Proxy, stop).

%% @doc Where it listens: what a client of Kafka is told, 127.0.0.1:PORT,...
-spec address(proxy()) -> string().
address(Proxy) ->
    lists:flatten(lists:join(",", ["127.0.0.1:" ++ integer_to_list(Port) || Port <- call(Proxy, ports)])).

%% @doc The port that each of its ports stands before, in their order.
-spec upstream(proxy(), [inet:port_number()]) -> ok.
upstream(Proxy, Ports) -> call(Proxy, {upstream, Ports}).

%% @doc Also for the connections that are there.
-spec mode(proxy(), mode()) -> ok.
mode(Proxy, Mode) -> call(Proxy, {mode, Mode}).

%% @doc Closes every connection; how many there were.
-spec cut(proxy()) -> non_neg_integer().
cut(Proxy) -> call(Proxy, cut).

%% @doc Bytes from the plugin that were not passed on: in the kernel, and read already.
-spec held(proxy()) -> non_neg_integer().
held(Proxy) -> call(Proxy, held).

%% @doc Bytes from the plugin that were passed on since the start.
-spec passed(proxy()) -> non_neg_integer().
passed(Proxy) -> call(Proxy, passed).

call(Proxy, Request) ->
    Monitor = monitor(process, Proxy),
    Proxy ! {call, self(), Monitor, Request},
    receive
        {Monitor, Answer} -> true = demonitor(Monitor, [flush]), Answer;
        {'DOWN', Monitor, process, _, Reason} -> error({proxy, Reason})
    after 30000 -> error({proxy, timeout})
    end.

%%% In charge

listen(Ports) -> [listener(Port) || Port <- Ports].

listener(Port) ->
    {ok, Socket} = gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}, {reuseaddr, true}, {backlog, 128} | ?OPTIONS]),
    Self = self(),
    _ = spawn_link(fun() -> accept(Socket, Port, Self) end),
    Socket.

accept(Listen, Port, Proxy) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            Connection = call(Proxy, {connection, Port}),
            ok = gen_tcp:controlling_process(Socket, Connection),
            Connection ! {socket, Socket},
            accept(Listen, Port, Proxy);
        {error, closed} ->
            ok
    end.

loop(State) ->
    receive
        {call, From, Tag, stop} ->
            From ! {Tag, ok};
        {call, From, Tag, Request} ->
            {Answer, Next} = handle(Request, State),
            From ! {Tag, Answer},
            loop(Next);
        %% With it go the sockets and connections.
        {'EXIT', Owner, _} when Owner =:= map_get(owner, State) ->
            exit(shutdown);
        {'EXIT', Pid, _} ->
            loop(State#{connections := maps:remove(Pid, maps:get(connections, State))})
    end.

handle(ports, #{ports := Ports} = State) ->
    {Ports, State};
handle({upstream, To}, #{ports := Ports} = State) ->
    {ok, State#{upstream := maps:from_list(lists:zip(Ports, To))}};
handle({connection, Port}, #{upstream := Upstream, mode := Mode, connections := Connections, counters := Counters} = State) ->
    Connection = spawn_link(fun() -> connection(maps:get(Port, Upstream, none), Mode, Counters) end),
    {Connection, State#{connections := Connections#{Connection => []}}};
handle({mode, refuse}, #{listening := [_ | _] = Sockets} = State) ->
    _ = [ok = gen_tcp:close(Socket) || Socket <- Sockets],
    {_, Cut} = handle(cut, State),
    {ok, Cut#{listening := [], mode := refuse}};
handle({mode, refuse}, State) ->
    {ok, State};
handle({mode, Mode}, #{listening := [], ports := Ports} = State) ->
    handle({mode, Mode}, State#{listening := listen(Ports)});
handle({mode, Mode}, #{connections := Connections} = State) ->
    _ = [Connection ! {mode, Mode} || Connection <- maps:keys(Connections)],
    {ok, State#{mode := Mode}};
handle(cut, #{connections := Connections, counters := Counters} = State) ->
    _ = [exit(Connection, kill) || Connection <- maps:keys(Connections)],
    counters:put(Counters, 2, 0),
    {map_size(Connections), State};
handle(held, #{ports := Ports, counters := Counters} = State) ->
    {counters:get(Counters, 2) + lists:sum([unread(Port) || Port <- Ports]), State};
handle(passed, #{counters := Counters} = State) ->
    {counters:get(Counters, 1), State}.

%% What the kernel holds for the sockets of our side: /proc/net/tcp's receive queues.
unread(Port) ->
    {ok, Table} = file:read_file("/proc/net/tcp"),
    Local = iolist_to_binary(io_lib:format("0100007F:~4.16.0B", [Port])),
    lists:sum([binary_to_integer(Receive, 16)
               || Line <- binary:split(Table, <<"\n">>, [global]),
                  [_, Address, _, <<"01">>, Queues | _] <- [string:lexemes(Line, " ")], Address =:= Local,
                  [_, Receive] <- [binary:split(Queues, <<":">>)]]).

%%% A connection: `up' from the plugin to Kafka, `down' back

connection(none, _Mode, _Counters) ->
    receive {socket, Socket} -> gen_tcp:close(Socket) end;
connection(Upstream, Mode, Counters) ->
    receive
        {socket, Client} ->
            case gen_tcp:connect({127, 0, 0, 1}, Upstream, ?OPTIONS, 30000) of
                {ok, Kafka} ->
                    State = #{Client => {Kafka, 1}, Kafka => {Client, 0}, mode => Mode, counters => Counters, waiting => []},
                    pass(arm(Kafka, arm(Client, State)));
                {error, _} ->
                    gen_tcp:close(Client)
            end
    end.

pass(#{mode := Mode} = State) ->
    receive
        {tcp, Socket, Data} ->
            pass(arrived(Mode, Socket, Data, State));
        {forward, Socket, Data} ->
            pass(forward(Socket, Data, State));
        {arm, Socket} ->
            pass(arm(Socket, State));
        {mode, New} ->
            pass(thaw(New, State));
        {tcp_closed, _} ->
            ok;
        {tcp_error, _, _} ->
            ok
    end.

arrived(pass, Socket, Data, State) ->
    arm(Socket, forward(Socket, Data, State));
arrived(freeze, Socket, Data, #{waiting := Waiting} = State) ->
    held(Socket, byte_size(Data), State),
    State#{waiting := [{Socket, Data} | Waiting]};
arrived({delay, Ms}, Socket, Data, State) ->
    _ = erlang:send_after(Ms, self(), {forward, Socket, Data}),
    arm(Socket, State);
arrived({rate, Bytes}, Socket, Data, State) ->
    _ = erlang:send_after(byte_size(Data) * 1000 div Bytes, self(), {arm, Socket}),
    forward(Socket, Data, State).

forward(Socket, Data, #{counters := Counters} = State) ->
    {Peer, Up} = maps:get(Socket, State),
    case gen_tcp:send(Peer, Data) of
        ok -> counters:add(Counters, 1, Up * byte_size(Data));
        {error, _} -> exit(normal)
    end,
    State.

held(Socket, Bytes, #{counters := Counters} = State) ->
    {_, Up} = maps:get(Socket, State),
    counters:add(Counters, 2, Up * Bytes).

%% Nothing is read from either side while frozen, but for the one chunk that was asked for before.
arm(Socket, #{mode := freeze, waiting := Waiting} = State) ->
    State#{waiting := [{Socket, <<>>} | Waiting]};
arm(Socket, State) ->
    case inet:setopts(Socket, [{active, once}]) of
        ok -> State;
        {error, _} -> exit(normal)
    end.

thaw(freeze, State) ->
    State#{mode := freeze};
thaw(New, #{waiting := Waiting} = State) ->
    lists:foldr(fun({Socket, Data}, Acc) ->
                        held(Socket, -byte_size(Data), Acc),
                        arrived(New, Socket, Data, Acc)
                end, State#{mode := New, waiting := []}, Waiting).
