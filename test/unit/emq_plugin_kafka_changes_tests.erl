%% How changes of settings are found and told.
-module(emq_plugin_kafka_changes_tests).

-include_lib("eunit/include/eunit.hrl").

lines(Before, After) ->
    [unicode:characters_to_binary(emq_plugin_kafka_changes:line(Change)) || Change <- emq_plugin_kafka_changes:between(Before, After)].

what_is_the_same_is_no_change_test() ->
    Same = [{<<"server">>, <<"a:1">>, false, none}, {<<"sasl.password">>, <<"******">>, false, 7}],
    ?assertEqual([], lines(Same, lists:reverse(Same))).

an_empty_form_shows_what_it_resets_test() ->
    Before = [{<<"server">>, <<"kafka1:9092">>, false, none}, {<<"hook.message.publish.1">>, <<"{}">>, false, none}],
    After = [{<<"server">>, <<"127.0.0.1:9092">>, true, none}],
    ?assertEqual([<<"hook.message.publish.1: {} -> none">>, <<"server: kafka1:9092 -> 127.0.0.1:9092 (default)">>], lines(Before, After)).

what_is_new_was_none_test() ->
    ?assertEqual([<<"rdkafka.debug: none -> all">>], lines([], [{<<"rdkafka.debug">>, <<"all">>, false, none}])).

another_secret_is_told_and_not_shown_test() ->
    Secret = fun(Mark) -> [{<<"sasl.password">>, <<"******">>, false, Mark}] end,
    ?assertEqual([<<"sasl.password: ****** -> ****** (another secret)">>], lines(Secret(1), Secret(2))),
    %% Of what was read from disk nobody knows.
    ?assertEqual([], lines(Secret(none), Secret(2))).

another_password_in_the_same_file_is_told_test() ->
    File = fun(Mark) -> [{<<"sasl.password_file">>, <<"etc/kafka.password">>, false, Mark}] end,
    ?assertEqual([<<"sasl.password_file: etc/kafka.password -> etc/kafka.password (another secret)">>], lines(File(1), File(2))).
