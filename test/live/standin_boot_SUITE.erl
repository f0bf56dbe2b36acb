%% The stand-in broker around its MQTT: how it reads conf files and what it refuses to boot on,
%% plugins by command line and by the dashboard's REST calls, logs, and ends of every kind.
-module(standin_boot_SUITE).

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).

-export([builds_only_into_its_own_directory/1, refuses_a_wrong_conf/1, reads_conf_as_emq_does/1,
         lists_only_what_the_boot_loaded/1, loads_and_unloads_plugins/1, runs_commands_of_plugins/1,
         answers_rest_calls_of_a_user_only/1, enables_and_disables_by_rest/1,
         reads_and_changes_configuration_by_rest/1, keeps_a_plugin_that_cannot_start_off/1,
         publishes_by_rest/1, logs_what_error_logger_gets/1, starts_once/1,
         leaves_another_broker_alone/1, comes_back_after_kill_9/1,
         ends_with_an_exception_in_a_sys_message/1, needs_its_port/1, leaves_its_clients_when_stopped/1]).

-include_lib("stdlib/include/assert.hrl").

-define(DUMMY, standin_dummy).

-spec suite() -> list().
suite() -> [{timetrap, {seconds, 600}}].

%% In this order: each takes the broker as the one before it left it.
-spec all() -> list().
all() ->
    [builds_only_into_its_own_directory, refuses_a_wrong_conf, reads_conf_as_emq_does,
     lists_only_what_the_boot_loaded, loads_and_unloads_plugins, runs_commands_of_plugins,
     answers_rest_calls_of_a_user_only, enables_and_disables_by_rest,
     reads_and_changes_configuration_by_rest, keeps_a_plugin_that_cannot_start_off, publishes_by_rest,
     logs_what_error_logger_gets, starts_once, leaves_another_broker_alone, comes_back_after_kill_9,
     ends_with_an_exception_in_a_sys_message, needs_its_port, leaves_its_clients_when_stopped].

-spec init_per_suite(list()) -> list().
init_per_suite(Config) ->
    {ok, _} = application:ensure_all_started(inets),
    Home = standin_broker:build(filename:join(proplists:get_value(priv_dir, Config), "emqttd")),
    ok = standin_dummy:install(Home),
    ok = standin_broker:plugin_conf(Home, never_loaded, "## no application has this name\n"),
    [{home, Home} | Config].

-spec end_per_suite(list()) -> ok.
end_per_suite(_Config) ->
    application:stop(inets).

home(Config) -> proplists:get_value(home, Config).

rpc(Config, Module, Function, Args) -> standin_broker:rpc(home(Config), Module, Function, Args).

ctl(Config, Args) -> standin_broker:ctl(home(Config), Args).

loaded_plugins(Config) ->
    {ok, Text} = file:read_file(filename:join([home(Config), "data", "loaded_plugins"])),
    Text.

-spec builds_only_into_its_own_directory(list()) -> ok.
builds_only_into_its_own_directory(Config) ->
    Other = filename:join(proplists:get_value(priv_dir, Config), "other"),
    ok = filelib:ensure_dir(filename:join(Other, "precious")),
    ok = file:write_file(filename:join(Other, "precious"), "x"),
    Build = filename:join([os:getenv("PROJECT_ROOT"), "dev", "emqttd", "build"]),
    ?assertMatch({1, _}, standin_broker:run(Build, [Other])),
    ?assertEqual({ok, <<"x">>}, file:read_file(filename:join(Other, "precious"))).

%%% Conf files

-spec refuses_a_wrong_conf(list()) -> ok.
refuses_a_wrong_conf(Config) ->
    [?assertMatch({match, _}, re:run(failed_boot(Config, Line), Expected, [dotall]), {Line, Expected})
     || {Line, Expected} <-
            [{"no.such.key = 1", "phase transform_datatypes\n.*unknown variable: no.such.key"},
             {"dummy.greeting =", "phase parse\n.*Syntax error in .* after line [0-9]+ column 1"},
             {"dummy.greeting", "phase parse\n.*Syntax error in "},
             {<<"dummy.greeting = 你好"/utf8>>, "phase parse\n.*Error converting value on line #[0-9]+ to latin1"},
             {<<"dummy.greeting = ü"/utf8>>, "phase check\n.*"},
             {"dummy.limit = many", "phase transform_datatypes\n.*\"many\" cannot be converted to a\\(n\\) integer"}]],
    ok.

