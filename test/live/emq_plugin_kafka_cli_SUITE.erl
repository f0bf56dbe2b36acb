%% `emqttd_ctl kafka ...`, alarms and the log, as an operator sees them: the plugin in a running broker (the stand-in), in front of a
%% real Kafka of its own with TLS, logins and access rules, which is stopped, and is there under wrong names and ports.
-module(emq_plugin_kafka_cli_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([every_command_answers_and_has_a_json_form/1, what_is_no_command_tells_those_there_are/1,
         a_test_record_arrives_and_can_be_told_from_others/1, a_test_tells_names_from_ports/1,
         a_test_tells_what_a_listener_wants/1, a_test_tells_what_kafka_does_not_allow/1,
         a_test_works_while_the_plugin_is_degraded/1, a_flush_waits_for_kafka/1, the_spool_is_shown/1,
         a_configuration_has_one_hash_in_whatever_order/1, alarms_come_and_go_with_kafka/1, a_degraded_plugin_raises_an_alarm/1,
         lost_records_raise_an_alarm_and_are_logged/1, a_broker_without_alarms_is_none_the_worse/1,
         librdkafkas_lines_have_their_levels/1, nothing_is_printed_by_the_broker/1]).

-import(live_plugin, [home/1, rpc/4, connect/2, conf/3, set_and_restart/2, degraded/1, logged/2, crashes/1]).
-import(polling, [until/1]).

-define(APP, emq_plugin_kafka).
-define(NOBODY, "127.0.0.1:1").

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [every_command_answers_and_has_a_json_form, what_is_no_command_tells_those_there_are,
     a_test_record_arrives_and_can_be_told_from_others, a_test_tells_names_from_ports, a_test_tells_what_a_listener_wants,
     a_test_tells_what_kafka_does_not_allow, a_test_works_while_the_plugin_is_degraded, a_flush_waits_for_kafka,
     the_spool_is_shown, a_configuration_has_one_hash_in_whatever_order, alarms_come_and_go_with_kafka,
     a_degraded_plugin_raises_an_alarm, lost_records_raise_an_alarm_and_are_logged,
     a_broker_without_alarms_is_none_the_worse, librdkafkas_lines_have_their_levels, nothing_is_printed_by_the_broker].

init_per_suite(Config) ->
    Directory = filename:join(proplists:get_value(priv_dir, Config), "cluster"),
    true = os:putenv("KAFKA_CLUSTER_DIR", kafka_cluster:start(Directory, [])),
    [{0, _} = cluster(["topics", "--create", "--topic", Topic, "--partitions", "1"]) || Topic <- ["mqtt", "denied"]],
    {0, _} = cluster(["acls", "--add", "--deny-principal", "User:limited", "--operation", "Write", "--topic", "denied"]),
    live_plugin:start([], Config).

end_per_suite(Config) ->
    ok = standin_broker:stop(home(Config)),
    kafka_cluster:stop(cluster()).

init_per_testcase(_Case, Config) ->
    {0, _} = cluster(["start"]),
    ok = configure(Config, []),
    Config.

end_per_testcase(_Case, Config) ->
    ?assertEqual(<<>>, crashes(Config)).

%% Commands.

every_command_answers_and_has_a_json_form(Config) ->
    published(Config, 3),
    {0, Status} = ctl(Config, ["status"]),
    [?assertMatch({Line, {match, _}}, {Line, re:run(Status, ["(?m)^", Line])})
     || Line <- ["state +: running$", "running since +: 20", "last error +: none", "mode +: async", "configuration +: [0-9a-f]{12}$",
                 "version +: [0-9.]+, librdkafka 2\\.", "records spooled +: 0", "sasl.password +: \\*{6}$"]],
    ?assertMatch(#{<<"state">> := <<"running">>, <<"problems">> := [], <<"alarms">> := [], <<"last_error">> := null,
                   <<"config_hash">> := <<_:12/binary>>, <<"settings">> := #{<<"topic">> := <<"mqtt">>,
                                                                             <<"sasl.password">> := <<"******">>}},
                 json(Config, ["status"])),
    {0, Stats} = ctl(Config, ["stats"]),
    [?assertMatch({Name, {match, _}}, {Name, re:run(Stats, ["(?m)^", Name, " +: [0-9]"])})
     || Name <- ["accepted", "success", "dropped_by\\.queue_full", "wait_timeouts"]],
    ?assertMatch(#{<<"accepted">> := Accepted, <<"dropped_by">> := #{<<"queue_full">> := _}, <<"spool">> := #{}}
                   when Accepted >= 3, json(Config, ["stats"])),
    {0, Flush} = ctl(Config, ["flush"]),
    ?assertMatch({match, _}, re:run(Flush, "^flushed in [0-9]+ ms\n$")),
    ?assertMatch(#{<<"ok">> := true, <<"left">> := 0}, json(Config, ["flush"])),
    ?assertEqual({0, "reloaded, nothing has changed\n"}, ctl(Config, ["reload"])),
    ?assertMatch(#{<<"ok">> := true, <<"problems">> := []}, json(Config, ["reload"])).

what_is_no_command_tells_those_there_are(Config) ->
    {0, Usage} = ctl(Config, []),
    [{1, _} = {Status, usage_in(Usage, Output)}
     || Args <- [["stat"], ["status", "now"], ["test", "a", "b"], ["flush", "--timeout", "soon"], ["flush", "--timeout=0"],
                 ["test", "--timeout", "56"], ["stats", "--jsonn"]],
        {Status, Output} <- [ctl(Config, Args)]].

%% The one line that says what is wrong, and the usage; nothing of EMQ's about an exception.
usage_in(Usage, Output) ->
    [_Problem, Rest] = string:split(Output, "\n"),
    ?assertEqual(Usage, Rest).

a_test_record_arrives_and_can_be_told_from_others(Config) ->
    Topic = topic("cli-test"),
    {0, Output} = ctl(Config, ["test", Topic]),
    Address = address("SASL_PLAINTEXT"),
    ?assertEqual(["server " ++ Address ++ ": connected, logged in, Kafka answers",
                  "broker " ++ Address ++ ": number 1, connected"], lists:sublist(string:split(Output, "\n", all), 2)),
    ?assertMatch({match, _}, re:run(Output, "topic " ++ Topic ++ ": record acknowledged in [0-9]+ ms, partition 0, offset 0\nok\n$")),
    #{<<"ok">> := true, <<"problem">> := null, <<"topic">> := _,
      <<"delivered">> := #{<<"partition">> := 0, <<"offset">> := 1, <<"took_ms">> := _}} = json(Config, ["test", Topic]),
    [#{key := <<"emq_plugin_kafka.test">>, headers := "emq_plugin_kafka.test:1", value := Value}, _] = read(Topic),
    Node = atom_to_binary(standin_broker:node_name(home(Config))),
    ?assertMatch(#{<<"type">> := <<"test">>, <<"plugin">> := <<"emq_plugin_kafka">>, <<"cluster_node">> := Node},
                 jiffy:decode(Value, [return_maps])).

a_test_tells_names_from_ports(Config) ->
    ?assertMatch({<<"dns">>, []}, failure(Config, [{"server", "no-such-host.invalid"}])),
    ?assertMatch({<<"connect">>, [<<"dns">>]}, failure(Config, [{"server", ?NOBODY}])),
    %% Kafka is there, and sends its clients where they cannot go.
    ok = configure(Config, [{"server", address("NAMED")}, {"security.protocol", "plaintext"}]),
    {1, Text} = ctl(Config, ["test", "--timeout", "5"]),
    ?assertMatch({match, _}, re:run(Text, "Kafka answers\n(.*\n)*.*FAILED \\(dns, resolve\\): .*kafka.test(.*\n)*.*advertised.listeners")),
    %% One server of two is enough; the other is told.
    ok = configure(Config, [{"server", ?NOBODY ++ "," ++ address("PLAINTEXT")}, {"security.protocol", "plaintext"}]),
    {0, Two} = ctl(Config, ["test"]),
    ?assertMatch({match, _}, re:run(Two, "server " ?NOBODY ": FAILED \\(connect\\): .*\n  what to do: ")).

a_test_tells_what_a_listener_wants(Config) ->
    Plain = {"security.protocol", "plaintext"},
    ?assertMatch({<<"protocol">>, [<<"dns">>, <<"connect">>]}, failure(Config, [{"server", address("SASL_PLAINTEXT")}, Plain])),
    ?assertMatch({<<"protocol">>, [<<"dns">>, <<"connect">>]}, failure(Config, [{"server", address("SSL")}, Plain])),
    ?assertMatch({<<"tls">>, [<<"dns">>, <<"connect">>]},
                 failure(Config, [{"server", address("SSL")}, {"security.protocol", "ssl"}])),
    ?assertMatch({<<"login">>, [<<"dns">>, <<"connect">>]}, failure(Config, [{"sasl.password", "wrong"}])),
    ?assertMatch({<<"login">>, [<<"dns">>, <<"connect">>, <<"tls">>]},
                 failure(Config, tls() ++ [{"sasl.password", "wrong"}])),
    ok = configure(Config, tls()),
    {0, Output} = ctl(Config, ["test"]),
    ?assertMatch({match, _}, re:run(Output, ": connected, TLS ok, logged in, Kafka answers\n")).

a_test_tells_what_kafka_does_not_allow(Config) ->
    Limited = [{"sasl.username", "limited"}, {"sasl.password", password("limited")}],
    ok = configure(Config, Limited),
    {1, Denied} = ctl(Config, ["test", "denied"]),
    ?assertMatch({match, _}, re:run(Denied, "FAILED \\(authorisation, topic_authorization_failed\\): .*\n.*User:limited ")),
    %% This Kafka creates no topics.
    {1, Missing} = ctl(Config, ["test", "no-such-topic"]),
    ?assertMatch({match, _}, re:run(Missing, "FAILED \\(topic, unknown_topic.*\n.*--topic no-such-topic")),
    %% Nor could it create this one.
    {0, _} = cluster(["topics", "--create", "--topic", "taken.name", "--partitions", "1"]),
    {1, Taken} = ctl(Config, ["test", "taken_name"]),
    ?assertMatch({match, _}, re:run(Taken, "FAILED \\(topic, unknown_topic.*\n.*does not create taken_name beside taken.name")),
    {1, NoName} = ctl(Config, ["test", "no/topic"]),
    ?assertMatch({match, _}, re:run(NoName, "FAILED \\(topic\\): .*character")).

%% The settings are right, the spool is not.
a_test_works_while_the_plugin_is_degraded(Config) ->
    ok = rpc(Config, application, stop, [?APP]),
    ok = live_plugin:forget(Config),
    ok = rpc(Config, application, set_env, [?APP, spool_dir, "/proc/nowhere"]),
    ok = rpc(Config, application, start, [?APP]),
    ok = degraded(Config),
    {1, Status} = ctl(Config, ["status"]),
    ?assertMatch({match, _}, re:run(Status, "^state +: degraded\nrecords +: are dropped and counted .*\nproblem +: emq.plugin.kafka.spool.dir")),
    {0, _} = ctl(Config, ["test"]),
    {1, Flush} = ctl(Config, ["flush"]),
    ?assertMatch({match, _}, re:run(Flush, "^not flushed: the plugin is not running")),
    [{0, _} = ctl(Config, [Command]) || Command <- ["stats", "spool"]],
    %% Settings that cannot be used are told instead.
    ok = rpc(Config, application, set_env, [?APP, topic, "no/topic"]),
    {1, Wrong} = ctl(Config, ["test"]),
    ?assertMatch({match, _}, re:run(Wrong, "^problem: emq.plugin.kafka.topic: ")),
    ok = rpc(Config, application, stop, [?APP]),
    ok = rpc(Config, application, set_env, [?APP, spool_dir, "data/kafka_spool"]),
    ok = rpc(Config, application, start, [?APP]).

a_flush_waits_for_kafka(Config) ->
    {0, _} = cluster(["stop"]),
    published(Config, 5),
    {1, Output} = ctl(Config, ["flush", "--timeout", "3"]),
    ?assertMatch({match, _}, re:run(Output, "^records waiting: [1-9][0-9]*\nnot flushed: .*; records left: [1-9][0-9]*\n$")),
    Caller = self(),
    spawn_link(fun() -> Caller ! {flushed, ctl(Config, ["flush", "--timeout", "55"])} end),
    {0, _} = cluster(["start"]),
    receive {flushed, {0, _}} -> ok end,
    ?assertMatch(#{queued := 0, spooled := 0}, rpc(Config, emq_plugin_kafka, stats, [])).

the_spool_is_shown(Config) ->
    ok = configure(Config, [{"server", ?NOBODY}, {"produce", "durable"}]),
    published(Config, 5),
    {0, Output} = ctl(Config, ["spool"]),
    [?assertMatch({Line, {match, _}}, {Line, re:run(Output, ["(?m)^", Line])})
     || Line <- ["state +: ok$", "directory +: data/kafka_spool$", "records +: [1-9][0-9]*$", "oldest record +: [0-9]+ (ms|s)$",
                 "segments +: 1$", "room for new records +: [0-9.]+ GB \\(0 % full\\)$"]],
    ?assertMatch(#{<<"records">> := Records, <<"state">> := <<"ok">>, <<"room_bytes">> := Room} when Records >= 5 andalso Room > 0,
                 json(Config, ["spool"])),
    ok = rpc(Config, application, stop, [?APP]),
    ok = rpc(Config, application, set_env, [?APP, spool, off]),
    ok = rpc(Config, application, set_env, [?APP, produce, async]),
    ok = rpc(Config, application, start, [?APP]),
    ?assertEqual({0, "state : off\n"}, ctl(Config, ["spool"])),
    ok = rpc(Config, application, stop, [?APP]),
    ok = rpc(Config, application, set_env, [?APP, spool, overflow]),
    ok = rpc(Config, application, start, [?APP]).

a_configuration_has_one_hash_in_whatever_order(Config) ->
    Rules = [{"hook.message.publish.1", "{\"filter\": \"a/#\", \"topic\": \"x\"}"}, {"hook.client.connected.1", "{}"}],
    Hash = fun(Settings) ->
                   ok = configure(Config, Settings),
                   maps:get(<<"config_hash">>, json(Config, ["status"]))
           end,
    One = Hash(Rules ++ [{"compression", "zstd"}]),
    ?assertEqual(One, Hash([{"compression", "zstd"} | lists:reverse(Rules)])),
    ?assertEqual(One, Hash([{"compression", "zstd"}, {"sasl.password", "another"} | Rules])),
    ?assertNotEqual(One, Hash([{"compression", "gzip"} | Rules])),
    ?assertNotEqual(One, Hash([{"compression", "zstd"} | tl(Rules)])).

%% Alarms.

alarms_come_and_go_with_kafka(Config) ->
    {ok, Listener, 0} = connect(Config, #{client_id => <<"alarms">>}),
    {ok, [1]} = mqtt_client:subscribe(Listener, [{<<"$SYS/brokers/+/alarms/#">>, 1}]),
    ?assertEqual([], alarms(Config)),
    {0, _} = cluster(["stop"]),
    published(Config, 3),
    ok = raised(Config, <<"kafka_unreachable">>),
    {0, Status} = ctl(Config, ["status"]),
    ?assertMatch({match, _}, re:run(Status, "(?m)^alarm +: kafka_unreachable$")),
    ?assertMatch({match, _}, re:run(Status, "(?m)^last error +: 20.*(onnect|ransport|roker)")),
    {0, _} = cluster(["start"]),
    ok = cleared(Config),
    %% A stop ends what is raised.
    {0, _} = cluster(["stop"]),
    published(Config, 3),
    ok = raised(Config, <<"kafka_unreachable">>),
    ok = rpc(Config, application, stop, [?APP]),
    ok = cleared(Config),
    ok = rpc(Config, application, start, [?APP]),
    Node = atom_to_list(standin_broker:node_name(home(Config))),
    Topic = list_to_binary(["$SYS/brokers/", Node, "/alarms/emq_plugin_kafka.kafka_unreachable"]),
    ?assertEqual([<<Topic/binary, "/alert">>, <<Topic/binary, "/clear">>, <<Topic/binary, "/alert">>, <<Topic/binary, "/clear">>],
                 [Received || _ <- lists:seq(1, 4), {ok, #{topic := Received}} <- [mqtt_client:recv(Listener)]]),
    ok = mqtt_client:disconnect(Listener).

a_degraded_plugin_raises_an_alarm(Config) ->
    ok = rpc(Config, application, stop, [?APP]),
    ok = live_plugin:forget(Config),
    ok = rpc(Config, application, set_env, [?APP, topic, "no/topic"]),
    ok = rpc(Config, application, start, [?APP]),
    ok = raised(Config, <<"degraded">>),
    [#{<<"severity">> := <<"critical">>, <<"summary">> := Summary}] = alarms(Config),
    ?assertMatch({match, _}, re:run(Summary, "emq.plugin.kafka.topic: ")),
    %% One that a process left behind, which died, is there once.
    ok = rpc(Config, application, stop, [?APP]),
    ok = rpc(Config, emqttd_alarm, set_alarm, [{mqtt_alarm, <<"emq_plugin_kafka.degraded">>, critical, "left", "behind", undefined}]),
    ok = rpc(Config, application, start, [?APP]),
    ok = until(fun() -> [S || #{<<"summary">> := S} <- alarms(Config)] =:= [Summary] end),
    {0, _} = ctl(Config, ["reload"]),
    ok = cleared(Config).

lost_records_raise_an_alarm_and_are_logged(Config) ->
    ok = configure(Config, [{"hook.message.publish.wrong", "{\"topic\": \"no-such-topic\"}"}]),
    published(Config, 3),
    ok = raised(Config, <<"records_lost">>),
    ok = logged(Config, "records lost: failed.unknown_topic|records lost: dropped.unknown_topic"),
    ?assertMatch(#{<<"alarms">> := [<<"records_lost">>]}, json(Config, ["status"])).

a_broker_without_alarms_is_none_the_worse(Config) ->
    ok = rpc(Config, application, stop, [?APP]),
    ok = live_plugin:forget(Config),
    ok = rpc(Config, supervisor, terminate_child, [emqttd_sup, emqttd_alarm]),
    ok = rpc(Config, application, set_env, [?APP, topic, "no/topic"]),
    ok = rpc(Config, application, start, [?APP]),
    ok = degraded(Config),
    ok = until(fun() -> maps:get(alarms, rpc(Config, emq_plugin_kafka, status, [])) =:= [<<"degraded">>] end),
    ok = rpc(Config, application, stop, [?APP]),
    {ok, _} = rpc(Config, supervisor, restart_child, [emqttd_sup, emqttd_alarm]),
    ok = rpc(Config, application, start, [?APP]),
    ok = raised(Config, <<"degraded">>).

%% The log.

librdkafkas_lines_have_their_levels(Config) ->
    [Console] = [Id || #{id := Id, config := #{file := File}} <- rpc(Config, logger, get_handler_config, []),
                       filename:basename(File) =:= "console.log"],
    ok = rpc(Config, logger, update_handler_config, [Console, level, info]),
    ok = rpc(Config, logger, update_primary_config, [#{level => info}]),
    ok = configure(Config, [{"rdkafka.debug", "topic"}]),
    published(Config, 1),
    ok = until(fun() -> re:run(standin_broker:log(home(Config), "console.log"), "librdkafka Debug") =/= nomatch end),
    ok = configure(Config, []),
    ok = rpc(Config, logger, update_handler_config, [Console, level, error]),
    ok = rpc(Config, logger, update_primary_config, [#{level => notice}]),
    [?assertMatch({Line, {match, _}}, {Line, re:run(Line, "\\[notice\\]")})
     || Line <- binary:split(standin_broker:log(home(Config), "console.log"), <<"\n">>, [global]),
        re:run(Line, "librdkafka Debug|settings reloaded") =/= nomatch],
    ?assertEqual(nomatch, re:run(standin_broker:log(home(Config), "error.log"), "librdkafka Debug|settings reloaded")).

%% What a broker in the foreground would write to the terminal.
nothing_is_printed_by_the_broker(Config) ->
    Console = standin_broker:log(home(Config), "erlang.log.1"),
    ?assertEqual([], [Line || Line <- binary:split(Console, <<"\n">>, [global]),
                              re:run(Line, "(?i)kafka|^%[0-7]") =/= nomatch]).

%% Helpers.

%% Reloads a conf for a topic of the cluster, with these settings changed: with a login, unless they say otherwise.
configure(Config, Settings) ->
    ok = conf(Config, "mqtt", login(proplists:get_value("security.protocol", Settings, "sasl_plaintext")) ++ Settings),
    {ok, _Changes} = rpc(Config, emq_plugin_kafka_producer, reload, []),
    ok.

login("sasl_" ++ _ = Protocol) ->
    [{"server", address(string:uppercase(Protocol))}, {"security.protocol", Protocol}, {"sasl.mechanism", "SCRAM-SHA-256"},
     {"sasl.username", "writer"}, {"sasl.password", password("writer")}];
login(_Protocol) ->
    [].

tls() ->
    [{"server", address("SASL_SSL")}, {"security.protocol", "sasl_ssl"},
     {"ssl.ca.location", filename:join([os:getenv("KAFKA_CLUSTER_DIR"), "certs", "ca.pem"])}].

%% Where a test with these settings fails, and what its server has passed.
failure(Config, Settings) ->
    ok = configure(Config, Settings),
    {1, Output} = ctl(Config, ["test", "--json", "--timeout", "5"]),
    #{<<"ok">> := false, <<"servers">> := [#{<<"passed">> := Passed}],
      <<"problem">> := #{<<"kind">> := Kind, <<"text">> := <<_, _/binary>>, <<"advice">> := <<_, _/binary>>}} =
        jiffy:decode(Output, [return_maps]),
    {Kind, Passed}.

json(Config, Command) ->
    {0, Output} = ctl(Config, Command ++ ["--json"]),
    jiffy:decode(Output, [return_maps]).

ctl(Config, Args) ->
    standin_broker:ctl(home(Config), ["kafka" | Args]).

published(Config, Count) ->
    {ok, Client, 0} = connect(Config, #{client_id => <<"cli">>}),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, Count)],
    ok = mqtt_client:disconnect(Client).

%% As the dashboard asks for them.
alarms(Config) ->
    {200, Body} = live_plugin:http(Config, get, "alarms", <<>>),
    #{<<"code">> := 0, <<"result">> := Alarms} = jiffy:decode(Body, [return_maps]),
    Alarms.

raised(Config, Name) ->
    until(fun() -> [Id || #{<<"id">> := Id} <- alarms(Config)] =:= [<<"emq_plugin_kafka.", Name/binary>>] end).

cleared(Config) ->
    until(fun() -> alarms(Config) =:= [] end).

cluster() -> os:getenv("KAFKA_CLUSTER_DIR").
cluster(Args) -> kafka_cluster:run(cluster(), Args).

address(Listener) -> kafka_cluster:address(cluster(), Listener).
password(User) -> kafka_cluster:password(cluster(), User).

topic(Name) ->
    Topic = Name ++ "-" ++ integer_to_list(erlang:unique_integer([positive])),
    {0, _} = cluster(["topics", "--create", "--topic", Topic, "--partitions", "1"]),
    Topic.

read(Topic) -> kafka_reader:all_records(Topic, address("PLAINTEXT")).
