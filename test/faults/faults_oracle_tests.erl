%% The judge is judged: a sound run passes, and each doctored one fails for its own reason. Run by dev/faults before every
%% suite, in milliseconds.
-module(faults_oracle_tests).

-include_lib("eunit/include/eunit.hrl").

sound_test_() ->
    [?_assertEqual([], problems(run())),
     ?_assertMatch(#{acked := 8, kafka := 8, dead := 0, missing := 0, duplicates := 0, order_breaks := 0},
                   faults_oracle:judge(run(), #{}))].

%% The seeded bugs of issue and suite, as the oracle would see them. (Acknowledging before fsync shows only when power is lost:
%% to the oracle it is an acknowledged record that is gone.)
acknowledged_before_it_was_safe_test() ->
    fails("1 acknowledged records are nowhere", without(3, run()), #{}).

a_lost_record_test() ->
    fails("1 acknowledged records are nowhere", counted(success, 7, without(3, run())), #{}).

a_swapped_pair_test() ->
    fails("order breaks", swapped(1, 2, run()), #{}).

a_replay_twice_test_() ->
    Twice = counted(accepted, 12, counted(success, 12, again([1, 2, 3, 4], run()))),
    [fun() -> fails("4 duplicates", Twice, #{}) end,
     fun() -> fails("4 duplicates", Twice, #{duplicates => 3}) end,
     ?_assertEqual([], problems(Twice, #{duplicates => 4}))].

a_miscount_test_() ->
    [fun() -> fails("do not add up", counted(success, 7, run()), #{}) end,
     fun() -> fails("7 counted as delivered", counted(accepted, 7, counted(success, 7, run())), #{}) end,
     fun() -> fails("went back", went_back(run()), #{}) end,
     fun() -> fails("are counted as lost", counted(accepted, 9, lost(queue_full, 1, run())), #{}) end].

losses_are_counted_one_for_one_test_() ->
    Lost = lost(queue_full, 1, counted(success, 7, without(3, run()))),
    [?_assertEqual([], problems(Lost, #{losses => {counted, [queue_full]}})),
     fun() -> fails("nowhere", Lost, #{}) end,
     fun() -> fails("reasons that this fault does not have", Lost, #{losses => {counted, [spool_full]}}) end,
     fun() -> fails("only 1 are counted", counted(success, 6, counted(accepted, 7, without(5, Lost))),
                    #{losses => {counted, [queue_full]}}) end,
     fun() -> fails("only 1 are missing", counted(accepted, 9, lost(queue_full, 2, Lost)),
                    #{losses => {counted, [queue_full]}}) end].

what_nobody_can_count_is_lost_up_to_what_was_at_risk_test_() ->
    Lost = counted(accepted, 7, counted(success, 7, without(3, run()))),
    [[?_assertEqual([], problems(Lost, #{losses => {Why, 1}})), fun() -> fails("only 0 were at risk", Lost, #{losses => {Why, 0}}) end]
     || Why <- [memory, gap]].

a_publishers_own_repetition_is_no_duplicate_of_ours_test() ->
    Observed = again([4], run()),
    #{ledgers := [A, B]} = Observed,
    Resent = counted(accepted, 9, counted(success, 9, Observed#{ledgers := [A#{resent := 1}, B]})),
    ?assertEqual([], problems(Resent)).

what_was_not_acknowledged_may_be_missing_test() ->
    #{ledgers := [A, B]} = Observed = without(8, run()),
    Unacked = counted(accepted, 7, counted(success, 7, Observed#{ledgers := [A, B#{acked := [{1, 3}]}]})),
    ?assertEqual([], problems(Unacked)).

dead_letters_are_found_test() ->
    #{kafka := Kafka} = Run = run(),
    {[Dead], Rest} = lists:partition(fun(#{offset := Offset}) -> Offset =:= 2 end, Kafka),
    Buried = counted(success, 7, failed(<<"message_size_too_large">>, 1, Run#{kafka := Rest, dead := [Dead]})),
    ?assertEqual([], problems(Buried, #{losses => {counted, [<<"message_size_too_large">>]}})).

a_late_duplicate_breaks_no_order_test() ->
    ?assertEqual([], problems(counted(accepted, 9, counted(success, 9, again([2], run()))), #{duplicates => 1})).

a_moved_key_test() ->
    #{kafka := [First | Rest]} = Run = run(),
    Moved = Run#{kafka := [First#{partition := 2} | Rest]},
    fails("is in the partitions", Moved, #{}),
    ?assertEqual([], problems(Moved, #{partitions => changed})).

a_damaged_record_test() ->
    #{kafka := [#{value := <<Head:20/binary, _, Tail/binary>>} = First | Rest]} = Run = run(),
    fails("damaged", Run#{kafka := [First#{value := <<Head/binary, "!", Tail/binary>>} | Rest]}, #{}).

a_record_that_nobody_sent_test() ->
    #{kafka := Kafka} = Run = run(),
    fails("that it never sent", counted(accepted, 9, counted(success, 9, Run#{kafka := Kafka ++ [record(<<"a">>, 9, 9)]})), #{}).

a_record_without_its_time_test() ->
    #{kafka := [First | Rest]} = Run = run(),
    fails("without its time", Run#{kafka := [First#{timestamp := -1} | Rest]}, #{}).

what_is_not_drained_test() ->
    fails("1 spooled", counted(success, 7, counted(spooled, 1, run())), #{}).

a_run_that_nobody_watched_test() ->
    fails("no sample", (run())#{lives := [[]]}, #{}).

%% Two clients, four messages each, one partition, offsets 1 to 8: a1 b1 a2 b2 ...
run() ->
    Records = [record(Client, Number, (Number - 1) * 2 + Place) || Number <- [1, 2, 3, 4], {Client, Place} <- [{<<"a">>, 1}, {<<"b">>, 2}]],
    Sample = #{accepted => 5, success => 1, failed => 0, dropped => 0, spooled => 1, queued => 3,
               dropped_by => #{queue_full => 0}, failed_by => #{}},
    #{ledgers => [ledger(<<"a">>), ledger(<<"b">>)], kafka => Records, dead => [],
      lives => [[Sample, Sample#{accepted := 8, success := 8, spooled := 0, queued := 0}]]}.

ledger(Client) ->
    #{client => Client, sent => 4, acked => [{1, 4}], resent => 0, lost => 0}.

record(Client, Number, Offset) ->
    #{partition => 0, offset => Offset, timestamp => 1, headers => <<"NO_HEADERS">>, key => Client,
      value => faults_payload:make(Client, Number, 60)}.

without(Offset, #{kafka := Kafka} = Run) ->
    Run#{kafka := [Record || #{offset := O} = Record <- Kafka, O =/= Offset]}.

%% The numbers of client a change places.
swapped(One, Other, #{kafka := Kafka} = Run) ->
    Place = fun(N) -> (N - 1) * 2 + 1 end,
    Run#{kafka := [case Offset of
                       _ when Offset =:= One * 2 - 1 -> Record#{offset := Place(Other)};
                       _ when Offset =:= Other * 2 - 1 -> Record#{offset := Place(One)};
                       _ -> Record
                   end || #{offset := Offset} = Record <- Kafka]}.

again(Offsets, #{kafka := Kafka} = Run) ->
    Run#{kafka := Kafka ++ [Record#{offset := Offset + 100} || #{offset := Offset} = Record <- Kafka, lists:member(Offset, Offsets)]}.

%% The last sample's counter.
counted(Counter, N, #{lives := [[First, Last]]} = Run) ->
    Run#{lives := [[First, Last#{Counter := N}]]}.

lost(Reason, N, #{lives := [[First, Last]]} = Run) ->
    Run#{lives := [[First, Last#{dropped := N, dropped_by := #{Reason => N}}]]}.

failed(Reason, N, #{lives := [[First, Last]]} = Run) ->
    Run#{lives := [[First, Last#{failed := N, failed_by := #{Reason => N}}]]}.

went_back(#{lives := [[First, Last]]} = Run) ->
    Run#{lives := [[First#{success := 9, accepted := 13}, Last]]}.

problems(Run) -> problems(Run, #{}).

problems(Run, Allowed) ->
    #{problems := Problems} = faults_oracle:judge(Run, Allowed),
    Problems.

fails(Why, Run, Allowed) ->
    Problems = problems(Run, Allowed),
    ?assertMatch({match, _}, re:run(lists:join("\n", Problems), Why)).
