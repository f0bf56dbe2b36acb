%% One of two nodes is stopped for 3 s, runs for a moment, is stopped again: the partition that it leads is slow. The other
%% one's records must not wait for it.
-module(scenario_slow_partition).
-behaviour(faults).

-export([about/0, run/1]).

-define(PAUSES, 4).
-define(PAUSE_MS, 3000).

-spec about() -> faults:about().
about() ->
    #{number => 5, title => "one slow partition", modes => [async_off, async, durable, sync], boot => manual, partitions => none,
      one_node => "has two already, and partitions of one replica, which nobody else can lead"}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_cluster:up([{"NODES", "2"}]),
    _ = faults_cluster:tool(["topics --create --topic ", Topic, " --partitions 2 --replication-factor 1"]),
    Leaders = faults_cluster:leaders(Topic),
    ok = faults_rig:settings(faults_cluster:server("PLAINTEXT", [])),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{clients => 40}),
    %% Both partitions flow first.
    true = faults_wait:until("records are delivered", fun() -> maps:get(success, faults_rig:stats()) > 2000 end, 60000),
    Pid = faults_cluster:pid("2"),
    Meanwhile = [pause(Pid, Load) || _ <- lists:seq(1, ?PAUSES)],
    Waiting = faults_rig:backlog(),
    ok = faults_load:await(Load, acked, 2000),
    #{read => fun faults_cluster:read/1,
      evidence => [{length(lists:usort([Node || {_, Node} <- Leaders])) =:= 2, io_lib:format("partitions and leaders: ~0p", [Leaders])},
                   {lists:all(fun(N) -> N > 0 end, Meanwhile), io_lib:format("delivered while node 2 (pid ~s) was stopped: ~0p", [Pid, Meanwhile])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])}]}.

%% How many records were delivered in the last two seconds of a pause: those of the other partition.
pause(Pid, Load) ->
    {0, _} = faults_kafka:shell(["kill -STOP ", Pid]),
    receive after 1000 -> ok end,
    #{success := Before} = faults_rig:stats(),
    receive after ?PAUSE_MS - 1000 -> ok end,
    #{success := After} = faults_rig:stats(),
    {0, _} = faults_kafka:shell(["kill -CONT ", Pid]),
    ok = faults_load:await(Load, acked, 500),
    After - Before.
