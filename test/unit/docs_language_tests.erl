%% Pages for users are in plain English, as far as a machine can tell.
-module(docs_language_tests).

-include_lib("eunit/include/eunit.hrl").

-define(WORDS_OF_A_SENTENCE, 20).
-define(WORDS_OF_A_CELL, 12).

pages() ->
    ["README.md", "dev/dist/emqx5_package.md" | ["docs/" ++ Page || Page <- filelib:wildcard("*.md", filename:join(docs_pages:root(), "docs"))]].

%% The page of faults lists what failed.
no_sentence_is_long_test_() ->
    [{Name, ?_assertEqual([], long(sentences(Name), ?WORDS_OF_A_SENTENCE))} || Name <- pages(), Name =/= "docs/faults.md"].

no_cell_of_a_table_is_long_test_() ->
    [{Name, ?_assertEqual([], long(cells(Name), ?WORDS_OF_A_CELL))} || Name <- pages()].

no_phrase_is_crooked_test_() ->
    Words = "\\b(one that|those that|it is told|that is none|but for|but to)\\b",
    [{Name, ?_assertEqual(nomatch, re:run(without_code(Name), Words, [caseless, {capture, first, list}]))} || Name <- pages()].

without_code(Name) -> re:replace(docs_pages:prose(Name), "`[^`]*`", "X", [global, {return, list}]).

long(Texts, Most) -> [Text || Text <- Texts, length(string:lexemes(Text, " ")) > Most].

sentences(Name) ->
    lists:append([re:split(Paragraph, "(?<=[.!?:;])[*\"')]*\\s+", [{return, list}]) || {paragraph, Paragraph} <- parts(Name)]).

cells(Name) ->
    lists:append([string:split(Row, "|", all) || {row, Row} <- parts(Name)]).

%% Paragraphs, headings and items of lists; rows of tables. Code is one word, a link its text.
parts(Name) ->
    Text = lists:foldl(fun({Pattern, With}, T) -> re:replace(T, Pattern, With, [global, multiline, {return, list}]) end, docs_pages:prose(Name),
                       [{"`[^`]*`", "X"}, {"!?\\[([^\\]]*)\\]\\([^)]*\\)", "\\1"}, {"<[^>]*>", ""}, {"^ *(?:[-*]|[0-9]+\\.) ", "\n"}, {"^(\\|.*)$", "\n\\1\n"}]),
    [part(string:trim(Part)) || Part <- re:split(Text, "\n\\s*\n", [{return, list}])].

part("|" ++ Row) -> {row, Row};
part(Paragraph) -> {paragraph, lists:flatten(string:replace(Paragraph, "\n", " ", all))}.
