%% The packages of EMQX 4 and EMQX 5, and their installers on directories that are laid out as releases: what a broker that does not
%% run does not have to do with it. EMQ 2.3 has packaging_SUITE, with a stand-in that boots.
-module(packages_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    each_generation_is_recognised/1,
    an_archive_of_another_generation_is_refused/1,
    emqx4_finds_the_plugin_in_its_folder/1,
    emqx4_code_that_does_not_load_is_compiled/1,
    emqx4_conf_is_set_kept_and_taken_back/1,
    emqx4_unedited_conf_is_replaced_by_an_upgrade/1,
    emqx4_conf_with_keys_that_are_gone_is_refused/1,
    emqx4_uninstall_leaves_the_release_as_it_was/1,
    emqx4_conf_and_plugins_may_be_elsewhere/1,
    emqx5_package_is_what_emqx_demands/1,
    emqx5_package_names_authors_and_links_of_the_application/1,
    emqx5_package_describes_itself_in_short/1,
    emqx5_package_is_reproducible/1,
    emqx5_schema_is_avro_and_the_defaults_conform/1,
    emqx5_package_lies_ready_where_emqx_does_not_run/1,
    emqx5_configuration_is_kept_but_for_what_is_named/1,
    emqx5_uninstall_leaves_the_configuration_and_a_purge_nothing/1,
    emqx5_library_that_does_not_load_is_refused/1,
    emqx5_that_runs_gets_one_version_after_the_other/1,
    emqx5_that_refuses_is_quoted/1,
    listeners_open_after_plugins/1,
    listeners_open_where_the_plugin_is_gone/1,
    boot_modules_of_an_operator_stay/1,
    vm_args_that_cannot_be_changed_are_told/1
]).

-import(packaging, [install/2, uninstall/2, script/2, new_version/2, source/2, home/2, append/2, succeed/2, run/2]).

-define(PLUGIN, "emq_plugin_kafka").

all() ->
    packaging:cases(?MODULE).

init_per_suite(Config) ->
    Root = packaging:root(),
    {ok, [{application, _, Keys}]} = file:consult(filename:join([Root, "ebin", ?PLUGIN ".app"])),
    [{root, Root}, {vsn, proplists:get_value(vsn, Keys)} | Config].

end_per_suite(_Config) ->
    ok.

%% Each case has a built plugin of its own, and a directory for releases.
init_per_testcase(Case, Config) ->
    Dir = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    Source = filename:join(Dir, "plugin"),
    ok = packaging:copy(?config(root, Config), Source),
    [{dir, Dir}, {source, Source}, {home, filename:join(Dir, "emqx")} | Config].

end_per_testcase(_Case, Config) ->
    case proplists:get_value(tc_status, Config) of
        ok -> file:del_dir_r(?config(dir, Config));
        _ -> ok
    end.

%% Which one it is

each_generation_is_recognised(Config) ->
    [begin
         ok = release(Config, Vsn),
         {1, Said} = run(script(Config, "install"), [?config(home, Config)]),
         ?assertMatch({Vsn, {match, _}}, {Vsn, re:run(Said, Expected)}),
         ok = file:del_dir_r(?config(home, Config))
     end || {Vsn, Expected} <- [{"3.2.1", "is EMQX 3.2.1: there is a plugin for EMQ 2.3, EMQX 4 and EMQX 5"},
                                {"5.6.1", "is EMQX 5.6.1: the plugin needs 5.7 or newer"}]],
    [begin
         ok = release(Config, Vsn),
         {0, Said} = run(script(Config, "install"), [?config(home, Config)]),
         ?assertMatch({Vsn, {match, _}}, {Vsn, re:run(Said, Expected)}),
         ok = file:del_dir_r(?config(home, Config))
     end || {Vsn, Expected} <- [{"4.4.19", ?PLUGIN " .* is installed in .*/etc/plugins/" ?PLUGIN},
                                {"5.8.9", ?PLUGIN "-.* lies ready in .*/plugins"}, {"6.0.1", "lies ready"}]].

