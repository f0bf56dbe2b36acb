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
    End = byte_size(string:trim(Bytes, trailing, [0])),
    {ok, File} = file:open(Last, [read, write, raw, binary]),
    ok = file:pwrite(File, End, binary:part(Bytes, End - 700, 300)),
    ok = file:close(File),
    {none, io_lib:format("300 bytes of a torn record at byte ~b of ~s", [End, filename:basename(Last)])}.
