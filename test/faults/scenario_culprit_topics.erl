%% Two topics with records that Kafka refuses, and one without: it goes on, and nothing of any topic is lost for another's sake.
-module(scenario_culprit_topics).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 19, title => "records that Kafka refuses, in two topics of three", modes => [async_off, async, durable, sync],
      boot => manual, partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topics = [faults_rig:topic() ++ Suffix || Suffix <- ["", "-2", "-3"]],
    [First, Second, Third] = Topics,
    ok = faults_culprits:topic(First),
    ok = faults_culprits:topic(Second),
    ok = faults_kafka:topic(Third, 3),
    _ = [ok = faults_kafka:topic(faults_dead_letters:topic(), 1) || faults_culprits:buries(Mode)],
    Rules = [faults_culprits:rule("1", "f", First), faults_culprits:rule("2", "g", Second), faults_culprits:rule("3", "h", Third)],
    ok = faults_rig:settings(faults_culprits:settings(Mode, Rules)),
    ok = faults_rig:boot(),
    Good = [faults_culprits:good(#{name => Name, under => Under, clients => 7})
            || {Name, Under} <- [{"f", <<"f/">>}, {"g", <<"g/">>}, {"h", <<"h/">>}]],
    Bad = [faults_culprits:bad(#{name => Name, under => Under}) || {Name, Under} <- [{"badf", <<"f/">>}, {"badg", <<"g/">>}]],
    _ = [ok = faults_load:await(Load, acked, 4000) || Load <- Good],
    _ = [ok = faults_load:await(Load, acked, 50) || Load <- Bad],
    _ = [faults_rig:finish(Load) || Load <- Bad ++ Good],
    ok = faults_rig:drained(60000),
    Outcome = faults_culprits:outcome(Mode, Bad, []),
    Outcome#{topics => Topics}.
