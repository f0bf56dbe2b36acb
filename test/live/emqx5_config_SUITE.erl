%% The configuration of EMQX 5, with a real producer: read when the plugin starts, changed by EMQX while it runs, and refused in words.
-module(emqx5_config_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([
    the_plugin_starts_with_what_is_in_the_file/1,
    without_a_file_it_starts_with_what_emqx_has/1,
    a_new_configuration_is_used_without_a_stop/1,
    a_wrong_configuration_is_refused_in_words/1,
    a_setting_has_one_name_everywhere/1,
    a_rule_with_an_odd_name_is_shown_as_text/1,
    a_wrong_file_degrades_until_it_is_mended/1,
    a_file_that_is_no_hocon_is_named/1,
    a_setting_that_is_gone_is_not_kept/1,
    a_plugin_that_does_not_run_checks_a_configuration/1,
    a_reload_reads_the_file/1,
    its_health_is_told/1,
    a_start_does_not_wait_for_kafka/1,
    the_spool_is_below_emqx_own_data/1,
    a_start_with_a_wrong_file_goes_on_with_the_last_settings/1,
    a_refused_configuration_is_told_until_it_is_gone/1,
    an_empty_form_tells_what_it_has_reset/1,
    a_first_start_with_a_wrong_topic_acknowledges_nothing_that_was_to_be_safe/1,
    a_first_start_with_a_wrong_mode_keeps_records_and_takes_it_for_the_strictest/1,
    a_first_start_with_a_file_that_is_no_hocon_counts/1
]).

-define(APP, emq_plugin_kafka).

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [the_plugin_starts_with_what_is_in_the_file, without_a_file_it_starts_with_what_emqx_has, a_new_configuration_is_used_without_a_stop,
     a_wrong_configuration_is_refused_in_words, a_setting_has_one_name_everywhere, a_rule_with_an_odd_name_is_shown_as_text, a_wrong_file_degrades_until_it_is_mended, a_file_that_is_no_hocon_is_named,
     a_setting_that_is_gone_is_not_kept, a_plugin_that_does_not_run_checks_a_configuration, a_reload_reads_the_file, its_health_is_told,
     a_start_does_not_wait_for_kafka, the_spool_is_below_emqx_own_data, a_start_with_a_wrong_file_goes_on_with_the_last_settings,
     a_refused_configuration_is_told_until_it_is_gone, an_empty_form_tells_what_it_has_reset,
     a_first_start_with_a_wrong_topic_acknowledges_nothing_that_was_to_be_safe,
     a_first_start_with_a_wrong_mode_keeps_records_and_takes_it_for_the_strictest, a_first_start_with_a_file_that_is_no_hocon_counts].

init_per_testcase(Case, Config) ->
    Dir = filename:join(?config(priv_dir, Config), Case),
    ok = filelib:ensure_dir(filename:join([Dir, "plugins", ?APP, "x"])),
    ok = persistent_term:put({standin, data_dir}, Dir),
    ok = standin_emqx_hooks:start(5),
    ok = application:load(?APP),
    [{dir, Dir} | Config].

end_per_testcase(_Case, _Config) ->
    _ = application:stop(?APP),
    ok = application:unload(?APP),
    standin_emqx_hooks:stop().

%% Cases

the_plugin_starts_with_what_is_in_the_file(Config) ->
    Topic = kafka_reader:new_topic("emqx5_file"),
    ok = save(Config, settings(Config, Topic)),
    ok = application:start(?APP),
    ?assertMatch(#{state := running, problems := []}, emq_plugin_kafka:status()),
    ok = publish(<<"one">>),
    ?assertMatch([_], kafka_reader:records(Topic, 1)).

without_a_file_it_starts_with_what_emqx_has(Config) ->
    [begin
         ok = persistent_term:put({standin, config}, Given),
         ok = application:start(?APP),
         ?assertMatch(#{state := running}, emq_plugin_kafka:status()),
         ?assertEqual(<<"from_emqx">>, setting(<<"topic">>)),
         ok = application:stop(?APP)
     end || Map <- [settings(Config, "from_emqx")], Given <- [{ok, Map}, Map]],
    ok = persistent_term:put({standin, config}, {error, not_found}),
    ok = file:delete(filename:join(?config(dir, Config), "kafka_spool.settings")),
    ok = application:start(?APP),
    ?assertMatch(#{state := degraded, problems := [<<"EMQX has no configuration of emq_plugin_kafka-", _/binary>>]}, emq_plugin_kafka:status()).

a_new_configuration_is_used_without_a_stop(Config) ->
    [Old, New] = [kafka_reader:new_topic(Name) || Name <- ["emqx5_old", "emqx5_new"]],
    ok = save(Config, settings(Config, Old)),
    ok = application:start(?APP),
    Producer = whereis(emq_plugin_kafka_producer),
    ok = publish(<<"before">>),
    ?assertEqual(ok, emq_plugin_kafka_app:on_config_changed(settings(Config, Old), settings(Config, New))),
    ok = publish(<<"after">>),
    ?assertMatch([_], kafka_reader:records(Old, 1)),
    ?assertMatch([_], kafka_reader:records(New, 1)),
    ?assertEqual(Producer, whereis(emq_plugin_kafka_producer)).

%% By the table of fields, and by the library; whatever it is, the old one is in force.
a_wrong_configuration_is_refused_in_words(Config) ->
    Good = settings(Config, "kept"),
    ok = save(Config, Good),
    ok = application:start(?APP),
    [begin
         {error, Text} = emq_plugin_kafka_app:on_config_changed(Good, maps:merge(Good, Wrong)),
         ?assertMatch({Expected, {match, _}}, {Expected, re:run(Text, Expected)}),
         #{state := running, problems := [_ | _] = Problems} = emq_plugin_kafka:status(),
         ?assertMatch({match, _}, re:run(iolist_to_binary(Problems), "the last settings that worked stay in use")),
         ?assertEqual(<<"kept">>, setting(<<"topic">>))
     end || {Wrong, Expected} <-
                [{#{<<"topic">> => <<"new">>, <<"produce">> => <<"later">>}, "^produce: expected one of async, durable, sync, not later$"},
                 {#{<<"topic">> => <<"new">>, <<"colour">> => 1, <<"linger">> => <<"soon">>}, "^colour: unknown setting; linger: expected"},
                 {#{<<"topic">> => <<"new">>, <<"spool_max_size">> => <<"big">>}, "^spool_max_size: "},
                 {#{<<"topic">> => <<"a b">>}, "topic: "},
                 {#{<<"topic">> => <<"new">>, <<"hook">> => #{<<"message.publish.1">> => <<"{\"filter\": \"a/#/b\"}">>}},
                  "^hook.\"message.publish.1\": .*filter"},
                 {#{<<"topic">> => <<"new">>, <<"rdkafka">> => #{<<"no.such.property">> => <<"1">>}}, "^rdkafka.\"no.such.property\": "}]].

%% At the start, in the health that EMQX asks for, at a change, at a reload, and in what a test advises: the field of the form.
a_setting_has_one_name_everywhere(Config) ->
    Good = settings(Config, "named"),
    [begin
         ok = save(Config, maps:merge(Good, Wrong)),
         ok = application:start(?APP),
         #{state := degraded, problems := Problems} = emq_plugin_kafka:status(),
         Text = iolist_to_binary(lists:join("; ", Problems)),
         ?assertEqual({error, <<"degraded; ", Text/binary>>}, emq_plugin_kafka_app:on_health_check(#{})),
         ?assertEqual({error, Text}, emq_plugin_kafka_app:on_config_changed(#{}, maps:merge(Good, Wrong))),
         ?assertEqual({error, Problems}, emq_plugin_kafka_producer:reload()),
         {ok, _} = emq_plugin_kafka_producer:reload(environment(Good)),
         ?assertEqual({error, Problems}, emq_plugin_kafka_producer:reload()),
         ?assertMatch({Expected, Text, {match, _}}, {Expected, Text, re:run(Text, Expected)}),
         ?assertEqual(nomatch, string:find(Text, "emq.plugin.kafka")),
         ok = application:stop(?APP),
         ok = file:delete(filename:join(?config(dir, Config), "kafka_spool.settings"))
     end || {Wrong, Expected} <-
                [{#{<<"topic">> => <<"a b">>}, "^topic: a Kafka topic name"},
                 {#{<<"sasl_password_file">> => <<"/no/such">>, <<"security_protocol">> => <<"sasl_plaintext">>},
                  "^sasl_password_file: cannot read .*; sasl_mechanism: is missing: security_protocol is sasl_plaintext"},
                 {#{<<"hook">> => #{<<"message.publish.1">> => <<"[]">>}},
                  "^hook.\"message.publish.1\": expected a JSON object such as \\{\"filter\": \"a/#\"}, got a list"},
                 {#{<<"rdkafka">> => #{<<"socket.timeout.ms">> => <<"x">>}}, "^rdkafka.\"socket.timeout.ms\": "},
                 {#{<<"rdkafka">> => #{<<"bootstrap.servers">> => <<"h:1">>}}, "not allowed here: the plugin has a setting for it: server$"},
                 {#{<<"acks">> => <<"1">>}, "^acks: must be all while idempotence is on"},
                 {#{<<"server">> => <<"SSL://h:9092">>}, "^server: .*set security_protocol = ssl"}]],
    ok = save(Config, Good#{<<"server">> => <<"127.0.0.1:1">>}),
    ok = application:start(?APP),
    #{problem := #{advice := Advice}} = emq_plugin_kafka_info:test(<<>>, 5000),
    ?assertMatch({match, _}, re:run(Advice, "correct the port in server$")).

environment(Config) ->
    {ok, Environment} = emq_plugin_kafka_emqx5_settings:environment(Config),
    Environment.

%% Bytes that are no text, and characters that a terminal obeys.
a_rule_with_an_odd_name_is_shown_as_text(Config) ->
    Good = settings(Config, "odd"),
    [?assertMatch({Key, {error, <<Shown:(byte_size(Shown))/binary, _/binary>>}},
                  {Key, emq_plugin_kafka_app:on_config_changed(#{}, Good#{<<"hook">> => #{Key => <<"[]">>}})})
     || {Key, Shown} <- [{<<"message.publish.", 255, 1>>, <<"hook.\"message.publish.\\x{FF}\\x{1}\": expected EVENT.NAME">>},
                         {<<"message.publish.\e[1m">>, <<"hook.\"message.publish.\\u{1b}[1m\": expected a JSON object">>},
                         {<<"message.publish.küche"/utf8>>, <<"hook.\"message.publish.küche\": expected a JSON object"/utf8>>},
                         {<<255>>, <<"hook.\"\\x{FF}\": expected EVENT.NAME">>}]],
    ?assertMatch({error, <<"rdkafka.\"\\x{FF}\": expected a name in UTF-8">>},
                 emq_plugin_kafka_app:on_config_changed(#{}, Good#{<<"rdkafka">> => #{<<255>> => <<"x">>}})),
    ?assertMatch({error, <<"\\x{FF}: unknown setting">>}, emq_plugin_kafka_app:on_config_changed(#{}, Good#{<<255>> => <<"x">>})).

a_wrong_file_degrades_until_it_is_mended(Config) ->
    Good = settings(Config, "mended"),
    ok = save(Config, Good#{<<"acks">> => <<"2">>}),
    ok = application:start(?APP),
    ?assertMatch(#{state := degraded, problems := [<<"acks: expected one of all, 1, 0, not 2">>]}, emq_plugin_kafka:status()),
    ?assertEqual(ok, emq_plugin_kafka_app:on_config_changed(#{}, Good)),
    ?assertMatch(#{state := running, problems := []}, emq_plugin_kafka:status()).

a_file_that_is_no_hocon_is_named(Config) ->
    ok = file:write_file(file(Config), <<"topic = ">>),
    ok = application:start(?APP),
    #{state := degraded, problems := [Problem]} = emq_plugin_kafka:status(),
    ?assertMatch({match, _}, re:run(Problem, "/plugins/emq_plugin_kafka/config.hocon: ")).

%% Left in the environment by an earlier start.
a_setting_that_is_gone_is_not_kept(Config) ->
    ok = save(Config, (settings(Config, "t"))#{<<"sasl_username">> => <<"u">>, <<"rdkafka">> => #{<<"debug">> => <<"broker">>}}),
    ok = application:start(?APP),
    {ok, "u"} = application:get_env(?APP, sasl_username),
    ok = application:stop(?APP),
    ok = save(Config, settings(Config, "t")),
    ok = application:start(?APP),
    ?assertEqual([undefined, undefined], [application:get_env(?APP, Name) || Name <- [sasl_username, rdkafka]]).

%% EMQX tells of the configuration before it starts the plugin, too.
a_plugin_that_does_not_run_checks_a_configuration(Config) ->
    Good = settings(Config, "t"),
    ?assertEqual(ok, emq_plugin_kafka_app:on_config_changed(#{}, Good)),
    ?assertMatch({error, <<"produce: ", _/binary>>}, emq_plugin_kafka_app:on_config_changed(#{}, Good#{<<"produce">> => <<"later">>})),
    ?assertMatch({error, <<_, _/binary>>}, emq_plugin_kafka_app:on_config_changed(#{}, Good#{<<"topic">> => <<"a b">>})),
    ?assertEqual(undefined, whereis(emq_plugin_kafka_producer)).

a_reload_reads_the_file(Config) ->
    ok = save(Config, settings(Config, "first")),
    ok = application:start(?APP),
    ok = save(Config, settings(Config, "second")),
    ?assertEqual({ok, [#{key => <<"topic">>, old => <<"first">>, new => <<"second">>, note => none}]}, emq_plugin_kafka_producer:reload()),
    ?assertEqual(<<"second">>, setting(<<"topic">>)).

its_health_is_told(Config) ->
    ?assertMatch({error, <<"stopped", _/binary>>}, emq_plugin_kafka_app:on_health_check(#{})),
    ok = save(Config, (settings(Config, "t"))#{<<"produce">> => <<"later">>}),
    ok = application:start(?APP),
    ?assertMatch({error, <<"degraded; produce: ", _/binary>>}, emq_plugin_kafka_app:on_health_check(#{})),
    ok = save(Config, settings(Config, "t")),
    {ok, _} = emq_plugin_kafka_producer:reload(),
    ?assertEqual(ok, emq_plugin_kafka_app:on_health_check(#{})).

%% EMQX gives up after 10 s. Nothing listens at the one, the other accepts and never answers.
a_start_does_not_wait_for_kafka(Config) ->
    {ok, Silent} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Silent),
    [begin
         ok = save(Config, (settings(Config, "t"))#{<<"server">> => list_to_binary("127.0.0.1:" ++ integer_to_list(At))}),
         {Micros, ok} = timer:tc(fun() -> application:start(?APP) end),
         ?assertMatch({At, #{state := running}}, {At, emq_plugin_kafka:status()}),
         ?assert(Micros < 10000000),
         ok = publish(<<"kept">>),
         ok = application:stop(?APP)
     end || At <- [1, Port]],
    gen_tcp:close(Silent).

the_spool_is_below_emqx_own_data(Config) ->
    ok = save(Config, maps:remove(<<"spool_dir">>, settings(Config, "t"))),
    ok = application:start(?APP),
    ?assertMatch(#{state := running}, emq_plugin_kafka:status()),
    ?assert(filelib:is_dir(filename:join(?config(dir, Config), "kafka_spool"))),
    Other = filename:join(?config(dir, Config), "elsewhere"),
    ok = application:stop(?APP),
    ok = save(Config, (settings(Config, "t"))#{<<"spool_dir">> => list_to_binary(Other)}),
    ok = application:start(?APP),
    ?assert(filelib:is_dir(Other)).

%% As after a PUT that EMQX 5.7 saves although it is refused, and a restart weeks later.
a_start_with_a_wrong_file_goes_on_with_the_last_settings(Config) ->
    Topic = kafka_reader:new_topic("emqx5_last"),
    Good = settings(Config, Topic),
    ok = save(Config, Good),
    ok = application:start(?APP),
    ok = application:stop(?APP),
    [begin
         ok = save(Config, Wrong),
         ok = application:start(?APP),
         #{state := running, records := forwarded, problems := [Problem]} = emq_plugin_kafka:status(),
         ?assertMatch({Key, {match, _}}, {Key, re:run(Problem, [Key, ".*the last settings that worked stay in use"])}),
         ?assertMatch({error, _}, emq_plugin_kafka_app:on_health_check(#{})),
         ok = publish(<<"one">>),
         ok = application:stop(?APP)
     end || {Wrong, Key} <- [{Good#{<<"topic">> => <<"bad topic!">>}, "topic: "}, {Good#{<<"produce">> => <<"durabel">>}, "produce: "},
                             {#{<<"topic">> => <<"bad topic!">>}, "topic: "}]],
    ok = file:write_file(file(Config), <<"topic = ">>),
    ok = application:start(?APP),
    ok = publish(<<"four">>),
    ?assertEqual(4, length(kafka_reader:records(Topic, 4))),
    %% Mended by hand, without a reload: there is nothing wrong any more.
    ok = save(Config, Good),
    ok = polling:until(fun() -> maps:get(problems, emq_plugin_kafka:status()) =:= [] end),
    ?assertEqual(ok, emq_plugin_kafka_app:on_health_check(#{})).

%% EMQX 5.9 does not save what was refused: then there is nothing to mend. Earlier ones do.
a_refused_configuration_is_told_until_it_is_gone(Config) ->
    Good = settings(Config, "told"),
    ok = save(Config, Good),
    ok = application:start(?APP),
    Refuse = fun() -> {error, _} = emq_plugin_kafka_app:on_config_changed(Good, Good#{<<"topic">> => <<"bad topic!">>}) end,
    Told = fun() -> {maps:get(problems, emq_plugin_kafka:status()), maps:get(alarms, emq_plugin_kafka:status())} end,
    Refuse(),
    {[_], _} = Told(),
    ok = polling:until(fun() -> element(2, Told()) =:= [<<"settings">>] end),
    ok = polling:until(fun() -> Told() =:= {[], []} end),
    ok = save(Config, Good#{<<"topic">> => <<"bad topic!">>}),
    Refuse(),
    %% It has looked, and looks again.
    ok = looked(2),
    ?assertMatch({[_], [<<"settings">>]}, Told()),
    ?assertEqual(ok, emq_plugin_kafka_app:on_config_changed(Good, Good)),
    ok = polling:until(fun() -> Told() =:= {[], []} end).

%% Waits until the producer's process has begun to read the settings so many times.
looked(Times) ->
    Producer = whereis(emq_plugin_kafka_producer),
    1 = erlang:trace_pattern({emq_plugin_kafka_broker, read_settings, 0}, true, []),
    1 = erlang:trace(Producer, true, [call]),
    [receive {trace, Producer, call, _} -> ok end || _ <- lists:seq(1, Times)],
    1 = erlang:trace(Producer, false, [call]),
    ok.

an_empty_form_tells_what_it_has_reset(Config) ->
    %% By another name: the address may be the default.
    Server = iolist_to_binary(["localhost:", lists:last(string:lexemes(kafka_reader:bootstrap(), ":"))]),
    ok = save(Config, (settings(Config, "form"))#{<<"server">> => Server}),
    ok = application:start(?APP),
    ok = save(Config, #{<<"spool_dir">> => maps:get(<<"spool_dir">>, settings(Config, ""))}),
    {ok, Changes} = emq_plugin_kafka_producer:reload(),
    Lines = [unicode:characters_to_binary(emq_plugin_kafka_changes:line(Change)) || Change <- Changes],
    [?assert(lists:member(Line, Lines), {Line, Lines})
     || Line <- [<<"server: ", Server/binary, " -> 127.0.0.1:9092 (default)">>, <<"topic: form -> test (default)">>,
                 <<"hook.\"message.publish.1\": {\"filter\":\"#\"} -> none">>]].

a_first_start_with_a_wrong_topic_acknowledges_nothing_that_was_to_be_safe(Config) ->
    Rules = #{<<"message.publish.safe">> => <<"{\"filter\": \"a/#\"}">>,
              <<"message.publish.late">> => <<"{\"filter\": \"late/#\", \"produce\": \"async\"}">>},
    ok = save(Config, (settings(Config, "bad topic!"))#{<<"produce">> => <<"durable">>, <<"hook">> => Rules}),
    ok = application:start(?APP),
    ?assertMatch(#{state := degraded, records := dropped, problems := [_]}, emq_plugin_kafka:status()),
    #{dropped_by := #{degraded := Before}} = emq_plugin_kafka:stats(),
    [?assertEqual({QoS, not_acknowledged}, {QoS, published(<<"a/b">>, QoS)}) || QoS <- [1, 2]],
    [?assertEqual({Topic, QoS, acknowledged}, {Topic, QoS, published(Topic, QoS)}) || {Topic, QoS} <- [{<<"a/b">>, 0}, {<<"late/1">>, 1}, {<<"x">>, 2}]],
    ?assertMatch(#{dropped_by := #{degraded := Now}} when Now =:= Before + 4, emq_plugin_kafka:stats()),
    ok = save(Config, settings(Config, "mended")),
    {ok, _} = emq_plugin_kafka_producer:reload(),
    ?assertEqual(acknowledged, published(<<"a/b">>, 1)).

a_first_start_with_a_wrong_mode_keeps_records_and_takes_it_for_the_strictest(Config) ->
    Topic = kafka_reader:new_topic("emqx5_strict"),
    Good = settings(Config, Topic),
    ok = save(Config, Good#{<<"produce">> => <<"durabel">>}),
    ok = application:start(?APP),
    ?assertMatch(#{state := degraded, records := spooled}, emq_plugin_kafka:status()),
    ?assertEqual(acknowledged, published(<<"a/b">>, 1)),
    ?assertMatch(#{spooled := 1}, emq_plugin_kafka:stats()),
    ?assertEqual(ok, emq_plugin_kafka_app:on_config_changed(#{}, Good#{<<"produce">> => <<"durable">>})),
    ?assertMatch([_], kafka_reader:records(Topic, 1)).

a_first_start_with_a_file_that_is_no_hocon_counts(Config) ->
    [begin
         ok = file:write_file(file(Config), Text),
         ok = application:start(?APP),
         ?assertMatch(#{state := degraded, records := dropped}, emq_plugin_kafka:status()),
         ?assertEqual({Text, Expected}, {Text, published(<<"a/b">>, 1)}),
         ok = application:stop(?APP)
     end || {Text, Expected} <- [{<<"topic = ">>, acknowledged}, {<<"produce = durable\ntopic = ">>, not_acknowledged}]].

%% What the cases are made of

%% As its client sees it. Where it is not acknowledged, its connection ends.
published(Topic, QoS) ->
    ok = logger:update_process_metadata(#{clientid => <<"c1">>}),
    Message = setelement(7, setelement(3, message(<<"x">>), QoS), Topic),
    #{should_disconnect := Ends} = maps:merge(#{should_disconnect => false},
                                              element(6, emqx_hooks:run_fold('message.publish', [], Message))),
    ?assertEqual([], standin_emqx_hooks:failures()),
    case Ends of true -> not_acknowledged; false -> acknowledged end.

settings(Config, Topic) ->
    #{<<"server">> => list_to_binary(kafka_reader:bootstrap()), <<"topic">> => list_to_binary(Topic), <<"linger">> => <<"1ms">>,
      <<"spool_dir">> => unicode:characters_to_binary(filename:join(?config(dir, Config), "spool")),
      <<"hook">> => #{<<"message.publish.1">> => <<"{\"filter\": \"#\"}">>}}.

file(Config) -> filename:join([?config(dir, Config), "plugins", ?APP, "config.hocon"]).

save(Config, Settings) -> file:write_file(file(Config), jiffy:encode(Settings)).

setting(Key) ->
    #{settings := Settings} = emq_plugin_kafka:status(),
    proplists:get_value(Key, Settings).

message(Payload) ->
    {message, <<1:128>>, 1, <<"c1">>, #{dup => false, retain => false},
               #{username => <<"u">>, peerhost => {127, 0, 0, 1}, proto_ver => 4, protocol => mqtt, properties => #{}},
               <<"a/b">>, Payload, erlang:system_time(millisecond), #{}}.

publish(Payload) ->
    Message = message(Payload),
    Message = emqx_hooks:run_fold('message.publish', [], Message),
    ?assertEqual([], standin_emqx_hooks:failures()),
    ok.
