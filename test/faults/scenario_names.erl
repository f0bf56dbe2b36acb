%% Kafka's name is not to be resolved at start; then it is; then, as connections break, it is not, and is again. The broker's
%% VM runs in a mount namespace of its own, with an /etc/hosts that this scenario writes and no DNS.
-module(scenario_names).
-behaviour(faults).

-export([about/0, run/1]).

-define(NAME, "kafka.test").

-spec about() -> faults:about().
about() ->
    #{number => 17, title => "name resolution failing, then back", modes => [async_off, async, durable, sync], boot => manual,
      partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Port = 19300,
    Address = ?NAME ++ ":" ++ integer_to_list(Port),
    Proxy = faults_proxy:start(Port),
    ok = faults_cluster:up([{"NODES", "1"}, {"HOST_NAME", Address}]),
    [_, Upstream] = string:lexemes(faults_cluster:address("NAMED"), ":"),
    ok = faults_proxy:upstream(Proxy, list_to_integer(Upstream)),
    ok = faults_cluster:topic(faults_rig:topic(), 3),
    ok = faults_rig:settings([{"server", Address}]),
    ok = unknown(),
    ok = faults_rig:boot(running, fun start/1),
    Load = faults_rig:load(#{}),
    First = unresolved(0),
    ok = felt(Mode, Load),
    #{success := 0} = faults_rig:stats(),
    ok = known(),
    ok = faults_load:await(Load, acked, 2000),
    ok = unknown(),
    Cut = faults_proxy:cut(Proxy),
    Second = unresolved(First),
    ok = felt(Mode, Load),
    Waiting = faults_rig:most(queued) + faults_rig:most(spooled),
    ok = known(),
    ok = faults_load:await(Load, acked, 1000),
    %% The proxy ends with this process, which goes on until all is read.
    #{read => fun faults_cluster:read/1,
      evidence => [{First > 0, io_lib:format("the name was not resolved: ~b lines of the log", [First])},
                   {Cut > 0 andalso Second > First, io_lib:format("nor after ~b connections were cut: ~b lines", [Cut, Second])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])},
                   faults_said:clients(Mode, Load), faults_said:crashes()]}.

unresolved(Before) ->
    faults_wait:until("a name that is not resolved", fun() -> more(faults_rig:logged("failed to resolve"), Before) end, 60000).

more(N, Before) when N > Before -> N;
more(_, _) -> false.

felt(sync, Load) -> faults_load:await(Load, lost, 20);
felt(_, Load) -> faults_load:await(Load, acked, 3000).

unknown() -> file:write_file(hosts(), "127.0.0.1 localhost\n").

known() -> file:write_file(hosts(), "127.0.0.1 localhost " ?NAME "\n").

hosts() -> filename:join(os:getenv("FAULTS_DIR"), "hosts").

%% The machine's own files stay as they are, whatever happens: only this VM sees ours.
start(Home) ->
    Switch = hosts() ++ ".switch",
    ok = file:write_file(Switch, "hosts: files\n"),
    {0, _} = faults_kafka:shell(["exec unshare --mount /bin/sh -ec 'mount --bind ", hosts(), " /etc/hosts; mount --bind ", Switch,
                                 " /etc/nsswitch.conf; exec ", Home, "/bin/emqttd start >", hosts(), ".log'"]),
    ok.
