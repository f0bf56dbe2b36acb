%% Somebody deleted a file of the spool. Its records are counted as lost; the rest arrives.
-module(scenario_missing_segment).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 20, title => "spool: missing segment", modes => [durable], quick => [], settings => fun faults_damage:settings/1}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    faults_damage:run(fun deleted/0).

deleted() ->
    Segments = faults_damage:segments(),
    Middle = lists:nth(length(Segments) div 2, Segments),
    ok = file:delete(Middle),
    {{counted, [corrupt]}, io_lib:format("~s deleted", [filename:basename(Middle)])}.
