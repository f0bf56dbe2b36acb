%% Holds the stand-in broker to what was recorded on, and measured of, EMQ 2.3.11: the hook calls
%% of the recorded scenarios, and what an exception, a wait or a {stop, _} in a callback does.
-module(standin_SUITE).

-export([all/0, groups/0, suite/0, init_per_suite/1, end_per_suite/1,
         init_per_testcase/2, end_per_testcase/2]).

-export([calls_the_hooks_as_recorded/1, speaks_with_mosquitto/1, keeps_retained_messages/1,
         ends_a_silent_client/1, ends_a_client_without_connect/1, runs_callbacks_by_priority/1,
         gives_a_client_id_to_one_connection/1, delivers_to_one_of_a_group/1,
         publishes_alarms/1, is_fast_enough_to_measure_a_plugin/1]).
-export([session_created_raises/1, client_connected_raises/1, client_subscribe_raises/1,
         session_subscribed_raises/1, session_terminated_raises/1, message_acked_raises/1,
         message_delivered_raises/1, message_publish_raises/1, message_publish_throws/1,
         message_publish_exits_with_shutdown/1, message_publish_of_qos2_raises/1,
         message_publish_stops/1, client_subscribe_stops/1, client_unsubscribe_stops/1,
         session_created_waits/1, message_publish_waits/1]).

-include_lib("stdlib/include/assert.hrl").

-spec suite() -> list().
suite() -> [{timetrap, {seconds, 600}}].

-spec all() -> list().
all() ->
    [calls_the_hooks_as_recorded, speaks_with_mosquitto, keeps_retained_messages, ends_a_silent_client,
     ends_a_client_without_connect, runs_callbacks_by_priority, gives_a_client_id_to_one_connection,
     delivers_to_one_of_a_group, publishes_alarms, is_fast_enough_to_measure_a_plugin, {group, callbacks}].

-spec groups() -> list().
groups() ->
    [{callbacks, [],
      [session_created_raises, client_connected_raises, client_subscribe_raises, session_subscribed_raises,
       session_terminated_raises, message_acked_raises, message_delivered_raises, message_publish_raises,
       message_publish_throws, message_publish_exits_with_shutdown, message_publish_of_qos2_raises,
       message_publish_stops, client_subscribe_stops, client_unsubscribe_stops, session_created_waits,
       message_publish_waits]}].

-spec init_per_suite(list()) -> list().
init_per_suite(Config) ->
    Home = standin_broker:build(filename:join(proplists:get_value(priv_dir, Config), "emqttd")),
    ok = standin_broker:configure(Home, [{"auth.user.1.username", "mallory"}, {"auth.user.1.password", "right"}]),
    ok = standin_broker:start(Home),
    ok = standin_broker:connect(Home),
    {Module, Beam, File} = code:get_object_code(standin_recorder),
    {module, Module} = standin_broker:rpc(Home, code, load_binary, [Module, File, Beam]),
    ok = standin_broker:rpc(Home, standin_recorder, start, []),
    [{home, Home}, {port, standin_broker:port(Home, mqtt)} | Config].

-spec end_per_suite(list()) -> ok.
end_per_suite(Config) ->
    standin_broker:stop(home(Config)).

-spec init_per_testcase(atom(), list()) -> list().
init_per_testcase(_Case, Config) ->
    ok = recorder(Config, clear, []),
    Config.

-spec end_per_testcase(atom(), list()) -> ok.
end_per_testcase(_Case, Config) ->
    recorder(Config, behave, []).

home(Config) -> proplists:get_value(home, Config).

recorder(Config, Function, Args) ->
    standin_broker:rpc(home(Config), standin_recorder, Function, Args).

connect(Config, Options) ->
    mqtt_client:connect(Options#{port => proplists:get_value(port, Config)}).

client(Config, Options) ->
    {ok, Client, 0} = connect(Config, Options),
    Client.

%% The hooks called so far for anything but the broker's own messages.
hooks(Config) ->
    [Hook || {_, _, Process, Hook, _} <- recorder(Config, calls, []), element(1, Process) =/= emqttd_broker].

arguments(Config, Wanted) ->
    [Args || {_, _, _, Hook, Args} <- recorder(Config, calls, []), Hook =:= Wanted].

%%% As a broker

-spec calls_the_hooks_as_recorded(list()) -> ok.
calls_the_hooks_as_recorded(Config) ->
    Recordings = filename:join([os:getenv("PROJECT_ROOT"), "test", "recordings", "emq-2.3.11"]),
    Context = #{port => proplists:get_value(port, Config),
                wait => fun(Hook, Count) -> recorder(Config, wait, [Hook, Count]) end,
                publish => fun(Messages) -> recorder(Config, publish_internally, [Messages]) end},
    lists:foreach(
      fun(Name) ->
              ok = recorder(Config, clear, []),
              ok = standin_scenarios:run(Name, Context),
              Expected = standin_recordings:read(filename:join(Recordings, Name ++ ".term")),
              Called = [{Pid, Process, Hook, Args} || {_, Pid, Process, Hook, Args} <- recorder(Config, calls, [])],
              ?assertEqual({Name, standin_recordings:by_process(Expected)},
                           {Name, standin_recordings:by_process(Called)}),
              ?assertEqual({Name, standin_recordings:by_client(Expected)},
                           {Name, standin_recordings:by_client(Called)})
      end, standin_scenarios:names()).

