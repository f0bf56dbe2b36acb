%% Records that Kafka refuses, in a backlog: Kafka is away while they come, and then all of them leave at once, in large batches.
-module(scenario_culprit_backlog).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 25, title => "records that Kafka refuses, in a backlog", modes => [async_off, async, always, durable],
      boot => manual, partitions => own}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    ok = faults_culprits:set_up(Mode, [{"f", faults_rig:topic()}]),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    ok = faults_rig:boot(),
    Good = faults_rig:load(#{rate => 200}),
    Bad = faults_culprits:bad(#{rate => 5}),
    ok = faults_load:await(Good, acked, 20000),
    Waiting = faults_rig:backlog(),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Good, acked, 5000),
    faults_culprits:outcome(Mode, [Good], [Bad], [{Waiting >= 10000, io_lib:format("up to ~b records waited", [Waiting])}]).
