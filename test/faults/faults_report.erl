%% What the suite tells: a line for each run, the tables, and the total.
-module(faults_report).

-export([line/2, passed/1, write/1, write_quick/1, rows/1, total/3, docs/0]).

-spec passed(map()) -> boolean().
passed(#{problems := [], evidence := [_ | _] = Evidence}) -> lists:all(fun({Seen, _}) -> Seen end, Evidence);
passed(_) -> false.

%% @doc Printed when a run is over. The end of the broker's log goes with one that failed.
-spec line({Index :: pos_integer(), Of :: pos_integer()}, map()) -> ok.
line({Index, Of}, #{number := Number, name := Name, mode := Mode, seconds := Seconds} = Result) ->
    io:format("~s ~2b ~s [~s] ~s (~.1f s; ~b of ~b)~n", [mark(Result), Number, Name, Mode, numbers(Result), Seconds, Index, Of]),
    [io:format("        evidence~s: ~ts~n", [seen(Seen), Text]) || {Seen, Text} <- maps:get(evidence, Result)],
    [io:format("        PROBLEM: ~ts~n", [Problem]) || Problem <- maps:get(problems, Result)],
    failed(passed(Result), Result).

failed(true, _Result) -> ok;
failed(false, #{log := Log}) ->
    Lines = binary:split(Log, <<"\n">>, [global]),
    io:format("        the end of the broker's error.log:~n~ts~n",
              [lists:join("\n", lists:nthtail(max(0, length(Lines) - 25), Lines))]).

mark(Result) -> word(passed(Result)).

word(true) -> "passed";
word(false) -> "FAILED".

seen(true) -> "";
seen(false) -> " MISSING".

numbers(#{acked := Acked, kafka := Kafka, dead := Dead, missing := Missing, lost_by := Lost, duplicates := Duplicates,
          order_breaks := Breaks, samples := Samples, resent := Resent}) ->
    io_lib:format("acknowledged ~b, in Kafka ~b, dead-lettered ~b, missing ~b, dropped ~s, duplicates ~b (sent again ~b), "
                  "order breaks ~b, samples ~b", [Acked, Kafka, Dead, Missing, lost(Lost), Duplicates, Resent, Breaks, Samples]);
numbers(_) ->
    "no verdict".

lost(Lost) when map_size(Lost) =:= 0 -> "0";
lost(Lost) -> lists:join(" ", [[Reason, "=", integer_to_list(N)] || {Reason, N} <- lists:sort(maps:to_list(Lost))]).

%%% The tables

%% @doc Writes the tables of all that has a result on this commit: results.csv and summary.md; where they are.
-spec write(faults_results:kafka()) -> file:filename().
write(Kafka) ->
    write(faults_results:directory(Kafka), rows(Kafka)).

%% @doc The same of these results, which are kept nowhere else.
-spec write_quick([map()]) -> file:filename().
write_quick(Results) ->
    write(filename:join(os:getenv("FAULTS_DIR"), "quick"),
          [maps:merge(#{commit => os:getenv("FAULTS_COMMIT"), kafka => single, number => Number, scenario => Name, title => Title, mode => Mode},
                      cells(Result))
           || #{number := Number, name := Name, title := Title, mode := Mode} = Result <- Results]).

write(Directory, Rows) ->
    Csv = filename:join(Directory, "results.csv"),
    ok = filelib:ensure_dir(Csv),
    ok = file:write_file(Csv, unicode:characters_to_binary(faults_table:csv(Rows))),
    ok = file:write_file(filename:join(Directory, "summary.md"), unicode:characters_to_binary(faults_summary:markdown(Rows))),
    Csv.

%% @doc A row for each scenario and mode that there is, in their order, whether it has run or not.
-spec rows(faults_results:kafka()) -> [map()].
rows(Kafka) ->
    Results = maps:from_list([{{Name, Mode}, Result} || #{name := Name, mode := Mode} = Result <- faults_results:all(Kafka)]),
    OneNode = maps:from_list([{Module, Why} || {Module, _, Why} <- faults_choice:left_out(Kafka)]),
    [row(About, Mode, faults_choice:name(Module), maps:get(Module, OneNode, none), Results, Kafka)
     || {Module, #{modes := Modes} = About} <- faults_choice:scenarios(), Mode <- Modes,
        shown(About, maps:is_key({faults_choice:name(Module), Mode}, Results))].

%% What must be named, and was not, is not missed.
shown(#{named := true}, HasResult) -> HasResult;
shown(_About, _HasResult) -> true.

row(#{number := Number, title := Title}, Mode, Name, OneNode, Results, Kafka) ->
    Row = #{commit => os:getenv("FAULTS_COMMIT"), kafka => Kafka, number => Number, scenario => Name, title => Title, mode => Mode},
    maps:merge(Row, result(OneNode, maps:get({Name, Mode}, Results, none))).

result(none, none) -> #{result => missing};
result(none, Result) -> cells(Result);
result(Why, _) -> #{result => not_run, evidence => Why}.

cells(#{passed := Passed, evidence := Evidence, problems := Problems} = Result) ->
    Verdict = [{Column, maps:get(Key, Result)}
               || {Key, Column} <- [{acked, acknowledged}, {kafka, in_kafka}, {dead, dead_lettered}, {missing, missing},
                                    {duplicates, duplicates}, {resent, sent_again}, {order_breaks, order_breaks}, {samples, samples}],
                  is_map_key(Key, Result)],
    Kept = maps:merge(#{attempts => 1, failed_attempts => 0, finished => ""}, maps:with([seconds, finished, attempts, failed_attempts], Result)),
    maps:merge(Kept#{result => result(Passed), evidence => lists:join("; ", [[Text, seen(Seen)] || {Seen, Text} <- Evidence]),
                     problems => lists:join("; ", Problems), lost_by_reason => lost(maps:get(lost_by, Result, #{}))},
               maps:from_list(Verdict)).

result(true) -> passed;
result(false) -> failed.

%% @doc 'N passed, N failed', and where the tables are. The runner's exit code: nothing run is no success.
-spec total([map()], non_neg_integer(), file:filename()) -> 0 | 1.
total(Results, Seconds, File) ->
    Failed = [[Name, ":", atom_to_list(Mode), " "] || #{passed := false, name := Name, mode := Mode} <- Results],
    io:format("~n~b passed, ~b failed, in ~b s ~s(tables: ~s)~n",
              [length(Results) - length(Failed), length(Failed), Seconds, Failed, filename:dirname(File)]),
    exit_code(Failed, Results).

exit_code([], [_ | _]) -> 0;
exit_code(_, _) -> 1.

%%% The documents

%% @doc Writes docs/faults.md and docs/faults.csv of the runs of this commit; 1 where one is not whole, or something failed.
-spec docs() -> 0 | 1.
docs() ->
    Docs = filename:join(os:getenv("PROJECT_ROOT"), "docs"),
    Rows = lists:append([rows(Kafka) || Kafka <- faults_results:kafkas()]),
    Run = #{commit => os:getenv("FAULTS_COMMIT"), broker => os:getenv("FAULTS_BROKER", "the stand-in broker")},
    ok = file:write_file(filename:join(Docs, "faults.csv"), unicode:characters_to_binary(faults_table:csv(Rows))),
    ok = file:write_file(filename:join(Docs, "faults.md"), unicode:characters_to_binary(faults_page:markdown(Run, Rows))),
    Bad = [[Scenario, " [", atom_to_list(Mode), "], ", atom_to_list(Kafka), ": ", atom_to_list(Result), "\n"]
           || #{scenario := Scenario, mode := Mode, kafka := Kafka, result := Result} <- Rows, Result =:= failed orelse Result =:= missing],
    io:format("docs/faults.md and docs/faults.csv are written~n~ts", [Bad]),
    min(1, length(Bad)).
