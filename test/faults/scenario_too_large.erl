%% Among small messages, some that are larger than the topic takes (max.message.bytes), and some that are larger than the
%% client sends (message.max.bytes). Only they are refused, and counted; with a dead-letter topic they are to be found there.
-module(scenario_too_large).
-behaviour(faults).

-export([about/0, run/1]).

-define(OF_THE_TOPIC, 50000).
-define(OF_THE_CLIENT, 200000).
-define(BIG, 80000).
-define(HUGE, 300000).
-define(EACH, 20).

-spec about() -> faults:about().
about() ->
    #{number => 9, title => "message too large", modes => [async_off, async, always, durable, sync], boot => manual, partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topic = faults_rig:topic(),
    Dead = faults_dead_letters:topic(),
    ok = faults_cluster:up([{"NODES", "1"}]),
    ok = faults_cluster:topic(Topic, 3, ["max.message.bytes=" ++ integer_to_list(?OF_THE_TOPIC)]),
    ok = faults_cluster:topic(Dead, 1),
    %% A batch is a message to Kafka: one larger than the topic takes would be refused as a whole.
    ok = faults_rig:settings(
           faults_cluster:server("PLAINTEXT", [{"rdkafka.message.max.bytes", integer_to_list(?OF_THE_CLIENT)},
                                               {"rdkafka.batch.size", integer_to_list(?OF_THE_TOPIC * 9 div 10)},
                                               {"compression", "none"} | buried(Mode, Dead)])),
    ok = faults_rig:boot(),
    Small = faults_rig:load(#{}),
    ok = faults_load:await(Small, acked, 1000),
    ok = published("big", ?BIG),
    ok = published("huge", ?HUGE),
    ok = faults_load:await(Small, acked, 1000),
    _ = faults_rig:finish(Small),
    ok = faults_rig:drained(60000),
    Refused = maps:get(<<"message_size_too_large">>, maps:get(failed_by, faults_rig:stats(), #{}), 0),
    #{failed := Failed, dropped := Dropped} = faults_rig:stats(),
    #{read => fun faults_cluster:read/1, decode => fun faults_dead_letters:decode/1, dead => [Dead || buries(Mode)],
      losses => {counted, [<<"message_size_too_large">>, too_large]},
      evidence => [{Refused >= ?EACH, io_lib:format("Kafka refused ~b records", [Refused])},
                   {Failed + Dropped =:= 2 * ?EACH, io_lib:format("~b failed and ~b dropped, of ~b that were too large",
                                                                 [Failed, Dropped, 2 * ?EACH])},
                   faults_said:crashes() | letters(buries(Mode), Dead)]}.

published(Name, Size) ->
    Load = faults_rig:load(#{clients => 2, limit => ?EACH div 2, name => Name, size => Size}),
    ok = faults_load:await(Load, acked, ?EACH),
    _ = faults_rig:finish(Load),
    ok.

buries(Mode) -> lists:member(Mode, [async, durable, sync]).

buried(Mode, Dead) ->
    [{"dead_letter.topic", Dead} || buries(Mode)].

letters(false, _Dead) ->
    [];
letters(true, Dead) ->
    Records = faults_cluster:read(Dead),
    Sizes = [proplists:get_value(<<"dead_letter.value_size">>, faults_dead_letters:headers(Record))
             || #{key := <<"huge", _/binary>>} = Record <- Records],
    Whole = [Value || #{key := <<"big", _/binary>>, value := Value} <- Records, byte_size(Value) =:= ?BIG],
    [{length(Whole) =:= ?EACH, io_lib:format("~b whole values of ~b bytes", [length(Whole), ?BIG])},
     {Sizes =:= lists:duplicate(?EACH, integer_to_binary(?HUGE)), io_lib:format("~b values cut, once ~0p bytes", [length(Sizes), lists:usort(Sizes)])}
     | faults_dead_letters:check(Records, [<<"message_size_too_large">>, <<"too_large">>])].
