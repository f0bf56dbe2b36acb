%% min.insync.replicas = 2, and two of three nodes are stopped: Kafka serves, and takes nothing. Then they come back.
-module(scenario_not_enough).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 14, title => "not enough replicas", modes => [async_off, async, durable, sync], boot => manual, partitions => none,
      %% Ten starts and stops of a JVM, or more.
      limit_s => 1200}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_cluster:up([{"NODES", "3"}, {"MIN_ISR", "2"}]),
    ok = faults_cluster:topic(Topic, 3),
    ok = faults_rig:settings(faults_cluster:server("PLAINTEXT", [])),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{rate => 20}),
    ok = faults_load:await(Load, acked, 1000),
    Earlier = refusals(),
    ok = faults_cluster:stop(["3"]),
    ok = faults_cluster:stop(["2"]),
    Refusals = faults_wait:until("Kafka refuses for want of replicas", fun() -> more(refusals() - Earlier) end, 30000),
    ok = felt(Mode, Load),
    ok = faults_cluster:start(["2", "3"]),
    true = faults_wait:until("every replica in sync", fun() -> faults_cluster:in_sync(Topic) end, 60000),
    Waiting = faults_rig:backlog(),
    ok = faults_load:await(Load, acked, 1000),
    #{read => fun faults_cluster:read/1,
      evidence => [{Refusals > 0, io_lib:format("~b times NotEnoughReplicas in Kafka's log", [Refusals])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])},
                   faults_said:clients(Mode, Load), faults_said:crashes()]}.

refusals() ->
    length(binary:matches(faults_cluster:log("1"), <<"NotEnoughReplicas">>)).

more(N) when N > 0 -> N;
more(_) -> false.

felt(sync, Load) -> faults_load:await(Load, lost, 20);
felt(_, Load) -> faults_load:await(Load, acked, 2000).
