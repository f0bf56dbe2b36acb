%% What is read of an EMQX 5 configuration that is wrong.
-module(emq_plugin_kafka_emqx5_partial_tests).

-include_lib("eunit/include/eunit.hrl").

table() ->
    {ok, Table} = emq_plugin_kafka_emqx5_settings:table(),
    Table.

read(Config) ->
    emq_plugin_kafka_settings:readable(emq_plugin_kafka_emqx5_partial:of_config(table(), Config)).

value(Name, Config) -> proplists:get_value(Name, read(Config)).

what_is_right_is_there_beside_what_is_wrong_test() ->
    Config = #{<<"topic">> => <<"t">>, <<"produce">> => <<"durable">>, <<"linger">> => <<"soon">>},
    ?assertEqual([<<"t">>, <<"durable">>, <<"soon">>], [value(Name, Config) || Name <- [<<"topic">>, <<"produce">>, <<"linger">>]]).

a_slip_is_handed_on_as_it_is_written_test() ->
    ?assertEqual(<<"durabel">>, value(<<"produce">>, #{<<"produce">> => <<"durabel">>})),
    ?assertEqual(<<"durable">>, value(<<"prodduce">>, #{<<"prodduce">> => <<"durable">>})).

rules_are_there_when_one_of_them_is_wrong_test() ->
    Rules = #{<<"message.publish.1">> => <<"{}">>, <<"no.such.event">> => <<"{}">>, <<"message.publish.2">> => 5},
    ?assertEqual([<<"hook.message.publish.1">>, <<"hook.no.such.event">>],
                 [Name || {<<"hook.", _/binary>> = Name, _} <- read(#{<<"hook">> => Rules})]).

odd_values_are_no_exception_test() ->
    [?assert(is_list(read(#{Field => Value})))
     || Field <- [<<"topic">>, <<"hook">>, <<"rdkafka">>, <<"spool_max_size">>, <<"none">>],
        Value <- [null, true, 1, 1.5, [], [1], <<255>>, #{}, #{<<"a">> => #{}}, #{<<"a">> => <<255>>}]].

a_file_that_cannot_be_read_has_no_topic_and_perhaps_a_mode_test() ->
    Read = fun(Text) -> emq_plugin_kafka_settings:readable(emq_plugin_kafka_emqx5_partial:of_text(Text)) end,
    Topic = {<<"topic">>, <<>>},
    [?assertEqual({Text, [Topic, {<<"produce">>, <<"unreadable">>}]}, {Text, Read(Text)})
     || Text <- [<<"produce = durable, topic = ">>, <<"\"produce\": \"sync\"">>, <<"a = 1\nproduce=durabel\n{">>,
                 <<"{ hook { \"message.publish.1\" = \"{\\\"produce\\\": \\\"durable\\\"}\" }">>]],
    ?assertEqual([Topic, {<<"on_failure">>, <<"disconnect">>}], Read(<<"on_failure = disconnect {">>)),
    [?assertEqual({Text, [Topic]}, {Text, Read(Text)})
     || Text <- [<<>>, <<"topic = ">>, <<"produce = async">>, <<"produce_timeout = 5s">>, <<"produce = \"\"">>]].
