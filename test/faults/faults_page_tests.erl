%% docs/faults.md, made of made-up results.
-module(faults_page_tests).

-include_lib("eunit/include/eunit.hrl").

row() ->
    #{kafka => single, number => 3, scenario => "silent", mode => sync, result => passed, failed_attempts => 0, acknowledged => 10,
      missing => 1, duplicates => 2, sent_again => 1, order_breaks => 0, finished => "2026-01-02T03:04:05Z"}.

page(Rows) ->
    unicode:characters_to_list(faults_page:markdown(#{commit => "c0", broker => "the stand-in broker"}, Rows)).

seen(Words, Page) -> ?assertMatch({_, [_ | _]}, {Words, string:find(Page, Words)}).

a_family_is_a_row_of_both_kafkas_test() ->
    Page = page([row(), (row())#{scenario := "stopped"}, (row())#{kafka := cluster, missing := 0}]),
    seen("\n| 3 | Kafka hangs | `sync` | 2 of 2 | 1 of 1 | 30 | 2 | 3 |\n", Page),
    seen("Commit `c0`, with the stand-in broker, 2026-01-02.", Page),
    ?assertEqual(nomatch, string:find(Page, "Failed")).

what_failed_or_has_not_run_is_named_test() ->
    Page = page([(row())#{result := failed}, (row())#{mode := async, failed_attempts := 1}, #{kafka => single, number => 3, scenario => "slow", mode => async, result => missing},
                 #{kafka => cluster, number => 3, scenario => "slow", mode => async, result => missing}]),
    seen("| 1 of 3 | not run |", Page),
    seen("\nFailed: silent sync.\n", Page),
    seen("\nWithout a result: slow async.\n", Page),
    seen("\nPassed after a failed attempt: silent async.\n", Page).

each_scenario_has_a_family_test() ->
    ?assertEqual([], [Module || {Module, #{number := Number}} <- faults_choice:scenarios(), faults_page:family(Number) =:= unknown]).

%% The page of a whole run that passed, with large numbers.
it_is_short_test() ->
    Rows = [(row())#{kafka := Kafka, number := Number, scenario := faults_choice:name(Module), mode := Mode, acknowledged := 100000}
            || Kafka <- [single, cluster], {Module, #{number := Number, modes := Modes}} <- faults_choice:scenarios(), Mode <- Modes],
    ?assert(length(page(Rows)) < 4000).
