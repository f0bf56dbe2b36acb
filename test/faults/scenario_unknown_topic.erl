%% The topic does not exist, and Kafka creates none; then an administrator does. Records of before are given up, counted, and
%% dead-lettered where there is a dead-letter topic; or they are kept.
-module(scenario_unknown_topic).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 10, title => "topic unknown, no auto-creation", modes => [async_off, async, durable, sync], boot => manual,
      partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topic = faults_rig:topic(),
    Dead = faults_dead_letters:topic(),
    ok = faults_cluster:up([{"NODES", "1"}]),
    ok = faults_cluster:topic(Dead, 1),
    %% How long librdkafka believes that a topic may yet come; the default is 30 s.
    ok = faults_rig:settings(faults_cluster:server("PLAINTEXT", [{"rdkafka.topic.metadata.propagation.max.ms", "3000"},
                                                                {"rdkafka.topic.metadata.refresh.interval.ms", "1000"}
                                                                | buried(Mode, Dead)])),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{clients => 10, limit => 100, name => "early"}),
    ok = faults_load:await(Load, acked, 1000),
    _ = faults_rig:finish(Load),
    GivenUp = faults_wait:until("records are given up", fun given_up/0, 60000),
    ok = faults_cluster:topic(Topic, 3),
    After = faults_rig:load(#{}),
    _ = faults_wait:until("records arrive", fun() -> maps:get(success, faults_rig:stats()) > 0 end, 60000),
    Then = given_up(),
    ok = faults_load:await(After, acked, 2000),
    _ = faults_rig:finish(After),
    ok = faults_rig:drained(60000),
    Late = given_up() - Then,
    #{read => fun faults_cluster:read/1, dead => [Dead || buried(Mode, Dead) =/= []],
      losses => {counted, [unknown_topic, <<"unknown_topic">>, <<"unknown_topic_or_partition">>]},
      evidence => [{GivenUp > 0, io_lib:format("~b records given up while there was no topic", [GivenUp])},
                   {Late =:= 0, io_lib:format("~b after the first had arrived", [Late])},
                   faults_said:crashes() | letters(buried(Mode, Dead), Dead)]}.

buried(async_off, _) -> [];
buried(_, Dead) -> [{"dead_letter.topic", Dead}].

letters([], _) ->
    [];
letters(_, Dead) ->
    Records = faults_cluster:read(Dead),
    Reasons = [proplists:get_value(<<"dead_letter.reason">>, faults_dead_letters:headers(Record)) || Record <- Records],
    faults_dead_letters:check(Records, lists:usort(Reasons)).

given_up() ->
    case faults_rig:stats() of
        #{failed := Failed, dropped := Dropped} when Failed + Dropped > 0 -> Failed + Dropped;
        _ -> false
    end.
