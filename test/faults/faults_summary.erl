%% The results of a run for people: a Markdown table with a row for each family, which is what has the same number.
-module(faults_summary).

-export([markdown/1, sum/2, unexplained/1, one/1]).

%% @doc Of the rows that faults_table:csv/1 takes.
-spec markdown([map()]) -> unicode:chardata().
markdown(Rows) ->
    Numbers = lists:usort([Number || #{number := Number} <- Rows]),
    ["| | scenarios | passed | acknowledged | in Kafka | dead-lettered | missing | sent again | other duplicates | order breaks | min |\n"
     "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
     [family(Number, [Row || #{number := N} = Row <- Rows, N =:= Number]) || Number <- Numbers]].

family(Number, Rows) ->
    Run = [Row || #{result := Result} = Row <- Rows, Result =:= passed orelse Result =:= failed],
    Cells = [integer_to_list(Number), lists:join(", ", lists:usort([Name || #{scenario := Name} <- Rows])), passed(Rows)]
        ++ [integer_to_list(sum(Column, Run)) || Column <- [acknowledged, in_kafka, dead_lettered, missing, sent_again]]
        ++ [integer_to_list(unexplained(Run)), integer_to_list(sum(order_breaks, Run)),
            io_lib:format("~.1f", [sum(seconds, Run) / 60])],
    ["| ", lists:join(" | ", Cells), " |\n"].

-spec sum(atom(), [map()]) -> integer() | float().
sum(Column, Rows) -> lists:sum([maps:get(Column, Row, 0) || Row <- Rows]).

%% Of the duplicates of a run, as many may be publishers' own.
-spec unexplained([map()]) -> integer().
unexplained(Rows) ->
    lists:sum([max(0, Duplicates - Again) || #{duplicates := Duplicates, sent_again := Again} <- Rows]).

passed(Rows) ->
    Of = fun(Wanted) -> [Row || #{result := Result} = Row <- Rows, Result =:= Wanted] end,
    Run = length(Rows) - length(Of(not_run)),
    [io_lib:format("~b of ~b", [length(Of(passed)), Run]),
     told("; failed: ", Of(failed)), told("; only against one node: ", Of(not_run)), without(length(Of(missing))), again(Of(passed))].

told(_, []) -> "";
told(Word, Rows) -> [Word, lists:join(", ", lists:uniq([one(Row) || Row <- Rows]))].

without(0) -> "";
without(N) -> io_lib:format("; ~b without a result", [N]).

-spec one(map()) -> iodata().
one(#{result := not_run, scenario := Name}) -> Name;
one(#{scenario := Name, mode := Mode}) -> [Name, " ", atom_to_list(Mode)].

%% A run that passed when it was tried again is no clean one.
again(Passed) -> told("; failed before: ", [Row || #{failed_attempts := Failed} = Row <- Passed, Failed > 0]).
