%% Now and then a client sends a record that Kafka refuses, in a topic into which many others send what it takes. No batch may be
%% lost for that, in a topic that is new, and while others of the same kind go on.
-module(scenario_culprit).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 25, title => "a record that Kafka refuses, among others", modes => [async_off, async, always, durable, sync],
      boot => manual, partitions => own, quick => [durable]}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    ok = faults_culprits:set_up(Mode, [{"f", faults_rig:topic()}]),
    ok = faults_rig:boot(),
    Good = faults_rig:load(#{}),
    Bad = faults_culprits:bad(#{}),
    ok = faults_load:await(Good, acked, 10000),
    ok = faults_load:await(Bad, acked, 50),
    faults_culprits:outcome(Mode, [Good], [Bad], []).
