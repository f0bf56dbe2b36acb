%% The tables and the choice of what runs: pure, so tried here with made-up results.
-module(faults_table_tests).

-include_lib("eunit/include/eunit.hrl").

row() ->
    #{commit => "c0", kafka => single, number => 3, scenario => "silent", title => "a, b", mode => sync, result => passed, attempts => 2,
      failed_attempts => 1, acknowledged => 10, in_kafka => 12, dead_lettered => 0, missing => 0, lost_by_reason => "", duplicates => 2,
      sent_again => 1, order_breaks => 0, samples => 7, seconds => 90.04, finished => "2026-01-02T03:04:05Z",
      evidence => [<<"said \"no\"">>, "\nthen ", [233]], problems => ""}.

a_row_is_a_line_with_a_cell_for_each_column_test() ->
    Csv = unicode:characters_to_list(faults_table:csv([row(), #{scenario => "slow", result => missing}])),
    [Head, Row, Empty, ""] = string:split(Csv, "\n", all),
    ?assertEqual(22, length(string:split(Head, ",", all))),
    ?assertEqual(22, length(string:split(Empty, ",", all))),
    ?assertEqual("c0,single,3,silent,\"a, b\",sync,passed,2,1,10,12,0,0,,2,1,0,7,90.0,2026-01-02T03:04:05Z,\"said \"\"no\"\" then \x{e9}\",", Row).

family(Rows) ->
    unicode:characters_to_list(faults_summary:markdown(Rows)).

a_family_is_a_row_with_its_sums_test() ->
    Table = family([row(), (row())#{scenario := "stopped", failed_attempts := 0, duplicates := 0}, (row())#{number := 4, failed_attempts := 0}]),
    ?assertMatch({match, _}, re:run(Table, "^\\| 3 \\| silent, stopped \\| 2 of 2; failed before: silent sync \\| 20 \\| 24 \\| 0 \\| 0 \\| 2 \\| 1 \\| 0 \\| 3.0 \\|$", [multiline])),
    ?assertMatch({match, _}, re:run(Table, "^\\| 4 \\| silent \\| 1 of 1 \\|", [multiline])).

%% What failed, or has not run, is named: it must not look as if it had passed.
a_family_names_what_failed_and_what_did_not_run_test() ->
    Table = family([(row())#{result := failed}, #{number => 3, scenario => "slow", mode => async, result => missing},
                    #{number => 3, scenario => "names", mode => async, result => not_run}]),
    ?assertMatch({match, _}, re:run(Table, "0 of 2; failed: silent sync; only against one node: names; 1 without a result \\|")).

the_command_line_test() ->
    ?assertEqual(#{kafka => single, what => all, part => {1, 1}, resume => false}, faults_choice:options([])),
    ?assertEqual(#{kafka => cluster, what => ["a", "b:sync"], part => {1, 1}, resume => true}, faults_choice:options(["--cluster", "a", "--resume", "b:sync"])),
    ?assertMatch(#{part := {2, 3}}, faults_choice:options(["--part", "2/3"])),
    [?assertMatch({error, _}, faults_choice:options(Wrong)) || Wrong <- [["--parts"], ["--part", "4/3"], ["--part", "0/3"], ["--part", "x"], ["--part", "1/2/3"]]].

the_parts_are_the_whole_and_share_nothing_test() ->
    All = #{kafka => single, what => all, part => {1, 1}, resume => false},
    Parts = [faults_choice:runs(All#{part := {N, 3}}) || N <- [1, 2, 3]],
    ?assertEqual(lists:sort(faults_choice:runs(All)), lists:sort(lists:append(Parts))),
    ?assertNot(lists:member([], Parts)).

a_name_that_is_none_is_told_test() ->
    ?assertMatch({error, _}, faults_choice:runs(#{kafka => single, what => ["nonsense"], part => {1, 1}, resume => false})),
    ?assertMatch({error, _}, faults_choice:runs(#{kafka => single, what => ["silent:nonsense"], part => {1, 1}, resume => false})).

%% In a folder of its own, which stands for FAULTS_DIR.
on_disk(Test) -> {timeout, 60, fun() -> in_a_folder(Test) end}.

in_a_folder(Test) ->
    Before = [{Name, os:getenv(Name)} || Name <- ["FAULTS_DIR", "FAULTS_COMMIT"]],
    Dir = filename:join(os:getenv("FAULTS_DIR", "/tmp"), lists:concat(["results-", os:getpid()])),
    try
        true = os:putenv("FAULTS_DIR", Dir),
        true = os:putenv("FAULTS_COMMIT", "c1"),
        Test()
    after
        _ = file:del_dir_r(Dir),
        [put_back(Name, Value) || {Name, Value} <- Before]
    end.

put_back(Name, false) -> os:unsetenv(Name);
put_back(Name, Value) -> os:putenv(Name, Value).

result(Passed) ->
    #{name => "refused", number => 2, title => "t", mode => sync, seconds => 1.0, passed => Passed, finished => "", evidence => [{Passed, <<"e">>}],
      problems => [], log => <<"the log">>}.

a_run_that_is_resumed_leaves_out_what_has_a_result_test_() ->
    on_disk(fun() ->
                    Resumed = #{kafka => single, what => all, part => {1, 1}, resume => true},
                    Before = faults_choice:runs(Resumed),
                    ok = faults_results:add(single, result(false)),
                    ?assertEqual([{scenario_refused, sync}], [{M, Mode} || {M, _, Mode} <- Before -- faults_choice:runs(Resumed)]),
                    ?assertEqual([Run || {_, About, _} = Run <- Before, not is_map_key(one_node, About)], faults_choice:runs(Resumed#{kafka := cluster})),
                    true = os:putenv("FAULTS_COMMIT", "c2"),
                    ?assertEqual(Before, faults_choice:runs(Resumed))
            end).

what_failed_before_it_passed_is_seen_test_() ->
    on_disk(fun() ->
                    ok = faults_results:add(single, result(false)),
                    ok = faults_results:add(single, result(true)),
                    ?assertMatch([#{result := passed, attempts := 2, failed_attempts := 1}],
                                 [Row || #{scenario := "refused", mode := sync} = Row <- faults_report:rows(single)]),
                    ?assertEqual({ok, <<"the log">>}, file:read_file(filename:join(faults_results:directory(single), "refused-sync.1.log")))
            end).

a_run_from_the_beginning_keeps_the_old_one_aside_test_() ->
    on_disk(fun() ->
                    ok = faults_results:add(single, result(false)),
                    ok = faults_results:begin_anew(single),
                    ?assertEqual([], faults_results:all(single)),
                    ?assertMatch([_], filelib:wildcard(faults_results:directory(single) ++ ".until-*")),
                    ok = faults_results:begin_anew(single)
            end).
