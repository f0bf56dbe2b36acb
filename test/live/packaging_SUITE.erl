%% Installing, upgrading and uninstalling with the scripts that `make install` and `make uninstall` call, on the stand-in
%% broker, which is laid out as an EMQ 2.3 release and boots as one. After each change the broker must still boot.
-module(packaging_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include_lib("kernel/include/file.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    installed_plugin_is_listed_and_loads/1,
    installing_twice_is_installing_once/1,
    one_command_installs_sets_and_enables/1,
    edited_conf_is_kept/1,
    unedited_conf_is_replaced_by_an_upgrade/1,
    upgrade_replaces_folder_and_boot_entry/1,
    uninstall_leaves_the_release_as_it_was/1,
    uninstall_keeps_an_edited_conf_aside/1,
    uninstall_keeps_what_others_did_to_the_boot_file/1,
    uninstall_forgets_that_the_plugin_was_loaded/1,
    install_says_that_a_running_node_needs_a_restart/1,
    an_upgrade_says_what_is_new/1,
    a_conf_with_keys_that_are_gone_is_refused/1,
    an_upgrade_leaves_a_running_plugin_at_work/1,
    a_newer_spool_is_refused/1,
    a_purge_deletes_the_conf_and_the_spool/1,
    a_path_with_spaces_will_do/1,
    an_ordinary_user_can_install/1,
    what_cannot_be_written_is_named/1,
    a_failed_write_changes_nothing/1,
    a_directory_that_is_no_emq_is_refused/1,
    code_that_does_not_load_is_compiled/1,
    code_that_does_not_compile_is_refused/1,
    a_library_that_does_not_load_is_refused_in_words/1,
    a_library_that_does_not_load_costs_no_boot/1,
    makefile_survives_erlang_mk/1,
    kafka_stop_spares_a_stranger_with_its_old_pid/1,
    demo_shows_the_record/1,
    demo_fails_where_no_record_arrives/1
]).

-import(packaging, [install/1, uninstall/1, script/2, new_version/2, source/2, home/2, append/2, succeed/2, run/2, run/3]).

-define(PLUGIN, "emq_plugin_kafka").

all() ->
    packaging:cases(?MODULE).

init_per_suite(Config) ->
    Root = packaging:root(),
    Pristine = filename:join(?config(priv_dir, Config), "pristine"),
    ok = succeed(dev(Root, "emqttd/build"), [Pristine]),
    [{root, Root}, {pristine, Pristine} | Config].

end_per_suite(_Config) ->
    ok.

%% Each case has a release and a built plugin of its own.
init_per_testcase(Case, Config) ->
    Root = ?config(root, Config),
    Dir = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    Home = filename:join(Dir, "emqttd"),
    Source = filename:join(Dir, "plugin"),
    ok = filelib:ensure_dir(Home),
    ok = succeed("cp", ["-a", ?config(pristine, Config), Home]),
    ok = packaging:copy(Root, Source),
    ok = configure(Root, Home, Case),
    [{home, Home}, {source, Source} | Config].

end_per_testcase(_Case, Config) ->
    Home = ?config(home, Config),
    case run(filename:join(Home, "bin/emqttd"), ["ping"]) of
        {0, _} -> succeed(filename:join(Home, "bin/emqttd"), ["stop"]);
        {_, _} -> ok
    end,
    %% Two copies of the library, some 60 MB a case: only a failed case keeps them.
    case proplists:get_value(tc_status, Config) of
        ok -> file:del_dir_r(filename:dirname(Home));
        _ -> ok
    end.

%% Cases

installed_plugin_is_listed_and_loads(Config) ->
    ok = install(Config),
    ok = boot(Config),
    ?assertMatch({match, _}, re:run(plugins(Config), ?PLUGIN ", .*active=false")),
    ok = ctl(Config, ["plugins", "load", ?PLUGIN]),
    ?assertMatch({match, _}, re:run(plugins(Config), ?PLUGIN ", .*active=true")),
    ok = stop(Config).

