%% The plugin inside a running broker (the stand-in), with a real Kafka behind it. What MQTT clients do, and what hooks
%% are called with, is read back by Kafka's own consumer.
-module(emq_plugin_kafka_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([the_five_events_arrive_in_order/1, the_old_plugins_records_arrive_with_their_fields/1,
         recorded_calls_all_arrive/1, payloads_arrive_byte_for_byte/1, clients_survive_fifty_stops_and_starts/1,
         a_wrong_setting_starts_degraded_and_says_so/1, the_dashboard_changes_the_topic_and_nothing_else/1,
         modules_reload_under_traffic/1, a_second_load_of_the_nif_goes_on_with_the_same_producer/1,
         another_library_takes_over_only_from_one_that_is_closed/1, kafka_down_costs_clients_nothing/1,
         a_crash_of_the_producer_process_is_repaired/1, refused_properties_are_refused_in_the_dashboard_too/1,
         rules_choose_topic_key_and_format/1, only_the_hooks_of_rules_are_registered/1,
         all_eleven_events_arrive/1, a_subscribe_of_several_topics_is_several_records/1,
         keys_choose_partitions_as_java_clients_do/1]).

-import(live_plugin, [home/1, rpc/4, connect/2, set_and_restart/2, running/1, degraded/1, logged/2, crashes/1, env/1,
                      publishers/2, stopped/1, settled/1, get_config/1, put_config/2]).

-define(APP, emq_plugin_kafka).
-define(CLIENTS, 200).
-define(CYCLES, 50).

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [the_five_events_arrive_in_order, the_old_plugins_records_arrive_with_their_fields, recorded_calls_all_arrive,
     payloads_arrive_byte_for_byte, rules_choose_topic_key_and_format, only_the_hooks_of_rules_are_registered,
     all_eleven_events_arrive, a_subscribe_of_several_topics_is_several_records,
     keys_choose_partitions_as_java_clients_do, the_dashboard_changes_the_topic_and_nothing_else,
     refused_properties_are_refused_in_the_dashboard_too, a_wrong_setting_starts_degraded_and_says_so,
     modules_reload_under_traffic, a_second_load_of_the_nif_goes_on_with_the_same_producer,
     another_library_takes_over_only_from_one_that_is_closed, kafka_down_costs_clients_nothing,
     a_crash_of_the_producer_process_is_repaired, clients_survive_fifty_stops_and_starts].

%% One broker for all cases, installed as an operator would; each case has its own topic.
init_per_suite(Config) ->
    live_plugin:start([{"client.id", "suite#1"}], Config).

end_per_suite(Config) ->
    standin_broker:stop(home(Config)).

init_per_testcase(Case, Config) ->
    Topic = kafka_reader:new_topic(Case),
    ok = set_and_restart(Config, [{topic, Topic}]),
    [{topic, Topic} | Config].

%% Whatever a case did: the plugin runs with its conf's settings, every record has one outcome, the clients' callbacks
%% raised nothing.
end_per_testcase(Case, Config) ->
    ok = set_and_restart(Config, [{server, kafka_reader:bootstrap()}, {topic, "unused"}, {hooks, []}, {spool, overflow},
                                  {shutdown_timeout, 10000}]),
    case lists:member(Case, [a_crash_of_the_producer_process_is_repaired]) orelse crashes(Config) of
        true -> ok;
        <<>> -> ok;
        Crashes -> {fail, {crashes_in_the_log, Crashes}}
    end.

%% Cases.

the_five_events_arrive_in_order(Config) ->
    {ok, Sub, 0} = connect(Config, #{client_id => <<"sub1">>, username => <<"alice">>, keepalive => 30}),
    {ok, [1]} = mqtt_client:subscribe(Sub, [{<<"a/+">>, 1}]),
    ok = mqtt_client:publish(Sub, <<"b/0">>, <<"hello">>, 0),
    ok = mqtt_client:publish(Sub, <<"b/1">>, <<"{\"t\":21.5}">>, 1, #{retain => true}),
    ok = mqtt_client:unsubscribe(Sub, [<<"a/+">>]),
    ok = mqtt_client:disconnect(Sub),
    {error, {refused, 4}} = refused(connect(Config, #{client_id => <<"intruder">>, username => <<"mallory">>,
                                                      password => <<"wrong">>})),
    Records = kafka_reader:records(topic(Config), 8),
    Mine = [Value || #{key := <<"sub1">>, value := Value} <- Records],
    %% Connection and session are two processes: the order between them is the broker's, not ours to keep.
    Types = [maps:get(<<"type">>, Value) || Value <- Mine],
    ?assertEqual([<<"connected">>, <<"disconnected">>, <<"public">>, <<"public">>, <<"subscribed">>, <<"unsubscribed">>],
                 lists:sort(Types)),
    ?assertEqual(<<"connected">>, hd(Types)),
    [Zero, One] = [Message || #{<<"type">> := <<"public">>, <<"message">> := Message} <- Mine],
    ?assertMatch(#{<<"topic">> := <<"b/0">>, <<"payload">> := <<"hello">>, <<"qos">> := 0, <<"retain">> := 0,
                   <<"dup">> := 0, <<"username">> := <<"alice">>, <<"id">> := <<_, _/binary>>}, Zero),
    ?assertMatch(#{<<"topic">> := <<"b/1">>, <<"payload">> := <<"{\"t\":21.5}">>, <<"qos">> := 1, <<"retain">> := 1}, One),
    ?assertNot(maps:is_key(<<"payload_encoding">>, Zero)),
    [#{<<"message">> := Connected}] = [Value || #{<<"type">> := <<"connected">>} = Value <- Mine],
    ?assertMatch(#{<<"connack">> := 0, <<"username">> := <<"alice">>, <<"peerhost">> := <<"127.0.0.1">>,
                   <<"proto_ver">> := 4, <<"keepalive">> := 30, <<"clean_session">> := true, <<"will_topic">> := null},
                 Connected),
    [#{<<"message">> := Subscribed}] = [Value || #{<<"type">> := <<"subscribed">>} = Value <- Mine],
    ?assertMatch(#{<<"topic">> := <<"a/+">>, <<"opts">> := #{<<"qos">> := 1}}, Subscribed),
    [#{<<"message">> := Disconnected}] = [Value || #{<<"type">> := <<"disconnected">>} = Value <- Mine],
    ?assertMatch(#{<<"reason">> := <<"normal">>}, Disconnected),
    Intruder = [Value || #{key := <<"intruder">>, value := Value} <- Records],
    ?assertMatch([#{<<"type">> := <<"refused">>, <<"message">> := #{<<"connack">> := 4}},
                  #{<<"type">> := <<"disconnected">>, <<"message">> := #{<<"reason">> := <<"auth_failure">>}}], Intruder),
    Node = atom_to_binary(standin_broker:node_name(home(Config))),
    [?assertMatch(#{<<"cluster_node">> := Node, <<"ts">> := Ts}, Value)
     || #{timestamp := Ts, value := Value} <- Records].

refused({ok, _Client, Code}) when Code > 0 -> {error, {refused, Code}};
refused({error, _} = Error) -> Error.

%% The same hook calls give every field of the old plugin's JSON, with the exceptions that CHANGELOG.md lists.
the_old_plugins_records_arrive_with_their_fields(Config) ->
    Calls = hook_calls:old_plugin(),
    ?assert(length(Calls) > 40),
    [{Same, Same} = rpc(Config, hook_calls, replay, [Call]) || {Call, _} <- Calls],
    Values = [Value || #{value := Value} <- kafka_reader:records(topic(Config), length(Calls))],
    Node = atom_to_binary(standin_broker:node_name(home(Config))),
    [] = lists:foldl(fun({Call, Old}, Left) ->
                             {value, New, Rest} = take(fun(Value) -> is_of(Call, Old, Value) end, Left),
                             compare(Call, Old, New, Node),
                             Rest
                     end, Values, Calls).

take(Wanted, [Value | Rest]) -> taken(Wanted(Value), Wanted, Value, Rest).

taken(true, _Wanted, Value, Rest) -> {value, Value, Rest};
taken(false, Wanted, Value, Rest) ->
    {value, Found, Left} = take(Wanted, Rest),
    {value, Found, [Value | Left]}.

%% Only the records of one client are in order.
is_of({'message.publish', [Message]}, none, #{<<"message">> := #{<<"payload_encoding">> := _, <<"payload">> := Payload}}) ->
    base64:decode(Payload) =:= element(12, Message);
is_of({'session.subscribed', _}, none, #{<<"message">> := #{<<"opts">> := #{<<"local">> := true}}}) -> true;
is_of(_Call, none, _New) -> false;
is_of(_Call, {_File, #{<<"client_id">> := Id}}, #{<<"client_id">> := Other}) -> Id =:= Other.

%% The old encoder crashed on these.
compare({'message.publish', [Message]}, none, New, _Node) ->
    #{<<"type">> := <<"public">>, <<"message">> := #{<<"payload">> := Payload, <<"payload_encoding">> := <<"base64">>}} = New,
    ?assertEqual(element(12, Message), base64:decode(Payload));
compare({'session.subscribed', _}, none, New, _Node) ->
    ?assertMatch(#{<<"message">> := #{<<"opts">> := #{<<"qos">> := 1, <<"local">> := true}}}, New);
compare(_Call, {File, Old}, New, Node) ->
    #{<<"ts">> := Ts} = New,
    ?assert(is_integer(Ts)),
    Expected = mended(File, Old#{<<"cluster_node">> := Node, <<"ts">> := Ts}),
    ?assertEqual({File, []}, {File, missing(Expected, New, [])}).

mended("connected_refused.connected.json", Old) ->
    Old#{<<"type">> := <<"refused">>};
mended(_, #{<<"message">> := #{<<"username">> := Name} = Message, <<"client_id">> := Id} = Old)
  when Name =:= <<"undefined">>; Name =:= Id ->
    Old#{<<"message">> := Message#{<<"username">> := null}};
mended(_, #{<<"message">> := #{<<"opts">> := []} = Message} = Old) ->
    Old#{<<"message">> := Message#{<<"opts">> := #{}}};
mended(_, Old) ->
    Old.

%% Paths of what is in the first term and not, or otherwise, in the second.
missing(Old, New, Path) when is_map(Old), is_map(New) ->
    lists:append([missing(Value, maps:get(Key, New, absent), [Key | Path]) || {Key, Value} <- maps:to_list(Old)]);
missing(Same, Same, _) ->
    [];
missing(Old, New, Path) ->
    [{lists:reverse(Path), Old, New}].

recorded_calls_all_arrive(Config) ->
    Calls = hook_calls:recorded(),
    #{accepted := Before, dropped := Dropped} = rpc(Config, emq_plugin_kafka, stats, []),
    [{Same, Same} = rpc(Config, hook_calls, replay, [Call]) || Call <- Calls],
    #{accepted := After, dropped := DroppedAfter} = rpc(Config, emq_plugin_kafka, stats, []),
    ?assertEqual(Dropped, DroppedAfter),
    ?assert(After - Before > 100),
    Records = kafka_reader:records(topic(Config), After - Before),
    ?assertEqual([], [Topic || #{value := #{<<"message">> := #{<<"topic">> := <<"$SYS/", _/binary>> = Topic},
                                            <<"type">> := <<"public">>}} <- Records]),
    ?assert(lists:any(fun(#{value := Value}) -> maps:is_key(<<"client_id_encoding">>, Value) end, Records)).

payloads_arrive_byte_for_byte(Config) ->
    Payloads = [<<>>, <<0>>, <<255>>, list_to_binary(lists:seq(0, 255)), list_to_binary(lists:seq(0, 127)),
                unicode:characters_to_binary([16#1F600, 16#2028, $", $\\, 16#FFFF]), binary:copy(<<$">>, 65536),
                binary:copy(<<"x">>, 70000), binary:copy(<<200>>, 300000)],
    {ok, Client, 0} = connect(Config, #{client_id => <<"bytes">>}),
    [ok = mqtt_client:publish(Client, <<"p">>, Payload, 1) || Payload <- Payloads],
    ok = mqtt_client:disconnect(Client),
    %% What a part of the broker publishes may be an io list.
    InPieces = rpc(Config, emqttd_message, make, [<<"bytes">>, <<"p">>, [[$i, <<"n">>], " pieces" | <<"!">>]]),
    _ = rpc(Config, emqttd_server, publish, [InPieces]),
    Records = kafka_reader:records(topic(Config), length(Payloads) + 3),
    ?assertEqual(Payloads ++ [<<"in pieces!">>], [payload(Message) || #{value := #{<<"type">> := <<"public">>, <<"message">> := Message}} <- Records]).

payload(#{<<"payload">> := Text, <<"payload_encoding">> := <<"base64">>}) -> base64:decode(Text);
payload(#{<<"payload">> := Text}) -> Text.

%% An event that two rules match becomes two records; one that none matches, none.
rules_choose_topic_key_and_format(Config) ->
    Temps = kafka_reader:new_topic("temps"),
    Device = kafka_reader:new_topic("device"),
    Prefix = lists:droplast(Device),
    Last = [lists:last(Device)],
    Rules = [{"message.publish.raw", "{\"filter\": \"sensors/+/temp\", \"topic\": \"" ++ Temps ++
                                         "\", \"key\": \"${topic[1]}\", \"format\": \"raw\"}"},
             {"message.publish.tpl", "{\"filter\": \"sensors/#\", \"topic\": \"" ++ Prefix ++ "${payload.n}\", " ++
                                         "\"value\": \"{\\\"who\\\": \\\"${clientid}\\\", \\\"user\\\": ${username}, \\\"t\\\": ${payload.t|null}}\"}"}],
    ok = set_and_restart(Config, [{hooks, Rules}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"c\"1">>}),
    Payload = iolist_to_binary(["{\"n\": ", Last, ", \"t\": 21.50}"]),
    ok = mqtt_client:publish(Client, <<"sensors/d7/temp">>, Payload, 1),
    ok = mqtt_client:publish(Client, <<"sensors/d8">>, iolist_to_binary(["{\"n\": ", Last, "}"]), 1),
    ok = mqtt_client:publish(Client, <<"other">>, <<"x">>, 1),
    ok = mqtt_client:disconnect(Client),
    [#{key := <<"d7">>, value := Payload, headers := Headers}] = kafka_reader:raw_records(Temps, 1),
    [{match, _} = re:run(Headers, Header) || Header <- ["topic:sensors/d7/temp", "qos:1", "event:message.publish"]],
    nomatch = re:run(Headers, "username"),
    [#{key := <<"c\"1">>, value := First}, #{value := Second}] = kafka_reader:raw_records(Device, 2),
    ?assertEqual(<<"{\"who\":\"c\\\"1\",\"user\":null,\"t\":21.50}">>, compact(First)),
    ?assertEqual(<<"{\"who\":\"c\\\"1\",\"user\":null,\"t\":null}">>, compact(Second)).

compact(Json) -> binary:replace(Json, <<" ">>, <<>>, [global]).

only_the_hooks_of_rules_are_registered(Config) ->
    Some = ['session.terminated', 'message.acked'],
    ok = set_and_restart(Config, [{hooks, rules_for(Some)}]),
    ?assertEqual(Some, registered(Config)),
    ok = set_and_restart(Config, [{hooks, []}]),
    ?assertEqual(['client.connected', 'client.disconnected', 'session.subscribed', 'session.unsubscribed',
                  'message.publish'], registered(Config)).

all_eleven_events_arrive(Config) ->
    ok = set_and_restart(Config, [{hooks, rules_for(hooks())}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"all">>}),
    {ok, [1]} = mqtt_client:subscribe(Client, [{<<"a">>, 1}]),
    ok = mqtt_client:publish(Client, <<"a">>, <<"x">>, 1),
    {ok, #{topic := <<"a">>}} = mqtt_client:recv(Client),
    ok = mqtt_client:unsubscribe(Client, [<<"a">>]),
    ok = mqtt_client:disconnect(Client),
    Values = [Value || #{value := Value} <- kafka_reader:records(topic(Config), 11)],
    ?assertEqual([<<"acked">>, <<"connected">>, <<"delivered">>, <<"disconnected">>, <<"public">>, <<"session_created">>,
                  <<"session_terminated">>, <<"subscribe">>, <<"subscribed">>, <<"unsubscribe">>, <<"unsubscribed">>],
                 lists:sort([Type || #{<<"type">> := Type} <- Values])).

a_subscribe_of_several_topics_is_several_records(Config) ->
    ok = set_and_restart(Config, [{hooks, rules_for(['client.subscribe', 'client.unsubscribe'])}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"many">>}),
    {ok, [0, 1, 2]} = mqtt_client:subscribe(Client, [{<<"a">>, 0}, {<<"b">>, 1}, {<<"c/#">>, 2}]),
    ok = mqtt_client:unsubscribe(Client, [<<"a">>, <<"b">>]),
    ok = mqtt_client:disconnect(Client),
    Records = kafka_reader:records(topic(Config), 5),
    ?assertEqual([{<<"subscribe">>, <<"a">>, #{<<"qos">> => 0}}, {<<"subscribe">>, <<"b">>, #{<<"qos">> => 1}},
                  {<<"subscribe">>, <<"c/#">>, #{<<"qos">> => 2}}, {<<"unsubscribe">>, <<"a">>, #{}},
                  {<<"unsubscribe">>, <<"b">>, #{}}],
                 [{Type, Topic, Opts} || #{value := #{<<"type">> := Type, <<"message">> := #{<<"topic">> := Topic,
                                                                                          <<"opts">> := Opts}}} <- Records]).

%% The same keys, once through the plugin and once through the Java client.
keys_choose_partitions_as_java_clients_do(Config) ->
    Ours = kafka_reader:new_topic("ours", 12),
    Javas = kafka_reader:new_topic("javas", 12),
    Keys = [list_to_binary(["device-", integer_to_list(N * N)]) || N <- lists:seq(1, 200)]
        ++ [<<"a">>, <<"温度"/utf8>>, binary:copy(<<"k">>, 300)],
    ok = set_and_restart(Config, [{topic, Ours}, {hooks, rules_for(['message.publish'])}]),
    [{Same, Same} = rpc(Config, hook_calls, replay, [publish_by(Key)]) || Key <- Keys],
    ok = kafka_reader:write(Javas, [{Key, <<"x">>} || Key <- Keys]),
    Partitions = fun(Topic) -> lists:sort([{Key, Partition} || #{key := Key, partition := Partition}
                                                                   <- kafka_reader:raw_records(Topic, length(Keys))]) end,
    ?assertEqual(Partitions(Javas), Partitions(Ours)).

publish_by(ClientId) ->
    {'message.publish', [{mqtt_message, <<1:128>>, 1, {ClientId, undefined}, <<"t">>, 0, [], false, false, false, [],
                          <<"x">>, {0, 0, 0}}]}.

%% GET as the dashboard does, change one field, PUT all of them back.
the_dashboard_changes_the_topic_and_nothing_else(Config) ->
    Rules = [{"message.publish.1", "{\"filter\": \"one/#\"}"}, {"client.connected.x", "{}"},
             {"client.disconnected.x", "{}"}],
    ok = set_and_restart(Config, [{hooks, Rules}]),
    Before = env(Config),
    ?assertEqual(Rules, proplists:get_value(hooks, Before)),
    ?assertEqual([{"client.id", "suite#1"}], proplists:get_value(rdkafka, Before)),
    Other = kafka_reader:new_topic("other"),
    Shown = get_config(Config),
    ?assert(lists:member({<<"emq.plugin.kafka.topic">>, <<"unused">>}, Shown)),
    ok = put_config(Config, lists:keystore(<<"emq.plugin.kafka.topic">>, 1, Shown,
                                           {<<"emq.plugin.kafka.topic">>, list_to_binary(Other)})),
    ok = running(Config),
    After = env(Config),
    ?assertEqual(lists:keysort(1, lists:keystore(topic, 1, Before, {topic, Other})), lists:keysort(1, After)),
    publish_one(Config, <<"dashboard">>),
    ?assertMatch([_, _, _], kafka_reader:records(Other, 3)).

refused_properties_are_refused_in_the_dashboard_too(Config) ->
    Field = {<<"emq.plugin.kafka.rdkafka.plugin.library.paths">>, <<"/tmp/evil.so">>},
    ok = put_config(Config, [Field | get_config(Config)]),
    ok = running(Config),
    #{problems := [Problem]} = rpc(Config, emq_plugin_kafka, status, []),
    ?assertMatch({match, _}, re:run(Problem, "emq.plugin.kafka.rdkafka.plugin.library.paths: .*not allowed.*last settings that worked")),
    ok = rpc(Config, application, set_env, [?APP, rdkafka, [{"client.id", "suite#1"}]]).

a_wrong_setting_starts_degraded_and_says_so(Config) ->
    ok = rpc(Config, application, stop, [?APP]),
    ok = live_plugin:forget(Config),
    ok = rpc(Config, application, set_env, [?APP, topic, "no/topic"]),
    ok = rpc(Config, application, start, [?APP]),
    #{state := degraded, problems := [Problem]} = rpc(Config, emq_plugin_kafka, status, []),
    ?assertMatch({match, _}, re:run(Problem, "emq.plugin.kafka.topic: .*'/'")),
    ?assert(lists:member('message.publish', registered(Config))),
    Degraded = fun() -> maps:get(degraded, maps:get(dropped_by, rpc(Config, emq_plugin_kafka, stats, []))) end,
    Before = Degraded(),
    publish_one(Config, <<"degraded">>),
    ?assert(Degraded() > Before),
    ok = logged(Config, "emq.plugin.kafka.topic: .*'/'").

hooks() ->
    ['client.connected', 'client.disconnected', 'client.subscribe', 'client.unsubscribe', 'session.created',
     'session.subscribed', 'session.unsubscribed', 'session.terminated', 'message.publish', 'message.delivered',
     'message.acked'].

rules_for(Events) ->
    [{atom_to_list(Event) ++ ".1", "{}"} || Event <- Events].

%% The hooks that ours is registered at.
registered(Config) ->
    [Hook || Hook <- hooks(), Callback <- rpc(Config, emqttd_hooks, lookup, [Hook]),
             element(2, Callback) =:= emq_plugin_kafka].

modules_reload_under_traffic(Config) ->
    Clients = publishers(Config, 20),
    Modules = [emq_plugin_kafka, emq_plugin_kafka_event, emq_plugin_kafka_wait, emq_plugin_kafka_hooks,
               emq_plugin_kafka_producer, emq_plugin_kafka_report, emq_plugin_kafka_conf, emq_plugin_kafka_cli,
               emq_plugin_kafka_sup, emq_plugin_kafka_app],
    [begin
         _ = rpc(Config, code, soft_purge, [Module]),
         {module, Module} = rpc(Config, code, load_file, [Module])
     end || _ <- lists:seq(1, 5), Module <- Modules],
    Published = stopped(Clients),
    ?assertEqual([], [Client || {Client, _, {error, _}} <- Published]),
    ok = running(Config).

%% EMQX 5 loads all modules at each start of a plugin.
a_second_load_of_the_nif_goes_on_with_the_same_producer(Config) ->
    Clients = publishers(Config, 20),
    [begin
         {module, emq_plugin_kafka_nif} = rpc(Config, code, load_file, [emq_plugin_kafka_nif]),
         true = rpc(Config, code, soft_purge, [emq_plugin_kafka_nif])
     end || _ <- lists:seq(1, 5)],
    Published = stopped(Clients),
    ?assertEqual([], [Client || {Client, _, {error, _}} <- Published]),
    Sent = lists:sum([Count || {_, Count, _} <- Published]),
    #{dropped_by := #{closed := 0}} = rpc(Config, emq_plugin_kafka, stats, []),
    Types = [Type || #{value := #{<<"type">> := Type}} <- kafka_reader:records(topic(Config), Sent + 2 * 20)],
    ?assertEqual(Sent, length([public || <<"public">> <- Types])).

%% As after an upgrade in a broker that runs.
another_library_takes_over_only_from_one_that_is_closed(Config) ->
    Installed = rpc(Config, code, lib_dir, [?APP]),
    Other = filename:join([proplists:get_value(priv_dir, Config), "other", filename:basename(Installed)]),
    ok = filelib:ensure_dir(Other),
    {0, _} = standin_broker:run("/bin/cp", ["-R", Installed, Other]),
    true = rpc(Config, code, add_patha, [filename:join(Other, "ebin")]),
    ?assertEqual({error, on_load_failure}, rpc(Config, code, load_file, [emq_plugin_kafka_nif])),
    ok = running(Config),
    publish_one(Config, <<"before">>),
    ok = rpc(Config, application, stop, [?APP]),
    {module, _} = rpc(Config, code, load_file, [emq_plugin_kafka_nif]),
    ok = rpc(Config, application, start, [?APP]),
    ok = running(Config),
    %% It has counters of its own, and what the other one left in the spool.
    #{accepted := Recovered, recovered := Recovered} = rpc(Config, emq_plugin_kafka, stats, []),
    publish_one(Config, <<"after">>),
    ?assertMatch([_, _, _, _, _, _], kafka_reader:records(topic(Config), 6)),
    ok = rpc(Config, application, stop, [?APP]),
    true = rpc(Config, code, del_path, [filename:join(Other, "ebin")]),
    true = rpc(Config, code, soft_purge, [emq_plugin_kafka_nif]),
    {module, _} = rpc(Config, code, load_file, [emq_plugin_kafka_nif]),
    ok = rpc(Config, application, start, [?APP]),
    running(Config).

%% A client must not notice; a stop is over when shutdown_timeout is.
kafka_down_costs_clients_nothing(Config) ->
    ok = set_and_restart(Config, [{server, "127.0.0.1:1"}, {spool, off}, {shutdown_timeout, 500}]),
    #{dropped_by := #{purged := Purged}} = rpc(Config, emq_plugin_kafka, stats, []),
    {ok, Client, 0} = connect(Config, #{client_id => <<"down">>}),
    [ok = mqtt_client:publish(Client, <<"d">>, <<"x">>, 1) || _ <- lists:seq(1, 500)],
    ok = mqtt_client:disconnect(Client),
    ok = rpc(Config, application, stop, [?APP]),
    #{dropped_by := #{purged := Given}, queued := 0, queued_bytes := 0} = rpc(Config, emq_plugin_kafka_nif, stats, []),
    ?assertEqual(502, Given - Purged),
    ok = logged(Config, "closed; 502 undelivered records are lost").

a_crash_of_the_producer_process_is_repaired(Config) ->
    ok = set_and_restart(Config, [{hooks, rules_for(['message.publish'])}]),
    #{dropped := Dropped} = rpc(Config, emq_plugin_kafka, stats, []),
    Clients = publishers(Config, 20),
    Process = rpc(Config, erlang, whereis, [emq_plugin_kafka_producer]),
    Monitor = monitor(process, Process),
    true = rpc(Config, erlang, exit, [Process, kill]),
    receive {'DOWN', Monitor, process, _, _} -> ok end,
    ok = running(Config),
    Published = stopped(Clients),
    ?assertEqual([], [Failed || {_, _, {error, _}} = Failed <- Published]),
    %% Nothing was lost: the producer lived on. Kafka gets everything before the stop, which would keep the rest in the spool.
    ok = settled(Config),
    ok = rpc(Config, application, stop, [?APP]),
    #{dropped := After} = rpc(Config, emq_plugin_kafka_nif, stats, []),
    ?assertEqual(Dropped, After),
    Messages = lists:sum([Count || {_, Count, _} <- Published]),
    ?assertEqual(Messages, length(kafka_reader:records(topic(Config), Messages))).

%% 200 clients publish as fast as they can while the plugin stops and starts fifty times.
clients_survive_fifty_stops_and_starts(Config) ->
    #{success := Before} = rpc(Config, emq_plugin_kafka, stats, []),
    Clients = publishers(Config, ?CLIENTS),
    [begin
         ok = rpc(Config, application, stop, [?APP]),
         ok = rpc(Config, application, start, [?APP]),
         ok = running(Config),
         adds_up(rpc(Config, emq_plugin_kafka, stats, []))
     end || _ <- lists:seq(1, ?CYCLES)],
    Published = stopped(Clients),
    %% A producer that lives for milliseconds only hands all it has to the spool: what fifty of them took in comes now.
    ok = settled(Config),
    ok = rpc(Config, application, stop, [?APP]),
    #{success := Success, queued := 0, spooled := 0, dropped_by := #{bad_event := _, purged := _} = Dropped} = Stats =
        rpc(Config, emq_plugin_kafka_nif, stats, []),
    adds_up(Stats),
    ct:pal("~b messages acknowledged to clients, ~b records in Kafka, dropped ~p",
           [lists:sum([Count || {_, Count, _} <- Published]), Success - Before, Dropped]),
    ?assertEqual([], [Failed || {_, _, {error, _}} = Failed <- Published]),
    ?assert(Success - Before > 0),
    %% Every record that counts as delivered is there, and no other.
    Records = kafka_reader:records(topic(Config), Success - Before),
    ?assertEqual(Success - Before, length(Records)),
    in_order(Records).

%% Each client numbers its messages.
in_order(Records) ->
    lists:foldl(fun(#{key := Key, value := #{<<"type">> := <<"public">>, <<"message">> := #{<<"payload">> := Payload}}},
                    Last) ->
                        Number = binary_to_integer(Payload),
                        ?assert(Number > maps:get(Key, Last, 0)),
                        Last#{Key => Number};
                   (_, Last) -> Last
                end, #{}, Records).

%% Helpers.

topic(Config) -> proplists:get_value(topic, Config).

%% Three records: connected, public, disconnected.
publish_one(Config, Id) ->
    {ok, Client, 0} = connect(Config, #{client_id => Id}),
    ok = mqtt_client:publish(Client, <<"one">>, <<"1">>, 1),
    ok = mqtt_client:disconnect(Client).

adds_up(#{accepted := Accepted, success := Success, failed := Failed, dropped := Dropped, spooled := Spooled,
          queued := Queued}) ->
    ?assertEqual(Accepted, Success + Failed + Dropped + Spooled + Queued).
