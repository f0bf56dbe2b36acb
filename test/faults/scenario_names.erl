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
    {Proxy, Address} = faults_cluster:behind([{"NODES", "1"}], ?NAME, faults_rig:own_port()),
    ok = faults_cluster:topic(faults_rig:topic(), 3),
    ok = faults_rig:settings([{"server", Address}]),
    ok = unknown(),
    ok = faults_rig:boot(running, fun start/1),
    Load = faults_rig:load(#{}),
    Logged = faults_rig:wait_logged("failed to resolve", 30000),
    ok = felt(Mode, Load),
    #{success := 0} = faults_rig:stats(),
    ok = known(),
    ok = arrive(),
    ok = unknown(),
    Cut = faults_proxy:cut(Proxy),
    %% Again and again: librdkafka uses an address for a second after it was resolved. It does not repeat itself in the log within a
    %% minute: that nothing arrives says that the name is gone.
    true = faults_wait:until("nothing is delivered any more", fun() -> _ = faults_proxy:cut(Proxy), stuck() end, 60000),
    ok = felt(Mode, Load),
    Waiting = waiting(faults_rig:stats()),
    ok = known(),
    ok = arrive(),
    ok = faults_load:await(Load, acked, 1000),
    %% The proxy ends with this process, which goes on until all is read.
    #{read => fun faults_cluster:read/1,
      evidence => [{Logged > 0, "'failed to resolve' in the log"},
                   {Cut > 0, io_lib:format("~b connections cut when the name was gone again", [Cut])},
                   {Waiting > 0, io_lib:format("~b records waited then", [Waiting])},
                   faults_said:clients(Mode, Load), faults_said:crashes()]}.

arrive() ->
    #{success := Before} = faults_rig:stats(),
    true = faults_wait:until("records arrive, all that waited", fun() -> arrived(Before, faults_rig:stats()) end, 60000),
    ok.

arrived(Before, #{success := Success} = Stats) ->
    Success > Before + 100 andalso waiting(Stats) < 500.

waiting(#{queued := Queued, spooled := Spooled}) -> Queued + Spooled.

%% Ten samples, a second, in which something waits and nothing is delivered.
stuck() ->
    Last = lists:sublist(lists:reverse(faults_rig:samples()), 10),
    Delivered = lists:usort([Success || #{success := Success} <- Last]),
    length(Delivered) =:= 1 andalso lists:all(fun(Stats) -> waiting(Stats) > 0 end, Last).

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