%% An archive has the installer of its own generation only.
an_archive_of_another_generation_is_refused(Config) ->
    ok = release(Config, "4.4.19"),
    Before = files(Config),
    ok = file:delete(script(Config, "install_emqx4")),
    ok = file:delete(script(Config, "uninstall_emqx4")),
    [begin
         {1, Said} = run(script(Config, Script), [?config(home, Config)]),
         ?assertMatch({match, _}, re:run(Said, "is EMQX 4.4.19, and this archive is for another generation of EMQ: take the one with emqx4"))
     end || Script <- ["install", "uninstall"]],
    ?assertEqual(Before, files(Config)).

%% EMQX 4

%% As EMQX 4 does when it starts: the folder's modules, its application, its conf by its schema. An attribute tells it that this
%% is a plugin.
emqx4_finds_the_plugin_in_its_folder(Config) ->
    ok = release(Config, "4.4.19"),
    ok = install(Config, ["--enable"]),
    Folder = home(Config, "etc/plugins/" ?PLUGIN),
    ?assertEqual({ok, <<"{emqx_retainer, true}.\n{" ?PLUGIN ", true}.\n">>}, file:read_file(home(Config, "data/loaded_plugins"))),
    Script = lists:flatten(io_lib:format(
        "true = code:add_patha(~p),"
        "Modules = [list_to_atom(filename:basename(File, \".beam\")) || File <- filelib:wildcard(~p)],"
        "[{module, Module} = code:load_file(Module) || Module <- Modules],"
        "ok = application:load(~s), {ok, Listed} = application:get_key(~s, modules), true = lists:sort(Modules) =:= lists:sort(Listed),"
        "[~s_app] = [Module || Module <- Modules, {emqx_plugin, [_]} <- Module:module_info(attributes)],"
        "~p = code:lib_dir(~s),"
        "{module, _} = code:ensure_loaded(~s_nif), #{version := Vsn} = ~s_nif:build(), io:put_chars(Vsn), halt().",
        [filename:join(Folder, "ebin"), filename:join(Folder, "ebin/*.beam"), ?PLUGIN, ?PLUGIN, ?PLUGIN, Folder, ?PLUGIN, ?PLUGIN, ?PLUGIN])),
    {0, Vsn} = run("erl", ["-noshell", "-eval", Script]),
    ?assertEqual(?config(vsn, Config), string:trim(Vsn)),
    Conf = cuttlefish_conf:file(filename:join(Folder, "etc/" ?PLUGIN ".conf")),
    Schema = cuttlefish_schema:files(filelib:wildcard(filename:join(Folder, "priv/*.schema"))),
    ?assertMatch([{emq_plugin_kafka, [_ | _]}], cuttlefish_generator:map(Schema, Conf)).

%% As that of OTP 25 does not on EMQX 4.4's own 24.
emqx4_code_that_does_not_load_is_compiled(Config) ->
    ok = release(Config, "4.4.19"),
    ok = file:write_file(source(Config, "ebin/" ?PLUGIN "_sup.beam"), <<"no code">>),
    {0, Said} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Said, "compiled its modules for this release's OTP [0-9]+")),
    Beam = home(Config, "etc/plugins/" ?PLUGIN "/ebin/" ?PLUGIN "_sup.beam"),
    ?assertMatch({ok, {emq_plugin_kafka_sup, _}}, beam_lib:version(Beam)).

emqx4_conf_is_set_kept_and_taken_back(Config) ->
    ok = release(Config, "4.4.19"),
    ok = install(Config, ["--server", "kafka1:9092,kafka2:9092", "--topic", "a&b|c"]),
    {ok, Text} = file:read_file(conf4(Config)),
    [?assertMatch({match, [_]}, re:run(Text, Line, [multiline, global]))
     || Line <- ["^emq\\.plugin\\.kafka\\.server = kafka1:9092,kafka2:9092$", "^emq\\.plugin\\.kafka\\.server =",
                 "^emq\\.plugin\\.kafka\\.topic = a&b\\|c$"]],
    ok = new_version(Config, "9.9.9"),
    ok = append(source(Config, "etc/" ?PLUGIN ".conf"), "\n## new in 9.9.9\n"),
    {0, Said} = run(script(Config, "install"), [?config(home, Config)]),
    [?assertMatch({Expected, {match, _}}, {Expected, re:run(Said, Expected)})
     || Expected <- [?PLUGIN " 9.9.9 has replaced version " ++ ?config(vsn, Config), "kept your .*" ?PLUGIN ".conf\n",
                     "has its own conf, with all keys, as .*" ?PLUGIN ".conf.new\n"]],
    ?assertEqual({ok, Text}, file:read_file(conf4(Config))),
    ?assertEqual(file:read_file(source(Config, "etc/" ?PLUGIN ".conf")), file:read_file(conf4(Config) ++ ".new")),
    ok = uninstall(Config, []),
    ?assertEqual({ok, Text}, file:read_file(home(Config, "etc/plugins/" ?PLUGIN ".conf.saved"))),
    ok = install(Config, []),
    ?assertEqual({ok, Text}, file:read_file(conf4(Config))),
    ?assertNot(filelib:is_file(home(Config, "etc/plugins/" ?PLUGIN ".conf.saved"))).

