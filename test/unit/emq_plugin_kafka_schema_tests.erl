%% The configuration through the real cuttlefish: text in, application environment or error out.
-module(emq_plugin_kafka_schema_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PREFIX, "emq.plugin.kafka.").

root() -> os:getenv("PROJECT_ROOT", ".").

schema() ->
    {Translations, Mappings, Validators} =
        cuttlefish_schema:files([filename:join([root(), "priv", "emq_plugin_kafka.schema"])]),
    {Translations, Mappings, Validators}.

%% As EMQ and its dashboard do: key and value as they are written, split at the dots.
environment(Settings) ->
    Conf = [{cuttlefish_variable:tokenize(?PREFIX ++ Key), Value} || {Key, Value} <- Settings],
    case cuttlefish_generator:map(schema(), Conf) of
        {error, Phase, {errorlist, Errors}} ->
            {error, Phase, lists:flatten([cuttlefish_error:xlate(Error) || {error, Error} <- Errors])};
        [{emq_plugin_kafka, Env}] ->
            maps:from_list(Env)
    end.

%% The settings as the plugin reads them from an environment.
checked(Env) ->
    application:load(emq_plugin_kafka),
    emq_plugin_kafka_nif:check(emq_plugin_kafka_settings:of_environment(maps:to_list(Env))).

defaults() ->
    #{server => "127.0.0.1:9092", topic => "test", topic_max_dynamic => 1000, format => json, encode_payload => auto, produce => async,
      produce_timeout => 5000, produce_max_waiters => 10000, on_failure => auto, spool => overflow,
      spool_dir => "data/kafka_spool", spool_max_size => 10737418240, spool_segment_size => 67108864,
      spool_sync_interval => 5, overflow => drop_new, security_protocol => plaintext,
      ssl_endpoint_identification_algorithm => https, queue_max_messages => 100000,
      queue_max_size => 268435456, linger => auto, compression => lz4, acks => all, idempotence => true,
      partitioner => murmur2_random, shutdown_timeout => 10000, metrics_listener => "off"}.

%% The first one to use the schema, which is slow on a busy machine.
nothing_configured_gives_the_defaults_test_() ->
    {timeout, 60, ?_assertEqual(defaults(), environment([]))}.

