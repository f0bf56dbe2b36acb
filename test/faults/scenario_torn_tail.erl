%% The end of the last segment was written in part only, although the disk had said that it was safe: the last record is torn.
%% It is counted as lost, by the number that stands beside the log, and everything before it arrives.
-module(scenario_torn_tail).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 20, title => "spool: torn tail", modes => [durable], quick => [durable], settings => fun faults_damage:settings/1}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    faults_damage:run(fun torn/0).

torn() ->
    Last = lists:last(faults_damage:segments()),
    {ok, Bytes} = file:read_file(Last),
    End = used(Bytes, byte_size(Bytes)),
    {ok, File} = file:open(Last, [read, write, raw, binary]),
    ok = file:pwrite(File, End - 300, binary:copy(<<0>>, 300)),
    ok = file:close(File),
    {{counted, [corrupt]}, io_lib:format("the last 300 bytes of the last record never written, to byte ~b of ~s",
                                         [End, filename:basename(Last)])}.

%% Without the zeros at the end.
used(Bytes, Size) ->
    case binary:at(Bytes, Size - 1) of
        0 -> used(Bytes, Size - 1);
        _ -> Size
    end.