emqx4_unedited_conf_is_replaced_by_an_upgrade(Config) ->
    ok = release(Config, "4.4.19"),
    ok = install(Config, []),
    ok = new_version(Config, "9.9.9"),
    ok = append(source(Config, "etc/" ?PLUGIN ".conf"), "\n## new in 9.9.9\n"),
    ok = install(Config, []),
    ?assertEqual(file:read_file(source(Config, "etc/" ?PLUGIN ".conf")), file:read_file(conf4(Config))),
    ?assertNot(filelib:is_file(conf4(Config) ++ ".new")).

emqx4_conf_with_keys_that_are_gone_is_refused(Config) ->
    ok = release(Config, "4.4.19"),
    ok = install(Config, []),
    ok = append(conf4(Config), "emq.plugin.kafka.mistyped = 1\n"),
    Before = files(Config),
    {1, Said} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Said, "does not know.*\n    emq.plugin.kafka.mistyped\n.*\ninstall: nothing was changed")),
    ?assertEqual(Before, files(Config)).

emqx4_uninstall_leaves_the_release_as_it_was(Config) ->
    ok = release(Config, "4.4.19"),
    Before = files(Config),
    ok = install(Config, ["--enable"]),
    ?assertNotEqual(Before, files(Config)),
    ok = worked(home(Config, "data")),
    ok = uninstall(Config, []),
    ?assertEqual(Before, files(Config)),
    ok = install(Config, ["--topic", "mine"]),
    Spool = home(Config, "data/kafka_spool/00000000000000000001.seg"),
    ok = filelib:ensure_dir(Spool),
    ok = file:write_file(Spool, <<>>),
    ok = uninstall(Config, []),
    ?assertEqual([home(Config, "data/kafka_spool/00000000000000000001.seg"), home(Config, "etc/plugins/" ?PLUGIN ".conf.saved")],
                 [Name || {Name, _} <- files(Config) -- Before]),
    ok = uninstall(Config, ["--purge"]),
    ?assertEqual(Before, files(Config)).

%% As Debian's package of EMQX has it.
emqx4_conf_and_plugins_may_be_elsewhere(Config) ->
    ok = release(Config, "4.4.19"),
    Etc = filename:join(?config(dir, Config), "etc_emqx"),
    Plugins = filename:join(?config(dir, Config), "var/plugins"),
    ok = filelib:ensure_dir(filename:join(Plugins, "x")),
    ok = file:rename(home(Config, "etc"), Etc),
    ok = file:write_file(home(Config, "releases/emqx_vars"), ["RUNNER_ETC_DIR=\"", Etc, "\"\n"]),
    Data = filename:join(?config(dir, Config), "var/data"),
    ok = file:write_file(filename:join(Etc, "emqx.conf"), ["node.data_dir = ", Data, "\nplugins.expand_plugins_dir = ", Plugins, "/\n"]),
    ok = install(Config, []),
    ?assert(filelib:is_file(filename:join(Plugins, ?PLUGIN "/ebin/" ?PLUGIN ".app"))),
    ok = worked(Data),
    ok = uninstall(Config, []),
    ?assertEqual({ok, []}, file:list_dir(Plugins)),
    ?assertEqual({ok, []}, file:list_dir(Data)).

%% EMQX 5