one_command_installs_sets_and_enables(Config) ->
    Loaded = home(Config, "data/loaded_plugins"),
    ok = file:write_file(Loaded, "emq_before.\n"),
    {0, Said} = run(script(Config, "install"),
                    ["--server", "kafka1:9092,kafka2:9092", "--topic", "a&b|c", "--enable", ?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Said, "next:\n  1. [^\n]*/bin/emqttd start\n  2. [^\n]*/bin/emqttd_ctl kafka test")),
    {ok, Conf} = file:read_file(conf(Config)),
    [?assertMatch({match, [_]}, re:run(Conf, Line, [multiline, global]))
     || Line <- ["^emq\\.plugin\\.kafka\\.server = kafka1:9092,kafka2:9092$", "^emq\\.plugin\\.kafka\\.server =",
                 "^emq\\.plugin\\.kafka\\.topic = a&b\\|c$", "^emq\\.plugin\\.kafka\\.topic ="]],
    ?assertEqual({ok, <<"emq_before.\n", ?PLUGIN, ".\n">>}, file:read_file(Loaded)),
    {1, Refused} = run(script(Config, "install"), ["--sever", "x", ?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Refused, "unknown option --sever")),
    {0, _} = run(script(Config, "install"), ["--topic", "plain", "--enable", ?config(home, Config)]),
    ?assertEqual({ok, <<"emq_before.\n", ?PLUGIN, ".\n">>}, file:read_file(Loaded)),
    ok = boot(Config),
    ?assertMatch({match, _}, re:run(plugins(Config), ?PLUGIN ", .*active=true")),
    ok = stop(Config).

installing_twice_is_installing_once(Config) ->
    ok = install(Config),
    Once = files(Config),
    ok = install(Config),
    ?assertEqual(Once, files(Config)),
    ok = boots(Config).

edited_conf_is_kept(Config) ->
    ok = install(Config),
    Conf = home(Config, "etc/plugins/" ?PLUGIN ".conf"),
    ok = append(Conf, "emq.plugin.kafka.topic = mine\n"),
    {ok, Edited} = file:read_file(Conf),
    ok = install(Config),
    ?assertEqual({ok, Edited}, file:read_file(Conf)),
    ?assertNot(filelib:is_file(Conf ++ ".new")),
    ok = new_version(Config, "9.9.9"),
    ok = append(source(Config, "etc/" ?PLUGIN ".conf"), "\n## new in 9.9.9\n"),
    ok = install(Config),
    ?assertEqual({ok, Edited}, file:read_file(Conf)),
    ?assertEqual(file:read_file(source(Config, "etc/" ?PLUGIN ".conf")), file:read_file(Conf ++ ".new")),
    ok = boots(Config).

unedited_conf_is_replaced_by_an_upgrade(Config) ->
    ok = install(Config),
    ok = new_version(Config, "9.9.9"),
    ok = append(source(Config, "etc/" ?PLUGIN ".conf"), "\n## new in 9.9.9\n"),
    ok = install(Config),
    Conf = home(Config, "etc/plugins/" ?PLUGIN ".conf"),
    ?assertEqual(file:read_file(source(Config, "etc/" ?PLUGIN ".conf")), file:read_file(Conf)),
    ?assertNot(filelib:is_file(Conf ++ ".new")).

upgrade_replaces_folder_and_boot_entry(Config) ->
    ok = install(Config),
    [Old] = plugin_folders(Config),
    ok = new_version(Config, "9.9.9"),
    ok = install(Config),
    ?assertEqual([?PLUGIN "-9.9.9"], plugin_folders(Config)),
    {ok, Boot} = file:read_file(boot_file(Config)),
    Script = io_lib:format("~p", [binary_to_term(Boot)]),
    ?assertEqual(nomatch, re:run(Script, Old ++ "/ebin")),
    ok = boot(Config),
    ?assertMatch({match, _}, re:run(plugins(Config), ?PLUGIN ", version=9.9.9")),
    ok = stop(Config).

uninstall_leaves_the_release_as_it_was(Config) ->
    Before = files(Config),
    ok = install(Config),
    ?assertNotEqual(Before, files(Config)),
    ok = uninstall(Config),
    ?assertEqual(Before, files(Config)),
    ok = uninstall(Config),
    ?assertEqual(Before, files(Config)),
    ok = boots(Config).

