%% Now and then a client sends a record that Kafka refuses, in a topic into which many others send what it takes. No batch may be
%% lost for that, in a topic that is new, and while others of the same kind go on.
-module(scenario_culprit).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 19, title => "a record that Kafka refuses, among others", modes => [async_off, async, always, durable, sync],
      boot => manual, partitions => none, quick => [durable]}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_culprits:topic(Topic),
    _ = [ok = faults_kafka:topic(faults_dead_letters:topic(), 1) || faults_culprits:buries(Mode)],
    ok = faults_rig:settings(faults_culprits:settings(Mode, [faults_culprits:rule("1", "f", Topic)])),
    ok = faults_rig:boot(),
    Good = faults_culprits:good(#{}),
    Bad = faults_culprits:bad(#{}),
    ok = faults_load:await(Good, acked, 10000),
    ok = faults_load:await(Bad, acked, 50),
    _ = faults_rig:finish(Bad),
    _ = faults_rig:finish(Good),
    ok = faults_rig:drained(60000),
    faults_culprits:outcome(Mode, [Bad], []).
