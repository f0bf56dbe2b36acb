%% What settings are called in messages: as the operators of each broker write them. The library is real.
-module(setting_names_tests).

-include_lib("eunit/include/eunit.hrl").

each_broker_has_its_names_test_() ->
    Wrong = [{topic, "a b"}, {sasl_password_file, "/no/such"}, {hooks, [{"message.publish.1", "\"a/#\""}]}, {rdkafka, [{"no.such", "1"}]}],
    Conf = ["emq.plugin.kafka.topic", "emq.plugin.kafka.sasl.password_file", "emq.plugin.kafka.hook.message.publish.1",
            "emq.plugin.kafka.rdkafka.no.such"],
    Hocon = ["topic", "sasl_password_file", "hook.\"message.publish.1\"", "rdkafka.\"no.such\""],
    [{Name, fun() ->
                    in(Generation, fun() ->
                                           Problems = problems(Wrong),
                                           [?assertMatch({Key, [_ | _]}, {Key, [P || P <- Problems, string:prefix(P, [Key, ": "]) =/= nomatch]})
                                            || Key <- Names],
                                           %% And nowhere another one.
                                           ?assertEqual([], [P || Generation =:= 5, P <- Problems, string:find(P, "emq.plugin") =/= nomatch])
                                   end)
            end}
     || {Name, Generation, Names} <- [{"EMQ 2.3", 2, Conf}, {"EMQX 4", 4, Conf}, {"EMQX 5", 5, Hocon}]].

%% As text, and a terminal obeys nothing of it.
odd_names_of_rules_are_shown_as_text_test_() ->
    [{Shown, fun() ->
                     [Problem] = problems([{hooks, [{Name, "[]"}]}]),
                     ?assertEqual(iolist_to_binary(["emq.plugin.kafka.hook.", unicode:characters_to_binary(Shown),
                                                    ": expected a JSON object such as {\"filter\": \"a/#\"}, got a list"]), Problem)
             end}
     || {Name, Shown} <- [{"message.publish.\e[1m\x{1}", "message.publish.\\u{1b}[1m\\u{1}"}, {"message.publish.k" ++ [252], "message.publish.k" ++ [252]},
                          {"message.publish." ++ [16#6E29], "message.publish." ++ [16#6E29]},
                          {<<"message.publish.\x{7}">>, "message.publish.\\u{7}"}]].

problems(Environment) ->
    {error, Problems} = emq_plugin_kafka_settings:use(Environment, fun emq_plugin_kafka_nif:check/1),
    Problems.

in(2, Test) -> Test();
in(Generation, Test) ->
    ok = standin_emqx_hooks:start(Generation),
    try Test() after standin_emqx_hooks:stop() end.
