%% Records that Kafka refuses, in a backlog: Kafka is away while they come, and then all of them leave at once, in large batches.
-module(scenario_culprit_backlog).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 19, title => "records that Kafka refuses, in a backlog", modes => [async_off, async, always, durable],
      boot => manual, partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_culprits:topic(Topic),
    _ = [ok = faults_kafka:topic(faults_dead_letters:topic(), 1) || faults_culprits:buries(Mode)],
    ok = faults_rig:settings(faults_culprits:settings(Mode, [faults_culprits:rule("1", "f", Topic)])),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    ok = faults_rig:boot(),
    Good = faults_culprits:good(#{rate => 200}),
    Bad = faults_culprits:bad(#{rate => 5}),
    ok = faults_load:await(Good, acked, 20000),
    Waiting = faults_rig:backlog(),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Good, acked, 5000),
    _ = faults_rig:finish(Bad),
    _ = faults_rig:finish(Good),
    ok = faults_rig:drained(60000),
    faults_culprits:outcome(Mode, [Bad], [{Waiting >= 10000, io_lib:format("up to ~b records waited", [Waiting])}]).
