%% What the suite tells: a line for each run, the table in _build/faults/results.md, the total.
-module(faults_report).

-export([line/1, passed/1, write/3, total/3]).

-spec passed(map()) -> boolean().
passed(#{problems := [], evidence := [_ | _] = Evidence}) -> lists:all(fun({Seen, _}) -> Seen end, Evidence);
passed(_) -> false.

%% @doc Printed when a run is over. The end of the broker's log goes with one that failed.
-spec line(map()) -> ok.
line(#{number := Number, name := Name, mode := Mode, seconds := Seconds} = Result) ->
    io:format("~s ~2b ~s [~s] ~s (~.1f s)~n", [mark(Result), Number, Name, Mode, numbers(Result), Seconds]),
    [io:format("        evidence~s: ~s~n", [seen(Seen), Text]) || {Seen, Text} <- maps:get(evidence, Result)],
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

%% @doc Writes the table of what has run so far, so that a run that is ended early leaves one, too.
-spec write([map()], non_neg_integer(), [string()]) -> {file:filename(), Total :: iodata(), Failed :: non_neg_integer()}.
write(Results, Seconds, Args) ->
    Failed = length([R || #{passed := false} = R <- Results]),
    Total = io_lib:format("~b passed, ~b failed, in ~b s", [length(Results) - Failed, Failed, Seconds]),
    File = filename:join(os:getenv("FAULTS_DIR"), "results.md"),
    ok = file:write_file(File, unicode:characters_to_binary(table(Results, Total, Args))),
    {File, Total, Failed}.

%% @doc 'N passed, N failed', and where the table is. The runner's exit code: nothing run is no success.
-spec total([map()], non_neg_integer(), [string()]) -> 0 | 1.
total(Results, Seconds, Args) ->
    {File, Total, Failed} = write(Results, Seconds, Args),
    io:format("~n~s (table: ~s)~n", [Total, File]),
    exit_code(Failed, Results).

exit_code(0, [_ | _]) -> 0;
exit_code(_, _) -> 1.

table(Results, Total, Args) ->
    ["# Fault suite\n\n",
     "Written by `dev/faults", [[" ", Arg] || Arg <- Args], "` on ", calendar:system_time_to_rfc3339(erlang:system_time(second), [{offset, "Z"}]),
     ", commit ", os:getenv("FAULTS_COMMIT", "unknown"), ", ", os:getenv("FAULTS_BROKER", "the stand-in broker"), ".\n\n",
     "Acknowledged: messages for which a publisher got a PUBACK. Missing: of those, how many are neither in Kafka nor in the "
     "dead-letter topic. Duplicates: records beyond the first of a message; in brackets what publishers themselves sent again.\n\n",
     "| | scenario | mode | acknowledged | in Kafka | dead-lettered | missing | dropped or failed, by reason | duplicates | order breaks "
     "| samples | s | evidence |\n|---|---|---|--:|--:|--:|--:|---|--:|--:|--:|--:|---|\n",
     [row(Result) || Result <- Results], "\n", Total, "\n"].

row(#{number := Number, title := Title, mode := Mode, seconds := Seconds, evidence := Evidence, problems := Problems} = Result) ->
    Cells = [[word(passed(Result)), " ", integer_to_list(Number)], Title, atom_to_list(Mode) | columns(Result)]
        ++ [io_lib:format("~.1f", [Seconds]),
            lists:join("; ", [[Text, seen(Seen)] || {Seen, Text} <- Evidence] ++ [["PROBLEM: ", cell(P)] || P <- Problems])],
    ["| ", lists:join(" | ", Cells), " |\n"].

columns(#{acked := Acked, kafka := Kafka, dead := Dead, missing := Missing, lost_by := Lost, duplicates := Duplicates,
          order_breaks := Breaks, samples := Samples, resent := Resent}) ->
    [integer_to_list(Acked), integer_to_list(Kafka), integer_to_list(Dead), integer_to_list(Missing), lost(Lost),
     io_lib:format("~b (~b)", [Duplicates, Resent]), integer_to_list(Breaks), integer_to_list(Samples)];
columns(_) ->
    lists:duplicate(8, "").

cell(Text) -> binary:replace(binary:replace(Text, <<"|">>, <<"/">>, [global]), <<"\n">>, <<" ">>, [global]).