emqx5_package_is_what_emqx_demands(Config) ->
    Name = name_vsn(Config),
    {ok, Files} = erl_tar:extract(package(Config, "one"), [compressed, memory]),
    Contents = maps:from_list(Files),
    #{<<"name">> := <<?PLUGIN>>, <<"rel_vsn">> := Vsn, <<"rel_apps">> := [App], <<"with_config_schema">> := true} = Release =
        jiffy:decode(maps:get(Name ++ "/release.json", Contents), [return_maps]),
    ?assertEqual({?config(vsn, Config), Name}, {binary_to_list(Vsn), binary_to_list(App)}),
    [?assertMatch({Key, #{Key := _}}, {Key, Release})
     || Key <- [<<"description">>, <<"authors">>, <<"builder">>, <<"repo">>, <<"functionality">>, <<"compatibility">>, <<"git_ref">>,
                <<"git_commit_or_build_date">>, <<"built_on_otp_release">>, <<"metadata_vsn">>, <<"hidden">>]],
    {ok, [{application, _, Keys}]} = file:consult(source(Config, "ebin/" ?PLUGIN ".app")),
    Expected = [Name ++ "/release.json", Name ++ "/README.md", in(Name, "ebin/" ?PLUGIN ".app"), in(Name, "priv/" ?PLUGIN "_nif.so"),
                in(Name, "priv/config_schema.avsc"), in(Name, "priv/config.hocon"), in(Name, "priv/config_i18n.json"),
                in(Name, "priv/emqx5_settings.term")
                | [in(Name, "ebin/" ++ atom_to_list(Module) ++ ".beam") || Module <- proplists:get_value(modules, Keys)]],
    ?assertEqual(lists:sort(Expected), lists:sort(maps:keys(Contents))).

in(Name, File) -> filename:join([Name, Name, File]).

%% EMQX shows them with the plugin. src/emq_plugin_kafka.app.src alone has them.
emqx5_package_names_authors_and_links_of_the_application(Config) ->
    App = source(Config, "ebin/" ?PLUGIN ".app"),
    {ok, [{application, Plugin, Keys}]} = file:consult(App),
    [Author] = proplists:get_value(maintainers, Keys),
    ?assertEqual(#{authors => [Author], name => Author, contact => Author, website => "", repo => ""}, shown(Config, "plain")),
    Links = [{"Repository", "https://git.invalid/\"it\""}, {"Contact", "ops@example.invalid"}],
    Changed = {application, Plugin, lists:keystore(links, 1, Keys, {links, Links})},
    ok = file:write_file(App, io_lib:format("~p.~n", [Changed])),
    ?assertEqual(#{authors => [Author], name => Author, contact => "ops@example.invalid", website => "https://git.invalid/\"it\"",
                   repo => "https://git.invalid/\"it\""}, shown(Config, "linked")).

shown(Config, Label) ->
    {ok, Files} = erl_tar:extract(package(Config, Label), [compressed, memory]),
    {_, Json} = lists:keyfind(name_vsn(Config) ++ "/release.json", 1, Files),
    #{<<"authors">> := Authors, <<"repo">> := Repo, <<"builder">> := Builder} = jiffy:decode(Json, [return_maps]),
    #{<<"name">> := Name, <<"contact">> := Contact, <<"website">> := Website} = Builder,
    #{authors => [binary_to_list(Author) || Author <- Authors], name => binary_to_list(Name), contact => binary_to_list(Contact),
      website => binary_to_list(Website), repo => binary_to_list(Repo)}.

%% The dashboard shows README.md as the description of the plugin: one screen or two, for EMQX 5.
emqx5_package_describes_itself_in_short(Config) ->
    {ok, Files} = erl_tar:extract(package(Config, "one"), [compressed, memory]),
    {_, Text} = lists:keyfind(name_vsn(Config) ++ "/README.md", 1, Files),
    ?assertEqual({ok, Text}, file:read_file(source(Config, "dev/dist/emqx5_package.md"))),
    ?assert(byte_size(Text) =< 2560),
    %% It stands alone: nothing is beside it.
    ?assertEqual(nomatch, re:run(Text, "\\]\\((?!https?://)")).

emqx5_package_is_reproducible(Config) ->
    ?assertEqual(file:read_file(package(Config, "one")), file:read_file(package(Config, "two"))).

emqx5_schema_is_avro_and_the_defaults_conform(Config) ->
    ok = succeed("/usr/bin/python3", [filename:join([?config(root, Config), "test", "live", "avro_config.py"]),
                                      source(Config, "priv/config_schema.avsc"), source(Config, "priv/config.hocon")]).

emqx5_package_lies_ready_where_emqx_does_not_run(Config) ->
    ok = release(Config, "5.8.9"),
    {0, Said} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertEqual([name_vsn(Config) ++ ".tar.gz"], element(2, file:list_dir(home(Config, "plugins")))),
    [?assertMatch({Step, {match, _}}, {Step, re:run(Said, Step)})
     || Step <- ["1. .*/bin/emqx start", "2. .*/bin/emqx ctl plugins install " ++ name_vsn(Config),
                 "3. set server and topic in .*/data/plugins/" ?PLUGIN "/config.hocon", "4. .*plugins enable", "5. .*plugins start"]],
    ?assertNot(filelib:is_file(live(Config))),
    %% An older version, which EMQX has unpacked.
    Old = home(Config, "plugins/" ?PLUGIN "-0.0.1/release.json"),
    ok = filelib:ensure_dir(Old),
    ok = file:write_file(Old, <<"{}">>),
    {0, Again} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Again, "plugins stop " ?PLUGIN "-0.0.1\n.*plugins disable .*-0.0.1\n.*plugins uninstall .*-0.0.1\n"
                                           ".*plugins install " ++ name_vsn(Config))).

