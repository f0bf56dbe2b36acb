%% The settings of EMQX 5: the files that are made of the cuttlefish schema have every key of it, and a configuration becomes the very
%% environment that cuttlefish makes of the same values on the other brokers.
-module(emq_plugin_kafka_emqx5_settings_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PREFIX, "emq.plugin.kafka.").

priv(Name) ->
    filename:join([os:getenv("PROJECT_ROOT", "."), "priv", Name]).

schema() ->
    cuttlefish_schema:files([priv("emq_plugin_kafka.schema")]).

cuttlefish(Schema, Settings) ->
    Conf = [{cuttlefish_variable:tokenize(?PREFIX ++ Key), Value} || {Key, Value} <- Settings],
    case cuttlefish_generator:map(Schema, Conf) of
        {error, _Phase, _Errors} -> error;
        [{emq_plugin_kafka, Environment}] -> lists:sort(Environment)
    end.

ours(Config) ->
    application:load(emq_plugin_kafka),
    case emq_plugin_kafka_emqx5_settings:environment(Config) of
        {ok, Environment} -> lists:sort(Environment);
        {error, [_ | _]} -> error
    end.

problems(Config) ->
    application:load(emq_plugin_kafka),
    {error, Problems} = emq_plugin_kafka_emqx5_settings:environment(Config),
    Problems.

%% Those that are no rule and no property of librdkafka.
keys() ->
    {_, Mappings, _} = schema(),
    [lists:nthtail(length(?PREFIX), string:join(cuttlefish_mapping:variable(M), "."))
     || M <- Mappings, not lists:member(cuttlefish_mapping:mapping(M), ["emq_plugin_kafka.hooks", "emq_plugin_kafka.rdkafka"])].

%% In the order of the schema, rules and properties as one each.
fields() ->
    {_, Mappings, _} = schema(),
    Names = [case lists:nth(4, cuttlefish_mapping:variable(M)) of
                 Block when Block =:= "hook"; Block =:= "rdkafka" -> list_to_binary(Block);
                 _ -> field(lists:nthtail(length(?PREFIX), string:join(cuttlefish_mapping:variable(M), ".")))
             end || M <- Mappings],
    lists:foldl(fun(Name, Before) -> Before ++ [Name || not lists:member(Name, Before)] end, [], Names).

field(Key) ->
    list_to_binary(string:replace(Key, ".", "_", all)).

