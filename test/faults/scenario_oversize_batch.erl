%% The topic takes less than a batch may come to (max.message.bytes below librdkafka's batch.size, whose default is a million
%% bytes), while each message is small enough. Kafka refuses batches as a whole: no message may be lost by that, in a backlog or not.
-module(scenario_oversize_batch).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 25, title => "a topic that takes less than a batch", modes => [async_off, async, always, durable, sync], boot => manual,
      partitions => own}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    ok = faults_kafka:topic(faults_rig:topic(), 1, ["max.message.bytes=5000"]),
    ok = faults_rig:settings([{"compression", "none"}, {"linger", "50ms"}]),
    ok = held_back(Mode),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{clients => 50, window => 5}),
    ok = waited(Mode, Load),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 5000),
    _ = faults_rig:finish(Load),
    ok = faults_rig:drained(60000),
    #{failed := Failed} = faults_rig:stats(),
    Larger = faults_rig:most(queued) + faults_rig:most(spooled),
    #{evidence => [{Larger * 200 > 5000, io_lib:format("up to ~b messages of 200 bytes waited, with 5000 bytes allowed", [Larger])},
                   {Failed =:= 0, io_lib:format("~b messages refused, each of which is small enough", [Failed])},
                   faults_said:crashes()]}.

%% `sync' acknowledges nothing without Kafka.
held_back(sync) -> ok;
held_back(_Mode) -> faults_proxy:mode(faults_rig:proxy(), refuse).

waited(sync, _Load) -> ok;
waited(_Mode, Load) -> faults_load:await(Load, acked, 5000).
