%% What must not be seen is not seen: a password is in no log, no file, no answer, no process's arguments and no crash dump, but
%% where the operator or EMQ itself puts it; and what clients choose to call themselves is not obeyed by a terminal that shows
%% the log. In a running broker (the stand-in), beside a Kafka that is logged in to with those passwords.
-module(secrets_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).
-export([passwords_in_files_are_nowhere_else/1, passwords_in_the_conf_are_only_where_emq_puts_them/1,
         a_crash_with_a_reload_in_hand_shows_no_password/1, settings_that_are_no_text_show_no_password/1,
         what_clients_send_stays_on_its_line_of_the_log/1, files_of_the_spool_are_for_their_owner/1]).

-import(live_plugin, [home/1, rpc/4, connect/2]).

-define(APP, emq_plugin_kafka).
%% Wrong for Kafka, so that it is told of the login, too.
-define(LOGIN, "canary-of-the-login").
-define(KEY, "canary-of-the-key").
%% How clients call themselves: line breaks, what a terminal obeys, what Erlang's formats mean.
-define(NASTY, "\n2026-01-01 EVIL ~p ~s ~n \e[31m\e]0;EVIL\a \r\t\x7f \xc2\x9b31m \xe2\x80\xae").

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [what_clients_send_stays_on_its_line_of_the_log, files_of_the_spool_are_for_their_owner,
     passwords_in_the_conf_are_only_where_emq_puts_them, a_crash_with_a_reload_in_hand_shows_no_password,
     settings_that_are_no_text_show_no_password, passwords_in_files_are_nowhere_else].

%% The last one ends the broker with a crash dump.

init_per_suite(Config) ->
    Cluster = kafka_cluster:start(filename:join(proplists:get_value(priv_dir, Config), "kafka-cluster")),
    Key = filename:join(proplists:get_value(priv_dir, Config), "locked.key"),
    {0, _} = standin_broker:run(os:find_executable("openssl"),
                                ["pkey", "-in", kafka_cluster:certificate(Cluster, "client.key"), "-aes256",
                                 "-passout", "pass:" ++ ?KEY, "-out", Key]),
    live_plugin:start([], [{cluster, Cluster}, {key, Key} | Config]).

end_per_suite(Config) ->
    case standin_broker:run(filename:join([home(Config), "bin", "emqttd"]), ["ping"]) of
        {0, _} -> ok = standin_broker:stop(home(Config));
        {_, _} -> ok
    end,
    kafka_cluster:stop(proplists:get_value(cluster, Config)).

passwords_in_files_are_nowhere_else(Config) ->
    %% One below EMQ's own directory, one by its whole path.
    Files = [{"sasl.password_file", path(secret_file("login", ?LOGIN, Config))},
             {"ssl.key.password_file", secret_file("key", ?KEY, Config)}],
    [ok = file:delete(File) || File <- filelib:wildcard(filename:join([home(Config), "data", "configs", "*"]))],
    ok = used(Files, Config),
    ok = unseen(Config),
    %% Also where the VM writes down all that it has.
    Dump = crash_dump(Config),
    ?assertMatch({match, _}, re:run(Dump, "emq_plugin_kafka")),
    ?assertEqual([], holds(Dump)),
    ?assertEqual(lists:sort([path(File) || {_, File} <- Files]), files_that_hold_one(Config)).

%% A crash dump is another matter: EMQ keeps the conf's settings in the application's environment.
passwords_in_the_conf_are_only_where_emq_puts_them(Config) ->
    ok = used([{"sasl.password", ?LOGIN}, {"ssl.key.password", ?KEY}], Config),
    ok = unseen(Config),
    [?assertMatch({File, {match, _}}, {File, re:run(File, "^(etc/plugins/emq_plugin_kafka\\.conf|data/configs/.*)$")})
     || File <- files_that_hold_one(Config)].

%% The crash report has the messages that the process did not get to.
a_crash_with_a_reload_in_hand_shows_no_password(Config) ->
    ok = configured([{"sasl.password", ?LOGIN}, {"ssl.key.password", ?KEY}], Config),
    Producer = rpc(Config, erlang, whereis, [emq_plugin_kafka_producer]),
    ok = rpc(Config, sys, suspend, [Producer]),
    Self = self(),
    _ = spawn_link(fun() -> Self ! {reloaded, standin_broker:ctl(home(Config), ["kafka", "reload"])} end),
    ok = polling:until(fun() ->
                               {messages, Waiting} = rpc(Config, erlang, process_info, [Producer, messages]),
                               [] =/= [reload || {'$gen_call', _From, {reload, _Environment}} <- Waiting]
                       end),
    ok = rpc(Config, sys, terminate, [Producer, {forced, crash}]),
    receive {reloaded, {_Status, Said}} -> ?assertEqual([], holds(Said)) end,
    ok = live_plugin:running(Config),
    ok = live_plugin:logged(Config, "forced"),
    ?assertEqual([], holds(logs(Config))).