uninstall_keeps_an_edited_conf_aside(Config) ->
    Before = files(Config),
    ok = install(Config),
    Conf = home(Config, "etc/plugins/" ?PLUGIN ".conf"),
    ok = append(Conf, "emq.plugin.kafka.topic = mine\n"),
    {ok, Edited} = file:read_file(Conf),
    ok = uninstall(Config),
    ?assertEqual([Conf ++ ".saved"], [Name || {Name, _} <- files(Config) -- Before]),
    ok = boots(Config),
    ok = install(Config),
    ?assertEqual({ok, Edited}, file:read_file(Conf)),
    ?assertNot(filelib:is_file(Conf ++ ".saved")).

uninstall_keeps_what_others_did_to_the_boot_file(Config) ->
    ok = install(Config),
    Boot = boot_file(Config),
    Other = {application, other_plugin, [{vsn, "1"}, {modules, []}, {applications, [kernel, stdlib]}]},
    OtherApp = home(Config, "lib/other_plugin-1/ebin/other_plugin.app"),
    ok = filelib:ensure_dir(OtherApp),
    ok = file:write_file(OtherApp, io_lib:format("~p.~n", [Other])),
    ok = succeed("escript", [script(Config, "patch_boot.escript"), "add", Boot, "other_plugin-1", OtherApp]),
    ok = file:rename(Boot ++ ".new", Boot),
    ok = uninstall(Config),
    {ok, Patched} = file:read_file(Boot),
    {script, _, Instructions} = binary_to_term(Patched),
    ?assertEqual([[other_plugin]], [[App] || {apply, {application, load, [{application, App, _}]}} <- Instructions,
                                             lists:member(App, [other_plugin, emq_plugin_kafka])]),
    ok = boots(Config).

uninstall_forgets_that_the_plugin_was_loaded(Config) ->
    Loaded = home(Config, "data/loaded_plugins"),
    ok = install(Config),
    ok = file:write_file(Loaded, "emq_before.\n" ?PLUGIN ".\nemq_after.\n"),
    ok = uninstall(Config),
    ?assertEqual({ok, <<"emq_before.\nemq_after.\n">>}, file:read_file(Loaded)).

install_says_that_a_running_node_needs_a_restart(Config) ->
    ok = boot(Config),
    {0, Output} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Output, "EMQ is running \\(pid [0-9]+\\): until you restart it")),
    ok = stop(Config),
    {0, Later} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertEqual(nomatch, re:run(Later, "is running")).

an_upgrade_says_what_is_new(Config) ->
    ok = install(Config),
    ok = append(conf(Config), "emq.plugin.kafka.topic = mine\n"),
    ok = new_version(Config, "9.9.9"),
    ok = append(source(Config, "priv/" ?PLUGIN ".schema"), mapping("emq.plugin.kafka.brand_new")),
    ok = append(source(Config, "etc/" ?PLUGIN ".conf"), "\n## emq.plugin.kafka.brand_new = x\n"),
    {ok, [{application, _, Keys}]} = file:consult(home(Config, "lib/" ++ hd(plugin_folders(Config)) ++ "/ebin/" ?PLUGIN ".app")),
    Said = says(Config, "install"),
    [?assertMatch({Expected, {match, _}}, {Expected, re:run(Said, Expected)})
     || Expected <- [?PLUGIN "-9.9.9 has replaced version " ++ proplists:get_value(vsn, Keys),
                     "new keys, [^\n]*: emq.plugin.kafka.brand_new\n", "kept your .*" ?PLUGIN ".conf\n",
                     "all keys, beside it as .*" ?PLUGIN ".conf.new\n"]],
    ok = boots(Config).

