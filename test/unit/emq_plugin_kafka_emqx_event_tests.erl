%% Hook calls of EMQX 4 and 5 as events: each field by its unit and its name, whatever the generation calls it.
-module(emq_plugin_kafka_emqx_event_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ID, <<0:128>>).

client() ->
    #{clientid => <<"c">>, username => <<"u">>, peerhost => {127, 0, 0, 1}, zone => external, mountpoint => undefined, is_superuser => true}.

connection() ->
    #{clientid => <<"c">>, username => <<"u">>, peername => {{127, 0, 0, 1}, 50000}, proto_name => <<"MQTT">>, proto_ver => 5,
      clean_start => false, keepalive => 60, conn_props => #{'User-Property' => [{<<"k">>, <<"1">>}, {<<"k">>, <<"2">>}]},
      socktype => tcp, receive_maximum => 32, connected_at => 1000, expiry_interval => 7200}.

message4(Headers) ->
    {message, ?ID, 1, <<"p">>, #{dup => true, retain => false}, Headers, <<"t">>, <<"x">>, 1000}.

message5(Headers) ->
    {message, ?ID, 1, <<"p">>, #{dup => true, retain => false}, Headers, <<"t">>, <<"x">>, 1000, #{}}.

published() ->
    {publish, <<"p">>, <<"u">>, <<"t">>, <<"x">>, 1, true, false, ?ID, 1000}.

event(Generation, Hook, Args) ->
    emq_plugin_kafka_emqx_event:from_hook(Generation, Hook, Args).

extra(Generation, Hook, Args) ->
    {extended, _, Extra} = event(Generation, Hook, Args),
    Extra.

messages_have_their_publisher_and_their_properties_test() ->
    Properties = #{'Content-Type' => <<"text/plain">>, 'Response-Topic' => <<"r">>, 'Correlation-Data' => <<255>>,
                   'Payload-Format-Indicator' => 1, 'Message-Expiry-Interval' => 60, 'User-Property' => [{<<"a">>, <<"b">>}]},
    Headers = #{username => <<"u">>, peerhost => {0, 0, 0, 0, 0, 0, 0, 1}, proto_ver => 5, protocol => mqtt, properties => Properties},
    Common = [{user_properties, {pairs, [{<<"a">>, <<"b">>}]}}, {content_type, <<"text/plain">>}, {response_topic, <<"r">>},
              {correlation_data, <<255>>}, {payload_format_indicator, 1}, {message_expiry_interval, 60}, {proto_ver, 5},
              {peerhost, <<"::1">>}],
    ?assertEqual({extended, published(), Common}, event(4, 'message.publish', [message4(Headers)])),
    InFive = Headers#{peername => {{0, 0, 0, 0, 0, 0, 0, 1}, 1234}, client_attrs => #{<<"tns">> => <<"t1">>}},
    ?assertEqual({extended, published(), Common ++ [{peerport, 1234}, {client_attrs, {map, [{<<"tns">>, <<"t1">>}]}}]},
                 event(5, 'message.publish', [message5(InFive)])).

what_a_message_was_dropped_for_test() ->
    {extended, Base, Extra} = event(4, 'message.dropped', [message4(#{username => <<"u">>}), #{node => n}, no_subscribers]),
    ?assertEqual({{about, 'message.dropped', published()}, [{reason, <<"no_subscribers">>}]}, {Base, Extra}).

a_puback_has_its_number_and_code_test() ->
    ?assertEqual({extended, {about, 'message.puback', published()}, [{packet_id, 7}, {reason_code, 16}]},
                 event(5, 'message.puback', [7, message5(#{username => <<"u">>}), [], 16])).

parts_of_the_broker_are_publishers_by_name_test() ->
    Message = setelement(6, setelement(4, message4(#{}), emqx_sys), #{}),
    ?assertMatch({extended, {publish, <<"emqx_sys">>, undefined, _, _, _, _, _, _, _}, []}, event(4, 'message.publish', [Message])).

flags_that_are_missing_are_not_set_test() ->
    Message = setelement(5, message4(#{username => <<"u">>}), #{}),
    ?assertMatch({extended, {publish, _, _, _, _, _, false, false, _, _}, _}, event(4, 'message.publish', [Message])).

receivers_are_told_apart_from_publishers_test() ->
    [?assertMatch({extended, {received, Hook, <<"c">>, <<"u">>, {publish, <<"p">>, <<"v">>, _, _, _, _, _, _, _}},
                   [{subscription_identifier, 3}, {peerhost, <<"127.0.0.1">>}]},
                  event(4, Hook, [client(), message4(#{username => <<"v">>, proto_ver => 5, peerhost => {1, 2, 3, 4},
                                                       properties => #{'Subscription-Identifier' => 3}})]))
     || Hook <- ['message.delivered', 'message.acked']],
    ?assertMatch([{reason, <<"queue_full">>} | _], extra(5, 'delivery.dropped', [client(), message5(#{}), queue_full])).

a_completed_delivery_has_another_arity_in_each_generation_test() ->
    ?assertMatch({extended, {received, 'delivery.completed', <<"c">>, <<"u">>, _}, [{session_created_at, 5}, {peerhost, _}]},
                 event(4, 'delivery.completed', [client(), message4(#{}), #{session_birth_time => 5}])),
    ?assertMatch({extended, {received, 'delivery.completed', <<"c">>, undefined, _}, [{session_created_at, 5}]},
                 event(5, 'delivery.completed', [message5(#{}), #{session_birth_time => 5, clientid => <<"c">>}])).

a_connection_test() ->
    Client = {client, <<"c">>, <<"u">>, <<"127.0.0.1">>, 50000, 5, 60, false, undefined, 1000},
    Extra = [{user_properties, {pairs, [{<<"k">>, <<"1">>}, {<<"k">>, <<"2">>}]}}, {zone, <<"external">>}, {proto_name, <<"MQTT">>},
             {socktype, <<"tcp">>}, {receive_maximum, 32}, {session_expiry_interval, 7200}],
    ?assertEqual({extended, {connected, 0, Client}, Extra}, event(4, 'client.connected', [client(), connection()])),
    ?assertEqual({extended, {connection, 'client.connect', setelement(10, Client, undefined)}, lists:keydelete(zone, 1, Extra)},
                 event(4, 'client.connect', [maps:remove(connected_at, connection()), #{}])),
    {extended, {connected, 0, Client}, InFive} =
        event(5, 'client.connected', [(client())#{listener => 'tcp:default', mountpoint => <<"m/">>, cn => <<"n">>, dn => <<"d">>,
                                                  client_attrs => #{}}, connection()]),
    ?assertEqual([{listener, <<"tcp:default">>}, {zone, <<"external">>}, {mountpoint, <<"m/">>}],
                 lists:sublist(InFive, 2, 3)),
    ?assertEqual([<<"n">>, <<"d">>, 7], [proplists:get_value(Name, InFive) || Name <- [cn, dn, session_expiry_interval]]),
    ?assertEqual(false, lists:keymember(client_attrs, 1, InFive)).

%% EMQX 4 has seconds, 5 milliseconds.
durations_are_seconds_test() ->
    Session = #{created_at => 9, await_rel_timeout => 300000, retry_interval => 30000, is_persistent => true},
    ?assertEqual([{created_at, 9}, {await_rel_timeout, 300}, {is_persistent, true}, {retry_interval, 30}, {peerhost, <<"127.0.0.1">>}],
                 extra(5, 'session.created', [client(), Session])),
    ?assertEqual([{created_at, 9}, {await_rel_timeout, 300}, {retry_interval, 30}, {peerhost, <<"127.0.0.1">>}],
                 extra(4, 'session.created', [client(), #{created_at => 9, await_rel_timeout => 300, retry_interval => 30}])),
    ?assertMatch([{retry_interval, null}, _], extra(5, 'session.created', [client(), #{retry_interval => infinity}])).

a_refused_connect_is_told_twice_test() ->
    Args = [maps:remove(connected_at, connection()), not_authorized, #{'Assigned-Client-Identifier' => <<"a">>}],
    ?assertMatch({extended, {connection, 'client.connack', {client, <<"c">>, _, _, _, _, _, _, _, undefined}},
                  [{reason, <<"not_authorized">>}, {reason_code, 16#87}, {assigned_client_id, <<"a">>} | _]},
                 event(4, 'client.connack', Args)),
    ?assertMatch({extended, {connected, 5, {client, <<"c">>, _, _, _, _, _, _, _, undefined}},
                  [{reason, <<"not_authorized">>}, {reason_code, 16#87} | _]},
                 event(4, 'client.refused', Args)).

reasons_of_connacks_have_numbers_test() ->
    [?assertEqual({Reason, Five, Three}, {Reason, emq_plugin_kafka_emqx_codes:number(Reason), emq_plugin_kafka_emqx_codes:connack(Reason)})
     || {Reason, Five, Three} <- [{unsupported_protocol_version, 132, 1}, {client_identifier_not_valid, 133, 2},
                                  {bad_username_or_password, 134, 4}, {not_authorized, 135, 5}, {server_unavailable, 136, 3},
                                  {server_busy, 137, 3}, {banned, 138, 5}, {quota_exceeded, 151, 3}, {something_new, 128, 3},
                                  {{a, b}, 128, 3}]],
    ?assertEqual(0, emq_plugin_kafka_emqx_codes:number(success)).

why_a_connection_ended_test() ->
    [?assertEqual({Reason, Text}, {Reason, emq_plugin_kafka_emqx_event:why(Reason)})
     || {Reason, Text} <- [{normal, <<"normal">>}, {{shutdown, tcp_closed}, <<"tcp_closed">>}, {takeovered, <<"takenover">>},
                           {{shutdown, takeovered}, <<"takenover">>}, {takenover, <<"takenover">>},
                           {{shutdown, #{cause => invalid_topic, received => <<"secret">>}}, <<"invalid_topic">>},
                           {#{reason => {shutdown, discarded}}, <<"discarded">>}, {#{packet => <<"secret">>}, <<"unknown">>},
                           {{badarg, [{m, f, 1, []}]}, <<"badarg">>}]].

the_end_of_a_connection_has_the_properties_of_its_disconnect_test() ->
    Connection = (connection())#{disconnected_at => 2000, disconn_props => #{'Reason-String' => <<"bye">>, 'User-Property' => [{<<"z">>, <<"9">>}]}},
    ?assertMatch({extended, {disconnected, <<"kicked">>, {client, <<"c">>, _, _, _, _, _, _, _, 1000}},
                  [{user_properties, {pairs, [{<<"z">>, <<"9">>}]}}, {reason_string, <<"bye">>}, {disconnected_at, 2000} | _]},
                 event(4, 'client.disconnected', [client(), kicked, Connection])).

shared_subscriptions_are_the_same_in_both_generations_test() ->
    Expected = [{<<"t">>, [{qos, 1}, {nl, 0}, {rap, 1}, {rh, 2}, {subid, 3}, {share, <<"g">>}]}],
    Opts = #{qos => 1, nl => 0, rap => 1, rh => 2, subid => 3, sub_props => #{'User-Property' => []}},
    [?assertMatch({extended, {subscriptions, 'client.subscribe', <<"c">>, <<"u">>, Expected}, [{user_properties, _} | _]},
                  event(Generation, 'client.subscribe', [client(), #{'User-Property' => [{<<"s">>, <<"1">>}]}, [Topic]]))
     || {Generation, Topic} <- [{4, {<<"t">>, Opts#{share => <<"g">>}}}, {5, {{share, <<"g">>, <<"t">>}, Opts}}]],
    ?assertMatch({extended, {subscriptions, 'session.subscribed', _, _, [{<<"t">>, [{qos, 0}, {share, <<"$queue">>}, {is_new, true}]}]}, _},
                 event(5, 'session.subscribed', [client(), {share, <<"$queue">>, <<"t">>}, #{qos => 0, is_new => true}])).

the_identifier_of_a_subscription_may_be_in_its_packet_test() ->
    ?assertMatch({extended, {subscriptions, _, _, _, [{<<"t">>, [{qos, 1}, {subid, 7}]}]}, _},
                 event(5, 'client.subscribe', [client(), #{'Subscription-Identifier' => 7}, [{<<"t">>, #{qos => 1}}]])).

properties_of_an_unsubscribe_are_those_of_its_own_packet_test() ->
    Opts = #{qos => 1, sub_props => #{'User-Property' => [{<<"s">>, <<"1">>}]}, unsub_props => #{'User-Property' => [{<<"u">>, <<"2">>}]}},
    ?assertMatch([{user_properties, {pairs, [{<<"u">>, <<"2">>}]}} | _], extra(5, 'session.unsubscribed', [client(), <<"t">>, Opts])),
    ?assertMatch([{user_properties, {pairs, [{<<"s">>, <<"1">>}]}} | _], extra(5, 'session.subscribed', [client(), <<"t">>, Opts])).

%% A client of a gateway, which speaks something else.
gateways_have_less_to_tell_test() ->
    Client = #{clientid => <<"g">>, protocol => stomp, zone => default},
    Connection = #{proto_name => <<"STOMP">>, proto_ver => <<"1.2">>, peername => {{127, 0, 0, 1}, 1}, conn_mod => m},
    ?assertMatch({extended, {connected, 0, {client, <<"g">>, undefined, <<"127.0.0.1">>, 1, 0, 0, true, undefined, undefined}},
                  [{zone, <<"default">>}, {proto_name, <<"STOMP">>}]},
                 event(5, 'client.connected', [Client, Connection])).

what_is_no_call_is_a_bad_event_test() ->
    [?assertEqual({Hook, Args, bad_event}, {Hook, Args, event(5, Hook, Args)})
     || {Hook, Args} <- [{'message.publish', [nothing]}, {'message.publish', []}, {'message.publish', [setelement(1, message5(#{}), other)]},
                         {'message.publish', [list_to_tuple(lists:seq(1, 13))]}, {'client.authenticate', [#{}, #{}]}, {any, [1, 2, 3]},
                         {'message.dropped', [x, y]}]].
