%% The topic is deleted while records for it are under way, and created again while more come.
-module(scenario_recreated).
-behaviour(faults).

-export([about/0, run/1]).

%% Behind all offsets of the topic that was deleted.
-define(LATER, 1000000000).

-spec about() -> faults:about().
about() ->
    #{number => 10, title => "topic deleted under load and created again", modes => [async_off, async, durable, sync],
      boot => manual, partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Topic = faults_rig:topic(),
    {Proxy, Address} = faults_cluster:behind([{"NODES", "1"}], "127.0.0.1", faults_rig:own_port()),
    ok = faults_cluster:topic(Topic, 3),
    ok = faults_rig:settings([{"server", Address}, {"rdkafka.topic.metadata.refresh.interval.ms", "1000"},
                              {"rdkafka.topic.metadata.propagation.max.ms", "3000"}]),
    ok = faults_rig:boot(),
    Before = faults_rig:load(#{name => "before"}),
    ok = faults_load:await(Before, acked, 2000),
    _ = faults_rig:finish(Before),
    ok = faults_rig:drained(30000),
    %% What is acknowledged now goes with the topic; it is read before.
    Old = faults_cluster:read(Topic),
    ok = faults_proxy:mode(Proxy, freeze),
    Load = faults_rig:load(#{}),
    Held = faults_wait:until("records under way", fun() -> more(faults_proxy:held(Proxy)) end, 30000),
    ok = faults_cluster:delete(Topic),
    ok = faults_proxy:mode(Proxy, pass),
    _ = faults_wait:until("records are given up", fun() -> more(given_up(faults_rig:stats())) end, 60000),
    ok = faults_cluster:topic(Topic, 3),
    #{success := Then} = There = faults_rig:stats(),
    _ = faults_wait:until("records arrive in the new topic", fun() -> maps:get(success, faults_rig:stats()) > Then end, 60000),
    Late = given_up(faults_rig:stats()) - given_up(There),
    Logged = faults_rig:wait_logged("records lost: .*unknown_", 20000),
    ok = faults_load:await(Load, acked, 2000),
    #{read => fun(Name) -> Old ++ [New#{offset := Offset + ?LATER} || #{offset := Offset} = New <- faults_cluster:read(Name)] end,
      losses => {counted, [unknown_topic, <<"unknown_topic">>, <<"unknown_topic_or_partition">>, <<"unknown_partition">>]},
      evidence => [{Held > 0, io_lib:format("~b bytes under way when the topic was deleted", [Held])},
                   {given_up(There) > 0, io_lib:format("~b records given up while there was no topic, ~b more until the first arrived",
                                                       [given_up(There), Late])},
                   {Logged > 0, "'records lost: ... unknown' in the log"}, faults_said:crashes()]}.

more(N) when N > 0 -> N;
more(_) -> false.

given_up(#{failed := Failed, dropped := Dropped}) -> Failed + Dropped.
