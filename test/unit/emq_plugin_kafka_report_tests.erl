%% What the operator is told, and how often.
-module(emq_plugin_kafka_report_tests).

-include_lib("eunit/include/eunit.hrl").

-define(FAIL, {error, <<"FAIL">>, <<"connection refused">>, 1}).

stats(Success, Dropped) ->
    #{success => Success, dropped_by => #{queue_full => Dropped, closed => 0}, failed_by => #{<<"too_large">> => Dropped},
      wait_timeouts => 0, disconnected => 0}.

%% Lines as text, and the report after them.
next(Now, Notices, Stats, Report) ->
    next(Now, Notices, Stats, nowhere(), Report).

next(Now, Notices, Stats, Places, Report) ->
    {Lines, Next} = emq_plugin_kafka_report:next(Now, Notices, Stats, Places, Report),
    {[unicode:characters_to_binary(Line) || {error, Line} <- Lines], Next}.

new() -> emq_plugin_kafka_report:new(stats(0, 0), nowhere()).

nowhere() -> #{rules => #{}, topics => #{}}.

an_hour_of_outage_takes_a_line_a_minute_test() ->
    {Lines, _} = lists:foldl(fun(Second, {Lines, Report}) ->
                                     {New, Next} = next(Second * 1000, [?FAIL], stats(0, 0), Report),
                                     {Lines ++ New, Next}
                             end, {[], new()}, lists:seq(0, 3600)),
    ?assertEqual(61, length(Lines)),
    ?assertEqual([<<"connection refused">>, <<"connection refused (and 59 more of this kind)">>], lists:sublist(Lines, 2)).

kinds_are_told_apart_test() ->
    {Lines, _} = next(0, [?FAIL, {error, <<"SSL">>, <<"bad certificate">>, 3}], stats(0, 0), new()),
    ?assertEqual([<<"connection refused">>, <<"bad certificate (and 2 more of this kind)">>], Lines).

what_is_still_broken_after_a_reload_is_told_at_once_test() ->
    {[_], Failing} = next(0, [?FAIL], stats(5, 0), new()),
    {[], StillFailing} = next(1000, [?FAIL], stats(5, 0), Failing),
    {[<<"connection refused">>], Told} = next(2000, [?FAIL], stats(5, 0), emq_plugin_kafka_report:reloaded(StillFailing)),
    {[<<"Kafka accepts records again">>], _} = next(3000, [], stats(6, 0), Told).

an_unwise_setting_is_no_failure_whose_end_is_told_test() ->
    {[<<"others can read it">>], Told} = next(0, [{error, <<"setting x">>, <<"others can read it">>, 1}], stats(5, 0), new()),
    {[], _} = next(1000, [], stats(6, 0), Told).

the_end_of_an_outage_is_told_once_test() ->
    {_, Failing} = next(0, [?FAIL], stats(5, 0), new()),
    {[], StillFailing} = next(1000, [], stats(5, 0), Failing),
    {[<<"Kafka accepts records again">>], Again} = next(2000, [], stats(6, 0), StillFailing),
    {[], Quiet} = next(3000, [], stats(7, 0), Again),
    {[<<"connection refused">>], _} = next(60000, [?FAIL], stats(7, 0), Quiet).

%% One of three brokers is down: records flow, and librdkafka keeps trying.
a_failure_that_comes_and_goes_is_told_once_a_minute_test() ->
    {Lines, _} = lists:foldl(fun(Second, {Lines, Report}) ->
                                     Notices = [?FAIL || Second rem 10 =:= 0],
                                     {New, Next} = next(Second * 1000, Notices, stats(Second, 0), Report),
                                     {Lines ++ New, Next}
                             end, {[], new()}, lists:seq(0, 599)),
    ?assertEqual(20, length(Lines)).

losses_are_told_every_ten_seconds_with_counts_test() ->
    {[First], A} = next(0, [], stats(0, 3), new()),
    ?assertEqual(<<"records lost: dropped.queue_full 3, failed.too_large 3">>, First),
    {[], B} = next(1000, [], stats(0, 10), A),
    {[], C} = next(9999, [], stats(0, 20), B),
    {[<<"records lost: dropped.queue_full 17, failed.too_large 17">>], D} = next(10000, [], stats(0, 20), C),
    {[], _} = next(60000, [], stats(0, 20), D).