failed_boot(Config, Line) ->
    ok = standin_broker:plugin_conf(home(Config), ?DUMMY, [Line, "\n"]),
    standin_broker:start_failing(home(Config)).

-spec reads_conf_as_emq_does(list()) -> ok.
reads_conf_as_emq_does(Config) ->
    ok = standin_broker:plugin_conf(
           home(Config), ?DUMMY,
           ["# dummy.limit = 1\n  ## dummy.limit = 2\n\t\n\r\n",
            "dummy.limit = 3\n dummy.limit\t=4 \t\r\n",
            "dummy.greeting = {\"a\": \"#b = c\"} # not a comment  \n",
            "dummy.rule.x = last line without its end"]),
    ok = standin_broker:start(home(Config)),
    ok = standin_broker:connect(home(Config)),
    Environment = rpc(Config, application, get_all_env, [?DUMMY]),
    ?assertEqual([{fail, false}, {greeting, "{\"a\": \"#b = c\"} # not a comment"}, {limit, 4},
                  {rules, ["last line without its end"]}], lists:sort(Environment)),
    ok = standin_broker:stop(home(Config)),
    Generated = filelib:wildcard(filename:join([home(Config), "data", "configs", "app.*.config"])),
    ?assertNotEqual([], Generated).

%%% Plugins

-spec lists_only_what_the_boot_loaded(list()) -> ok.
lists_only_what_the_boot_loaded(Config) ->
    ok = standin_dummy:install(home(Config)),
    ok = standin_broker:start(home(Config)),
    ok = standin_broker:connect(home(Config)),
    ?assertEqual({0, "Plugin(standin_dummy, version=1.0.0, description=A plugin for tests, active=false)\n"},
                 ctl(Config, ["plugins", "list"])),
    ?assertEqual({0, "load plugin error: not_found\n"}, ctl(Config, ["plugins", "load", "never_loaded"])),
    ?assertEqual({0, "unload plugin error: not_started\n"}, ctl(Config, ["plugins", "unload", "standin_dummy"])),
    ?assertEqual({0, "unload plugin error: not_found\n"}, ctl(Config, ["plugins", "unload", "crypto"])).

-spec loads_and_unloads_plugins(list()) -> ok.
loads_and_unloads_plugins(Config) ->
    Load = fun() -> ctl(Config, ["plugins", "load", "standin_dummy"]) end,
    Loaded = {0, "Start apps: [standin_dummy]\nPlugin standin_dummy loaded successfully.\n"},
    ?assertEqual(Loaded, Load()),
    ?assertEqual({0, "load plugin error: already_started\n"}, Load()),
    ?assertEqual(<<"standin_dummy.\n">>, loaded_plugins(Config)),
    {0, Listed} = ctl(Config, ["plugins", "list"]),
    ?assertMatch({match, _}, re:run(Listed, "active=true\\)\n$")),
    ok = standin_broker:stop(home(Config)),
    ok = standin_broker:start(home(Config)),
    ok = standin_broker:connect(home(Config)),
    ?assertEqual({0, Listed}, ctl(Config, ["plugins", "list"])),
    ?assertEqual({0, "Plugin standin_dummy unloaded successfully.\n"},
                 ctl(Config, ["plugins", "unload", "standin_dummy"])),
    ?assertEqual(<<>>, loaded_plugins(Config)),
    ?assertEqual(Loaded, Load()).

-spec runs_commands_of_plugins(list()) -> ok.
runs_commands_of_plugins(Config) ->
    ?assertEqual({0, "good # day [\"a b\",\"c\"]\n"}, ctl(Config, ["dummy", "a b", "c"])),
    ?assertMatch({1, "Reason:told_to_crash" ++ _}, ctl(Config, ["dummy", "crash"])),
    {1, Usage} = ctl(Config, ["nothing"]),
    ?assertMatch({match, _}, re:run(Usage, "dummy crash\n")),
    {0, Status} = ctl(Config, ["status"]),
    ?assertMatch({match, _}, re:run(Status, "^Node 'standin_.*' is started\nemqttd 2.3.11 is running\n$")).

