%% What a PUBACK means in each mode, with Kafka up and down, and what a stop, a save in the dashboard and a reload cost:
%% a running broker (the stand-in), MQTT clients that remember what was acknowledged, and a real Kafka read by its own consumer.
-module(emq_plugin_kafka_modes_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([durable_acknowledges_while_kafka_is_down/1, sync_acknowledges_what_kafka_has/1,
         sync_ends_the_connection_while_kafka_is_down/1, a_rule_has_its_own_mode/1,
         a_timeout_leaves_no_message_behind/1, a_stop_answers_those_who_wait/1,
         what_does_not_wait_is_acknowledged_at_once/1, a_full_queue_holds_publishers_until_there_is_room/1,
         a_stop_hands_its_backlog_to_the_spool/1, a_spool_of_a_newer_plugin_is_left_alone/1,
         a_save_in_the_dashboard_loses_only_what_no_hook_saw/1, a_reload_loses_and_reorders_nothing/1,
         a_reload_changes_rules_and_hooks/1, a_wrong_reload_changes_nothing/1, a_reload_mends_a_degraded_start/1,
         wrong_settings_start_degraded_with_their_keys/1, a_first_start_with_a_wrong_server_keeps_records_until_it_is_mended/1,
         a_first_start_with_a_wrong_topic_acknowledges_nothing_that_was_to_be_safe/1,
         a_start_with_wrong_settings_goes_on_with_the_last_ones/1, a_reload_tells_what_has_changed/1, a_producer_that_cannot_be_replaced_is_tried_again_after_a_pause/1,
         the_commands_are_there_while_the_plugin_runs/1]).

-import(live_plugin, [home/1, rpc/4, connect/2, conf/3, set_and_restart/2, running/1, degraded/1, logged/2, crashes/1, env/1,
                      publishers/2, stopped/1, settled/1, get_config/1, put_config/2]).

-define(APP, emq_plugin_kafka).
-define(NOBODY, "127.0.0.1:1").
-define(CLIENTS, 20).

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [durable_acknowledges_while_kafka_is_down, sync_acknowledges_what_kafka_has,
     sync_ends_the_connection_while_kafka_is_down, a_rule_has_its_own_mode, a_timeout_leaves_no_message_behind,
     a_stop_answers_those_who_wait, what_does_not_wait_is_acknowledged_at_once,
     a_full_queue_holds_publishers_until_there_is_room, a_stop_hands_its_backlog_to_the_spool,
     a_spool_of_a_newer_plugin_is_left_alone,
     a_save_in_the_dashboard_loses_only_what_no_hook_saw, a_reload_loses_and_reorders_nothing,
     a_reload_changes_rules_and_hooks, a_wrong_reload_changes_nothing, a_reload_mends_a_degraded_start,
     wrong_settings_start_degraded_with_their_keys, a_first_start_with_a_wrong_server_keeps_records_until_it_is_mended,
     a_first_start_with_a_wrong_topic_acknowledges_nothing_that_was_to_be_safe, a_start_with_wrong_settings_goes_on_with_the_last_ones,
     a_reload_tells_what_has_changed, a_producer_that_cannot_be_replaced_is_tried_again_after_a_pause,
     the_commands_are_there_while_the_plugin_runs].

init_per_suite(Config) ->
    live_plugin:start([], [{unread, kafka_reader:new_topic("unread")} | Config]).

end_per_suite(Config) ->
    standin_broker:stop(home(Config)).

%% Each case has its own spool, and its own topic where it reads one; only published messages become records.
init_per_testcase(Case, Config) ->
    Topic = topic_for(lists:member(Case, unread()), Case, Config),
    Mine = [{topic, Topic}, {spool, filename:join("data", atom_to_list(Case))} | Config],
    ok = conf(Mine, Topic, rules() ++ spool(Mine)),
    ok = set_and_restart(Mine, defaults(Mine)),
    Mine.

topic_for(true, _Case, Config) -> proplists:get_value(unread, Config);
topic_for(false, Case, _Config) -> kafka_reader:new_topic(Case).

unread() ->
    [sync_ends_the_connection_while_kafka_is_down, a_rule_has_its_own_mode, a_stop_answers_those_who_wait,
     what_does_not_wait_is_acknowledged_at_once, a_reload_changes_rules_and_hooks,
     wrong_settings_start_degraded_with_their_keys, a_first_start_with_a_wrong_topic_acknowledges_nothing_that_was_to_be_safe,
     a_reload_tells_what_has_changed, a_producer_that_cannot_be_replaced_is_tried_again_after_a_pause,
     the_commands_are_there_while_the_plugin_runs].

%% Whatever a case did: Kafka gets what it left, every record has one outcome, no callback raised, no message was left to a
%% process of EMQ's.
end_per_testcase(_Case, Config) ->
    adds_up(stats(Config)),
    ok = delivered(stats(Config), Config),
    adds_up(stats(Config)),
    Log = standin_broker:log(home(Config), "error.log"),
    ?assertEqual(nomatch, re:run(Log, "Unexpected Info|kafka_unavailable")),
    ?assertEqual(<<>>, crashes(Config)).

delivered(#{queued := 0, spooled := 0}, _Config) ->
    ok;
delivered(_Some, Config) ->
    ok = set_and_restart(Config, defaults(Config)),
    settled(Config).

%% Modes.

durable_acknowledges_while_kafka_is_down(Config) ->
    ok = set_and_restart(Config, [{server, ?NOBODY}, {produce, durable}]),
    #{spooled := Before} = stats(Config),
    {ok, Client, 0} = connect(Config, #{client_id => <<"durable">>}),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, 100)],
    #{spooled := Spooled, spool := #{state := ok}} = stats(Config),
    ?assertEqual(100, Spooled - Before),
    %% Kafka comes back.
    ok = set_and_restart(Config, [{server, kafka_reader:bootstrap()}]),
    ok = mqtt_client:publish(Client, <<"t">>, <<"101">>, 1),
    ok = mqtt_client:disconnect(Client),
    ?assertEqual(#{<<"durable">> => lists:seq(1, 101)}, numbers(kafka_reader:records(topic(Config), 101))).

sync_acknowledges_what_kafka_has(Config) ->
    ok = set_and_restart(Config, [{produce, sync}]),
    #{success := Before} = stats(Config),
    {ok, Client, 0} = connect(Config, #{client_id => <<"sync">>}),
    [begin
         ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1),
         #{success := Success, waiting := 0} = stats(Config),
         ?assertEqual(N, Success - Before)
     end || N <- lists:seq(1, 50)],
    ok = mqtt_client:disconnect(Client),
    ?assertEqual(#{<<"sync">> => lists:seq(1, 50)}, numbers(kafka_reader:records(topic(Config), 50))).

%% No PUBACK, and the will, which is published while the client ends, does not wait in its turn.
sync_ends_the_connection_while_kafka_is_down(Config) ->
    ok = set_and_restart(Config, [{server, ?NOBODY}, {produce, sync}, {produce_timeout, 500}]),
    {ok, Watcher, 0} = connect(Config, #{client_id => <<"watcher">>}),
    {ok, [0]} = mqtt_client:subscribe(Watcher, [{<<"will/t">>, 0}]),
    #{wait_timeouts := Timeouts} = stats(Config),
    {ok, Client, 0} = connect(Config, #{client_id => <<"sync">>, will => {<<"will/t">>, <<"gone">>, 1, false}}),
    {Time, Result} = timer:tc(fun() -> mqtt_client:publish(Client, <<"t">>, <<"1">>, 1) end),
    ?assertEqual({error, closed}, Result),
    ?assert(Time >= 500000),
    ?assertMatch({ok, #{payload := <<"gone">>}}, mqtt_client:recv(Watcher)),
    ?assertMatch(#{wait_timeouts := Now} when Now =:= Timeouts + 1, stats(Config)),
    ok = mqtt_client:close(Client),
    ok = mqtt_client:disconnect(Watcher),
    ok = logged(Config, "publishers whose record was not safe in time: .*wait_timeouts 1").

%% Within one connection: what a rule of its own says, and what applies to all others.
a_rule_has_its_own_mode(Config) ->
    Rules = [{"message.publish.a", "{\"filter\": \"a/#\"}"},
             {"message.publish.b", "{\"filter\": \"b/#\", \"produce\": \"durable\"}"},
             {"message.publish.c", "{\"filter\": \"c/#\", \"produce\": \"sync\", \"on_failure\": \"continue\"}"},
             {"message.publish.d", "{\"filter\": \"d/#\", \"produce\": \"sync\"}"}],
    ok = set_and_restart(Config, [{server, ?NOBODY}, {hooks, Rules}, {produce_timeout, 2000}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"rules">>}),
    #{wait_timeouts := Timeouts} = stats(Config),
    [?assertEqual({Topic, ok}, {Topic, mqtt_client:publish(Client, Topic, <<"1">>, 1)}) || Topic <- [<<"a/1">>, <<"b/1">>, <<"x">>]],
    ?assertMatch(#{wait_timeouts := Timeouts}, stats(Config)),
    ?assertEqual(ok, mqtt_client:publish(Client, <<"c/1">>, <<"1">>, 1)),
    ?assertMatch(#{wait_timeouts := Now} when Now =:= Timeouts + 1, stats(Config)),
    ?assertEqual({error, closed}, mqtt_client:publish(Client, <<"d/1">>, <<"1">>, 1)),
    ?assertMatch(#{wait_timeouts := Now} when Now =:= Timeouts + 2, stats(Config)),
    ok = mqtt_client:close(Client).

%% Kafka answers after the publisher has given up waiting.
a_timeout_leaves_no_message_behind(Config) ->
    ok = set_and_restart(Config, [{server, ?NOBODY}, {produce, sync}, {on_failure, continue}, {produce_timeout, 100}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"late">>}),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, 10)],
    ?assertEqual([0], queues(Config)),
    {0, _} = ctl(Config, ["reload"]),
    ok = mqtt_client:publish(Client, <<"t">>, <<"11">>, 1),
    ?assertEqual(#{<<"late">> => lists:seq(1, 11)}, numbers(kafka_reader:records(topic(Config), 11))),
    %% Each of them would have been answered by now.
    ok = settled(Config),
    #{waiting := 0} = stats(Config),
    ok = mqtt_client:ping(Client),
    ?assertEqual([0], queues(Config)),
    ok = mqtt_client:disconnect(Client).

%% A stop does not wait for publishers, nor they for their timeout.
a_stop_answers_those_who_wait(Config) ->
    ok = set_and_restart(Config, [{server, ?NOBODY}, {produce, sync}, {produce_timeout, 600000}]),
    Clients = publishers(Config, ?CLIENTS),
    ok = waiting(Config, ?CLIENTS),
    {Time, ok} = timer:tc(fun() -> rpc(Config, application, stop, [?APP]) end),
    ?assert(Time < 60000000),
    Ended = [receive {'DOWN', Monitor, process, _, {_Id, Result}} -> Result end || {_, Monitor} <- Clients],
    ?assertEqual([{0, {error, closed}}], lists:usort(Ended)),
    #{waiting := 0} = rpc(Config, emq_plugin_kafka_nif, stats, []).

%% QoS 0 and 2, and every event but message.publish.
what_does_not_wait_is_acknowledged_at_once(Config) ->
    Rules = [{Event ++ ".1", "{}"} || Event <- ["client.connected", "client.subscribe", "session.created", "session.subscribed",
                                                "message.publish", "message.delivered", "message.acked", "client.disconnected"]],
    ok = set_and_restart(Config, [{server, ?NOBODY}, {produce, sync}, {produce_timeout, 60000}, {hooks, Rules}]),
    {Time, ok} = timer:tc(fun() ->
                                  {ok, Client, 0} = connect(Config, #{client_id => <<"quick">>}),
                                  {ok, [1]} = mqtt_client:subscribe(Client, [{<<"t">>, 1}]),
                                  ok = mqtt_client:publish(Client, <<"t">>, <<"0">>, 0),
                                  ok = mqtt_client:publish(Client, <<"t">>, <<"2">>, 2),
                                  {ok, _} = mqtt_client:recv(Client),
                                  {ok, _} = mqtt_client:recv(Client),
                                  mqtt_client:disconnect(Client)
                          end),
    ?assert(Time < 60000000).

%% Memory is full and there is no spool: the publisher waits for room, which a reload makes.
a_full_queue_holds_publishers_until_there_is_room(Config) ->
    Full = [{spool, off}, {overflow, block}, {queue_max_messages, 5}, {server, ?NOBODY}],
    ok = set_and_restart(Config, [{produce_timeout, 300} | Full]),
    #{dropped_by := #{queue_full := Before}} = stats(Config),
    {ok, Client, 0} = connect(Config, #{client_id => <<"held">>}),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, 5)],
    %% In vain: dropped, and acknowledged, as async is.
    ?assertMatch({Time, ok} when Time >= 300000, timer:tc(fun() -> mqtt_client:publish(Client, <<"t">>, <<"0">>, 1) end)),
    ?assertMatch(#{dropped_by := #{queue_full := After}} when After =:= Before + 1, stats(Config)),
    %% Those of QoS 0 do not wait.
    ok = mqtt_client:publish(Client, <<"t">>, <<"0">>, 0),
    ok = mqtt_client:ping(Client),
    ?assertMatch(#{dropped_by := #{queue_full := After}} when After =:= Before + 2, stats(Config)),
    Lines = [{"spool", "off"}, {"overflow", "block"}, {"queue.max_messages", "5"}, {"produce.timeout", "60s"} | rules()],
    ok = conf(Config, topic(Config), [{"server", ?NOBODY} | Lines]),
    {0, _} = ctl(Config, ["reload"]),
    {_, Monitor} = spawn_monitor(fun() ->
                                         [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- [6, 7, 8]],
                                         exit(published)
                                 end),
    ok = waiting(Config, 1),
    ok = conf(Config, topic(Config), Lines),
    {0, _} = ctl(Config, ["reload"]),
    receive {'DOWN', Monitor, process, _, Result} -> ?assertEqual(published, Result) end,
    ok = mqtt_client:disconnect(Client),
    ?assertEqual(#{<<"held">> => lists:seq(1, 8)}, numbers(kafka_reader:records(topic(Config), 8))).

%% Stop, start, change.

a_stop_hands_its_backlog_to_the_spool(Config) ->
    ok = set_and_restart(Config, [{server, ?NOBODY}, {shutdown_timeout, 60000}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"backlog">>}),
    Began = erlang:system_time(millisecond),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, 500)],
    Ended = erlang:system_time(millisecond),
    #{dropped := Dropped} = stats(Config),
    {Time, ok} = timer:tc(fun() -> rpc(Config, application, stop, [?APP]) end),
    ?assert(Time < 60000000),
    #{dropped := Dropped, queued := 0} = rpc(Config, emq_plugin_kafka_nif, stats, []),
    ok = rpc(Config, application, set_env, [?APP, server, kafka_reader:bootstrap()]),
    ok = rpc(Config, application, start, [?APP]),
    ok = running(Config),
    ok = mqtt_client:publish(Client, <<"t">>, <<"501">>, 1),
    ok = mqtt_client:disconnect(Client),
    Records = kafka_reader:records(topic(Config), 501),
    ?assertEqual(#{<<"backlog">> => lists:seq(1, 501)}, numbers(Records)),
    %% The time of the hook, not of the replay.
    [?assert(Timestamp >= Began andalso Timestamp =< Ended) || #{timestamp := Timestamp} <- lists:droplast(Records)].

%% The dashboard stops the plugin and starts it half a second later. Of each client's messages one run may be missing,
%% from that time; its length is what EMQ called no hook for, which is logged.
%% As after a downgrade; and the newer plugin finds all that it left.
a_spool_of_a_newer_plugin_is_left_alone(Config) ->
    ok = set_and_restart(Config, [{server, ?NOBODY}, {produce, durable}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"newer">>}),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, 10)],
    ok = rpc(Config, application, stop, [?APP]),
    Spool = filename:join(home(Config), proplists:get_value(spool, Config)),
    [Segment | _] = filelib:wildcard(filename:join(Spool, "*.seg")),
    ok = set_version(Segment, 2),
    Before = contents(Spool),
    ok = rpc(Config, application, start, [?APP]),
    ok = degraded(Config),
    #{problems := [Problem]} = rpc(Config, emq_plugin_kafka, status, []),
    ?assertMatch({Problem, {match, _}},
                 {Problem, re:run(Problem, ["/", filename:basename(Segment), " has format version 2, but this plugin reads version 1"])}),
    %% Nobody can keep it: it is not acknowledged.
    ?assertEqual({error, closed}, mqtt_client:publish(Client, <<"t">>, <<"11">>, 1)),
    ok = mqtt_client:close(Client),
    ok = rpc(Config, application, stop, [?APP]),
    ?assertEqual(Before, contents(Spool)),
    ok = set_version(Segment, 1),
    ok = set_and_restart(Config, [{server, kafka_reader:bootstrap()}]),
    {ok, Again, 0} = connect(Config, #{client_id => <<"newer">>}),
    ok = mqtt_client:publish(Again, <<"t">>, <<"11">>, 1),
    ok = mqtt_client:disconnect(Again),
    ?assertEqual(#{<<"newer">> => lists:seq(1, 11)}, numbers(kafka_reader:records(topic(Config), 11))).

set_version(Segment, Version) ->
    {ok, Device} = file:open(Segment, [read, write, raw]),
    ok = file:pwrite(Device, 8, <<Version:32/little>>),
    file:close(Device).

contents(Directory) ->
    filelib:fold_files(Directory, "", true, fun(Name, Acc) -> [{Name, file:read_file(Name)} | Acc] end, []).

a_save_in_the_dashboard_loses_only_what_no_hook_saw(Config) ->
    %% What the page shows is what was read last.
    {0, _} = ctl(Config, ["reload"]),
    #{success := Before, dropped := Dropped} = stats(Config),
    Clients = publishers(Config, ?CLIENTS),
    ok = some_more(Config),
    Shown = get_config(Config),
    ok = put_config(Config, lists:keystore(<<"emq.plugin.kafka.compression">>, 1, Shown,
                                           {<<"emq.plugin.kafka.compression">>, <<"zstd">>})),
    ok = running(Config),
    ok = some_more(Config),
    Published = stopped(Clients),
    ?assertEqual([], [Failed || {_, _, {error, _}} = Failed <- Published]),
    ok = settled(Config),
    #{success := After, dropped := Dropped} = stats(Config),
    Records = kafka_reader:records(topic(Config), After - Before),
    Numbers = numbers(Records),
    Missing = [{Id, lists:seq(1, Count) -- maps:get(Id, Numbers)} || {Id, Count, ok} <- Published],
    [?assertEqual({Id, lists:seq(hd(Run), lists:last(Run))}, {Id, Run}) || {Id, [_ | _] = Run} <- Missing],
    ?assert(length(Records) > 0),
    Gap = gap(Config),
    ct:pal("~b records, ~b messages that no hook saw in ~b ms",
           [length(Records), lists:sum([length(Run) || {_, Run} <- Missing]), Gap]),
    ?assert(Gap >= 500 andalso Gap < 20000).

%% Nothing that was acknowledged is missing, nothing came twice, each client's messages are in their order.
a_reload_loses_and_reorders_nothing(Config) ->
    Command = fun() -> {0, "reloaded:\ncompression: gzip -> lz4 (default)\n"} = ctl(Config, ["reload"]), ok end,
    %% The same without the time that it takes to start the command.
    Call = fun() -> {ok, _Changes} = rpc(Config, emq_plugin_kafka_producer, reload, []), ok end,
    Clients = publishers(Config, ?CLIENTS),
    #{dropped := Dropped} = stats(Config),
    [begin
         ok = some_more(Config),
         ok = conf(Config, topic(Config), [{"compression", Compression} | rules() ++ spool(Config)]),
         {Time, ok} = timer:tc(Reload),
         ct:pal("reloaded under load in ~b ms", [Time div 1000]),
         ?assertEqual(list_to_atom(Compression), proplists:get_value(compression, env(Config)))
     end || {Compression, Reload} <- [{"zstd", Call}, {"none", Call}, {"gzip", Call}, {"lz4", Command}]],
    ok = some_more(Config),
    Published = stopped(Clients),
    ?assertEqual([], [Failed || {_, _, {error, _}} = Failed <- Published]),
    ok = settled(Config),
    #{dropped := Dropped} = stats(Config),
    Total = lists:sum([Count || {_, Count, ok} <- Published]),
    ?assertEqual(maps:from_list([{Id, lists:seq(1, Count)} || {Id, Count, ok} <- Published]),
                 numbers(kafka_reader:records(topic(Config), Total))).

%% Keys that are gone from the file go back to their defaults; the hooks follow the rules; the dashboard shows it.
a_reload_changes_rules_and_hooks(Config) ->
    ok = conf(Config, topic(Config), [{"hook.message.publish.x", "{\"filter\": \"s/#\", \"format\": \"raw\"}"},
                                      {"hook.session.created.1", "{}"}, {"queue.max_messages", "500"} | spool(Config)]),
    {0, _} = ctl(Config, ["reload"]),
    ?assertEqual(['message.publish', 'session.created'], hooks(Config)),
    ?assertEqual(500, proplists:get_value(queue_max_messages, env(Config))),
    ?assert(lists:member({<<"emq.plugin.kafka.queue.max_messages">>, <<"500">>}, get_config(Config))),
    ok = conf(Config, topic(Config), spool(Config)),
    {0, _} = ctl(Config, ["reload"]),
    ?assertEqual(['client.connected', 'client.disconnected', 'message.publish', 'session.subscribed', 'session.unsubscribed'],
                 hooks(Config)),
    ?assertEqual({100000, undefined}, {proplists:get_value(queue_max_messages, env(Config)),
                                       proplists:get_value(hooks, env(Config))}).

a_wrong_reload_changes_nothing(Config) ->
    Before = {env(Config), hooks(Config), kept(Config), get_config(Config)},
    {ok, Client, 0} = connect(Config, #{client_id => <<"wrong">>}),
    [begin
         ok = conf(Config, topic(Config), [{Key, Value} | rules() ++ spool(Config)]),
         {1, Output} = ctl(Config, ["reload"]),
         ?assertMatch({Key, {match, _}}, {Key, re:run(Output, "emq.plugin.kafka." ++ Key)}),
         #{problems := [_ | _] = Problems} = rpc(Config, emq_plugin_kafka, status, []),
         ?assertMatch({Key, {match, _}}, {Key, re:run(iolist_to_binary(Problems), "emq.plugin.kafka." ++ Key)}),
         {1, _} = ctl(Config, ["status"]),
         ?assertEqual(Before, {env(Config), hooks(Config), kept(Config), get_config(Config)}),
         ok = mqtt_client:publish(Client, <<"t">>, <<"1">>, 1)
     end || {Key, Value} <- [{"produce", "later"}, {"colour", "red"}, {"produce.timeout", "1h"},
                             {"hook.session.created.1", "{\"nope\": 1}"}, {"rdkafka.no.such", "1"}]],
    ok = standin_broker:plugin_conf(home(Config), ?APP, "nonsense\n"),
    {1, Nonsense} = ctl(Config, ["reload"]),
    ?assertMatch({match, _}, re:run(Nonsense, "line 1")),
    ok = conf(Config, topic(Config), rules() ++ spool(Config)),
    {0, _} = ctl(Config, ["reload"]),
    {0, _} = ctl(Config, ["status"]),
    ok = mqtt_client:disconnect(Client),
    ?assertEqual(#{<<"wrong">> => [1, 1, 1, 1, 1]}, numbers(kafka_reader:records(topic(Config), 5))).

%% Of the status, what is neither an event nor about settings that are not used.
kept(Config) ->
    maps:with([state, settings, config_hash, since_ms], rpc(Config, emq_plugin_kafka, status, [])).

wrong_settings_start_degraded_with_their_keys(Config) ->
    [begin
         ok = live_plugin:forget(Config),
         ok = stop_set_start(Config, [{Name, Value}]),
         ok = degraded(Config),
         #{problems := Problems} = rpc(Config, emq_plugin_kafka, status, []),
         ?assertMatch({Key, {match, _}}, {Key, re:run(iolist_to_binary(Problems), "emq.plugin.kafka." ++ Key ++ ": ")}),
         ?assertEqual(['message.publish'], hooks(Config)),
         ok = stop_set_start(Config, defaults(Config))
     end || {Name, Key, Value} <- [{produce, "produce", later}, {produce_timeout, "produce.timeout", 600001},
                                   {produce_max_waiters, "produce.max_waiters", 0}, {on_failure, "on_failure", panic},
                                   {spool, "spool", sometimes}, {spool_max_size, "spool.max_size", "big"},
                                   {spool_sync_interval, "spool.sync_interval", 60001}, {overflow, "overflow", drop_old},
                                   {dead_letter_topic, "dead_letter.topic", "a b"}, {linger, "linger", soon},
                                   {spool_dir, "spool.dir", "/proc/nowhere"}]],
    ok = running(Config).

a_reload_mends_a_degraded_start(Config) ->
    ok = live_plugin:forget(Config),
    ok = stop_set_start(Config, [{produce, later}]),
    ok = degraded(Config),
    {1, Status} = ctl(Config, ["status"]),
    [?assertMatch({Word, {match, _}}, {Word, re:run(Status, Word)}) || Word <- ["degraded", "emq.plugin.kafka.produce: .*later"]],
    ok = conf(Config, topic(Config), [{"produce", "wrong"} | rules() ++ spool(Config)]),
    {1, _} = ctl(Config, ["reload"]),
    ok = degraded(Config),
    ok = conf(Config, topic(Config), [{"produce", "sync"} | rules() ++ spool(Config)]),
    {0, _} = ctl(Config, ["reload"]),
    ok = running(Config),
    {ok, Client, 0} = connect(Config, #{client_id => <<"mended">>}),
    ok = mqtt_client:publish(Client, <<"t">>, <<"1">>, 1),
    ok = mqtt_client:disconnect(Client),
    ?assertEqual(#{<<"mended">> => [1]}, numbers(kafka_reader:records(topic(Config), 1))).

%% Records of it can be made and kept: acknowledged is what the disk has.
a_first_start_with_a_wrong_server_keeps_records_until_it_is_mended(Config) ->
    ok = live_plugin:forget(Config),
    ok = stop_set_start(Config, [{server, "kafka1:no"}, {produce, durable}]),
    ok = degraded(Config),
    {1, Status} = ctl(Config, ["status"]),
    ?assertMatch({match, _}, re:run(Status, "records +: go to the spool\nproblem +: emq.plugin.kafka.server: ")),
    #{spooled := Before} = stats(Config),
    {ok, Client, 0} = connect(Config, #{client_id => <<"kept">>}),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, 50)],
    ?assertMatch(#{spooled := Spooled} when Spooled =:= Before + 50, stats(Config)),
    %% Still wrong at the next start.
    ok = rpc(Config, application, stop, [?APP]),
    ok = rpc(Config, application, start, [?APP]),
    ok = degraded(Config),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(51, 100)],
    ok = conf(Config, topic(Config), [{"produce", "durable"} | rules() ++ spool(Config)]),
    {0, _} = ctl(Config, ["reload"]),
    ok = running(Config),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(101, 150)],
    ok = mqtt_client:disconnect(Client),
    ?assertEqual(#{<<"kept">> => lists:seq(1, 150)}, numbers(kafka_reader:records(topic(Config), 150))).

%% No record of it can be made.
a_first_start_with_a_wrong_topic_acknowledges_nothing_that_was_to_be_safe(Config) ->
    ok = live_plugin:forget(Config),
    Rules = [{"message.publish.safe", "{\"filter\": \"safe/#\", \"produce\": \"durable\"}"}, {"message.publish.other", "{\"filter\": \"other/#\"}"}],
    ok = stop_set_start(Config, [{topic, "bad topic!"}, {hooks, Rules}]),
    ok = degraded(Config),
    #{dropped_by := #{degraded := Before}, disconnected := Disconnected} = stats(Config),
    [begin
         {ok, Safe, 0} = connect(Config, #{client_id => <<"safe">>}),
         ?assertEqual({error, closed}, mqtt_client:publish(Safe, <<"safe/1">>, <<"1">>, 1)),
         ok = mqtt_client:close(Safe)
     end || _ <- [1, 2]],
    {ok, Other, 0} = connect(Config, #{client_id => <<"other">>}),
    [ok = mqtt_client:publish(Other, Topic, <<"1">>, QoS) || {Topic, QoS} <- [{<<"other/1">>, 1}, {<<"safe/1">>, 2}, {<<"none">>, 1}]],
    ok = mqtt_client:disconnect(Other),
    ?assertMatch(#{dropped_by := #{degraded := Now}, disconnected := NowDisconnected}
                     when Now =:= Before + 4 andalso NowDisconnected =:= Disconnected + 2, stats(Config)),
    ?assertMatch([#{name := <<"safe">>, matched := 3, dropped := 3}, #{name := <<"other">>, matched := 1, dropped := 1}],
                 rpc(Config, emq_plugin_kafka_nif, rules, [])),
    {1, Status} = ctl(Config, ["status"]),
    ?assertMatch({match, _}, re:run(Status, "records +: are dropped and counted \\(dropped.degraded\\)")),
    ok = logged(Config, "records lost: dropped.degraded").

%% Also where the spool's directory is what is wrong, and after a kill of the process.
a_start_with_wrong_settings_goes_on_with_the_last_ones(Config) ->
    ok = set_and_restart(Config, [{produce, durable}]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"last">>}),
    [begin
         ok = stop_set_start(Config, [{Name, Wrong}]),
         ok = running(Config),
         ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1),
         #{problems := [Problem], last_error := #{text := Text}, records := forwarded} = rpc(Config, emq_plugin_kafka, status, []),
         [?assertMatch({Key, {match, _}}, {Key, re:run(Said, "emq.plugin.kafka." ++ Key ++ ": ")}) || Said <- [Problem, Text]],
         ok = logged(Config, "emq.plugin.kafka." ++ Key ++ ": .*the last settings that worked stay in use"),
         {1, Status} = ctl(Config, ["status"]),
         ?assertMatch({match, _}, re:run(Status, "state +: running\nproblem +: emq.plugin.kafka." ++ Key)),
         ok = polling:until(fun() -> lists:member(<<"settings">>, maps:get(alarms, rpc(Config, emq_plugin_kafka, status, []))) end),
         ok = killed(rpc(Config, erlang, whereis, [emq_plugin_kafka_producer])),
         ok = running(Config),
         #{problems := [Still]} = rpc(Config, emq_plugin_kafka, status, []),
         ?assertMatch({Key, {match, _}}, {Key, re:run(Still, "emq.plugin.kafka." ++ Key)}),
         ok = stop_set_start(Config, [lists:keyfind(Name, 1, [{produce, durable} | defaults(Config)])]),
         ok = polling:until(fun() -> maps:get(alarms, rpc(Config, emq_plugin_kafka, status, [])) =:= [] end),
         {0, _} = ctl(Config, ["status"])
     end || {N, {Name, Key, Wrong}} <- lists:zip([1, 2, 3], [{topic, "topic", "bad topic!"}, {spool_dir, "spool.dir", "/proc/nowhere"},
                                                             {shutdown_timeout, "shutdown_timeout", "soon"}])],
    ok = mqtt_client:disconnect(Client),
    ?assertEqual(#{<<"last">> => [1, 2, 3]}, numbers(kafka_reader:records(topic(Config), 3))).

a_reload_tells_what_has_changed(Config) ->
    Changed = fun(Settings) ->
                      ok = standin_broker:plugin_conf(home(Config), ?APP, [["emq.plugin.kafka.", Key, " = ", Value, "\n"] || {Key, Value} <- Settings]),
                      {0, Answer} = ctl(Config, ["reload"]),
                      Answer
              end,
    Base = [{"server", "kafka1:9092"}, {"topic", topic(Config)} | rules() ++ spool(Config)],
    Login = [{"security.protocol", "sasl_plaintext"}, {"sasl.mechanism", "PLAIN"}, {"sasl.username", "u"}],
    _ = Changed(Base),
    ?assertEqual("reloaded, nothing has changed\n", Changed(Base)),
    ?assertEqual("reloaded:\nserver: kafka1:9092 -> 127.0.0.1:9092 (default)\n", Changed(tl(Base))),
    ok = logged(Config, "settings changed: server: kafka1:9092 -> 127.0.0.1:9092 \\(default\\)"),
    With = Changed([{"sasl.password", "canary-1"} | Base ++ Login]),
    ?assertMatch({match, _}, re:run(With, "(?m)^sasl.password: none -> \\*{6}$")),
    ?assertEqual("reloaded:\nsasl.password: ****** -> ****** (another secret)\n", Changed([{"sasl.password", "canary-2"} | Base ++ Login])),
    {0, Json} = ctl(Config, ["reload", "--json"]),
    ?assertMatch(#{<<"ok">> := true, <<"changes">> := []}, jiffy:decode(Json, [return_maps])),
    _ = Changed(Base),
    %% A stop and a start tells it, too.
    ok = stop_set_start(Config, defaults(Config) ++ [{linger, 7}]),
    ok = logged(Config, "settings changed: .*linger: auto \\(5ms\\) -> 7ms"),
    {ok, File} = file:read_file(filename:join([home(Config), "data", "kafka_spool.settings"])),
    [?assertEqual(nomatch, re:run(Text, "canary")) || Text <- [File, standin_broker:log(home(Config), "error.log")]].

%% Kafka has refused a batch, so that the producer is to be replaced: by one try at a time, not by one more each second.
a_producer_that_cannot_be_replaced_is_tried_again_after_a_pause(Config) ->
    Compacted = kafka_reader:new_topic("compacted", 1, ["cleanup.policy=compact"]),
    Rule = "{\"topic\": \"" ++ Compacted ++ "\", \"key\": \"${topic[1]|}\"}",
    ok = set_and_restart(Config, [{hooks, [{"message.publish.1", Rule}]}, {linger, 500}]),
    ok = rpc(Config, sys, suspend, [emq_plugin_kafka_producer]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"culprit">>}),
    [ok = mqtt_client:publish(Client, Topic, <<"1">>, 1) || Topic <- [<<"k/a">>, <<"k">>]],
    ok = mqtt_client:disconnect(Client),
    ok = polling:until(fun() -> spoiled =:= element(1, rpc(Config, emq_plugin_kafka_nif, status, [])) end),
    %% One that has ended is not replaced.
    {ok, _} = rpc(Config, emq_plugin_kafka_nif, suspend, []),
    ok = rpc(Config, sys, resume, [emq_plugin_kafka_producer]),
    Tries = fun(Count) -> fun() -> length(binary:matches(standin_broker:log(home(Config), "error.log"), <<"no new producer: ">>)) >= Count end end,
    ok = polling:until(Tries(1)),
    First = erlang:monotonic_time(millisecond),
    ok = polling:until(Tries(2)),
    ?assert(erlang:monotonic_time(millisecond) - First > 4000).

the_commands_are_there_while_the_plugin_runs(Config) ->
    {0, Status} = ctl(Config, ["status"]),
    ?assertMatch({match, _}, re:run(Status, "state +: running")),
    {0, Stats} = ctl(Config, ["stats"]),
    [?assertMatch({Name, {match, _}}, {Name, re:run(Stats, "(?m)^" ++ Name ++ " +: ")})
     || Name <- ["accepted", "dropped_by\\.queue_full", "spool\\.state", "wait_timeouts"]],
    {0, Usage} = ctl(Config, []),
    {1, Unknown} = ctl(Config, ["relaod"]),
    {0, Help} = standin_broker:ctl(home(Config), ["help"]),
    [?assertMatch({Text, {match, _}}, {Text, re:run(Text, "kafka reload")}) || Text <- [Usage, Unknown, Help]],
    ok = rpc(Config, application, stop, [?APP]),
    {1, _} = ctl(Config, ["status"]),
    ok = rpc(Config, application, start, [?APP]),
    {0, _} = ctl(Config, ["status"]).

%% Helpers.

topic(Config) -> proplists:get_value(topic, Config).

ctl(Config, Args) -> standin_broker:ctl(home(Config), ["kafka" | Args]).

stats(Config) -> rpc(Config, emq_plugin_kafka_nif, stats, []).

rules() -> [{"hook.message.publish.1", "{}"}].

spool(Config) -> [{"spool.dir", proplists:get_value(spool, Config)}].

defaults(Config) ->
    [{server, kafka_reader:bootstrap()}, {topic, topic(Config)}, {hooks, [{"message.publish.1", "{}"}]}, {produce, async},
     {produce_timeout, 5000}, {produce_max_waiters, 10000}, {on_failure, auto}, {spool, overflow},
     {spool_dir, proplists:get_value(spool, Config)}, {spool_max_size, 10737418240}, {spool_sync_interval, 5},
     {overflow, drop_new}, {dead_letter_topic, ""}, {linger, auto}, {compression, lz4}, {queue_max_messages, 100000},
     {shutdown_timeout, 10000}].

stop_set_start(Config, Settings) ->
    ok = rpc(Config, application, stop, [?APP]),
    [ok = rpc(Config, application, set_env, [?APP, Name, Value]) || {Name, Value} <- Settings],
    rpc(Config, application, start, [?APP]).

%% The numbers that each client's messages had, in the order of the records.
numbers(Records) ->
    maps:map(fun(_Id, Numbers) -> lists:reverse(Numbers) end,
             lists:foldl(fun(#{key := Key, value := #{<<"message">> := #{<<"payload">> := Payload}}}, Seen) ->
                                 maps:update_with(Key, fun(Before) -> [binary_to_integer(Payload) | Before] end,
                                                  [binary_to_integer(Payload)], Seen)
                         end, #{}, Records)).

%% How many messages wait in the mailbox of each connection's process.
queues(Config) ->
    Connections = [Pid || {_, Pid, _, _} <- rpc(Config, supervisor, which_children, [emqttd_client_sup]), is_pid(Pid)],
    [Length || Pid <- Connections, {message_queue_len, Length} <- [rpc(Config, erlang, process_info, [Pid, message_queue_len])]].

killed(Process) ->
    Monitor = monitor(process, Process),
    true = exit(Process, kill),
    receive {'DOWN', Monitor, process, Process, killed} -> ok end.

waiting(Config, Count) -> polling:until(fun() -> maps:get(waiting, stats(Config)) =:= Count end).

%% Some hundred messages more.
some_more(Config) ->
    #{accepted := Before} = stats(Config),
    polling:until(fun() -> maps:get(accepted, stats(Config)) > Before + 500 end).

%% The gap that was logged last.
gap(Config) ->
    {match, Gaps} = re:run(standin_broker:log(home(Config), "error.log"), "no hook was registered for ([0-9]+) ms",
                           [global, {capture, all_but_first, list}]),
    [Last] = lists:last(Gaps),
    list_to_integer(Last).

%% The hooks that ours is registered at.
hooks(Config) ->
    lists:sort([Hook || Hook <- ['client.connected', 'client.disconnected', 'client.subscribe', 'client.unsubscribe',
                                 'session.created', 'session.subscribed', 'session.unsubscribed', 'session.terminated',
                                 'message.publish', 'message.delivered', 'message.acked'],
                        Callback <- rpc(Config, emqttd_hooks, lookup, [Hook]), element(2, Callback) =:= emq_plugin_kafka]).

adds_up(#{accepted := Accepted, success := Success, failed := Failed, dropped := Dropped, spooled := Spooled,
          queued := Queued}) ->
    ?assertEqual(Accepted, Success + Failed + Dropped + Spooled + Queued).
