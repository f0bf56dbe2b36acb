%% The VM died in the middle of a write: the last segment ends in half a record, which was acknowledged to nobody.
-module(scenario_torn_tail).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 20, title => "spool: torn tail", modes => [durable], quick => [durable], settings => fun faults_damage:settings/1}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    faults_damage:run(fun torn/0).

%% Half of the bytes of an earlier record, after the last one: a length and a checksum that promise more than there is.
torn() ->
    Last = lists:last(faults_damage:segments()),
    {ok, Bytes} = file:read_file(Last),
    End = used(Bytes, byte_size(Bytes)),
    {ok, File} = file:open(Last, [read, write, raw, binary]),
    ok = file:pwrite(File, End, binary:part(Bytes, End - 700, 300)),
    ok = file:close(File),
    {none, io_lib:format("300 bytes of a torn record at byte ~b of ~s", [End, filename:basename(Last)])}.

%% Without the zeros at the end.
used(Bytes, Size) ->
    case binary:at(Bytes, Size - 1) of
        0 -> used(Bytes, Size - 1);
        _ -> Size
    end.
