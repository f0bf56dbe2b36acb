%% The results of a run as a CSV file: a header, then one row for each scenario and mode.
-module(faults_table).

-export([csv/1]).

-define(COLUMNS, [commit, kafka, number, scenario, title, mode, result, attempts, failed_attempts, acknowledged, in_kafka, dead_lettered,
                  missing, lost_by_reason, duplicates, sent_again, order_breaks, samples, seconds, finished, evidence, problems]).

%% @doc Of rows that have the columns' names as keys; what a row does not have is empty.
-spec csv([map()]) -> unicode:chardata().
csv(Rows) ->
    [line([atom_to_binary(Column) || Column <- ?COLUMNS]) | [line([text(maps:get(C, Row, <<>>)) || C <- ?COLUMNS]) || Row <- Rows]].

line(Cells) -> [lists:join(",", [quoted(Cell) || Cell <- Cells]), "\n"].

text(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
text(Integer) when is_integer(Integer) -> integer_to_binary(Integer);
text(Float) when is_float(Float) -> float_to_binary(Float, [{decimals, 1}]);
text(Text) -> unicode:characters_to_binary(Text).

%% As RFC 4180 has it; line breaks are made spaces, so that a row is a line.
quoted(Text) ->
    OneLine = binary:replace(Text, [<<"\r">>, <<"\n">>], <<" ">>, [global]),
    case binary:match(OneLine, [<<",">>, <<"\"">>]) of
        nomatch -> OneLine;
        _ -> ["\"", binary:replace(OneLine, <<"\"">>, <<"\"\"">>, [global]), "\""]
    end.