%% EMQ does not boot with a key that no schema knows.
a_conf_with_keys_that_are_gone_is_refused(Config) ->
    ok = install(Config),
    ok = append(conf(Config), "emq.plugin.kafka.topic = mine\nemq.plugin.kafka.mistyped = 1\n"
                              "emq.plugin.kafka.hook.message.publish.1 = {}\nemq.plugin.kafka.rdkafka.socket.timeout.ms = 1000\n"),
    Schema = source(Config, "priv/" ?PLUGIN ".schema"),
    {ok, Text} = file:read_file(Schema),
    ok = file:write_file(Schema, re:replace(Text, "\\{mapping, \"emq.plugin.kafka.topic\"",
                                            "%% @formerly emq.plugin.kafka.topic\n{mapping, \"emq.plugin.kafka.main_topic\"")),
    ok = new_version(Config, "9.9.9"),
    refused(Config, "keys that version 9.9.9 does not know.*\n"
                    "    emq.plugin.kafka.mistyped\n"
                    "    emq.plugin.kafka.topic    \\(now emq.plugin.kafka.main_topic\\)\n  take them out").

%% Until the restart the old version's schema is still read by a reload.
an_upgrade_leaves_a_running_plugin_at_work(Config) ->
    ok = install(Config),
    [Old] = plugin_folders(Config),
    ok = boot(Config),
    ok = ctl(Config, ["plugins", "load", ?PLUGIN]),
    ok = new_version(Config, "9.9.9"),
    Said = says(Config, "install"),
    ?assertMatch({match, _}, re:run(Said, "until you restart it, the version that it has loaded works on")),
    ?assertMatch({match, _}, re:run(Said, "emqttd stop && .*emqttd start")),
    ok = ctl(Config, ["plugins", "unload", ?PLUGIN]),
    ok = ctl(Config, ["plugins", "load", ?PLUGIN]),
    {0, Reloaded} = run(home(Config, "bin/emqttd_ctl"), ["kafka", "reload"]),
    ?assertEqual(nomatch, re:run(Reloaded, "no such file|error", [caseless])),
    ok = stop(Config),
    ok = boot(Config),
    ?assertMatch({match, _}, re:run(plugins(Config), ?PLUGIN ", version=9.9.9, .*active=true")),
    ok = stop(Config),
    ?assertEqual(lists:sort([Old, ?PLUGIN "-9.9.9"]), lists:sort(plugin_folders(Config))),
    ok = install(Config),
    ?assertEqual([?PLUGIN "-9.9.9"], plugin_folders(Config)).

%% Where the conf says that it is, in its own files and in those of the handover log.
a_newer_spool_is_refused(Config) ->
    ok = install(Config),
    ok = append(conf(Config), "emq.plugin.kafka.spool.dir = data/elsewhere\n"),
    [begin
         File = home(Config, "data/elsewhere/" ++ Name),
         ok = filelib:ensure_dir(File),
         ok = file:write_file(File, [Magic, <<7:32/little, 0:416>>]),
         refused(Config, "spool's file .*/data/elsewhere/" ++ Name ++ " has format version 7.*reads [0-9]+"),
         ok = file:delete(File)
     end || {Name, Magic} <- [{"00000000000000000001.seg", "EMQKSPL\n"}, {"ACK", "EMQKACK\n"},
                              {"handover/00000000000000000001.seg", "EMQKSPL\n"}]],
    ok = install(Config).

a_purge_deletes_the_conf_and_the_spool(Config) ->
    Before = files(Config),
    ok = install(Config),
    ok = append(conf(Config), "emq.plugin.kafka.server = 127.0.0.1:1\nemq.plugin.kafka.produce = durable\n"),
    ok = boot(Config),
    ok = ctl(Config, ["plugins", "load", ?PLUGIN]),
    Uninstall = script(Config, "uninstall"),
    {1, Refused} = run(Uninstall, ["--purge", ?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Refused, "EMQ is running .*stop it before a purge")),
    ok = stop(Config),
    ?assertMatch({match, _}, re:run(says(Config, "uninstall"), "kept the spool .*/data/kafka_spool \\(")),
    ok = install(Config),
    {0, _} = run(Uninstall, ["--purge", ?config(home, Config)]),
    ?assertEqual([], files(Config) -- Before),
    ?assertNot(filelib:is_dir(home(Config, "data/kafka_spool"))).

