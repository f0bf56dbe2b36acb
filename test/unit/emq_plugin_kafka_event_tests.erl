%% Hook arguments become events: one clause after the other.
-module(emq_plugin_kafka_event_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ID, <<0, 6, 96, 222, 91, 92, 206, 203, 110, 199, 0, 0, 5, 96, 0, 1>>).

message(Changes) ->
    lists:foldl(fun({N, Value}, Message) -> setelement(N, Message, Value) end,
                {mqtt_message, ?ID, 1, {<<"c">>, <<"u">>}, <<"a/b">>, 1, [], true, false, false, [], <<"p">>,
                 {1795, 358993, 21999}}, Changes).

client(Changes) ->
    lists:foldl(fun({N, Value}, Client) -> setelement(N, Client, Value) end,
                {mqtt_client, <<"c">>, self(), <<"u">>, {{127, 0, 0, 1}, 50000}, true, 4, 60, <<"w">>, undefined,
                 undefined, {1795, 358989, 910000}}, Changes).

publish(Changes) ->
    emq_plugin_kafka_event:from_hook('message.publish', [message(Changes)]).

disconnected(Reason) ->
    {disconnected, Text, _} = emq_plugin_kafka_event:from_hook('client.disconnected', [Reason, client([])]),
    Text.

a_clients_message_test() ->
    ?assertEqual({publish, <<"c">>, <<"u">>, <<"a/b">>, <<"p">>, 1, false, true, ?ID, 1795358993021}, publish([])).

a_message_of_the_broker_itself_has_no_user_name_test() ->
    ?assertMatch({publish, <<"broker">>, undefined, _, _, _, _, _, _, _}, publish([{4, broker}])).

a_message_of_the_http_interface_has_no_user_name_test() ->
    ?assertMatch({publish, <<"http1">>, undefined, _, _, _, _, _, _, _}, publish([{4, <<"http1">>}])).

flags_of_the_http_interface_may_be_numbers_test() ->
    ?assertMatch({publish, _, _, _, _, _, false, true, _, _}, publish([{8, 1}, {9, 0}])).

a_connection_test() ->
    ?assertEqual({connected, 4, {client, <<"c">>, <<"u">>, <<"127.0.0.1">>, 50000, 4, 60, true, <<"w">>, 1795358989910}},
                 emq_plugin_kafka_event:from_hook('client.connected', [4, client([])])).

an_ipv6_peer_test() ->
    {connected, 0, Client} =
        emq_plugin_kafka_event:from_hook('client.connected', [0, client([{5, {{0, 0, 0, 0, 0, 0, 0, 1}, 1}}])]),
    ?assertEqual(<<"::1">>, element(4, Client)).

an_address_that_is_none_test() ->
    {connected, 0, Client} =
        emq_plugin_kafka_event:from_hook('client.connected', [0, client([{5, {{300, 0, 0, 1}, 1}}])]),
    ?assertEqual(undefined, element(4, Client)).

reasons_are_text_without_stack_traces_test() ->
    Stack = [{emqttd_topic, validate3, [<<"secret">>], [{file, "x"}, {line, 1}]}, {m, f, 1, []}],
    ?assertEqual(<<"keepalive_timeout">>, disconnected(keepalive_timeout)),
    ?assertEqual(<<"conflict">>, disconnected({shutdown, conflict})),
    ?assertEqual(<<"function_clause">>, disconnected({function_clause, Stack})),
    ?assertEqual(<<"{badmatch,5}">>, disconnected({{badmatch, 5}, Stack})),
    ?assertEqual(<<"{badmatch,5}">>, disconnected({shutdown, {{badmatch, 5}, Stack}})).

long_reasons_are_cut_test() ->
    Text = disconnected({error, lists:seq(1, 100000), lists:duplicate(100000, $x), binary:copy(<<"y">>, 100000)}),
    ?assert(byte_size(Text) =< 600).

reasons_that_are_no_text_are_text_test() ->
    ?assert(is_binary(disconnected([16#D800, -1]))),
    ?assert(is_binary(disconnected(<<255, 254>>))),
    ?assert(is_binary(disconnected(#{self() => fun() -> ok end}))).

subscriptions_test() ->
    ?assertEqual({subscriptions, 'session.subscribed', <<"c">>, undefined, [{<<"a">>, [{qos, 1}, local]}]},
                 emq_plugin_kafka_event:from_hook('session.subscribed', [<<"c">>, undefined, {<<"a">>, [{qos, 1}, local]}])),
    ?assertEqual({subscriptions, 'session.unsubscribed', <<"c">>, undefined, [{<<"a">>, []}]},
                 emq_plugin_kafka_event:from_hook('session.unsubscribed', [<<"c">>, undefined, {<<"a">>, []}])).

a_subscribe_keeps_all_its_topics_test() ->
    Table = [{<<"a">>, [{qos, 0}]}, {<<"b">>, [{qos, 1}]}],
    [?assertEqual({subscriptions, Hook, <<"c">>, <<"u">>, Table},
                  emq_plugin_kafka_event:from_hook(Hook, [<<"c">>, <<"u">>, Table]))
     || Hook <- ['client.subscribe', 'client.unsubscribe']].

sessions_test() ->
    ?assertEqual({session, 'session.created', <<"c">>, undefined, undefined},
                 emq_plugin_kafka_event:from_hook('session.created', [<<"c">>, undefined])),
    ?assertEqual({session, 'session.terminated', <<"c">>, undefined, <<"expired">>},
                 emq_plugin_kafka_event:from_hook('session.terminated', [<<"c">>, undefined, {shutdown, expired}])).

messages_received_keep_their_publisher_test() ->
    [?assertEqual({received, Hook, <<"r">>, undefined, publish([])},
                  emq_plugin_kafka_event:from_hook(Hook, [<<"r">>, undefined, message([])]))
     || Hook <- ['message.delivered', 'message.acked']].

anything_else_is_a_bad_event_test() ->
    ?assertEqual(bad_event, emq_plugin_kafka_event:from_hook('message.publish', [not_a_message])),
    ?assertEqual({received, 'message.acked', 1, 2, bad_event}, emq_plugin_kafka_event:from_hook('message.acked', [1, 2, 3])),
    ?assertEqual(bad_event, emq_plugin_kafka_event:from_hook('message.publish', [])),
    ?assertEqual(bad_event, emq_plugin_kafka_event:from_hook('no.such.hook', [1])),
    ?assertEqual({connected, 0, bad_event}, emq_plugin_kafka_event:from_hook('client.connected', [0, {mqtt_client}])).
