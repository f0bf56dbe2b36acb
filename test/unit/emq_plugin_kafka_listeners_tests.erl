%% Whether EMQX lets clients in before the plugin sees what they publish, and whether anybody is told.
-module(emq_plugin_kafka_listeners_tests).

-include_lib("eunit/include/eunit.hrl").

boot_test_() ->
    {setup,
     fun() ->
             ok = standin_emqx_hooks:start(4),
             Etc = filename:join([root(), "_build", "listeners_tests" ++ os:getpid()]),
             ok = filelib:ensure_dir(filename:join(Etc, "x")),
             true = os:putenv("EMQX_ETC_DIR", Etc),
             filename:join(Etc, "vm.args")
     end,
     fun(File) ->
             true = os:unsetenv("EMQX_ETC_DIR"),
             ok = file:del_dir_r(filename:dirname(File)),
             standin_emqx_hooks:stop()
     end,
     fun(File) ->
             [{"EMQX opens its listeners before it starts plugins", fun() -> _ = file:delete(File), ?assertEqual(open, emq_plugin_kafka_listeners:at_boot()) end},
              {"the installer's lines count from the next boot on", fun() -> ?assertEqual(next, boot(File, installers())) end},
              {"so do those of an operator, unless the listeners are among them",
               [?_assertEqual({Line, Boot}, {Line, boot(File, ["-name a@b\n", Line, "\n-setcookie c\n"])})
                || {Line, Boot} <- [{"-emqx boot_modules [router,broker]", next}, {"-emqx boot_modules [broker,listeners]", open},
                                    {"-emqx boot_modules all", open}, {"## -emqx boot_modules [broker]", open}]]},
              {"with them this boot was right",
               [?_assertEqual({Modules, Boot}, {Modules, of_a_node(Modules)})
                || {Modules, Boot} <- [{"[broker]", "closed"}, {"[broker,listeners]", "open"}]]}]
     end}.

emq_23_opens_them_last_test() ->
    ?assertEqual({emq_plugin_kafka_emq2, closed}, {emq_plugin_kafka_broker:adapter(), emq_plugin_kafka_listeners:at_boot()}).

%% Who relies on nothing is told nothing.
a_problem_where_publishers_rely_on_acknowledgements_test() ->
    [begin
         ok = emq_plugin_kafka_nif:open([{<<"server">>, <<"127.0.0.1:1">>}, {<<"spool">>, <<"off">>}, {<<"produce">>, Mode}], <<"n@h">>),
         ?assertEqual({Mode, Open, 0}, {Mode, length(emq_plugin_kafka_listeners:problems(open)), length(emq_plugin_kafka_listeners:problems(next))}),
         {ok, _} = emq_plugin_kafka_nif:close(0)
     end || {Mode, Open} <- [{<<"sync">>, 1}, {<<"async">>, 0}]].

boot(File, Text) ->
    ok = file:write_file(File, Text),
    emq_plugin_kafka_listeners:at_boot().

installers() ->
    {0, Lines} = standin_broker:run(os:find_executable("bash"), ["-c", "plugin=emq_plugin_kafka; source \"$0\"; boot_lines",
                                                                 filename:join(root(), "dev/install/listen_late.bash")]),
    Lines.

%% That was started with these boot_modules.
of_a_node(Modules) ->
    {0, Boot} = standin_broker:run(os:find_executable("erl"),
                                   ["-noinput", "-emqx", "boot_modules", Modules, "-eval",
                                    "persistent_term:put({emq_plugin_kafka_broker, adapter}, emq_plugin_kafka_emqx4),"
                                    "io:put_chars(atom_to_list(emq_plugin_kafka_listeners:at_boot())), halt().",
                                    "-pa" | code:get_path()]),
    Boot.

root() -> os:getenv("PROJECT_ROOT", filename:absname("")).
