%% The topic takes less than a batch may come to (max.message.bytes below librdkafka's batch.size, whose default is a million
%% bytes), while each message is small enough. Kafka refuses batches as a whole: no message may be lost by that.
%% A known defect, so it runs only when it is named: they are counted as message_size_too_large. `rdkafka.batch.size', set to less
%% than the topic takes, avoids it.
-module(scenario_batches).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 9, title => "a topic that takes less than a batch", modes => [async_off, async, durable, sync], boot => manual,
      partitions => none, named => true}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_cluster:up([{"NODES", "1"}]),
    ok = faults_cluster:topic(Topic, 1, ["max.message.bytes=5000"]),
    ok = faults_rig:settings(faults_cluster:server("PLAINTEXT", [{"compression", "none"}, {"linger", "50ms"}])),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{clients => 50, window => 5}),
    ok = faults_load:await(Load, acked, 5000),
    _ = faults_rig:finish(Load),
    ok = faults_rig:drained(60000),
    #{failed := Failed} = faults_rig:stats(),
    Larger = faults_rig:most(queued) + faults_rig:most(spooled),
    #{read => fun faults_cluster:read/1, losses => {counted, [<<"message_size_too_large">>]},
      evidence => [{Larger * 200 > 5000, io_lib:format("up to ~b messages of 200 bytes waited, with 5000 bytes allowed", [Larger])},
                   {Failed =:= 0, io_lib:format("~b messages refused, each of which is small enough", [Failed])},
                   faults_said:crashes()]}.