nothing_configured_gives_the_defaults_test() ->
    ?assertEqual(cuttlefish(schema(), []), ours(#{})).

every_key_takes_what_cuttlefish_takes_test_() ->
    Schema = schema(),
    [{Key, {timeout, 60, fun() ->
        [?assertEqual({Key, Text, cuttlefish(Schema, [{Key, Text}])}, {Key, Text, ours(#{field(Key) => list_to_binary(Text)})})
         || Text <- texts()]
    end}} || Key <- keys()].

texts() ->
    ["1", "0", "7", "-3", "+4", "00", "1.0", "five",
     "5s", "5ms", "1h30m", "1m1s1ms1m", "2w", "1f", "0.5s", ".5h", "1.5999s", "0s", "05s", "1S", "5 s", "s",
     "64MB", "10GB", "1kb", "1.5GB", ".5KB", "1Kb", "MB", "1.MB", "-1KB", "10MB10",
     "on", "off", "auto", "all", "async", "sync", "none", "lz4", "raw", "https", "sasl_ssl", "block", "always", "murmur2",
     "kafka1:9092,[::1]:2", "a#b # c", "data/spool", "SCRAM-SHA-512"].

%% HOCON's own numbers and booleans, and JSON's null.
values_may_be_no_texts_test_() ->
    Defaults = ours(#{}),
    [?_assertEqual(lists:keystore(Env, 1, Defaults, {Env, Expected}), ours(#{Field => Value}))
     || {Field, Value, Env, Expected} <-
            [{<<"queue_max_messages">>, 7, queue_max_messages, 7}, {<<"produce_timeout">>, 0, produce_timeout, 0},
             {<<"idempotence">>, false, idempotence, false}, {<<"idempotence">>, true, idempotence, true},
             {<<"acks">>, 1, acks, '1'}, {<<"metrics_listener">>, 9091, metrics_listener, "9091"},
             {<<"spool_max_size">>, 1048576, spool_max_size, 1048576}, {<<"topic">>, null, topic, "test"},
             {<<"topic">>, <<>>, topic, "test"}]]
        ++ [?_assertEqual(Defaults, ours(#{Field => Unset}))
            || Field <- [<<"sasl_password">>, <<"dead_letter_topic">>], Unset <- [<<>>, null]].

rules_and_properties_are_those_of_cuttlefish_test_() ->
    Schema = schema(),
    [?_assertEqual(cuttlefish(Schema, Settings), ours(Config))
     || {Settings, Config} <-
            [{[], #{<<"hook">> => #{}, <<"rdkafka">> => #{}}},
             {[{"hook.message.publish.b", "{}"}, {"hook.client.connected.a", "{\"key\": \"${clientid}#1\"}"}],
              #{<<"hook">> => #{<<"message.publish.b">> => <<"{}">>,
                                <<"client.connected.a">> => <<"{\"key\": \"${clientid}#1\"}">>}}},
             {[{"hook.message.publish.1", "{\"filter\": \"k" ++ [252] ++ "che/" ++ [16#6E29, 16#1F600] ++ "\"}"}],
              #{<<"hook">> => #{<<"message.publish.1">> => <<"{\"filter\": \"küche/温😀\"}"/utf8>>}}},
             {[{"hook.message.publish.1", ""}], #{<<"hook">> => #{<<"message.publish.1">> => <<>>}}},
             {[{"rdkafka.socket.timeout.ms", "1000"}, {"rdkafka.client.id", "x"}, {"rdkafka.debug", ""}],
              #{<<"rdkafka">> => #{<<"socket.timeout.ms">> => 1000, <<"client.id">> => <<"x">>, <<"debug">> => <<>>}}},
             {[{"rdkafka.client.id", ""}], #{<<"rdkafka">> => #{<<"client.id">> => null}}}]].

a_problem_names_the_field_and_what_was_expected_test_() ->
    [?_assertEqual([Problem], problems(#{Field => Value}))
     || {Field, Value, Problem} <-
            [{<<"produce">>, <<"later">>, <<"produce: expected one of async, durable, sync, not later">>},
             {<<"produce_timeout">>, <<"soon">>, <<"produce_timeout: expected 0, or a duration such as 500ms or 5s, not soon">>},
             {<<"linger">>, <<"soon">>, <<"linger: expected auto, 0, or a duration such as 500ms or 5s, not soon">>},
             {<<"queue_max_messages">>, <<"many">>, <<"queue_max_messages: expected a whole number, not many">>},
             {<<"idempotence">>, <<"maybe">>, <<"idempotence: expected true or false, not maybe">>},
             {<<"spool">>, #{<<"dir">> => <<"x">>},
              <<"spool: expected one of off, overflow, always, not a block of settings: field names have _ where conf keys have a dot">>},
             {<<"server">>, [<<"a:1">>], <<"server: expected a text, not a list">>},
             {<<"sasl_password">>, <<255>>, <<"sasl_password: expected a text, in UTF-8">>},
             {<<"colour">>, <<"red">>, <<"colour: unknown setting">>},
             {<<"rdkafka">>, <<"x">>, <<"rdkafka: expected a block of names and texts">>},
             {<<"rdkafka">>, #{<<"debug">> => [1]}, <<"rdkafka.\"debug\": expected a text, not a list">>},
             {<<"hook">>, #{<<"message.publish.1">> => #{<<"filter">> => <<"a">>}},
              <<"hook.\"message.publish.1\": expected the JSON of a rule, as a text: \"\"\"{\"filter\": \"a/#\"}\"\"\"">>}]].

a_rule_is_for_an_event_and_has_a_name_test_() ->
    [?_assertMatch([<<"hook.\"", Key:(byte_size(Key))/binary, "\": expected EVENT.NAME, ", _/binary>>],
                   problems(#{<<"hook">> => #{Key => <<"{}">>}}))
     || Key <- [<<"message.published.1">>, <<"message.publish">>, <<"message.publish.">>, <<"message.publish.a.b">>, <<"messageXpublish.1">>]].

all_problems_are_told_test() ->
    ?assertMatch([<<"colour: ", _/binary>>, <<"produce: ", _/binary>>, <<"linger: ", _/binary>>],
                 problems(#{<<"produce">> => <<"x">>, <<"linger">> => <<"y">>, <<"colour">> => 1, <<"topic">> => <<"t">>})).

%% The generated files

every_key_has_a_field_in_each_file_test() ->
    Fields = fields(),
    ?assertEqual(Fields, [Name || {Name, _Env, _Types, _Default} <- element(2, file:consult(priv("emqx5_settings.term")))]),
    ?assertEqual(Fields, [Name || #{<<"name">> := Name} <- form()]),
    {ok, Hocon} = file:read_file(priv("config.hocon")),
    {match, Set} = re:run(Hocon, "^([a-z0-9_]+) (?:= .+|\\{\\})$", [multiline, global, {capture, all_but_first, binary}]),
    ?assertEqual(Fields, lists:append(Set)).

%% What EMQX makes of a configuration that says nothing of a field: the default of the Avro schema, as that of cuttlefish.
the_defaults_of_avro_are_those_of_cuttlefish_test() ->
    Config = maps:from_list([{Name, Default} || #{<<"name">> := Name, <<"default">> := Default} <-
                                                    form()]),
    ?assertEqual(length(keys()) + 2, maps:size(Config)),
    ?assertEqual(cuttlefish(schema(), []), ours(Config)).

the_form_has_words_for_every_field_in_english_and_in_chinese_test_() ->
    Words = json("config_i18n.json"),
    Ui = [Ui || #{<<"$ui">> := Ui} <- form()],
    Used = [maps:get(Part, U) || U <- Ui, Part <- [<<"label">>, <<"description">>]]
        ++ [maps:get(<<"message">>, Rule) || U <- Ui, Rule <- maps:get(<<"rules">>, U, [])],
    [?_assertEqual(lists:usort(Used), lists:sort(maps:keys(Words)))]
        ++ [{binary_to_list(Id), fun() ->
                 #{<<"en">> := English, <<"zh">> := Chinese} = maps:get(Id, Words),
                 ?assertMatch({match, _}, re:run(English, "^[A-Za-z]{2}")),
                 ?assertEqual(nomatch, re:run(English, "\\p{Han}", [unicode])),
                 ?assertMatch({match, _}, re:run(Chinese, "\\p{Han}", [unicode]))
             end} || Id <- Used].

a_label_is_no_name_of_a_field_test_() ->
    Words = json("config_i18n.json"),
    [?_assertMatch({Label, {match, _}}, {Label, re:run(Label, "^(librdkafka|[A-Z])[A-Za-z -]+$")})
     || #{<<"$ui">> := #{<<"label">> := Id}} <- form(), #{<<"en">> := Label} <- [maps:get(Id, Words)]].

%% A row is 24 wide, and no field is broken over two rows.
the_form_has_whole_rows_test() ->
    0 = lists:foldl(fun(#{<<"name">> := Name, <<"$ui">> := #{<<"flex">> := Flex}}, Filled) ->
                        ?assertMatch({Name, Sum} when Sum =< 24, {Name, Filled + Flex}),
                        (Filled + Flex) rem 24
                    end, 0, form()).

server_and_topic_are_first_and_required_test() ->
    ?assertEqual([<<"server">>, <<"topic">>], [Name || #{<<"name">> := Name} <- lists:sublist(form(), 2)]),
    ?assertEqual([<<"server">>, <<"topic">>], [Name || #{<<"name">> := Name, <<"$ui">> := #{<<"required">> := true}} <- form()]).

%% Otherwise nobody could save an unchanged form.
every_default_passes_its_checks_test_() ->
    [{binary_to_list(Name), ?_assert(passes(Default, Rule))}
     || #{<<"name">> := Name, <<"default">> := Default, <<"$ui">> := Ui} <- form(), Rule <- maps:get(<<"rules">>, Ui, [])].

%% Patterns have no bounds: the plugin checks them.
what_a_pattern_takes_the_plugin_takes_test_() ->
    [{binary_to_list(Name) ++ " = " ++ Text, ?_assertNotEqual(error, ours(#{Name => list_to_binary(Text)}))}
     || #{<<"name">> := Name, <<"$ui">> := #{<<"rules">> := [#{<<"type">> := <<"pattern">>} = Rule]}} <- form(),
        Text <- texts(), passes(list_to_binary(Text), Rule)].

each_pattern_takes_the_usual_and_not_the_wrong_test_() ->
    Rules = maps:from_list([{Message, Rule} || #{<<"$ui">> := Ui} <- form(), #{<<"message">> := Message} = Rule <- maps:get(<<"rules">>, Ui, [])]),
    [{binary_to_list(Name) ++ " = " ++ binary_to_list(Text), ?_assertEqual(Takes, passes(Text, maps:get(<<"$", Name/binary, "_expected">>, Rules)))}
     || {Name, Right, Wrong} <-
            [{<<"servers">>, [<<"kafka1:9092">>, <<"a:1, b , [::1]:2">>, <<"SASL_SSL://a:1">>], [<<>>, <<"a;b">>, <<"a,,b">>, <<"a b">>]},
             {<<"topic">>, [<<"t.1_2-3">>, <<"...">>], [<<>>, <<"a/b">>, <<".">>, <<"..">>, binary:copy(<<"t">>, 250)]},
             {<<"topic_or_nothing">>, [<<>>, <<"dead">>], [<<"a b">>]},
             {<<"duration">>, [<<"0">>, <<"500ms">>, <<"5s">>, <<"5S">>, <<"1h30m">>, <<".5s">>], [<<"5">>, <<"soon">>, <<"5 s">>, <<"auto">>, <<"0s">>]},
             {<<"auto_or_duration">>, [<<"auto">>, <<"0">>, <<"5ms">>], [<<"soon">>]},
             {<<"size">>, [<<"64MB">>, <<"1.5GB">>, <<"1024">>], [<<"big">>, <<"-1KB">>, <<"64 MB">>, <<"1.">>, <<"1TB">>]},
             {<<"mechanism">>, [<<>>, <<"PLAIN">>, <<"SCRAM-SHA-512">>], [<<"plain">>, <<"NONE">>]},
             {<<"listener">>, [<<"off">>, <<"9091">>, <<"0.0.0.0:9091">>, <<"[::1]:9091">>, <<":9091">>], [<<"on">>, <<"host">>, <<"0">>, <<"::1:9091">>]}],
        {Takes, Texts} <- [{true, Right}, {false, Wrong}], Text <- Texts].

%% The ranges are those of the library.
the_ends_of_a_range_are_the_plugins_test_() ->
    [{binary_to_list(Name), fun() ->
         ?assertMatch({ok, _}, checked(#{Name => Min})),
         ?assertMatch({ok, _}, checked(#{Name => Max})),
         ?assertMatch({error, _}, checked(#{Name => Min - 1})),
         ?assertMatch({error, _}, checked(#{Name => Max + 1}))
     end} || #{<<"name">> := Name, <<"$ui">> := #{<<"rules">> := [#{<<"type">> := <<"range">>, <<"min">> := Min, <<"max">> := Max}]}} <- form()].

checked(Config) ->
    application:load(emq_plugin_kafka),
    {ok, Environment} = emq_plugin_kafka_emqx5_settings:environment(Config),
    emq_plugin_kafka_nif:check(emq_plugin_kafka_settings:of_environment(Environment)).

passes(Value, #{<<"type">> := <<"pattern">>, <<"pattern">> := Pattern}) -> re:run(Value, Pattern, [{capture, none}]) =:= match;
passes(Value, #{<<"type">> := <<"range">>, <<"min">> := Min, <<"max">> := Max}) -> Value >= Min andalso Value =< Max.

form() ->
    maps:get(<<"fields">>, json("config_schema.avsc")).

passwords_are_hidden_while_they_are_written_test() ->
    ?assertEqual([<<"ssl_key_password">>, <<"sasl_password">>],
                 [Name || #{<<"name">> := Name, <<"$ui">> := #{<<"component">> := <<"input-password">>}} <-
                              form()]).

json(Name) ->
    {ok, Text} = file:read_file(priv(Name)),
    jiffy:decode(Text, [return_maps]).