the_defaults_of_schema_and_library_are_the_same_test() ->
    ?assertEqual(checked(#{}), checked(environment([]))),
    ?assertMatch({ok, [_ | _]}, checked(#{})).

%% Server and topic are set, all others are comments.
the_conf_file_holds_every_setting_with_its_default_test() ->
    Set = conf(conf_text()),
    ?assertMatch([{"server", _}, {"topic", _}], Set),
    Commented = conf(re:replace(conf_text(), "^## (?=emq\\.plugin)", "", [multiline, global, {return, binary}])),
    {_, Mappings, _} = schema(),
    Keys = [{lists:nthtail(length(?PREFIX), string:join(cuttlefish_mapping:variable(M), ".")), cuttlefish_mapping:has_default(M)}
            || M <- Mappings],
    Plain = [Key || {Key, _} <- Keys, string:find(Key, "$") =:= nomatch],
    %% In the order of the schema.
    ?assertEqual(Plain, [Key || {Key, _} <- Commented, lists:member(Key, Plain)]),
    ?assertEqual(defaults(), environment([Setting || {Key, _} = Setting <- Commented, lists:member({Key, true}, Keys)])),
    %% Nothing that no mapping knows.
    ?assertMatch(#{}, environment(Commented)).

the_conf_file_says_what_the_docs_say_test_() ->
    Words = words(re:replace(conf_text(), "^##", "", [multiline, global, {return, binary}])),
    {_, Mappings, _} = schema(),
    [{Sentence, ?_assertNotEqual(nomatch, string:find(Words, words(Sentence)))}
     || M <- Mappings, not lists:any(fun(Part) -> hd(Part) =:= $$ end, cuttlefish_mapping:variable(M)),
        Sentence <- [first_sentence(M)]].

%% docs/configuration.md shows it.
the_first_sentence_of_a_doc_is_short_test_() ->
    {_, Mappings, _} = schema(),
    [?_assertMatch({Sentence, Count} when Count =< 20, {Sentence, length(string:lexemes(Sentence, " "))})
     || M <- Mappings, Sentence <- [first_sentence(M)]].

first_sentence(Mapping) ->
    [Doc] = cuttlefish_mapping:doc(Mapping),
    string:trim(hd(string:split(Doc, ". ")), trailing, ".").

words(Text) ->
    lists:flatten(lists:join(" ", string:lexemes(unicode:characters_to_list(Text), " \n"))).

conf_text() ->
    {ok, Text} = file:read_file(filename:join([root(), "etc", "emq_plugin_kafka.conf"])),
    Text.

%% EMQ's rule: a comment begins with the first character of a line.
conf(Text) ->
    Lines = [Line || Line <- string:split(Text, "\n", all), Line =/= <<>>, binary:first(Line) =/= $#],
    [begin
         [Key, Value] = string:split(Line, "="),
         {lists:nthtail(length(?PREFIX), binary_to_list(string:trim(Key))), binary_to_list(string:trim(Value))}
     end || Line <- Lines].

the_old_plugins_two_lines_work_test() ->
    ?assertEqual((defaults())#{server => "127.0.0.1:9092", topic => "test_emq"},
                 environment([{"server", "127.0.0.1:9092"}, {"topic", "test_emq"}])).

every_setting_has_its_datatype_test_() ->
    [{Key ++ " = " ++ Text, ?_assertEqual((defaults())#{Name => Value}, environment([{Key, Text}]))}
     || {Key, Text, Name, Value} <-
            [{"server", "a:1,[::1]:2,b", server, "a:1,[::1]:2,b"},
             {"topic", "t.1_2-3", topic, "t.1_2-3"},
             {"encode_payload", "base64", encode_payload, base64},
             {"format", "raw", format, raw},
             {"topic.max_dynamic", "5", topic_max_dynamic, 5},
             {"produce", "durable", produce, durable},
             {"produce", "sync", produce, sync},
             {"produce.timeout", "1m", produce_timeout, 60000},
             {"produce.timeout", "0", produce_timeout, 0},
             {"produce.max_waiters", "5", produce_max_waiters, 5},
             {"on_failure", "auto", on_failure, auto},
             {"on_failure", "continue", on_failure, continue},
             {"on_failure", "disconnect", on_failure, disconnect},
             {"spool", "off", spool, off},
             {"spool", "always", spool, always},
             {"spool.dir", "/var/lib/spool", spool_dir, "/var/lib/spool"},
             {"spool.max_size", "1MB", spool_max_size, 1048576},
             {"spool.segment_size", "1024", spool_segment_size, 1024},
             {"spool.sync_interval", "1s", spool_sync_interval, 1000},
             {"spool.sync_interval", "0", spool_sync_interval, 0},
             {"overflow", "block", overflow, block},
             {"dead_letter.topic", "dead", dead_letter_topic, "dead"},
             {"security.protocol", "sasl_ssl", security_protocol, sasl_ssl},
             {"ssl.ca.location", "etc/ca.pem", ssl_ca_location, "etc/ca.pem"},
             {"ssl.certificate.location", "etc/c.pem", ssl_certificate_location, "etc/c.pem"},
             {"ssl.key.location", "etc/c.key", ssl_key_location, "etc/c.key"},
             {"ssl.key.password", "a#b # c", ssl_key_password, "a#b # c"},
             {"ssl.key.password_file", "/run/k", ssl_key_password_file, "/run/k"},
             {"ssl.endpoint.identification.algorithm", "none", ssl_endpoint_identification_algorithm, none},
             {"sasl.mechanism", "SCRAM-SHA-512", sasl_mechanism, "SCRAM-SHA-512"},
             {"sasl.username", "emq", sasl_username, "emq"},
             {"sasl.password", "a#b # c", sasl_password, "a#b # c"},
             {"sasl.password_file", "/run/p", sasl_password_file, "/run/p"},
             {"linger", "auto", linger, auto},
             {"metrics.listener", "9091", metrics_listener, "9091"},
             {"metrics.listener", "[::1]:9091", metrics_listener, "[::1]:9091"},
             {"queue.max_messages", "7", queue_max_messages, 7},
             {"queue.max_size", "1GB", queue_max_size, 1073741824},
             {"linger", "1s", linger, 1000},
             {"linger", "0", linger, 0},
             {"compression", "zstd", compression, zstd},
             {"acks", "1", acks, '1'},
             {"idempotence", "off", idempotence, false},
             {"partitioner", "fnv1a_random", partitioner, fnv1a_random},
             {"shutdown_timeout", "1m", shutdown_timeout, 60000},
             {"shutdown_timeout", "0", shutdown_timeout, 0}]].

properties_of_librdkafka_pass_through_at_every_depth_test() ->
    Properties = [{"debug", "broker"}, {"client.id", "x"}, {"socket.timeout.ms", "1000"},
                  {"ssl.endpoint.identification.algorithm", "https"},
                  {"socket.connection.setup.timeout.ms", "30000"},
                  {"sasl.oauthbearer.assertion.claim.jti.include", "true"},
                  {"a.b.c.d.e.f.g", "1"}],
    Env = environment([{"rdkafka." ++ Name, Value} || {Name, Value} <- Properties]),
    ?assertEqual(lists:sort(Properties), maps:get(rdkafka, Env)).

every_event_takes_rules_test_() ->
    [{Event, fun() ->
                     Env = environment([{"hook." ++ Event ++ ".b", "{}"}, {"hook." ++ Event ++ ".a", Rule}]),
                     ?assertEqual((defaults())#{hooks => [{Event ++ ".a", Rule}, {Event ++ ".b", "{}"}]}, Env),
                     ?assertMatch({ok, _}, checked(Env))
             end}
     || Rule <- ["{\"key\": \"${clientid}#1\"}"],
        Event <- ["client.connected", "client.disconnected", "client.subscribe", "client.unsubscribe", "session.created",
                  "session.subscribed", "session.unsubscribed", "session.terminated", "message.publish",
                  "message.delivered", "message.acked", "client.connect", "client.connack", "session.resumed",
                  "session.discarded", "session.takenover", "message.dropped", "delivery.dropped", "delivery.completed",
                  "message.puback"]].

%% As a conf file gives it (characters) and as the REST interface does (bytes).
a_rule_that_is_not_ascii_is_escaped_test_() ->
    Text = "{\"filter\": \"k" ++ [252] ++ "che/" ++ [16#6E29, 16#1F600] ++ "/#\"}",
    Escaped = "{\"filter\": \"k\\u00fcche/\\u6e29\\ud83d\\ude00/#\"}",
    [?_assertEqual((defaults())#{hooks => [{"message.publish.1", Escaped}]},
                   environment([{"hook.message.publish.1", Given}]))
     || Given <- [Text, binary_to_list(unicode:characters_to_binary(Text)), Escaped]]
        ++ [?_assertEqual((defaults())#{hooks => [{"message.publish.1", "\\u00fc"}]},
                          environment([{"hook.message.publish.1", [252]}])),
            ?_assertMatch({ok, _}, checked(environment([{"hook.message.publish.1", Text}])))].

an_empty_rule_is_none_test() ->
    ?assertEqual((defaults())#{hooks => []}, environment([{"hook.message.publish.1", ""}])),
    ?assertEqual(defaults(), environment([{"hook.message.publish.$name", ""}])).

a_wrong_rule_is_refused_with_its_key_test_() ->
    [{Rule, fun() ->
                    {error, [Problem]} = checked(environment([{"hook.message.publish.x", Rule}])),
                    ?assertMatch({match, _}, re:run(Problem, ["^emq.plugin.kafka.hook.message.publish.x: .*", Expected]))
            end}
     || {Rule, Expected} <- [{"{", "line 1 column 1"}, {"{\"filter\": \"a/#/b\"}", "filter: level 2"},
                             {"{\"topic\": \"a b\"}", "topic: "}, {"{\"fliter\": \"a\"}", "unknown field"},
                             {"{\"key\": \"${nope}\"}", "key: at character 1: unknown placeholder"}]].

a_rule_for_an_unknown_event_is_refused_test() ->
    {error, _, Message} = environment([{"hook.message.published.1", "{}"}]),
    ?assertNotEqual(nomatch, string:find(Message, ?PREFIX ++ "hook.message.published.1")).

every_property_of_librdkafka_has_a_mapping_test() ->
    {_, Mappings, _} = schema(),
    Depths = [length(cuttlefish_mapping:variable(M)) - 4
              || M <- Mappings, lists:nth(4, cuttlefish_mapping:variable(M)) =:= "rdkafka"],
    ?assertEqual(lists:seq(1, 7), lists:sort(Depths)).

a_value_keeps_its_hash_test() ->
    ?assertMatch(#{rdkafka := [{"sasl.password", "a#b # c"}]}, environment([{"rdkafka.sasl.password", "a#b # c"}])).

empty_fields_of_the_dashboard_are_no_properties_test() ->
    ?assertEqual(defaults(), environment([{"rdkafka.$p1", ""}, {"rdkafka.$p1.$p2", "x"}])).

a_property_with_an_empty_value_is_none_test() ->
    ?assertEqual((defaults())#{rdkafka => []}, environment([{"rdkafka.client.id", ""}])),
    ?assertMatch(#{rdkafka := [{"debug", "all"}]}, environment([{"rdkafka.client.id", ""}, {"rdkafka.debug", "all"}])),
    ?assertMatch({ok, _}, checked(environment([{"rdkafka.client.id", ""}]))).

%% Cleared in the dashboard.
an_empty_dead_letter_topic_is_none_test() ->
    Env = environment([{"dead_letter.topic", ""}]),
    ?assertEqual((defaults())#{dead_letter_topic => ""}, Env),
    ?assertNot(lists:keymember(<<"dead_letter_topic">>, 1, emq_plugin_kafka_settings:of_environment(maps:to_list(Env)))),
    ?assertMatch({ok, _}, checked(Env)).

%% Through schema and library.
a_login_with_its_password_in_a_file_is_checked_test() ->
    Login = [{"security.protocol", "sasl_plaintext"}, {"sasl.mechanism", "SCRAM-SHA-256"}, {"sasl.username", "emq"}],
    File = filename:join("/tmp", "emq_plugin_kafka_schema_tests." ++ os:getpid()),
    With = fun(More) -> checked(environment(Login ++ More)) end,
    ?assertMatch({error, [<<"emq.plugin.kafka.sasl.password: is missing", _/binary>>]}, With([])),
    ?assertMatch({error, [<<"emq.plugin.kafka.sasl.password_file: cannot read", _/binary>>]}, With([{"sasl.password_file", File}])),
    ok = file:write_file(File, <<"canary\n">>),
    {ok, Shown} = With([{"sasl.password_file", File}]),
    {ok, AlsoShown} = With([{"sasl.password", "canary"}]),
    ok = file:delete(File),
    ?assertEqual(list_to_binary(File), proplists:get_value(<<"sasl.password_file">>, Shown)),
    ?assertEqual(<<"******">>, proplists:get_value(<<"sasl.password">>, AlsoShown)),
    ?assertEqual(nomatch, string:find(io_lib:format("~p~p", [Shown, AlsoShown]), "canary")).

a_size_may_have_a_fraction_test() ->
    {ok, Checked} = checked(environment([{"queue.max_size", "1.5GB"}])),
    ?assertEqual(<<"1610612736">>, proplists:get_value(<<"queue.max_size">>, Checked)).

wrong_values_are_refused_with_their_key_test_() ->
    [{Key ++ " = " ++ Text,
      fun() ->
              {error, transform_datatypes, Message} = environment([{Key, Text}]),
              ?assertNotEqual(nomatch, string:find(Message, ?PREFIX ++ Key))
      end}
     || {Key, Text} <- [{"encode_payload", "hex"}, {"produce", "later"}, {"produce.timeout", "soon"},
                        {"produce.max_waiters", "many"}, {"on_failure", "panic"}, {"spool", "sometimes"},
                        {"spool.sync_interval", "often"}, {"overflow", "drop_old"}, {"security.protocol", "tls"},
                        {"ssl.endpoint.identification.algorithm", "http"},
                        {"queue.max_messages", "many"}, {"linger", "soon"}, {"compression", "zip"}, {"acks", "2"}, {"idempotence", "maybe"},
                        {"partitioner", "mine"}, {"shutdown_timeout", "never"}]].

an_unknown_key_is_refused_by_name_test() ->
    {error, _, Message} = environment([{"colour", "red"}]),
    ?assertNotEqual(nomatch, string:find(Message, ?PREFIX ++ "colour")).

%% What cuttlefish's datatypes let through is checked when the plugin starts.
what_cuttlefish_cannot_know_is_refused_at_start_test_() ->
    [{Key ++ " = " ++ Text,
      {timeout, 60, fun() ->
              {error, [Problem | _]} = checked(environment([{Key, Text}])),
              ?assertNotEqual(nomatch, string:find(Problem, ?PREFIX ++ Key ++ ": "))
      end}}
     || {Key, Text} <- [{"server", "9092"}, {"server", "a:b"}, {"topic", "a/b"}, {"queue.max_messages", "0"},
                        {"queue.max_size", "1"}, {"queue.max_size", "big"}, {"linger", "1h"}, {"shutdown_timeout", "1d"},
                        {"metrics.listener", "on"}, {"metrics.listener", "host"}, {"metrics.listener", "0"}, {"metrics.listener", "::1:9091"},
                        {"produce.timeout", "1h"}, {"produce.max_waiters", "0"}, {"spool.max_size", "big"},
                        {"spool.segment_size", "1"}, {"spool.sync_interval", "61s"}, {"dead_letter.topic", "a b"}, {"acks", "0"},
                        {"ssl.ca.location", "/nowhere"}, {"ssl.certificate.location", "/nowhere"},
                        {"ssl.key.location", "/nowhere"},
                        {"rdkafka.no.such.property", "1"}, {"rdkafka.plugin.library.paths", "/tmp/x.so"},
                        {"rdkafka.socket.timeout.ms", "soon"}]].

every_mapping_has_a_doc_of_one_line_test() ->
    {_, Mappings, _} = schema(),
    [?assertMatch({Key, [[_ | _]]}, {Key, cuttlefish_mapping:doc(M)})
     || M <- Mappings, Key <- [cuttlefish_mapping:variable(M)]].

everything_maps_to_this_application_test() ->
    {_, Mappings, _} = schema(),
    [?assertMatch("emq_plugin_kafka." ++ _, cuttlefish_mapping:mapping(M)) || M <- Mappings].