emqx5_configuration_is_kept_but_for_what_is_named(Config) ->
    ok = release(Config, "5.8.9"),
    ok = install(Config, ["--server", "kafka1:9092,kafka2:9092", "--topic", "a\"b"]),
    {ok, First} = file:read_file(live(Config)),
    [?assertMatch({match, [_]}, re:run(First, Line, [multiline, global]))
     || Line <- ["^server = \"kafka1:9092,kafka2:9092\"$", "^server =", "^topic = \"a\\\\\"b\"$", "^produce = \"async\"$"]],
    %% As EMQX writes it.
    ok = file:write_file(live(Config), "produce = sync\nserver = \"kafka1:9092\"\ntopic = mine\n"),
    ok = install(Config, ["--server", "kafka3"]),
    ?assertEqual({ok, <<"produce = sync\nserver = \"kafka3\"\ntopic = mine\n">>}, file:read_file(live(Config))),
    ok = install(Config, []),
    ?assertEqual({ok, <<"produce = sync\nserver = \"kafka3\"\ntopic = mine\n">>}, file:read_file(live(Config))).

emqx5_uninstall_leaves_the_configuration_and_a_purge_nothing(Config) ->
    ok = release(Config, "5.8.9"),
    Before = files(Config),
    ok = install(Config, ["--topic", "mine"]),
    ok = succeed("tar", ["-C", home(Config, "plugins"), "-xzf", home(Config, "plugins/" ++ name_vsn(Config) ++ ".tar.gz")]),
    Spool = home(Config, "data/kafka_spool/00000000000000000001.seg"),
    ok = filelib:ensure_dir(Spool),
    ok = file:write_file(Spool, <<>>),
    ok = worked(home(Config, "data")),
    {0, Said} = run(script(Config, "uninstall"), [?config(home, Config)]),
    [?assertMatch({Expected, {match, _}}, {Expected, re:run(Said, Expected)})
     || Expected <- ["kept the configuration .*/config.hocon", "kept the spool .*/data/kafka_spool",
                     "plugins uninstall " ++ name_vsn(Config)]],
    ?assertEqual(lists:sort([live(Config), Spool]), [Name || {Name, _} <- files(Config) -- Before]),
    ok = uninstall(Config, ["--purge"]),
    ?assertEqual(Before, files(Config)).

emqx5_library_that_does_not_load_is_refused(Config) ->
    ok = release(Config, "5.8.9"),
    Before = files(Config),
    ok = file:write_file(source(Config, "priv/" ?PLUGIN "_nif.so"), <<"a text file, not a library">>),
    {1, Said} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Said, "_nif.so cannot be loaded: it is not an ELF library\n(.*\n)*install: nothing was changed")),
    ?assertEqual(Before, files(Config)).