%%% The dashboard's calls

rest(Config, Method, Resource) ->
    rest(Config, Method, Resource, <<>>).

rest(Config, Method, Resource, Body) ->
    rest(Config, Method, Resource, Body, [{"authorization", "Basic " ++ base64:encode_to_string("admin:public")}]).

rest(Config, Method, Resource, Body, Headers) ->
    Node = atom_to_list(standin_broker:node_name(home(Config))),
    Port = integer_to_list(standin_broker:port(home(Config), rest)),
    Url = "http://127.0.0.1:" ++ Port ++ "/api/v2/" ++ lists:flatten(string:replace(Resource, "NODE", Node)),
    Request = case Method of
                  get -> {Url, Headers};
                  _ -> {Url, Headers, "application/json", Body}
              end,
    {ok, {{_, Status, _}, _, Answer}} = httpc:request(Method, Request, [], [{body_format, binary}]),
    {Status, Answer}.

-spec answers_rest_calls_of_a_user_only(list()) -> ok.
answers_rest_calls_of_a_user_only(Config) ->
    Wrong = [{"authorization", "Basic " ++ base64:encode_to_string("admin:secret")}],
    [?assertMatch({401, _}, rest(Config, get, "nodes/NODE/plugins", <<>>, Headers)) || Headers <- [[], Wrong]],
    [?assertMatch({404, _}, rest(Config, get, Resource))
     || Resource <- ["nothing", "nodes/other@127.0.0.1/plugins", "nodes/NODE/plugin_configs/no_such_plugin"]],
    ?assertEqual({200, <<"{\"code\":109,\"message\":\"Body not json\"}">>},
                 rest(Config, put, "nodes/NODE/plugins/standin_dummy", <<"{no">>)).

-spec enables_and_disables_by_rest(list()) -> ok.
enables_and_disables_by_rest(Config) ->
    Put = fun(Body) -> rest(Config, put, "nodes/NODE/plugins/standin_dummy", Body) end,
    List = fun(Active) ->
               {200, <<"{\"code\":0,\"result\":[{\"name\":\"standin_dummy\",\"version\":\"1.0.0\","
                       "\"description\":\"A plugin for tests\",\"active\":", Active/binary, "}]}">>}
           end,
    Ok = {200, <<"{\"code\":0,\"result\":[]}">>},
    ?assertEqual(List(<<"true">>), rest(Config, get, "nodes/NODE/plugins")),
    ?assertEqual(Ok, Put(<<"{\"active\":false}">>)),
    ?assertEqual(<<>>, loaded_plugins(Config)),
    ?assertEqual(List(<<"false">>), rest(Config, get, "nodes/NODE/plugins")),
    ?assertEqual({200, <<"{\"code\":111,\"message\":\"not_started\"}">>}, Put(<<"{\"active\":false}">>)),
    ?assertEqual(Ok, Put(<<"{\"active\": true}">>)),
    ?assertEqual(<<"standin_dummy.\n">>, loaded_plugins(Config)),
    ?assertEqual({200, <<"{\"code\":110,\"message\":\"already_started\"}">>}, Put(<<"{\"active\":true}">>)),
    ?assertEqual({200, <<"{\"code\":107,\"message\":\"params error\"}">>}, Put(<<"{}">>)),
    ?assertEqual({200, <<"{\"code\":108,\"message\":\"params type error\"}">>}, Put(<<"{\"active\":1}">>)),
    ?assertEqual({200, <<"{\"code\":102,\"message\":\"unknown\"}">>},
                 rest(Config, put, "nodes/NODE/plugins/never_loaded", <<"{\"active\":true}">>)).

