%% The proxy itself, with sockets.
-module(faults_proxy_tests).

-include_lib("eunit/include/eunit.hrl").

upstream() ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Listen),
    {Listen, Port}.

connect(Port) -> gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]).

each_port_has_its_node_test_() -> {timeout, 60, fun each_port/0}.

each_port() ->
    [First, Second] = Ports = [standin_broker:free_port() || _ <- [1, 2]],
    {A, ToA} = upstream(),
    {B, ToB} = upstream(),
    Proxy = faults_proxy:start(Ports),
    ok = faults_proxy:upstream(Proxy, [ToA, ToB]),
    [begin
         {ok, Client} = connect(Port),
         {ok, Node} = gen_tcp:accept(Listen, 30000),
         ok = gen_tcp:send(Client, <<"to">>),
         ?assertEqual({ok, <<"to">>}, gen_tcp:recv(Node, 2, 30000)),
         ok = gen_tcp:send(Node, <<"from">>),
         ?assertEqual({ok, <<"from">>}, gen_tcp:recv(Client, 4, 30000))
     end || {Port, Listen} <- [{Second, B}, {First, A}]],
    ok = faults_proxy:mode(Proxy, refuse),
    [?assertEqual({error, econnrefused}, connect(Port)) || Port <- Ports],
    ok = faults_proxy:mode(Proxy, pass),
    {ok, _} = connect(Second),
    {ok, _} = gen_tcp:accept(B, 30000),
    ?assertEqual(1, faults_proxy:cut(Proxy)),
    ok = faults_proxy:stop(Proxy).

%% The next mode of a scenario with a proxy of its own wants the same ports.
it_goes_with_its_owner_test_() -> {timeout, 60, fun owner/0}.

owner() ->
    Port = standin_broker:free_port(),
    {Listen, To} = upstream(),
    Self = self(),
    {Owner, Monitor} = spawn_monitor(fun() ->
                                             Proxy = faults_proxy:start([Port]),
                                             ok = faults_proxy:upstream(Proxy, [To]),
                                             Self ! {proxy, Proxy},
                                             receive done -> ok end
                                     end),
    Proxy = receive {proxy, Its} -> Its end,
    {ok, Client} = connect(Port),
    {ok, _} = gen_tcp:accept(Listen, 30000),
    Gone = monitor(process, Proxy),
    Owner ! done,
    [receive {'DOWN', Ref, process, _, _} -> ok end || Ref <- [Monitor, Gone]],
    ?assertEqual({error, closed}, gen_tcp:recv(Client, 1, 30000)),
    _ = faults_proxy:stop(faults_proxy:start([Port])).
