%% The adapters of EMQX 4 and 5: every recorded hook call of both brokers through the callbacks as they are registered, into a real
%% Kafka, and the records back. The registration is that of test/brokers/emqx4 and emqx5; tests of gating are in emqx_gate_SUITE.
-module(emqx_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, groups/0, init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
-export([the_broker_is_recognised/1, every_recorded_call_becomes_its_records/1, nothing_secret_is_in_a_record/1,
         only_hooks_that_are_needed_are_registered/1, a_second_registration_is_fine/1,
         other_callbacks_come_first_whenever_they_are_registered/1, what_another_plugin_refuses_is_no_event/1,
         unregistered_is_gone_when_it_returns/1, a_broker_that_does_not_unregister_is_told_of/1,
         unregistering_while_traffic_flows_costs_nothing/1, rules_for_events_of_other_brokers_are_refused/1]).
-export([before_us/1]).

suite() -> [{timetrap, {seconds, 600}}].

all() -> [{group, emqx4}, {group, emqx5}].

groups() ->
    Cases = [the_broker_is_recognised, every_recorded_call_becomes_its_records, nothing_secret_is_in_a_record,
             only_hooks_that_are_needed_are_registered, a_second_registration_is_fine,
             other_callbacks_come_first_whenever_they_are_registered, what_another_plugin_refuses_is_no_event,
             unregistered_is_gone_when_it_returns, a_broker_that_does_not_unregister_is_told_of,
             unregistering_while_traffic_flows_costs_nothing, rules_for_events_of_other_brokers_are_refused],
    [{emqx4, [], Cases}, {emqx5, [], Cases}].

init_per_group(emqx4, Config) -> [{generation, 4} | Config];
init_per_group(emqx5, Config) -> [{generation, 5} | Config].

end_per_group(_Group, _Config) -> ok.

init_per_testcase(_Case, Config) ->
    ok = standin_emqx_hooks:start(generation(Config)),
    Config.

end_per_testcase(_Case, _Config) ->
    _ = emq_plugin_kafka_nif:close(0),
    standin_emqx_hooks:stop().

generation(Config) -> proplists:get_value(generation, Config).

%% Cases.

the_broker_is_recognised(Config) ->
    {Adapter, Name, Control, Count} = case generation(Config) of
                                          4 -> {emq_plugin_kafka_emqx4, <<"EMQX 4">>, <<"emqx_ctl">>, 19};
                                          5 -> {emq_plugin_kafka_emqx5, <<"EMQX 5">>, <<"emqx ctl">>, 20}
                                      end,
    ?assertEqual(Adapter, emq_plugin_kafka_broker:adapter()),
    ?assertEqual({Name, Control, [1, 2]}, {emq_plugin_kafka_broker:name(), emq_plugin_kafka_broker:control(),
                                           emq_plugin_kafka_broker:gated()}),
    ?assertEqual(Count, length(lists:usort(emq_plugin_kafka_broker:events()))).

every_recorded_call_becomes_its_records(Config) ->
    Calls = emqx_calls:recorded(generation(Config)),
    Records = records(Calls),
    Expected = lists:sort(lists:append([emqx_calls:events(Call) || Call <- Calls])),
    ?assertEqual(Expected, lists:sort([Event || {Event, _} <- Records])),
    ?assertEqual(lists:sort(emq_plugin_kafka_broker:events()), lists:usort(Expected)),
    {0, Said} = schema_validator:validate(Records, Config),
    ?assertEqual([{Event, count(Event, Expected), 0} || Event <- lists:usort(Expected)], Said).

count(Event, Events) -> length([Event || E <- Events, E =:= Event]).

nothing_secret_is_in_a_record(Config) ->
    Calls = emqx_calls:recorded(generation(Config)),
    Passwords = lists:usort([<<"\"", Password/binary>> || {'client.authenticate', [#{password := <<_, _, _/binary>> = Password} | _]} <- Calls]),
    ?assertNotEqual([], Passwords),
    Records = records([emqx_calls:planted(Call) || Call <- Calls]),
    [?assertEqual({Text, nomatch}, {Text, binary:match(Text, [<<"planted">> | Passwords])}) || {_, Text} <- Records].

only_hooks_that_are_needed_are_registered(_Config) ->
    ok = open([{<<"hook.client.connected.1">>, <<"{}">>}]),
    ok = emq_plugin_kafka:load([]),
    ?assertEqual(['client.connack', 'client.connected'], hooked()),
    ok = emq_plugin_kafka:load_all([]),
    ?assert(length(hooked()) >= 19),
    {ok, true} = emq_plugin_kafka:unload_unneeded(),
    ?assertEqual(['client.connack', 'client.connected'], hooked()),
    {ok, true} = emq_plugin_kafka:unload(),
    ?assertEqual([], hooked()),
    ?assertEqual({ok, false}, emq_plugin_kafka:unload()).

a_second_registration_is_fine(_Config) ->
    ok = open([{<<"hook.message.publish.1">>, <<"{}">>}]),
    ok = emq_plugin_kafka:load([]),
    ok = emq_plugin_kafka:load([]),
    ?assertEqual(1, length(emqx_hooks:lookup('message.publish'))).

%% Registered before and after ours, with the priority of most and with the least that the broker itself uses.
other_callbacks_come_first_whenever_they_are_registered(Config) ->
    ok = open([{<<"hook.message.publish.1">>, <<"{}">>}]),
    ok = emqx_hooks:add('message.publish', {?MODULE, before_us, []}, 0),
    ok = emq_plugin_kafka:load([]),
    ok = emqx_hooks:add('message.publish', {?MODULE, after_us, []}, -1),
    ?assertMatch([before_us, after_us, _Ours], [element(2, element(2, Callback)) || Callback <- emqx_hooks:lookup('message.publish')]),
    ok = emqx_hooks:del('message.publish', {?MODULE, after_us, []}),
    {'message.publish', [Message]} = hd(client_messages(Config)),
    ?assertEqual(<<"changed">>, element(7, emqx_hooks:run_fold('message.publish', [], Message))),
    ?assertEqual([], standin_emqx_hooks:failures()).

%% Another plugin's callback.
before_us(Message) -> {ok, setelement(7, Message, <<"changed">>)}.

what_another_plugin_refuses_is_no_event(Config) ->
    ok = open([{<<"hook.message.publish.1">>, <<"{}">>}]),
    ok = emq_plugin_kafka:load([]),
    {'message.publish', [Message]} = hd(client_messages(Config)),
    Refused = setelement(6, Message, (element(6, Message))#{allow_publish => false}),
    ?assertEqual(0, accepted(fun() -> true = emqx_calls:run({'message.publish', [Refused]}) end)),
    ?assertEqual(1, accepted(fun() -> true = emqx_calls:run({'message.publish', [Message]}) end)).

%% The broker only takes note of what is to be unregistered.
unregistered_is_gone_when_it_returns(_Config) ->
    ok = open([{<<"hook.message.publish.1">>, <<"{}">>}, {<<"hook.client.connected.1">>, <<"{}">>}]),
    ok = emq_plugin_kafka:load([]),
    ok = standin_emqx_hooks:slow(300),
    {Microseconds, {ok, true}} = timer:tc(fun emq_plugin_kafka:unload/0),
    ?assert(Microseconds > 300000),
    ?assertEqual([], hooked()).

a_broker_that_does_not_unregister_is_told_of(_Config) ->
    ok = open([{<<"hook.message.acked.1">>, <<"{}">>}]),
    ok = emq_plugin_kafka:load([]),
    ok = sys:suspend(standin_emqx_hooks),
    ?assertEqual({error, [{'message.acked', still_registered}]}, emq_plugin_kafka:unload()),
    ok = sys:resume(standin_emqx_hooks).

%% Callbacks that run while the hooks go find the producer open or closed: each is counted, none raises anything.
unregistering_while_traffic_flows_costs_nothing(Config) ->
    ok = open(rules()),
    ok = emq_plugin_kafka:load([]),
    Calls = emqx_calls:recorded(generation(Config)),
    Publishers = [spawn_monitor(fun() -> exit({published, publish_until_told(Calls, Calls, 0)}) end) || _ <- lists:seq(1, 20)],
    ok = polling:until(fun() -> maps:get(accepted, emq_plugin_kafka:stats()) > 5000 end),
    {ok, true} = emq_plugin_kafka:unload(),
    {ok, _} = emq_plugin_kafka_nif:close(0),
    [Pid ! stop || {Pid, _} <- Publishers],
    Counts = [receive {'DOWN', Monitor, process, _, {published, Count}} -> Count end || {_, Monitor} <- Publishers],
    ?assert(lists:sum(Counts) > 5000),
    ?assertEqual([], standin_emqx_hooks:failures()),
    #{accepted := Accepted, success := Success, failed := Failed, dropped := Dropped, queued := 0, spooled := 0,
      dropped_by := #{bad_event := 0}} = emq_plugin_kafka:stats(),
    ?assertEqual(Accepted, Success + Failed + Dropped).

publish_until_told([], Calls, Count) -> publish_until_told(Calls, Calls, Count);
publish_until_told([Call | Rest], Calls, Count) ->
    receive stop -> Count
    after 0 ->
            true = emqx_calls:run(Call),
            publish_until_told(Rest, Calls, Count + 1)
    end.

rules_for_events_of_other_brokers_are_refused(Config) ->
    Use = fun(Rules) -> emq_plugin_kafka_settings:use([{hooks, Rules}], fun(_) -> used end) end,
    ?assertEqual(used, Use([{"client.connect.1", "{}"}, {"session.takenover.1", "{}"}])),
    case generation(Config) of
        4 ->
            {error, [Problem]} = Use([{"message.publish.1", "{}"}, {"message.puback.7", "{}"}]),
            ?assertMatch({match, _}, re:run(Problem, "^emq.plugin.kafka.hook.message.puback.7: EMQX 4 has no event message.puback; it has client"));
        5 ->
            ?assertEqual(used, Use([{"message.puback.7", "{}"}]))
    end.

%% The plugin.

%% {Event, Text} of the records that the calls become. What the hooks fold is what it was.
records(Calls) ->
    Topic = kafka_reader:new_topic("emqx"),
    ok = open([{<<"server">>, list_to_binary(kafka_reader:bootstrap())}, {<<"topic">>, list_to_binary(Topic)} | rules()]),
    ok = emq_plugin_kafka:load([]),
    #{dropped := Dropped} = emq_plugin_kafka:stats(),
    Accepted = accepted(fun() -> [?assertEqual({Call, true}, {Call, emqx_calls:run(Call)}) || Call <- Calls] end),
    ?assertEqual([], standin_emqx_hooks:failures()),
    ?assertMatch(#{dropped := Dropped}, emq_plugin_kafka:stats()),
    {ok, #{given_up := 0}} = emq_plugin_kafka_nif:close(30000),
    ?assertEqual(length(lists:append([emqx_calls:events(Call) || Call <- Calls])), Accepted),
    [{binary_to_existing_atom(Event, utf8), Value} || #{key := Event, value := Value} <- kafka_reader:raw_records(Topic, Accepted)].

%% Nobody listens on port 1. Without a spool the close waits until Kafka has the records.
open(Settings) ->
    emq_plugin_kafka_nif:open([{<<"spool">>, <<"off">>} | lists:ukeymerge(1, lists:keysort(1, Settings), [{<<"server">>, <<"127.0.0.1:1">>}])],
                              <<"emqx@127.0.0.1">>).

%% A rule for each event, whose name is the key; the broker's own messages need one more.
rules() ->
    [rule(Event, <<"1">>, <<"{\"key\": \"${event}\"}">>) || Event <- emq_plugin_kafka_broker:events()]
        ++ [rule(Event, <<"2">>, <<"{\"filter\": \"$SYS/#\", \"key\": \"${event}\"}">>)
            || Event <- ['message.publish', 'message.delivered', 'message.acked', 'message.dropped', 'delivery.completed']].

rule(Event, Name, Json) ->
    {<<"hook.", (atom_to_binary(Event, utf8))/binary, ".", Name/binary>>, Json}.

accepted(Do) ->
    #{accepted := Before} = emq_plugin_kafka:stats(),
    _ = Do(),
    #{accepted := After} = emq_plugin_kafka:stats(),
    After - Before.

client_messages(Config) ->
    [Call || {_, [Message]} = Call <- emqx_calls:calls(generation(Config), 'message.publish'), is_binary(element(4, Message))].

%% The hooks that have a callback of ours.
hooked() ->
    lists:usort([Hook || {Hook, Callbacks} <- ets:tab2list(emqx_hooks), {callback, {Module, _, _}, _, _} <- Callbacks, Module =/= ?MODULE]).
