%% Two topics with records that Kafka refuses, and one without: it goes on, and nothing of any topic is lost for another's sake.
-module(scenario_culprit_topics).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 25, title => "records that Kafka refuses, in two topics of three", modes => [async_off, async, durable, sync],
      boot => manual, partitions => own}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topics = [faults_rig:topic() ++ Suffix || Suffix <- ["", "-2", "-3"]],
    ok = faults_culprits:set_up(Mode, lists:zip(["f", "g", "h"], Topics)),
    ok = faults_rig:boot(),
    Good = [faults_rig:load(#{name => Name, under => Under, clients => 7})
            || {Name, Under} <- [{"f", <<"f/">>}, {"g", <<"g/">>}, {"h", <<"h/">>}]],
    Bad = [faults_culprits:bad(#{name => Name, under => Under}) || {Name, Under} <- [{"badf", <<"f/">>}, {"badg", <<"g/">>}]],
    _ = [ok = faults_load:await(Load, acked, 4000) || Load <- Good],
    _ = [ok = faults_load:await(Load, acked, 50) || Load <- Bad],
    Outcome = faults_culprits:outcome(Mode, Good, Bad, []),
    Outcome#{topics => Topics}.