settings_that_are_no_text_show_no_password(Config) ->
    ok = rpc(Config, application, set_env, [?APP, sasl_password, ?LOGIN]),
    ok = rpc(Config, application, set_env, [?APP, topic, <<255, 254>>]),
    ok = rpc(Config, application, stop, [?APP]),
    ok = live_plugin:forget(Config),
    ok = rpc(Config, application, start, [?APP]),
    ok = live_plugin:degraded(Config),
    ok = live_plugin:logged(Config, "a setting in the application environment is not text"),
    ?assertEqual([], holds(logs(Config))).

%% Names as long as EMQ takes them, on every way into the plugin and every way out of it that fails.
what_clients_send_stays_on_its_line_of_the_log(Config) ->
    Long = binary:copy(<<?NASTY>>, 65000 div length(?NASTY)),
    Rules = [{"hook.message.publish.topic", "{\"topic\": \"${clientid}\", \"key\": \"${topic}\", \"headers\": {\"u\": \"${username}\"}}"},
             {"hook.message.publish.field", "{\"topic\": \"${payload.a}\"}"},
             {"hook.client.connected.1", "{\"topic\": \"x-${username}\"}"}, {"hook.session.subscribed.1", "{\"topic\": \"${topic}\"}"}],
    Cluster = proplists:get_value(cluster, Config),
    ok = live_plugin:conf(Config, "nasty", [{"server", kafka_cluster:address(Cluster, "PLAINTEXT")}, {"topic.max_dynamic", "3"},
                                            {"dead_letter.topic", "dead"}, {"rdkafka.message.max.bytes", "100000"} | Rules]),
    {0, _} = standin_broker:ctl(home(Config), ["kafka", "reload"]),
    [begin
         {ok, Client, 0} = connect(Config, #{client_id => Id, username => User}),
         {ok, _} = mqtt_client:subscribe(Client, [{binary:part(Long, 0, 200), 0}]),
         [ok = mqtt_client:publish(Client, binary:part(Long, 0, Size), Payload, 1)
          || Size <- [30, 4000], Payload <- [Long, <<"{\"a\": \"\\nEVIL \\u001b[31m\"}">>, binary:copy(Long, 3)]],
         ok = mqtt_client:disconnect(Client)
     end || {Id, User} <- [{<<?NASTY>>, Long}, {binary:part(Long, 0, 1000), <<?NASTY>>}]],
    %% What is no event at all.
    [rpc(Config, ?APP, Callback, Args)
     || {Callback, Args} <- [{on_message_publish, [{Long, ?NASTY}, []]}, {on_client_connected, [?NASTY, Long, []]}],
        lists:keymember(length(Args), 2, [E || {C, _} = E <- exports(Config), C =:= Callback])],
    ok = live_plugin:logged(Config, "records lost"),
    Logs = logs(Config),
    ?assertEqual(nomatch, re:run(Logs, "^[^0-9]*EVIL", [multiline, {capture, first, binary}])),
    ?assertEqual(nomatch, re:run(Logs, "^2026-01-01 EVIL", [multiline])),
    ?assertEqual([], [C || <<C>> <= Logs, C < 32, C =/= $\n, C =/= $\t] ++ [127 || <<127>> <= Logs]),
    {_, Shown} = lists:unzip([standin_broker:ctl(home(Config), ["kafka" | Command]) || Command <- commands()]),
    ?assertEqual([], [C || C <- lists:append(Shown), C < 32, C =/= $\n]).

exports(Config) -> rpc(Config, ?APP, module_info, [exports]).

files_of_the_spool_are_for_their_owner(Config) ->
    _ = rpc(Config, application, stop, [?APP]),
    [ok = rpc(Config, application, set_env, [?APP, Name, Value]) || {Name, Value} <- [{server, "127.0.0.1:1"}, {spool, always}]],
    ok = rpc(Config, application, start, [?APP]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"c">>}),
    ok = mqtt_client:publish(Client, <<"t">>, <<"x">>, 1),
    ok = mqtt_client:disconnect(Client),
    Spool = filename:join([home(Config), "data", "kafka_spool"]),
    ok = rpc(Config, application, stop, [?APP]),
    [ok = rpc(Config, application, set_env, [?APP, Name, Value]) || {Name, Value} <- [{spool, overflow}]],
    ok = rpc(Config, application, start, [?APP]),
    %% Beside it are the last settings that worked.
    {0, Found} = standin_broker:run(os:find_executable("find"), [Spool, Spool ++ ".settings", "-printf", "%y %m %p\n"]),
    Modes = lists:usort([string:slice(Line, 0, 5) || Line <- string:lexemes(Found, "\n")]),
    ?assertEqual(["d 700", "f 600"], Modes).

