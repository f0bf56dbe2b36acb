%% The conf file as a reload reads it: by EMQ's rules, whichever cuttlefish there is.
-module(emq_plugin_kafka_conf_tests).

-include_lib("eunit/include/eunit.hrl").

root() -> os:getenv("PROJECT_ROOT", ".").

schema() -> filename:join([root(), "priv", "emq_plugin_kafka.schema"]).

key(Name) -> string:lexemes("emq.plugin.kafka." ++ Name, ".").

a_line_is_read_as_emq_reads_it_test_() ->
    [{Text, ?_assertEqual({ok, Pairs}, emq_plugin_kafka_conf:pairs(unicode:characters_to_binary(Text)))}
     || {Text, Pairs} <-
            [{"", []}, {"\n \t\n# x\n  ## emq.plugin.kafka.topic = y\n", []},
             {"emq.plugin.kafka.topic = a\n", [{key("topic"), "a"}]},
             {"\temq.plugin.kafka.topic=a \t\r\nemq.plugin.kafka.server = b,c", [{key("topic"), "a"}, {key("server"), "b,c"}]},
             {"emq.plugin.kafka.hook.message.publish.1 = {\"filter\": \"s/#\"} # no comment\n",
              [{key("hook.message.publish.1"), "{\"filter\": \"s/#\"} # no comment"}]},
             {"emq.plugin.kafka.topic = a = b\n", [{key("topic"), "a = b"}]},
             {"emq.plugin.kafka.topic = caf" ++ [233] ++ "\n", [{key("topic"), "caf" ++ [233]}]},
             %% The last value counts; another plugin's key may stand here as well.
             {"emq.plugin.kafka.topic = a\nauth.user.1.username = x\nemq.plugin.kafka.topic = b\n", [{key("topic"), "b"}]}]].

a_line_that_is_none_is_refused_with_its_number_test_() ->
    [{Text, fun() ->
                    {error, [Problem]} = emq_plugin_kafka_conf:pairs(unicode:characters_to_binary(Text)),
                    ?assertMatch({match, _}, re:run(Problem, Expected))
            end}
     || {Text, Expected} <- [{"# x\nnonsense\n", "^line 2: "}, {"emq.plugin.kafka.topic =\n", "^line 1: "},
                             {"\n\nemq.plugin.kafka.topic = " ++ [16#6E29], "^line 3: emq\\.plugin\\.kafka\\.topic: "}]].

every_wrong_line_is_told_test() ->
    {error, Problems} = emq_plugin_kafka_conf:pairs(<<"a\nb\n">>),
    ?assertEqual(2, length(Problems)).

the_conf_file_gives_what_the_schema_defaults_to_test() ->
    {ok, Text} = file:read_file(filename:join([root(), "etc", "emq_plugin_kafka.conf"])),
    {ok, Pairs} = emq_plugin_kafka_conf:pairs(Text),
    ?assertMatch([_, _], Pairs),
    {ok, Shown} = emq_plugin_kafka_conf:environment(schema(), Pairs),
    {ok, Defaults} = emq_plugin_kafka_conf:environment(schema(), []),
    ?assertEqual(lists:sort(Defaults), lists:sort(Shown)).

a_wrong_value_is_refused_with_its_key_test_() ->
    [{Name, fun() ->
                    {error, Problems} = emq_plugin_kafka_conf:environment(schema(), [{key(Name), Value}]),
                    ?assertNotEqual(nomatch, string:find(iolist_to_binary(Problems), "emq.plugin.kafka." ++ Name))
            end}
     || {Name, Value} <- [{"colour", "red"}, {"produce", "later"}, {"produce.timeout", "soon"}, {"linger", "soon"}]].

the_file_is_where_the_broker_says_test() ->
    Directory = filename:join([root(), "_build", "conf_tests-" ++ os:getpid()]),
    File = filename:join(Directory, "emq_plugin_kafka.conf"),
    ok = filelib:ensure_dir(File),
    _ = application:load(emq_plugin_kafka),
    try
        ?assertMatch({error, [_]}, emq_plugin_kafka_broker:read_settings()),
        ok = application:set_env(emqttd, plugins_etc_dir, Directory),
        {error, [Missing]} = emq_plugin_kafka_broker:read_settings(),
        ?assertMatch({match, _}, re:run(Missing, "emq_plugin_kafka.conf: no such file")),
        ok = file:write_file(File, "emq.plugin.kafka.topic = other\nemq.plugin.kafka.hook.message.publish.1 = {\"filter\": \"a/#\"}\n"),
        {ok, Environment, Pairs} = emq_plugin_kafka_broker:read_settings(),
        ?assertEqual("other", proplists:get_value(topic, Environment)),
        ?assertEqual([{"message.publish.1", "{\"filter\": \"a/#\"}"}], proplists:get_value(hooks, Environment)),
        ?assertEqual(2, length(Pairs)),
        ok = file:write_file(File, "x\n"),
        {error, [Wrong]} = emq_plugin_kafka_broker:read_settings(),
        ?assertMatch({match, _}, re:run(Wrong, "emq_plugin_kafka.conf: line 1: "))
    after
        application:unset_env(emqttd, plugins_etc_dir),
        file:del_dir_r(Directory)
    end.