%% In the order that works: EMQX takes two versions for two plugins.
emqx5_that_runs_gets_one_version_after_the_other(Config) ->
    ok = release(Config, "5.8.9"),
    running(Config, fun() ->
        ok = control(Config, "ok"),
        ok = install(Config, ["--enable"]),
        ?assertEqual(["install", "enable", "start"], asked(Config, name_vsn(Config))),
        ok = succeed("tar", ["-C", home(Config, "plugins"), "-xzf", home(Config, "plugins/" ++ name_vsn(Config) ++ ".tar.gz")]),
        ok = control(Config, "ok"),
        ok = new_version(Config, "9.9.9"),
        ok = install(Config, []),
        ?assertEqual(["stop", "disable", "uninstall"], asked(Config, name_vsn(Config))),
        ?assertEqual(["install", "enable", "start"], asked(Config, ?PLUGIN "-9.9.9")),
        ?assertNot(filelib:is_file(home(Config, "plugins/" ++ name_vsn(Config) ++ ".tar.gz"))),
        ok = control(Config, "ok"),
        ok = uninstall(Config, []),
        ?assertEqual(["stop", "disable", "uninstall"], asked(Config, name_vsn(Config)))
    end).

emqx5_that_refuses_is_quoted(Config) ->
    ok = release(Config, "5.8.9"),
    running(Config, fun() ->
        ok = control(Config, "not_ok"),
        {1, Said} = run(script(Config, "install"), [?config(home, Config)]),
        ?assertMatch({match, _}, re:run(Said, "emqx ctl plugins install " ++ name_vsn(Config) ++ ": .*not_ok.*\n.*run it again"))
    end).

%% When EMQX 4 and 5 open their listeners

listeners_open_after_plugins(Config) ->
    [begin
         ok = release(Config, Vsn),
         {ok, Before} = file:read_file(vm_args(Config)),
         {0, Said} = run(script(Config, "install"), [?config(home, Config)]),
         ?assertMatch({match, _}, re:run(Said, "EMQX opens its listeners after it has started plugins, from its next boot on")),
         {ok, Once} = file:read_file(vm_args(Config)),
         ?assertMatch({match, [_]}, re:run(Once, "^-emqx boot_modules \\[broker\\] -eval ", [multiline, global])),
         {0, Again} = run(script(Config, "install"), [?config(home, Config)]),
         ?assertEqual({Vsn, nomatch, {ok, Once}}, {Vsn, re:run(Again, "opens its listeners"), file:read_file(vm_args(Config))}),
         ok = uninstall(Config, []),
         ?assertEqual({Vsn, {ok, Before}}, {Vsn, file:read_file(vm_args(Config))}),
         ok = file:del_dir_r(?config(home, Config))
     end || Vsn <- ["4.4.19", "5.8.9"]].

%% Nothing but the broker is needed to open them: also where somebody has deleted the plugin's folder, or another plugin's start
%% stops and starts the broker meanwhile, so that the first attempt fails.
listeners_open_where_the_plugin_is_gone(Config) ->
    ok = release(Config, "5.8.9"),
    ok = install(Config, []),
    ok = file:del_dir_r(home(Config, "plugins")),
    Ebin = filename:join(?config(dir, Config), "ebin"),
    ok = filelib:ensure_dir(filename:join(Ebin, "x")),
    ok = file:write_file(filename:join(Ebin, "emqx.app"), "{application, emqx, [{vsn, \"5.8.9\"}, {modules, []}, {applications, [kernel, stdlib]}]}."),
    ok = file:write_file(filename:join(Ebin, "emqx_listeners.erl"),
                         "-module(emqx_listeners). -export([start/0]).\n"
                         "start() -> start(application:get_env(emqx, boot_modules), get(again)).\n"
                         "start(undefined, undefined) -> put(again, true), error(not_yet);\n"
                         "start(undefined, true) -> io:put_chars(\"open\").\n"),
    ok = succeed("erlc", ["-o", Ebin, filename:join(Ebin, "emqx_listeners.erl")]),
    Started = ["-noinput", "-pa", Ebin, "-eval", "ok = application:start(emqx), {ok, [broker]} = application:get_env(emqx, boot_modules).",
               "-args_file", vm_args(Config), "-eval", "halt()."],
    ?assertEqual({0, "open"}, run("erl", Started)).

boot_modules_of_an_operator_stay(Config) ->
    ok = release(Config, "5.8.9"),
    ok = append(vm_args(Config), "\n-emqx boot_modules [broker]\n"),
    {ok, Before} = file:read_file(vm_args(Config)),
    {0, Said} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Said, "vm.args has boot_modules of its own, which stay")),
    ?assertEqual({ok, Before}, file:read_file(vm_args(Config))).