-spec reads_and_changes_configuration_by_rest(list()) -> ok.
reads_and_changes_configuration_by_rest(Config) ->
    Row = fun(Key, Value, Doc, Required) ->
              iolist_to_binary(["{\"key\":\"dummy.", Key, "\",\"value\":\"", Value, "\",\"desc\":\"", Doc,
                                "\",\"required\":", Required, "}"])
          end,
    Shown = fun(Rows) -> {200, iolist_to_binary(["{\"code\":0,\"result\":[", lists:join($,, Rows), "]}"])} end,
    Resource = "nodes/NODE/plugin_configs/standin_dummy",
    Unset = [Row("limit", "", "How often", "false"), Row("fail", "", "", "false"), Row("foreign", "", "", "false"),
             Row("rule.$name", "", "", "false")],
    ?assertEqual(Shown(Unset ++ [Row("greeting", "good # day", "What it says", "true")]), rest(Config, get, Resource)),
    Started = rpc(Config, erlang, whereis, [application_controller]),
    Rules = rpc(Config, application, get_env, [?DUMMY, rules]),
    ?assertEqual({ok, ["{\"filter\": \"sensors/#\"}"]}, Rules),
    Master = rpc(Config, application_controller, get_master, [?DUMMY]),
    ?assertEqual({200, <<"{\"code\":0,\"result\":[]}">>},
                 rest(Config, put, Resource, <<"{\"dummy.greeting\":\"good #night\",\"dummy.limit\":\"7\"}">>)),
    %% It was stopped and started, with the new values and what had not been shown.
    ?assertNotEqual(Master, rpc(Config, application_controller, get_master, [?DUMMY])),
    ?assertEqual(Started, rpc(Config, erlang, whereis, [application_controller])),
    ?assertEqual([{ok, "good #night"}, {ok, 7}, Rules],
                 [rpc(Config, application, get_env, [?DUMMY, Key]) || Key <- [greeting, limit, rules]]),
    ?assertEqual(Shown(tl(Unset) ++ [Row("greeting", "good #night", "What it says", "true"),
                                     Row("limit", "7", "How often", "true")]), rest(Config, get, Resource)),
    %% A value that does not map, and one that maps to another application, change nothing.
    [?assertEqual({200, <<"{\"code\":102}">>}, rest(Config, put, Resource, Body))
     || Body <- [<<"{\"dummy.limit\":\"many\"}">>, <<"{\"dummy.foreign\":\"x\"}">>]],
    ?assertEqual({ok, 7}, rpc(Config, application, get_env, [?DUMMY, limit])),
    ?assertMatch({404, _}, rest(Config, put, Resource, <<"{\"dummy.limit\":7}">>)),
    {ok, Conf} = file:read_file(filename:join([home(Config), "etc", "plugins", "standin_dummy.conf"])),
    ?assertMatch({match, _}, re:run(Conf, "^dummy.greeting = good # day\n")).

-spec keeps_a_plugin_that_cannot_start_off(list()) -> ok.
keeps_a_plugin_that_cannot_start_off(Config) ->
    Put = fun(Fail) ->
              rest(Config, put, "nodes/NODE/plugin_configs/standin_dummy", <<"{\"dummy.fail\":\"", Fail/binary, "\"}">>)
          end,
    %% The answer says ok, and the plugin is off.
    ?assertEqual({200, <<"{\"code\":0,\"result\":[]}">>}, Put(<<"true">>)),
    ?assertEqual(<<>>, loaded_plugins(Config)),
    {0, Listed} = ctl(Config, ["plugins", "list"]),
    ?assertMatch({match, _}, re:run(Listed, "active=false")),
    {0, Failed} = ctl(Config, ["plugins", "load", "standin_dummy"]),
    ?assertMatch({match, _}, re:run(Failed, "^load plugin error: .*told_to_fail", [dotall])),
    ?assertEqual({200, <<"{\"code\":0,\"result\":[]}">>}, Put(<<"false">>)),
    ?assertMatch({0, "Start apps" ++ _}, ctl(Config, ["plugins", "load", "standin_dummy"])).

