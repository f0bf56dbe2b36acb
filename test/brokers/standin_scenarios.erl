%% The clients of the recorded scenarios, driven anew. Each scenario waits between two steps for
%% the hook call that the next one must not overtake, and at its end for the last call of all.
-module(standin_scenarios).

-export([names/0, run/2]).

-type wait() :: fun((Hook :: atom(), Count :: pos_integer()) -> ok).
-type context() :: #{port := inet:port_number(), wait := wait(), publish := fun((list()) -> ok)}.

-spec names() -> [string()].
names() ->
    ["01_connect_anonymous", "02_connect_userpass", "03_empty_clientid", "07_unicode_clientid_username",
     "08_clean_session_sub", "10_subscribe_multi_qos012_wildcards", "13_publish_qos012", "15_dup_flag",
     "17_empty_payload", "18_binary_payload", "19_utf8_payload_topic", "21_large_payload",
     "22_will_on_abrupt_close", "23_will_discarded_on_disconnect", "29_auth_refused", "32_internal_publish"].

-spec run(string(), context()) -> ok.
run("01_connect_anonymous", C) ->
    with(C, #{client_id => <<"anon1">>}, [{<<"t/anon">>, <<"hi">>, 0, #{}}]);
run("02_connect_userpass", C) ->
    with(C, #{client_id => <<"user1">>, username => <<"alice">>, password => <<"secret">>},
         [{<<"t/user">>, <<"hi">>, 1, #{}}]);
run("03_empty_clientid", C) ->
    with(C, #{client_id => <<>>}, [{<<"t/e">>, <<"x">>, 0, #{}}]);
run("07_unicode_clientid_username", C) ->
    with(C, #{client_id => <<"设备1"/utf8>>, username => <<"用户"/utf8>>}, [{<<"t/uc">>, <<"x">>, 1, #{}}]);
run("08_clean_session_sub", #{wait := Wait} = C) ->
    Subscriber = client(C, #{client_id => <<"cs1">>, username => <<"alice">>}),
    {ok, [1]} = mqtt_client:subscribe(Subscriber, [{<<"a/b">>, 1}]),
    Publisher = client(C, #{client_id => <<"pubx">>}),
    ok = mqtt_client:publish(Publisher, <<"a/b">>, <<"m1">>, 1),
    {ok, #{payload := <<"m1">>, qos := 1, packet_id := 1}} = mqtt_client:recv(Subscriber),
    ok = mqtt_client:disconnect(Publisher),
    ok = Wait('message.acked', 1),
    ok = mqtt_client:disconnect(Subscriber),
    Wait('session.terminated', 2);
run("10_subscribe_multi_qos012_wildcards", #{wait := Wait} = C) ->
    Client = client(C, #{client_id => <<"multi">>, username => <<"alice">>}),
    {ok, [0, 1, 2, 1, 2]} =
        mqtt_client:subscribe(Client, [{<<"s/0">>, 0}, {<<"s/1">>, 1}, {<<"s/2">>, 2},
                                       {<<"s/+/x">>, 1}, {<<"s/#">>, 2}]),
    {ok, [0]} = mqtt_client:subscribe(Client, [{<<"s/0">>, 0}]),
    {ok, [2]} = mqtt_client:subscribe(Client, [{<<"s/1">>, 2}]),
    ok = mqtt_client:unsubscribe(Client, [<<"s/0">>, <<"never/sub">>]),
    ok = Wait('session.unsubscribed', 1),
    ok = mqtt_client:disconnect(Client),
    Wait('session.terminated', 1);
run("13_publish_qos012", #{wait := Wait} = C) ->
    Subscriber = client(C, #{client_id => <<"sub2">>}),
    {ok, [2]} = mqtt_client:subscribe(Subscriber, [{<<"q/#">>, 2}]),
    Publisher = client(C, #{client_id => <<"pubq">>, username => <<"alice">>}),
    ok = mqtt_client:publish(Publisher, <<"q/0">>, <<"m0">>, 0),
    ok = mqtt_client:publish(Publisher, <<"q/1">>, <<"m1">>, 1, #{packet_id => 5}),
    ok = Wait('message.acked', 1),
    ok = mqtt_client:publish(Publisher, <<"q/2">>, <<"m2">>, 2, #{packet_id => 6}),
    ok = Wait('message.acked', 2),
    [{ok, #{payload := Payload}} = mqtt_client:recv(Subscriber) || Payload <- [<<"m0">>, <<"m1">>, <<"m2">>]],
    ok = mqtt_client:disconnect(Publisher),
    ok = mqtt_client:disconnect(Subscriber),
    Wait('session.terminated', 2);
run("15_dup_flag", C) ->
    with(C, #{client_id => <<"dup1">>},
         [{<<"d/1">>, <<"m">>, 1, #{packet_id => 5}},
          {<<"d/1">>, <<"m">>, 1, #{packet_id => 5, dup => true}},
          %% The message that stays is the last one sent under its packet id.
          {<<"d/2">>, <<"m">>, 2, #{packet_id => 6, dup => true, pubrel => false}},
          {<<"d/2">>, <<"m">>, 2, #{packet_id => 6}},
          {wait, 'message.publish', 4}]);
run("17_empty_payload", C) ->
    with(C, #{client_id => <<"emp">>}, [{<<"e/0">>, <<>>, 0, #{}}, {<<"e/1">>, <<>>, 1, #{}}]);
run("18_binary_payload", C) ->
    with(C, #{client_id => <<"bin">>, username => <<"alice">>},
         [{<<"bin/256">>, list_to_binary(lists:seq(0, 255)), 1, #{}},
          {<<"bin/q">>, <<"a\"b\\c", 0, "\r\n\t", 31, 127>>, 1, #{}}]);
run("19_utf8_payload_topic", C) ->
    with(C, #{client_id => <<"utf">>, username => <<"用户"/utf8>>},
         [{<<"温度/客厅"/utf8>>, <<"你好，世界 😀\x{2028}"/utf8>>, 1, #{}}]);
run("21_large_payload", #{wait := Wait} = C) ->
    Client = client(C, #{client_id => <<"big">>}),
    ok = mqtt_client:publish(Client, <<"big/60k">>, binary:copy(<<"x">>, 60000), 1),
    {error, closed} = mqtt_client:publish(Client, <<"big/70k">>, binary:copy(<<"x">>, 70000), 1),
    ok = mqtt_client:close(Client),
    Wait('session.terminated', 1);
run("22_will_on_abrupt_close", #{wait := Wait} = C) ->
    Client = client(C, #{client_id => <<"w1">>, username => <<"alice">>, will => {<<"will/t">>, <<"gone">>, 1, false}}),
    ok = mqtt_client:close(Client),
    Wait('session.terminated', 1);
run("23_will_discarded_on_disconnect", C) ->
    with(C, #{client_id => <<"w2">>, will => {<<"will/t">>, <<"gone">>, 1, false}}, []);
run("29_auth_refused", #{port := Port, wait := Wait}) ->
    {ok, Client, 4} =
        mqtt_client:connect(#{port => Port, client_id => <<"noauth">>, username => <<"mallory">>,
                              password => <<"wrong">>, will => {<<"will/na">>, <<"x">>, 0, false}}),
    ok = mqtt_client:wait_closed(Client, 2000),
    ok = mqtt_client:close(Client),
    Wait('client.disconnected', 1);
run("32_internal_publish", #{publish := Publish}) ->
    Publish([{broker, 0, <<"a/b">>, <<"x">>}, {broker, 1, <<"a/b">>, <<"y">>}, {<<"c">>, 1, <<"a/b">>, <<"z">>}]).

%% One client that connects, publishes and disconnects.
with(#{wait := Wait} = Context, Options, Steps) ->
    Client = client(Context, Options),
    lists:foreach(fun({wait, Hook, Count}) -> ok = Wait(Hook, Count);
                     ({Topic, Payload, Qos, How}) -> ok = mqtt_client:publish(Client, Topic, Payload, Qos, How)
                  end, Steps),
    ok = mqtt_client:disconnect(Client),
    Wait('session.terminated', 1).

client(#{port := Port}, Options) ->
    {ok, Client, 0} = mqtt_client:connect(Options#{port => Port}),
    Client.
