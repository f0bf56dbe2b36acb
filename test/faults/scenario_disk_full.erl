%% ENOSPC: the spool's disk, a small tmpfs, is filled by somebody else, and freed again, while Kafka is away.
-module(scenario_disk_full).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 8, title => "ENOSPC: the spool's disk is full", modes => [async, durable],
      settings => fun settings/1, boot => manual}.

settings(_Mode) ->
    [{"queue.max_messages", "1000"}, {"spool.dir", disk() ++ "/spool"}, {"spool.segment_size", "1MB"}, {"spool.max_size", "512MB"}, {"produce.timeout", "1s"}].

disk() -> filename:join(os:getenv("FAULTS_DIR"), "small_disk").

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    ok = filelib:ensure_path(disk()),
    {0, _} = faults_kafka:shell(["mount -t tmpfs -o size=12m faults ", disk()]),
    try
        on_a_small_disk(Mode)
    after
        %% Lazily: the VM that has files there is killed after this.
        {0, _} = faults_kafka:shell(["umount -l ", disk()])
    end.

on_a_small_disk(Mode) ->
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{size => 400}),
    ok = faults_load:await(Load, acked, 1000),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    Ballast = filename:join(disk(), "ballast"),
    %% dd ends because there is no space left.
    {Status, _} = faults_kafka:shell(["dd if=/dev/zero of=", Ballast, " bs=64k"]),
    true = faults_wait:until("the spool is full", fun() -> state() =:= full end, 90000),
    {0, Df} = faults_kafka:shell(["df --output=avail ", disk(), " | tail -n 1"]),
    ok = faults_full:felt(Mode, Load),
    ok = file:delete(Ballast),
    true = faults_wait:until("the spool has room", fun() -> state() =:= ok end, 30000),
    ok = faults_load:await(Load, acked, 1000),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 1000),
    ok = faults_rig:drained(90000),
    #{dropped_by := #{spool_full := Dropped}} = faults_rig:stats(),
    #{losses => faults_full:losses(Mode),
      evidence => [{Status =/= 0, io_lib:format("the disk was full, ~s KB free", [string:trim(Df)])},
                   {Dropped > 0, io_lib:format("~b records refused meanwhile", [Dropped])},
                   faults_full:refused(Mode, Load)]}.

state() ->
    #{spool := #{state := State}} = faults_rig:stats(),
    State.
