%% When alarms are raised and cleared.
-module(emq_plugin_kafka_alarms_tests).

-include_lib("eunit/include/eunit.hrl").

%% What is seen when all is well.
well() ->
    #{problems => [], refused => [], stats => stats(#{}), spool_room => room(0), broker_up => true, failing => false, linger_ms => 5,
      control => <<"emqttd_ctl">>}.

stats(Changes) ->
    maps:merge(#{accepted => 10, queued => 0, spooled => 0, dropped => 0, failed => 0, spool => #{state => ok}}, Changes).

room(Percent) -> #{occupied => Percent, limit => 100}.

%% Looks at one observation each second, from a second to another, and gives what was done when.
seconds(From, To, Observation, Alarms) ->
    lists:foldl(fun(Second, {Done, A}) ->
                        {Actions, Next} = emq_plugin_kafka_alarms:next(Second * 1000, Observation, A),
                        {Done ++ [{Second, names(Action)} || Action <- Actions], Next}
                end, {[], Alarms}, lists:seq(From, To)).

names({raise, #{name := Name, severity := _, title := <<_, _/binary>>, summary := <<_, _/binary>>}}) -> {raise, Name};
names(Clear) -> Clear.

looked() ->
    {[], Alarms} = seconds(0, 5, well(), emq_plugin_kafka_alarms:new()),
    Alarms.

all_is_well_test() ->
    {Done, Alarms} = seconds(0, 3600, well(), emq_plugin_kafka_alarms:new()),
    ?assertEqual({[], []}, {Done, emq_plugin_kafka_alarms:raised(Alarms)}).

a_degraded_plugin_is_told_at_once_and_until_it_is_mended_test() ->
    Degraded = #{problems => [<<"topic: wrong">>], refused => [], stats => none, broker_up => unknown, failing => false, linger_ms => 0,
                 control => <<"emqttd_ctl">>},
    {Raised, A} = seconds(0, 100, Degraded, emq_plugin_kafka_alarms:new()),
    ?assertEqual([{0, {raise, <<"degraded">>}}], Raised),
    ?assertEqual([<<"degraded">>], emq_plugin_kafka_alarms:raised(A)),
    {Cleared, _} = seconds(101, 200, well(), A),
    ?assertEqual([{101, {clear, <<"degraded">>}}], Cleared).

settings_that_are_not_used_are_told_at_once_and_until_they_are_mended_test() ->
    {Raised, A} = seconds(6, 100, (well())#{refused := [<<"topic: wrong">>]}, looked()),
    ?assertEqual([{6, {raise, <<"settings">>}}], Raised),
    {Cleared, _} = seconds(101, 200, well(), A),
    ?assertEqual([{101, {clear, <<"settings">>}}], Cleared).

another_wrong_setting_is_named_instead_of_the_first_test() ->
    Refused = fun(Problem) -> (well())#{refused := [Problem]} end,
    Degraded = fun(Problem) -> (well())#{problems := [Problem], stats := none} end,
    [begin
         {[{6, {raise, Name}}], A} = seconds(6, 10, With(<<"topic: wrong">>), looked()),
         {Actions, B} = emq_plugin_kafka_alarms:next(11000, With(<<"server: wrong">>), A),
         ?assertMatch([{clear, Name}, {raise, #{name := Name, summary := <<"server: wrong">>}}], Actions),
         ?assertMatch({[], _}, seconds(12, 20, With(<<"server: wrong">>), B)),
         ?assertMatch({[{12, {clear, Name}}], _}, seconds(12, 20, well(), B))
     end || {Name, With} <- [{<<"settings">>, Refused}, {<<"degraded">>, Degraded}]].

records_that_are_not_settled_mean_that_kafka_is_away_test() ->
    Stuck = (well())#{stats := stats(#{accepted => 13, queued => 3}), broker_up := unknown},
    {Done, A} = seconds(6, 30, Stuck, looked()),
    ?assertEqual([{17, {raise, <<"kafka_unreachable">>}}], Done),
    %% One more waits, none has left.
    {[], B} = seconds(31, 40, Stuck#{stats := stats(#{accepted => 14, queued => 4})}, A),
    {Cleared, _} = seconds(41, 60, (well())#{stats := stats(#{accepted => 14})}, B),
    ?assertEqual([{41, {clear, <<"kafka_unreachable">>}}], Cleared).

records_on_their_way_are_no_outage_test() ->
    lists:foldl(fun(Second, Alarms) ->
                        Moving = (well())#{stats := stats(#{accepted => 100 + Second, queued => 100})},
                        {[], Next} = emq_plugin_kafka_alarms:next(Second * 1000, Moving, Alarms),
                        Next
                end, looked(), lists:seq(6, 100)).

records_that_linger_are_no_outage_test() ->
    Lingering = (well())#{stats := stats(#{accepted => 13, queued => 3}), linger_ms := 60000},
    {Done, _} = seconds(6, 100, Lingering, looked()),
    ?assertEqual([{76, {raise, <<"kafka_unreachable">>}}], Done).

brokers_that_fail_are_an_outage_although_nothing_waits_test() ->
    Away = (well())#{broker_up := false},
    {[], Idle} = seconds(6, 100, Away, looked()),
    {Done, A} = seconds(101, 101, Away#{failing := true}, Idle),
    ?assertEqual([], Done),
    {Raised, B} = seconds(102, 130, Away, A),
    ?assertEqual([{111, {raise, <<"kafka_unreachable">>}}], Raised),
    {Cleared, _} = seconds(131, 140, well(), B),
    ?assertEqual([{131, {clear, <<"kafka_unreachable">>}}], Cleared).

a_spool_is_told_at_80_and_forgotten_below_70_percent_test() ->
    At = fun(Percent, Alarms) -> emq_plugin_kafka_alarms:next(6000, (well())#{spool_room := room(Percent)}, Alarms) end,
    {[], A} = At(79, looked()),
    {[{raise, #{name := <<"spool_filling">>, summary := Summary}}], B} = At(80, A),
    ?assertMatch({match, _}, re:run(Summary, "^80 %")),
    {[], C} = At(95, B),
    {[], D} = At(70, C),
    {[{clear, <<"spool_filling">>}], E} = At(69, D),
    {[], _} = At(79, E).

a_full_disk_fills_the_spool_too_test() ->
    Full = (well())#{stats := stats(#{spool => #{state => full}})},
    ?assertMatch({[{6, {raise, <<"spool_filling">>}}], _}, seconds(6, 10, Full, looked())).

no_spool_never_fills_test() ->
    Off = (well())#{spool_room := nil, stats := stats(#{spool => off})},
    ?assertMatch({[], _}, seconds(6, 10, Off, looked())).

lost_records_are_told_at_the_first_and_until_a_quiet_minute_test() ->
    Lost = fun(Dropped, Failed) -> (well())#{stats := stats(#{accepted => 100, dropped => Dropped, failed => Failed})} end,
    {[], A} = seconds(0, 10, Lost(5, 2), emq_plugin_kafka_alarms:new()),
    {Raised, B} = seconds(11, 40, Lost(6, 2), A),
    ?assertEqual([{11, {raise, <<"records_lost">>}}], Raised),
    {Done, _} = seconds(41, 200, Lost(6, 3), B),
    ?assertEqual([{101, {clear, <<"records_lost">>}}], Done).

%% EMQ's encoder would crash on it, and all alarms of the broker with it.
a_summary_is_always_text_test() ->
    Degraded = #{problems => [<<"caf", 16#e9, 0>>], refused => [], stats => none, broker_up => unknown, failing => false, linger_ms => 0,
                 control => <<"emqttd_ctl">>},
    {[{raise, #{summary := Summary}}], _} = emq_plugin_kafka_alarms:next(0, Degraded, emq_plugin_kafka_alarms:new()),
    ?assertEqual(<<"caf??">>, Summary).

messages_that_no_hook_saw_raise_the_alarm_at_the_first_look_test() ->
    {Done, _} = seconds(0, 100, (well())#{unseen => 3}, emq_plugin_kafka_alarms:new()),
    ?assertEqual([{0, {raise, <<"records_lost">>}}, {60, {clear, <<"records_lost">>}}], Done).
