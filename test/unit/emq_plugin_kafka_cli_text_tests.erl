%% What is printed for which answer.
-module(emq_plugin_kafka_cli_text_tests).

-include_lib("eunit/include/eunit.hrl").

format(Command, Answer) -> unicode:characters_to_binary(emq_plugin_kafka_cli_text:format(Command, Answer)).

status() ->
    #{state => running, problems => [], settings => [{<<"server">>, <<"a:1">>}], alarms => [], since_ms => 1700000000000,
      last_error => none, node => <<"n@h">>, version => <<"0.1.0">>, librdkafka => <<"2.12.1">>, config_hash => <<"0123456789ab">>,
      runs_in => <<"EMQ 2.3">>, gated_qos => [1], mode => <<"async">>, modes => #{}, queued => 3, spooled => 0, spool => #{state => off}, unseen => 0, boot => closed, brokers => none, topics => []}.

values_are_below_each_other_and_no_name_is_cut_test() ->
    Long = binary:copy(<<"x">>, 200),
    Text = format(status, (status())#{modes := #{Long => <<"sync">>}}),
    Columns = lists:usort([element(1, binary:match(Line, <<" : ">>)) || Line <- binary:split(Text, <<"\n">>, [global]), Line =/= <<>>]),
    ?assertEqual([length("mode of ") + 200], Columns).

nothing_that_is_known_is_left_out_test() ->
    Text = format(status, (status())#{unseen := 12, boot := open, alarms := [<<"degraded">>], problems := [<<"p">>], modes := #{<<"message.publish.1">> => <<"sync">>},
                                      last_error := #{text => <<"why">>, at_ms => 1700000000123}, spooled := 7,
                                      spool := #{state => full, oldest_ms => 7200000, filled_percent => 93},
                                      brokers := [#{name => <<"b/1">>, state => <<"UP">>, rtt_avg_us => 1500, rtt_p99_us => 20000},
                                                  #{name => <<"b/2">>, state => <<"DOWN">>, rtt_avg_us => 0, rtt_p99_us => 0}],
                                      topics := [#{name => <<"t">>, success => 5, failed => 1, isolated => true}]}),
    [?assertMatch({Line, {match, _}}, {Line, re:run(Text, ["(?m)^", Line, "$"])})
     || Line <- ["alarm +: degraded", "problem +: p", "mode of message.publish.1 +: sync", "last error +: 2023-11-14T22:13:20.123Z why",
                 "running since +: 2023-11-14T22:13:20.000Z", "records spooled +: 7, the oldest 2 h, 93 % full, full",
                 "broker b/1 +: up, round trip 1.5 ms, 99 % below 20.0 ms", "broker b/2 +: down", "topic t +: 5 acknowledged, 1 refused, isolated",
                 "messages unseen +: 12", "clients at boot +: do not wait for the plugin", "configuration +: 0123456789ab", "server +: a:1"]].

a_status_without_the_library_is_shown_test() ->
    Nothing = #{state => degraded, since_ms => none, librdkafka => none, config_hash => none, mode => none, queued => none, spooled => none,
                spool => none, settings => []},
    Text = format(status, maps:merge(status(), Nothing)),
    ?assertMatch({match, _}, re:run(Text, "(?m)^records spooled +: unknown$")).

what_becomes_of_records_is_told_where_they_are_not_sent_test() ->
    ?assertEqual(nomatch, re:run(format(status, (status())#{records => forwarded}), "(?m)^records +:")),
    [?assertMatch({Records, {match, _}}, {Records, re:run(format(status, (status())#{records => Records}), "(?m)^records +: " ++ Words)})
     || {Records, Words} <- [{spooled, "go to the spool$"}, {dropped, "are dropped and counted"}, {unseen, "are not seen$"}]].

a_reload_tells_what_has_changed_test() ->
    Changes = [#{key => <<"server">>, old => <<"kafka1:9092">>, new => <<"127.0.0.1:9092">>, note => default}],
    ?assertEqual(<<"reloaded:\nserver: kafka1:9092 -> 127.0.0.1:9092 (default)\n">>, format(reload, #{ok => true, changes => Changes})),
    ?assertEqual(<<"reloaded, nothing has changed\n">>, format(reload, #{ok => true, changes => []})).

rules_are_in_columns_test() ->
    Rule = fun(Event, Name) -> #{event => Event, name => Name, matched => 12, dropped => 0, definition => <<"{}">>} end,
    ?assertEqual(<<"event             name   matched  dropped  definition\n"
                   "client.connected  1      12       0        {}\n"
                   "message.publish   a\x{e9}bcd  12       0        {}\n"/utf8>>,
                 format(rules, #{rules => [Rule('client.connected', <<"1">>), Rule('message.publish', <<"a\x{e9}bcd"/utf8>>)]})).

a_flush_tells_what_is_left_test() ->
    ?assertEqual(<<"flushed in 12 ms\n">>, format(flush, #{ok => true, left => 0, problem => nil, took_ms => 12})),
    ?assertEqual(<<"not flushed: late; records left: 3\n">>, format(flush, #{ok => false, left => 3, problem => <<"late">>, took_ms => 1})).

%% A test's steps.

server(Passed, Problem) ->
    #{name => <<"kafka1:9092">>, addresses => [<<"10.0.0.1">>], passed => Passed, problem => Problem}.

problem(Kind, Text) ->
    #{kind => Kind, error => <<>>, text => Text, advice => <<"do this">>}.

report(Server, Problem) ->
    #{ok => false, problems => [], topic => <<"t">>, servers => [Server], brokers => [], delivered => nil, problem => Problem,
      said => [<<"FAIL: refused, it said">>, <<"another line">>]}.

each_step_that_was_passed_is_named_test() ->
    All = server([<<"dns">>, <<"connect">>, <<"tls">>, <<"login">>, <<"kafka">>], nil),
    Report = (report(All, nil))#{ok := true, delivered := #{partition => 2, offset => 41, took_ms => 9}},
    ?assertEqual(<<"server kafka1:9092: name resolved (10.0.0.1), connected, TLS ok, logged in, Kafka answers\n"
                   "topic t: record acknowledged in 9 ms, partition 2, offset 41\nok\n">>, format(test, Report)).

a_problem_is_told_once_where_it_is_test() ->
    Refused = problem(<<"login">>, <<"refused">>),
    ?assertEqual(<<"server kafka1:9092: name resolved (10.0.0.1), connected, FAILED (login): refused\n  what to do: do this\n"
                   "topic t: no record was sent\nlog: another line\n">>,
                 format(test, report(server([<<"dns">>, <<"connect">>], Refused), Refused))),
    Denied = problem(<<"authorisation">>, <<"denied">>),
    ?assertEqual(<<"server kafka1:9092: name resolved (10.0.0.1), connected, Kafka answers\n"
                   "topic t: FAILED (authorisation): denied\n  what to do: do this\n"
                   "log: FAIL: refused, it said\nlog: another line\n">>,
                 format(test, report(server([<<"dns">>, <<"connect">>, <<"kafka">>], nil), Denied))).