-spec publishes_by_rest(list()) -> ok.
publishes_by_rest(Config) ->
    {ok, Client, 0} = mqtt_client:connect(#{port => standin_broker:port(home(Config), mqtt), client_id => <<"r">>}),
    {ok, [1]} = mqtt_client:subscribe(Client, [{<<"rest/+">>, 1}]),
    {200, _} = rest(Config, post, "mqtt/publish", <<"{\"topic\":\"rest/t\",\"payload\":\"p\\u00fc\",\"qos\":1}">>),
    ?assertMatch({ok, #{topic := <<"rest/t">>, payload := <<"pü"/utf8>>, qos := 1}}, mqtt_client:recv(Client)),
    mqtt_client:disconnect(Client).

%%% Logs, and how a node ends

-spec logs_what_error_logger_gets(list()) -> ok.
logs_what_error_logger_gets(Config) ->
    ok = rpc(Config, error_logger, error_msg, ["by ~p~n", [error_logger]]),
    ok = rpc(Config, error_logger, warning_msg, ["a warning~n"]),
    ok = rpc(Config, logger, error, ["by logger itself"]),
    ok = rpc(Config, logger_std_h, filesync, [default]),
    Log = standin_broker:log(home(Config), "error.log"),
    ?assertMatch({match, _}, re:run(Log, "\\[error\\] .*by error_logger\n")),
    ?assertEqual(nomatch, re:run(Log, "by logger itself|a warning")).

-spec starts_once(list()) -> ok.
starts_once(Config) ->
    ?assertEqual("Node is already running!\n", standin_broker:start_failing(home(Config))).

-spec leaves_another_broker_alone(list()) -> ok.
leaves_another_broker_alone(Config) ->
    %% One with the same node name, which is what two unedited ones have.
    Other = filename:join(proplists:get_value(priv_dir, Config), "same_name"),
    {0, _} = standin_broker:run("/bin/cp", ["-a", home(Config), Other]),
    {1, Refused} = standin_broker:run(filename:join([Other, "bin", "emqttd"]), ["stop"]),
    ?assertMatch({match, _}, re:run(Refused, "is another broker, of " ++ home(Config))),
    {0, _} = ctl(Config, ["status"]),
    ok.

-spec comes_back_after_kill_9(list()) -> ok.
comes_back_after_kill_9(Config) ->
    ok = standin_broker:kill(home(Config)),
    ok = standin_broker:start(home(Config)),
    ok = standin_broker:connect(home(Config)),
    {0, Listed} = ctl(Config, ["plugins", "list"]),
    ?assertMatch({match, _}, re:run(Listed, "active=true")).

-spec ends_with_an_exception_in_a_sys_message(list()) -> ok.
ends_with_an_exception_in_a_sys_message(Config) ->
    Node = standin_broker:node_name(home(Config)),
    {Module, Beam, File} = code:get_object_code(standin_recorder),
    {module, Module} = rpc(Config, code, load_binary, [Module, File, Beam]),
    ok = rpc(Config, standin_recorder, start, []),
    true = monitor_node(Node, true),
    ok = rpc(Config, standin_recorder, misbehave, ['message.publish', {raise_on_sys, oops}]),
    receive {nodedown, Node} -> ok after 60000 -> error(still_up) end,
    ok = standin_broker:start(home(Config)).

-spec needs_its_port(list()) -> ok.
needs_its_port(Config) ->
    ok = standin_broker:stop(home(Config)),
    {ok, Socket} = gen_tcp:listen(standin_broker:port(home(Config), mqtt), [{ip, {127, 0, 0, 1}}, {reuseaddr, true}]),
    _ = standin_broker:start_failing(home(Config)),
    Log = standin_broker:log(home(Config), "error.log"),
    ?assertMatch({match, _}, re:run(Log, "Cannot open a listener: .*eaddrinuse")),
    ok = gen_tcp:close(Socket).

-spec leaves_its_clients_when_stopped(list()) -> ok.
leaves_its_clients_when_stopped(Config) ->
    ok = standin_broker:start(home(Config)),
    {ok, Client, 0} = mqtt_client:connect(#{port => standin_broker:port(home(Config), mqtt), client_id => <<"last">>}),
    ok = standin_broker:stop(home(Config)),
    ok = mqtt_client:wait_closed(Client, 2000),
    mqtt_client:close(Client).
