%% A topic gets more partitions while records are produced to it.
-module(scenario_repartitioned).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 11, title => "partition count raised", modes => [async_off, async, durable, sync], boot => manual,
      partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_cluster:up([{"NODES", "1"}]),
    ok = faults_cluster:topic(Topic, 2),
    %% The default is five minutes.
    ok = faults_rig:settings(faults_cluster:server("PLAINTEXT", [{"rdkafka.topic.metadata.refresh.interval.ms", "1000"}])),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{}),
    ok = faults_load:await(Load, acked, 1000),
    _ = faults_cluster:tool(["topics --alter --partitions 8 --topic ", Topic]),
    New = faults_wait:until("records in new partitions", fun() -> some([P || P <- used(Topic), P >= 2]) end, 30000),
    ok = faults_load:await(Load, acked, 1000),
    #{read => fun faults_cluster:read/1, partitions => changed,
      evidence => [{New =/= [], io_lib:format("records in the new partitions ~0p", [New])}, faults_said:crashes()]}.

used(Topic) -> lists:usort([Partition || #{partition := Partition} <- faults_cluster:read(Topic)]).

some([]) -> false;
some(Some) -> Some.