%% As in a container's image.
vm_args_that_cannot_be_changed_are_told(Config) ->
    ok = release(Config, "5.8.9"),
    ok = file:delete(vm_args(Config)),
    {0, Said} = run(script(Config, "install"), [?config(home, Config)]),
    ?assertMatch({match, _}, re:run(Said, "etc/vm.args cannot be written: put these lines into it, .*:\n## .*\n-emqx boot_modules .*-eval ")),
    ok = uninstall(Config, []).

%% What the cases are made of

%% A process that looks as the release's node does.
running(Config, Test) ->
    Node = open_port({spawn_executable, os:find_executable("bash")},
                     [{args, ["-c", "read -r", "bash", home(Config, "releases/5.8.9/start")]}]),
    try
        Test()
    after
        port_close(Node)
    end.

%% EMQX's command, which keeps what it is asked.
control(Config, Result) ->
    _ = file:delete(home(Config, "asked")),
    file:write_file(home(Config, "bin/emqx_ctl"),
                    ["#!/bin/sh\necho \"$2 $3\" >>'", home(Config, "asked"), "'\n",
                     "[ $2 != describe ] || { echo '  \"config_status\" : \"enabled\",'; exit 0; }\n",
                     "echo '{\"result\" : \"", Result, "\"}'\n"]).

asked(Config, NameVsn) ->
    {ok, Asked} = file:read_file(home(Config, "asked")),
    [binary_to_list(Verb) || Line <- binary:split(Asked, <<"\n">>, [global, trim]), [Verb, Of] <- [binary:split(Line, <<" ">>)],
                             Verb =/= <<"describe">>, binary_to_list(Of) =:= NameVsn].

%% What the installers look at, of a release of EMQX.
release(Config, "4." ++ _ = Vsn) ->
    ok = release_of(Config, Vsn),
    ok = file:make_dir(home(Config, "etc/plugins")),
    ok = file:write_file(home(Config, "etc/emqx.conf"), "plugins.expand_plugins_dir = etc/plugins/\nplugins.loaded_file = data/loaded_plugins\n"),
    ok = file:write_file(home(Config, "releases/emqx_vars"), "RUNNER_ETC_DIR=\"$RUNNER_ROOT_DIR/etc\"\n"),
    file:write_file(home(Config, "data/loaded_plugins"), "{emqx_retainer, true}.\n");
release(Config, Vsn) ->
    ok = release_of(Config, Vsn),
    file:make_dir(home(Config, "plugins")).

release_of(Config, Vsn) ->
    [ok = filelib:ensure_dir(home(Config, Dir ++ "/x")) || Dir <- ["bin", "data", "etc", "lib", "releases/" ++ Vsn]],
    [ok = file:write_file(home(Config, "bin/" ++ Name), "#!/bin/sh\necho 'this node does not run' >&2\nexit 1\n")
     || Name <- ["emqx", "emqx_ctl"]],
    ok = succeed("chmod", ["+x", home(Config, "bin/emqx"), home(Config, "bin/emqx_ctl")]),
    ok = file:write_file(vm_args(Config), "## EMQX's own\n-env ERL_FULLSWEEP_AFTER 1000"),
    file:write_file(home(Config, "releases/start_erl.data"), "13.1.5 " ++ Vsn).

%% As a plugin leaves it whose settings have worked.
worked(Data) ->
    File = filename:join(Data, "kafka_spool.settings"),
    ok = filelib:ensure_dir(File),
    file:write_file(File, <<"{}">>).

%% The package of EMQX 5, made anew.
package(Config, Dir) ->
    Archive = filename:join([?config(dir, Config), Dir, name_vsn(Config) ++ ".tar.gz"]),
    ok = filelib:ensure_dir(Archive),
    ok = packaging:package(Config, Archive),
    Archive.

name_vsn(Config) -> ?PLUGIN "-" ++ ?config(vsn, Config).
conf4(Config) -> home(Config, "etc/plugins/" ?PLUGIN "/etc/" ?PLUGIN ".conf").
vm_args(Config) -> home(Config, "etc/vm.args").
live(Config) -> home(Config, "data/plugins/" ?PLUGIN "/config.hocon").

files(Config) -> packaging:files(Config, []).