-spec speaks_with_mosquitto(list()) -> ok.
speaks_with_mosquitto(Config) ->
    Port = integer_to_list(proplists:get_value(port, Config)),
    Mosquitto = fun(Program, Args) ->
                        standin_broker:run(os:find_executable(Program), ["-h", "127.0.0.1", "-p", Port | Args])
                end,
    Self = self(),
    _ = spawn_link(fun() ->
                           Self ! {subscriber, Mosquitto("mosquitto_sub", ["-t", "m/#", "-q", "2", "-C", "3", "-v"])}
                   end),
    ok = recorder(Config, wait, ['session.subscribed', 1]),
    [{0, ""} = Mosquitto("mosquitto_pub", ["-t", "m/" ++ Qos, "-m", "hello", "-q", Qos, "-V", Version])
     || {Qos, Version} <- [{"0", "mqttv31"}, {"1", "mqttv311"}, {"2", "mqttv311"}]],
    receive
        {subscriber, Result} -> ?assertEqual({0, "m/0 hello\nm/1 hello\nm/2 hello\n"}, Result)
    after 60000 ->
            error(subscriber_got_too_little)
    end.

-spec keeps_retained_messages(list()) -> ok.
keeps_retained_messages(Config) ->
    Publisher = client(Config, #{client_id => <<"r1">>}),
    ok = mqtt_client:publish(Publisher, <<"ret/t">>, <<"keepme">>, 1, #{retain => true}),
    Subscriber = client(Config, #{client_id => <<"rsub">>}),
    {ok, [1]} = mqtt_client:subscribe(Subscriber, [{<<"ret/#">>, 1}]),
    {ok, Kept} = mqtt_client:recv(Subscriber),
    ?assertMatch(#{payload := <<"keepme">>, retain := true}, Kept),
    ok = mqtt_client:publish(Publisher, <<"ret/t">>, <<>>, 1, #{retain => true}),
    {ok, Live} = mqtt_client:recv(Subscriber),
    ?assertMatch(#{payload := <<>>, retain := false}, Live),
    {ok, [1]} = mqtt_client:subscribe(Subscriber, [{<<"ret/+">>, 1}]),
    ok = mqtt_client:ping(Subscriber),
    ?assertEqual({error, timeout}, mqtt_client:recv(Subscriber, 100)).

-spec ends_a_silent_client(list()) -> ok.
ends_a_silent_client(Config) ->
    Client = client(Config, #{client_id => <<"ka1">>, keepalive => 1}),
    ok = mqtt_client:wait_closed(Client, 5000),
    ok = recorder(Config, wait, ['client.disconnected', 1]),
    ?assertMatch([[keepalive_timeout | _]], arguments(Config, 'client.disconnected')).

-spec ends_a_client_without_connect(list()) -> ok.
ends_a_client_without_connect(Config) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, proplists:get_value(port, Config), [binary, {active, false}]),
    ok = gen_tcp:send(Socket, <<16#C0, 0>>),
    ?assertEqual({error, closed}, gen_tcp:recv(Socket, 0, 2000)),
    ?assertEqual([], hooks(Config)).

-spec runs_callbacks_by_priority(list()) -> ok.
runs_callbacks_by_priority(Config) ->
    %% The misbehaving callback has priority 10 and comes after the recorder's, which has none.
    ok = recorder(Config, misbehave, ['message.publish', {return, {stop, stopped}}]),
    Client = client(Config, #{client_id => <<"prio">>}),
    ok = mqtt_client:publish(Client, <<"p">>, <<"x">>, 1),
    ok = mqtt_client:disconnect(Client),
    ?assertMatch([[Message, []]] when element(5, Message) =:= <<"p">>,
                 [Args || [Message | _] = Args <- arguments(Config, 'message.publish'), not element(10, Message)]).

-spec gives_a_client_id_to_one_connection(list()) -> ok.
gives_a_client_id_to_one_connection(Config) ->
    First = client(Config, #{client_id => <<"twin">>}),
    Second = client(Config, #{client_id => <<"twin">>}),
    ok = mqtt_client:wait_closed(First, 2000),
    ok = mqtt_client:ping(Second),
    ?assertMatch([[<<"twin">>, undefined, {shutdown, conflict}, []]], arguments(Config, 'session.terminated')),
    ?assertEqual([], arguments(Config, 'client.disconnected')).

-spec delivers_to_one_of_a_group(list()) -> ok.
delivers_to_one_of_a_group(Config) ->
    Members = [client(Config, #{client_id => Id}) || Id <- [<<"g1">>, <<"g2">>]],
    [{ok, [1]} = mqtt_client:subscribe(Member, [{<<"$share/g/sh/+">>, 1}]) || Member <- Members],
    ?assertEqual([[{<<"sh/+">>, [{qos, 1}, {share, <<"g">>}]}] || _ <- Members],
                 [Table || [_, _, Table, _] <- arguments(Config, 'client.subscribe')]),
    ok = mqtt_client:publish(hd(Members), <<"sh/t">>, <<"x">>, 1),
    ok = recorder(Config, wait, ['message.acked', 1]),
    ?assertEqual(1, length(arguments(Config, 'message.delivered'))).

-spec publishes_alarms(list()) -> ok.
publishes_alarms(Config) ->
    Alarm = fun(Function, Args) -> standin_broker:rpc(home(Config), emqttd_alarm, Function, Args) end,
    Client = client(Config, #{client_id => <<"alarmed">>}),
    {ok, [0]} = mqtt_client:subscribe(Client, [{<<"$SYS/brokers/+/alarms/#">>, 0}]),
    [ok = Alarm(set_alarm, [{mqtt_alarm, <<"disk">>, warning, "Disk", "full", undefined}]) || _ <- [1, 2]],
    ok = Alarm(clear_alarm, [<<"disk">>]),
    [{ok, Alert}, {ok, _}, {ok, Clear}] = [mqtt_client:recv(Client) || _ <- [1, 2, 3]],
    ?assertMatch({match, _}, re:run(maps:get(payload, Alert),
                                    "^{\"id\":\"disk\",\"severity\":\"warning\",\"title\":\"Disk\",\"summary\":\"full\",")),
    ?assertMatch({match, _}, re:run(maps:get(topic, Alert), "/alarms/disk/alert$")),
    ?assertMatch({match, _}, re:run(maps:get(topic, Clear), "/alarms/disk/clear$")),
    %% One that is set twice has to be cleared twice.
    ?assertMatch([_], Alarm(get_alarms, [])),
    ?assertMatch([alarm, alarm, alarm],
                 [element(4, M) || [M | _] <- arguments(Config, 'message.publish'), element(4, M) =:= alarm]),
    Alarm(clear_alarm, [<<"disk">>]).

-spec is_fast_enough_to_measure_a_plugin(list()) -> {comment, string()}.
is_fast_enough_to_measure_a_plugin(Config) ->
    Client = client(Config, #{client_id => <<"fast">>}),
    {Microseconds, ok} = timer:tc(mqtt_client, pipeline, [Client, <<"f/t">>, binary:copy(<<"x">>, 200), 20000, 100]),
    Rate = 20000 * 1000000 div Microseconds,
    %% EMQ did 17,000 a second, this recording, slower broker more on a machine that has nothing else to do. How much of that is left
    %% on a busy one is nothing that a test can ask for.
    ?assert(Rate > 300),
    %% An answer that waits for a timer, as the kernel's of 40 ms, is told by one message after the other.
    {Alone, ok} = timer:tc(mqtt_client, pipeline, [Client, <<"f/t">>, <<"x">>, 100, 1]),
    ?assert(Alone div 100 < 20000),
    {comment, io_lib:format("~b QoS 1 messages a second, each recorded", [Rate])}.

%%% When a callback fails, stops or waits

-spec session_created_raises(list()) -> ok.
session_created_raises(Config) ->
    ok = recorder(Config, misbehave, ['session.created', {raise, error, oops}]),
    ?assertEqual({error, closed}, connect(Config, #{client_id => <<"x1">>})),
    ?assertEqual(['session.created'], hooks(Config)).

-spec client_connected_raises(list()) -> ok.
client_connected_raises(Config) ->
    ok = recorder(Config, misbehave, ['client.connected', {raise, error, oops}]),
    ?assertEqual({error, closed}, connect(Config, #{client_id => <<"x2">>, will => {<<"w">>, <<"gone">>, 1, false}})),
    ok = recorder(Config, wait, ['session.terminated', 1]),
    ?assertEqual(['session.created', 'message.publish', 'client.connected', 'session.terminated'], hooks(Config)).

-spec client_subscribe_raises(list()) -> ok.
client_subscribe_raises(Config) ->
    ok = recorder(Config, misbehave, ['client.subscribe', {raise, error, oops}]),
    Client = client(Config, #{client_id => <<"x3">>}),
    ?assertEqual({error, closed}, mqtt_client:subscribe(Client, [{<<"a">>, 1}])),
    ok = recorder(Config, wait, ['client.disconnected', 1]),
    ?assertMatch([[{oops, _} | _]], arguments(Config, 'client.disconnected')).

-spec session_subscribed_raises(list()) -> ok.
session_subscribed_raises(Config) ->
    ok = recorder(Config, misbehave, ['session.subscribed', {raise, error, oops}]),
    Client = client(Config, #{client_id => <<"x4">>}),
    ?assertEqual({error, closed}, mqtt_client:subscribe(Client, [{<<"a">>, 1}])),
    ok = recorder(Config, wait, ['session.terminated', 1]),
    ?assertEqual([], arguments(Config, 'client.disconnected')).

-spec session_terminated_raises(list()) -> ok.
session_terminated_raises(Config) ->
    ok = recorder(Config, misbehave, ['session.terminated', {raise, error, oops}]),
    ok = mqtt_client:disconnect(client(Config, #{client_id => <<"x5">>})),
    ok = recorder(Config, wait, ['session.terminated', 1]),
    ok = mqtt_client:disconnect(client(Config, #{client_id => <<"x5">>})),
    recorder(Config, wait, ['session.terminated', 2]).

-spec message_delivered_raises(list()) -> ok.
message_delivered_raises(Config) ->
    ok = recorder(Config, misbehave, ['message.delivered', {raise, error, oops}]),
    {Subscriber, Publisher} = pair(Config, <<"x6">>, 1),
    ok = mqtt_client:publish(Publisher, <<"x6/t">>, <<"m">>, 1),
    ok = mqtt_client:wait_closed(Subscriber, 2000),
    ?assertEqual({error, closed}, mqtt_client:recv(Subscriber, 0)),
    mqtt_client:ping(Publisher).

-spec message_acked_raises(list()) -> ok.
message_acked_raises(Config) ->
    ok = recorder(Config, misbehave, ['message.acked', {raise, error, oops}]),
    {Subscriber, Publisher} = pair(Config, <<"x7">>, 1),
    ok = mqtt_client:publish(Publisher, <<"x7/t">>, <<"m">>, 1),
    ok = mqtt_client:wait_closed(Subscriber, 2000),
    ok = recorder(Config, wait, ['session.terminated', 1]),
    ?assertEqual([], arguments(Config, 'client.disconnected')),
    mqtt_client:ping(Publisher).

-spec message_publish_raises(list()) -> ok.
message_publish_raises(Config) ->
    publisher_ends(Config, error, oops, fun(Reason) -> element(1, Reason) =:= oops end).

-spec message_publish_throws(list()) -> ok.
message_publish_throws(Config) ->
    publisher_ends(Config, throw, oops, fun(Reason) -> Reason =:= {bad_return_value, oops} end).

-spec message_publish_exits_with_shutdown(list()) -> ok.
message_publish_exits_with_shutdown(Config) ->
    ok = publisher_ends(Config, exit, {shutdown, kafka_unavailable}, fun(Reason) -> Reason =:= kafka_unavailable end),
    %% The one way to end a client without a word in the log.
    ok = standin_broker:rpc(home(Config), logger_std_h, filesync, [default]),
    ?assertEqual(nomatch, binary:match(standin_broker:log(home(Config), "error.log"), <<"kafka_unavailable">>)).

%% No PUBACK, nothing delivered; the will is published, then client.disconnected is called.
publisher_ends(Config, Class, Reason, IsReason) ->
    {Subscriber, Publisher} = pair(Config, <<"x8">>, 1),
    {ok, [1]} = mqtt_client:subscribe(Subscriber, [{<<"x8/will">>, 1}]),
    ok = recorder(Config, misbehave, ['message.publish', {only, <<"x8/t">>, {raise, Class, Reason}}]),
    ?assertEqual({error, closed}, mqtt_client:publish(Publisher, <<"x8/t">>, <<"m">>, 1)),
    ?assertMatch({ok, #{topic := <<"x8/will">>, payload := <<"gone">>}}, mqtt_client:recv(Subscriber)),
    ok = recorder(Config, wait, ['client.disconnected', 1]),
    ?assertEqual([<<"x8/t">>, <<"x8/will">>],
                 [element(5, Message)
                  || [Message | _] <- arguments(Config, 'message.publish'), not element(10, Message)]),
    [[Disconnected | _]] = arguments(Config, 'client.disconnected'),
    ?assert(IsReason(Disconnected)),
    ?assertEqual({error, timeout}, mqtt_client:recv(Subscriber, 50)).

-spec message_publish_of_qos2_raises(list()) -> ok.
message_publish_of_qos2_raises(Config) ->
    {Subscriber, Publisher} = pair(Config, <<"x10">>, 2),
    ok = recorder(Config, misbehave, ['message.publish', {raise, error, oops}]),
    ok = mqtt_client:publish(Publisher, <<"x10/t">>, <<"lost">>, 2),
    ok = recorder(Config, wait, ['message.publish', 3]),
    ok = recorder(Config, behave, []),
    ok = mqtt_client:publish(Publisher, <<"x10/t">>, <<"next">>, 2),
    ?assertMatch({ok, #{payload := <<"next">>}}, mqtt_client:recv(Subscriber)).

-spec message_publish_stops(list()) -> ok.
message_publish_stops(Config) ->
    {Subscriber, Publisher} = pair(Config, <<"x11">>, 1),
    ok = recorder(Config, misbehave, ['message.publish', {return, {stop, stopped}}]),
    ok = mqtt_client:publish(Publisher, <<"x11/t">>, <<"m">>, 1),
    ?assertEqual({error, timeout}, mqtt_client:recv(Subscriber, 100)).

-spec client_subscribe_stops(list()) -> ok.
client_subscribe_stops(Config) ->
    ok = recorder(Config, misbehave, ['client.subscribe', {return, {stop, []}}]),
    Client = client(Config, #{client_id => <<"x12">>}),
    ok = mqtt_client:send_raw(Client, <<16#82, 6, 1:16, 1:16, "a", 1>>),
    ok = mqtt_client:ping(Client),
    ?assertEqual([], arguments(Config, 'session.subscribed')).

-spec client_unsubscribe_stops(list()) -> ok.
client_unsubscribe_stops(Config) ->
    Client = client(Config, #{client_id => <<"x13">>}),
    {ok, [1]} = mqtt_client:subscribe(Client, [{<<"a">>, 1}]),
    ok = recorder(Config, misbehave, ['client.unsubscribe', {return, {stop, []}}]),
    ok = mqtt_client:unsubscribe(Client, [<<"a">>]),
    ?assertEqual([], arguments(Config, 'session.unsubscribed')).

-spec session_created_waits(list()) -> ok.
session_created_waits(Config) ->
    %% One session after the other, on the whole node.
    ok = recorder(Config, misbehave, ['session.created', {wait, 200}]),
    Self = self(),
    Started = erlang:monotonic_time(millisecond),
    [spawn_link(fun() -> client(Config, #{client_id => Id}), Self ! connected end)
     || Id <- [<<"s1">>, <<"s2">>, <<"s3">>]],
    [receive connected -> ok end || _ <- [1, 2, 3]],
    ?assert(erlang:monotonic_time(millisecond) - Started >= 600).

-spec message_publish_waits(list()) -> ok.
message_publish_waits(Config) ->
    %% It holds up its own client only.
    Slow = client(Config, #{client_id => <<"slow">>}),
    Other = client(Config, #{client_id => <<"other">>}),
    ok = recorder(Config, misbehave, ['message.publish', {wait, 3000}]),
    Self = self(),
    _ = spawn_link(fun() -> Self ! {slow, timer:tc(mqtt_client, publish, [Slow, <<"w">>, <<"m">>, 1])} end),
    ok = recorder(Config, wait, ['message.publish', 3]),
    ok = mqtt_client:ping(Other),
    receive {slow, Early} -> error({the_other_waited_too, Early}) after 0 -> ok end,
    receive {slow, {Waited, ok}} -> ?assert(Waited >= 3000000) end.

%% A subscriber to Name/t and a publisher with a will to Name/will.
pair(Config, Name, Qos) ->
    Subscriber = client(Config, #{client_id => <<Name/binary, "s">>}),
    {ok, [Qos]} = mqtt_client:subscribe(Subscriber, [{<<Name/binary, "/t">>, Qos}]),
    Will = {<<Name/binary, "/will">>, <<"gone">>, 1, false},
    Publisher = client(Config, #{client_id => <<Name/binary, "p">>, will => Will}),
    {Subscriber, Publisher}.