publishers_that_were_not_acknowledged_are_told_every_ten_seconds_test() ->
    Refused = fun(Timeouts, Disconnected) -> (stats(0, 0))#{wait_timeouts := Timeouts, disconnected := Disconnected} end,
    {[First], A} = next(0, [], Refused(2, 0), new()),
    ?assertEqual(<<"publishers whose record was not safe in time: wait_timeouts 2">>, First),
    {[], B} = next(9999, [], Refused(5, 1), A),
    {[Second], C} = next(10000, [], Refused(5, 1), B),
    ?assertEqual(<<"publishers whose record was not safe in time: disconnected 1, wait_timeouts 3">>, Second),
    {[], _} = next(60000, [], Refused(5, 1), C).

%% Neither waits for the other.
losses_and_refusals_are_told_apart_test() ->
    {[_], A} = next(0, [], stats(0, 3), new()),
    {[Line], _} = next(1000, [], (stats(0, 3))#{disconnected := 1}, A),
    ?assertEqual(<<"publishers whose record was not safe in time: disconnected 1">>, Line).

every_reason_of_a_drop_is_told_by_its_name_test() ->
    Dropped = (stats(0, 0))#{dropped_by := #{spool_full => 1, spool_error => 2, corrupt => 3, waiters_full => 4}},
    {[Line], _} = next(0, [], Dropped, new()),
    ?assertEqual(<<"records lost: dropped.corrupt 3, dropped.spool_error 2, dropped.spool_full 1, dropped.waiters_full 4">>, Line).

losses_of_earlier_lives_are_no_news_test() ->
    Report = emq_plugin_kafka_report:new(stats(0, 100), nowhere()),
    ?assertMatch({[], _}, next(0, [], stats(0, 100), Report)).

what_was_not_heard_of_for_long_is_forgotten_test() ->
    {_, A} = next(0, [{error, integer_to_binary(N), <<"x">>, 1} || N <- lists:seq(1, 100)], stats(0, 0), new()),
    {_, B} = next(120000, [], stats(0, 0), A),
    {_, Fresh} = next(0, [?FAIL], stats(0, 0), new()),
    ?assert(erts_debug:flat_size(B) < erts_debug:flat_size(Fresh)).

losses_are_told_with_their_rules_and_topics_test() ->
    Places = fun(One, Topic) -> #{rules => #{<<"message.publish.1">> => One, <<"client.connected.1">> => 0}, topics => #{<<"t">> => Topic}} end,
    {[First], A} = next(0, [], stats(0, 3), Places(3, 3), new()),
    ?assertEqual(<<"records lost: dropped.queue_full 3, failed.too_large 3; by rule: message.publish.1 3; refused by topic: t 3">>, First),
    {[Second], _} = next(20000, [], stats(0, 5), Places(5, 3), A),
    ?assertEqual(<<"records lost: dropped.queue_full 2, failed.too_large 2; by rule: message.publish.1 2">>, Second).

of_many_topics_those_that_lose_most_are_told_test() ->
    Topics = maps:from_list([{<<"t", (integer_to_binary(N))/binary>>, N} || N <- lists:seq(1, 1000)]),
    {[Line], _} = next(0, [], stats(0, 1), #{rules => #{}, topics => Topics}, new()),
    ?assertMatch({match, _}, re:run(Line, "; refused by topic: t1000 1000, t999 999, t998 998, t997 997, t996 996 and 995 others$")).

warnings_are_no_failure_whose_end_is_told_test() ->
    {Lines, A} = emq_plugin_kafka_report:next(0, [{warning, <<"W">>, <<"slow">>, 2}, {info, <<"I">>, <<"fyi">>, 1}], stats(5, 0), nowhere(), new()),
    ?assertMatch([{warning, _}, {info, _}], Lines),
    {[], _} = next(1000, [], stats(6, 0), A).
