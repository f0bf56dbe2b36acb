%% The disk gives back other bits than were written, in the middle of the backlog. What cannot be read is counted; the
%% rest arrives.
-module(scenario_flipped_bits).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 20, title => "spool: flipped bits", modes => [durable], quick => [], settings => fun faults_damage:settings/1}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    faults_damage:run(fun flipped/0).

flipped() ->
    Segments = faults_damage:segments(),
    Middle = lists:nth(length(Segments) div 2, Segments),
    Offset = filelib:file_size(Middle) div 2,
    {ok, File} = file:open(Middle, [read, write, raw, binary]),
    {ok, <<Byte>>} = file:pread(File, Offset, 1),
    ok = file:pwrite(File, Offset, <<(Byte bxor 16#10)>>),
    ok = file:close(File),
    {{counted, [corrupt]}, io_lib:format("a bit flipped at byte ~b of ~s", [Offset, filename:basename(Middle)])}.