%% Settings with which Kafka is tried to be logged in to.

configured(Secrets, Config) ->
    Cluster = proplists:get_value(cluster, Config),
    File = fun(Name) -> kafka_cluster:certificate(Cluster, Name) end,
    live_plugin:conf(Config, "secrets",
                     [{"server", kafka_cluster:address(Cluster, "SASL_SSL")}, {"security.protocol", "sasl_ssl"},
                      {"ssl.ca.location", File("ca.pem")}, {"ssl.certificate.location", File("client.crt")},
                      {"ssl.key.location", proplists:get_value(key, Config)}, {"sasl.mechanism", "PLAIN"},
                      {"sasl.username", "writer"}, {"rdkafka.debug", "all"} | Secrets]).

%% Read as EMQ reads them when it boots, and by a reload; used, and refused.
used(Secrets, Config) ->
    ok = configured(Secrets, Config),
    ok = standin_broker:stop(home(Config)),
    ok = standin_broker:start(home(Config)),
    ok = standin_broker:connect(home(Config)),
    {0, _} = standin_broker:ctl(home(Config), ["kafka", "reload"]),
    {ok, Client, 0} = connect(Config, #{client_id => <<"c">>}),
    ok = mqtt_client:publish(Client, <<"t">>, <<"x">>, 1),
    ok = mqtt_client:disconnect(Client),
    live_plugin:logged(Config, "refuses the login of \"writer\" by PLAIN").

%% Everybody who can be asked is asked.
unseen(Config) ->
    Answers = [standin_broker:ctl(home(Config), ["kafka" | Command]) || Command <- commands()],
    ?assertMatch([{0, _} | _], Answers),
    ?assertEqual([], holds(io_lib:format("~p", [Answers]))),
    Producer = emq_plugin_kafka_producer,
    Asked = [rpc(Config, Module, Function, Args)
             || {Module, Function, Args} <- [{?APP, status, []}, {?APP, stats, []}, {sys, get_status, [Producer]}, {sys, get_state, [Producer]},
                                             {erlang, process_info, [rpc(Config, erlang, whereis, [Producer])]}]],
    ?assertEqual([], holds(io_lib:format("~tp~n~w", [Asked, Asked]))),
    {ok, Processes} = file:list_dir("/proc"),
    Texts = [Text || Pid <- Processes, Pid =/= os:getpid(), File <- ["cmdline", "environ", "comm"],
                     {ok, Text} <- [file:read_file(filename:join(["/proc", Pid, File]))]],
    ?assertEqual([], lists:append([holds(Text) || Text <- Texts])),
    ?assertEqual([], holds(logs(Config))).

commands() ->
    [["status"], ["status", "--json"], ["stats"], ["stats", "--json"], ["rules"], ["spool"], ["test"], ["test", "--json"], ["nonsense"]].

holds(Text) ->
    Bytes = iolist_to_binary(unicode:characters_to_binary(Text)),
    [Canary || Canary <- [?LOGIN, ?KEY], binary:match(Bytes, [list_to_binary(Canary), base64:encode(Canary)]) =/= nomatch].

logs(Config) ->
    iolist_to_binary([element(2, {ok, _} = file:read_file(File)) || File <- filelib:wildcard(filename:join([home(Config), "log", "*"]))]).

%% Below EMQ's directory.
files_that_hold_one(Config) ->
    lists:sort([path(File) || File <- filelib:wildcard(filename:join(home(Config), "**")), filelib:is_regular(File),
                              {ok, Text} <- [file:read_file(File)], holds_one(Text)]).

holds_one(Bytes) -> binary:match(Bytes, [<<?LOGIN>>, <<?KEY>>]) =/= nomatch.

path(File) -> lists:last(string:split(File, "/emqttd/")).

secret_file(Name, Secret, Config) ->
    File = filename:join([home(Config), "etc", Name]),
    ok = file:write_file(File, [Secret, "\n"]),
    ok = file:change_mode(File, 8#600),
    File.

%% What SIGUSR1 makes of a VM.
crash_dump(Config) ->
    {0, Pid} = standin_broker:run(filename:join([home(Config), "bin", "emqttd"]), ["pid"]),
    Directory = rpc(Config, os, getenv, ["ERL_CRASH_DUMP", "erl_crash.dump"]),
    File = filename:absname(Directory, element(2, {ok, _} = rpc(Config, file, get_cwd, []))),
    {0, _} = standin_broker:run("/bin/kill", ["-USR1", string:trim(Pid)]),
    {0, _} = standin_broker:run(os:find_executable("tail"), ["--pid=" ++ string:trim(Pid), "-s", "0.1", "-f", "/dev/null"]),
    {ok, Dump} = file:read_file(File),
    Dump.