a_path_with_spaces_will_do(Config) ->
    Home = filename:join([filename:dirname(?config(home, Config)), "a place", "emqttd"]),
    Source = filename:join(filename:dirname(Home), "the plugin"),
    ok = filelib:ensure_dir(Home),
    ok = file:rename(?config(home, Config), Home),
    ok = file:rename(?config(source, Config), Source),
    Moved = [{home, Home}, {source, Source} | Config],
    ok = install(Moved),
    ok = boot(Moved),
    ?assertMatch({match, _}, re:run(plugins(Moved), ?PLUGIN ", .*active=false")),
    ok = stop(Moved),
    ok = uninstall(Moved),
    ?assertEqual([], plugin_folders(Moved)),
    ok = file:rename(Home, ?config(home, Config)).

an_ordinary_user_can_install(Config) ->
    in_the_hands_of_a_user(Config, fun(User, Mine) ->
        {0, _} = run_as(User, script(Mine, "install"), [?config(home, Mine)]),
        [?assertMatch({Name, #file_info{uid = User}}, {Name, info(Name)})
         || Name <- [conf(Mine), boot_file(Mine), home(Mine, "lib/" ++ hd(plugin_folders(Mine)))]],
        {0, _} = run_as(User, script(Mine, "uninstall"), [?config(home, Mine)])
    end).

what_cannot_be_written_is_named(Config) ->
    in_the_hands_of_a_user(Config, fun(User, Mine) ->
        ok = file:change_mode(home(Mine, "lib"), 8#555),
        Before = files(Mine),
        {1, Said} = run_as(User, script(Mine, "install"), [?config(home, Mine)]),
        ?assertMatch({match, _}, re:run(Said, "/emqttd/lib cannot be written: run this as the owner of the release")),
        ?assertEqual(Before, files(Mine)),
        ok = file:change_mode(home(Mine, "lib"), 8#755)
    end).

%% Files of at most 1 MB: the library's copy fails as it does on a full disk.
a_failed_write_changes_nothing(Config) ->
    ok = install(Config),
    Before = files(Config),
    ok = new_version(Config, "9.9.9"),
    {Status, Said} = run("bash", ["-c", "ulimit -f 1024; trap '' XFSZ; exec \"$@\"", "bash",
                                  script(Config, "install"), ?config(home, Config)]),
    ?assertNotEqual(0, Status),
    [?assertMatch({match, _}, re:run(Said, Expected)) || Expected <- ["_nif.so': File too large", "nothing was changed"]],
    ?assertEqual(Before, files(Config)).

a_directory_that_is_no_emq_is_refused(Config) ->
    Empty = filename:join(?config(priv_dir, Config), "empty"),
    ok = filelib:ensure_dir(filename:join(Empty, "x")),
    Broken = ?config(home, Config),
    ok = file:delete(boot_file(Config)),
    Before = files(Config),
    [begin
         {Status, Output} = run(script(Config, Script), Args),
         ?assertEqual({Script, Args, 1}, {Script, Args, Status}),
         ?assertMatch({match, _}, re:run(Output, Expected))
     end || Script <- ["install", "uninstall"],
            {Args, Expected} <- [{[], "for example /opt/emqttd \\(EMQ 2.3\\)"},
                                 {["/no/such/place"], "is no directory"},
                                 {[Empty], "is no EMQ release: it has neither bin/emqttd \\(EMQ 2.3\\) nor bin/emqx"},
                                 {[Broken], "it has no releases/2.3.11/emqttd.boot"}]],
    ?assertEqual({ok, []}, file:list_dir(Empty)),
    ?assertEqual(Before, files(Config)).

%% As OTP 23 cannot load what OTP 25 compiled.
code_that_does_not_load_is_compiled(Config) ->
    ok = file:write_file(source(Config, "ebin/" ?PLUGIN "_sup.beam"), <<"no code">>),
    ?assertMatch({match, _}, re:run(says(Config, "install"), "compiled its modules for this release's OTP [0-9]+")),
    ok = boot(Config),
    ok = ctl(Config, ["plugins", "load", ?PLUGIN]),
    ?assertMatch({match, _}, re:run(plugins(Config), ?PLUGIN ", .*active=true")),
    ok = stop(Config).

%% In embedded mode one module that does not load ends the boot of the whole broker.
code_that_does_not_compile_is_refused(Config) ->
    ok = file:write_file(source(Config, "ebin/" ?PLUGIN "_sup.beam"), <<"no code">>),
    ok = file:write_file(source(Config, "src/" ?PLUGIN "_sup.erl"), <<"-module(", ?PLUGIN, "_sup).\nno code\n">>),
    refused(Config, ?PLUGIN "_sup was not compiled for OTP [0-9]+, which does not compile it"),
    ok = boots(Config).

a_library_that_does_not_load_is_refused_in_words(Config) ->
    Library = source(Config, "priv/" ?PLUGIN "_nif.so"),
    ok = for_another_processor(Library),
    refused(Config, "was built for [a-z0-9_]+, and this Erlang runs on [a-z0-9_]+"),
    ok = file:write_file(Library, <<"a text file, not a library">>),
    refused(Config, "_nif.so cannot be loaded: it is not an ELF library").

a_library_that_does_not_load_costs_no_boot(Config) ->
    ok = install(Config),
    [Folder] = plugin_folders(Config),
    ok = for_another_processor(home(Config, "lib/" ++ Folder ++ "/priv/" ?PLUGIN "_nif.so")),
    ok = boot(Config),
    ok = ctl(Config, ["plugins", "load", ?PLUGIN]),
    {1, Status} = run(home(Config, "bin/emqttd_ctl"), ["kafka", "status"]),
    [?assertMatch({match, _}, re:run(Text, "was built for [a-z0-9_]+, and this Erlang runs on [a-z0-9_]+"))
     || Text <- [Status, element(2, file:read_file(home(Config, "log/error.log")))]],
    ok = stop(Config).

%% erlang.mk, which builds EMQ 2.3 releases, overwrites the Makefile of a dependency that has this word in it.
makefile_survives_erlang_mk(Config) ->
    {ok, Makefile} = file:read_file(filename:join(?config(root, Config), "Makefile")),
    ?assertEqual(nomatch, re:run(Makefile, "rebar", [caseless])).

kafka_stop_spares_a_stranger_with_its_old_pid(Config) ->
    Stranger = open_port({spawn_executable, os:find_executable("sleep")}, [{args, ["60"]}, exit_status]),
    {os_pid, Pid} = erlang:port_info(Stranger, os_pid),
    Dir = filename:join(?config(home, Config), "kafka"),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    ok = file:write_file(filename:join(Dir, "pid"), integer_to_list(Pid)),
    Env = [{"KAFKA_DIR", Dir}, {"KAFKA", false}],
    ?assertMatch({0, _}, run(dev(?config(root, Config), "kafka/kafka"), ["stop"], Env)),
    ?assertMatch({0, _}, run("kill", ["-0", integer_to_list(Pid)])),
    ok = succeed("kill", [integer_to_list(Pid)]).

demo_shows_the_record(Config) ->
    {Status, Output} = demo(Config, []),
    ?assertEqual({0, Output}, {Status, Output}),
    ?assertMatch({match, _}, re:run(Output, "\"topic\":\"demo/greeting\",\"payload\":\"hello from make demo")),
    ok = nothing_runs_from(Config).

demo_fails_where_no_record_arrives(Config) ->
    {Status, Output} = demo(Config, [{"KAFKA", "127.0.0.1:1"}, {"RUN_DEADLINE_S", "5"}]),
    ?assertEqual(1, Status),
    ?assertMatch({match, _}, re:run(Output, "the record did not arrive")),
    ok = nothing_runs_from(Config).

%% What the cases are made of

%% What a script has to say when it succeeds.
says(Config, Script) ->
    {0, Said} = run(script(Config, Script), [?config(home, Config)]),
    Said.

%% An installation that says why not, and changes nothing.
refused(Config, Expected) ->
    Before = files(Config),
    {Status, Said} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertEqual({1, Said}, {Status, Said}),
    ?assertEqual({match, Expected, Said}, {re:run(Said, Expected, [{capture, none}]), Expected, Said}),
    ?assertMatch({match, _}, re:run(Said, "nothing was changed")),
    ?assertEqual(Before, files(Config)).

%% The number of the processor in an ELF header.
for_another_processor(Library) ->
    {ok, Device} = file:open(Library, [read, write, raw, binary]),
    {ok, <<Machine:16/little>>} = file:pread(Device, 18, 2),
    ok = file:pwrite(Device, 18, <<(other_machine(Machine)):16/little>>),
    file:close(Device).

other_machine(183) -> 62;
other_machine(_) -> 183.

%% Runs a test with a release and a plugin that belong to a user without rights, in a place that all users can reach. Who runs
%% the tests without rights is such a user already.
in_the_hands_of_a_user(Config, Test) ->
    {ok, #file_info{uid = Self}} = file:read_file_info(?config(home, Config)),
    User = user_without_rights(Self),
    Dir = filename:join("/tmp", "packaging_" ++ os:getpid() ++ "_" ++ integer_to_list(erlang:unique_integer([positive]))),
    Mine = [{home, filename:join(Dir, "emqttd")}, {source, filename:join(Dir, "plugin")} | Config],
    ok = file:make_dir(Dir),
    try
        ok = succeed("cp", ["-a", ?config(home, Config), ?config(source, Config), Dir]),
        ok = succeed("chown", ["-R", integer_to_list(User), Dir]),
        Test(User, Mine)
    after
        ok = file:del_dir_r(Dir)
    end.

user_without_rights(0) -> 65534;
user_without_rights(Self) -> Self.

run_as(User, Command, Args) ->
    {ok, #file_info{uid = Self}} = file:read_file_info("/proc/self"),
    run_as(User, Self, Command, Args).

run_as(Self, Self, Command, Args) -> run(Command, Args);
run_as(User, _Self, Command, Args) -> run("setpriv", ["--reuid=" ++ integer_to_list(User), "--clear-groups", Command | Args]).

info(Name) ->
    {ok, Info} = file:read_file_info(Name),
    Info.

mapping(Key) ->
    ["\n{mapping, \"", Key, "\", \"emq_plugin_kafka.brand_new\", [{default, \"x\"}, {datatype, string}]}.\n"].

conf(Config) ->
    home(Config, "etc/plugins/" ?PLUGIN ".conf").

boots(Config) ->
    ok = boot(Config),
    stop(Config).

boot(Config) ->
    succeed(home(Config, "bin/emqttd"), ["start"]).

stop(Config) ->
    succeed(home(Config, "bin/emqttd"), ["stop"]).

ctl(Config, Args) ->
    succeed(home(Config, "bin/emqttd_ctl"), Args).

plugins(Config) ->
    {0, Output} = run(home(Config, "bin/emqttd_ctl"), ["plugins", "list"]),
    Output.

%% The demo as `make demo EMQ_HOME=...` runs it, in this case's own release.
demo(Config, Env) ->
    run(dev(?config(root, Config), "run"), ["demo", ?config(home, Config)], Env).

nothing_runs_from(Config) ->
    {Status, _} = run(home(Config, "bin/emqttd"), ["ping"]),
    ?assertNotEqual(0, Status),
    ok.

%% Ports and node name of its own, so that it may run beside any other broker.
configure(Root, Home, Case) ->
    append(filename:join(Home, "etc/emq.conf"), [
        "\nnode.name = packaging_", atom_to_list(Case), "@127.0.0.1",
        "\nlistener.tcp.external = 127.0.0.1:", free_port(Root),
        "\nlistener.api.mgmt = 127.0.0.1:", free_port(Root), "\n"
    ]).

free_port(Root) ->
    {0, Port} = run(dev(Root, "free-port"), []),
    string:trim(Port).

%% Every file of the release but what the running broker writes, with its contents' hash.
files(Config) -> packaging:files(Config, ["log", "data/configs"]).

plugin_folders(Config) ->
    filelib:wildcard(?PLUGIN "-*", home(Config, "lib")).

boot_file(Config) ->
    home(Config, "releases/2.3.11/emqttd.boot").

dev(Root, Name) ->
    filename:join([Root, "dev", Name]).
