%% docs/guarantees.md and docs/install.md quote lines of the log, messages, alarms and counters: the code has these words.
-module(documented_lines_tests).

-include_lib("eunit/include/eunit.hrl").

-define(SOURCES, ["src/*.erl", "native/src/*/*.rs", "native/src/*/*/*.rs", "native/spool/src/*.rs", "dev/install/*"]).

what_guarantees_show_is_in_the_code_test() ->
    Quoted = lists:append([quoted(Line) || "- See: " ++ _ = Line <- lines("docs/guarantees.md")]),
    ?assert(length(Quoted) >= 30),
    Sources = sources(),
    ?assertEqual([], [Words || Words <- lists:append([runs(Text) || Text <- Quoted]), not is_in(Words, Sources)]).

the_installers_messages_are_in_the_code_test() ->
    {match, [Table]} = re:run(page("docs/install.md"), "\\n\\| cause \\| message \\|\\n\\|---\\|---\\|\\n((?:\\|.*\\n)+)", [{capture, all_but_first, list}]),
    Quoted = quoted(Table),
    ?assert(length(Quoted) >= 4),
    Sources = sources(),
    ?assertEqual([], [Words || Words <- lists:append([runs(Text) || Text <- Quoted]), not is_in(Words, Sources)]).

%% Words that are not there are found out.
what_is_not_in_the_code_is_seen_test() ->
    ?assertEqual(["records are gone for good"], runs("12 records are gone for good")),
    ?assertNot(is_in("records are gone for good", sources())).

quoted(Text) ->
    case re:run(Text, "`([^`]+)`", [global, {capture, all_but_first, list}]) of
        {match, Spans} -> [Span || [Span] <- Spans];
        nomatch -> []
    end.

%% A name as it is, in its parts. Of a line: what is between its variable parts, where that is three words or more.
runs(Text) ->
    case string:lexemes(Text, " ") of
        [Name] -> string:lexemes(Name, ".:");
        Words -> [string:trim(lists:join(" ", Run), both, ":;,") || Run <- between(Words, []), length(Run) >= 3]
    end.

between([], Run) -> [lists:reverse(Run)];
between([Word | Words], Run) ->
    case is_variable(Word) of
        true -> [lists:reverse(Run) | between(Words, [])];
        false -> between(Words, [Word | Run])
    end.

%% Numbers, names, paths, Kafka topics of the examples, and librdkafka's words.
is_variable(Word) ->
    lists:member(Word, ["mqtt", "test", "topic:", "->", "aarch64,"]) orelse re:run(Word, "[0-9./_]|^[A-Z]+$|^x86") =/= nomatch.

is_in(Words, Sources) -> string:find(Sources, lists:flatten(Words)) =/= nomatch.

%% Long texts are in pieces there.
sources() ->
    Files = lists:append([filelib:wildcard(filename:join(root(), Pattern)) || Pattern <- ?SOURCES]),
    Text = iolist_to_binary([Bytes || File <- Files, {ok, Bytes} <- [file:read_file(File)]]),
    re:replace(re:replace(Text, "\\\\\\n\\s*", "", [global]), "\"\\s*\\n\\s*\"", "", [global, {return, list}]).

lines(Name) -> string:lexemes(page(Name), "\n").

page(Name) ->
    {ok, Text} = file:read_file(filename:join(root(), Name)),
    binary_to_list(Text).

root() -> os:getenv("PROJECT_ROOT", filename:absname("")).
