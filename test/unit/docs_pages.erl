%% The documents of the repository as the tests read them: pages, and their code, links and headings.
-module(docs_pages).

-export([root/0, names/0, text/1, blocks/1, prose/1, spans/1, links/1, anchors/1]).

-type name() :: file:filename().

root() -> os:getenv("PROJECT_ROOT", filename:absname("")).

%% Relative to the root.
-spec names() -> [name()].
names() ->
    lists:append([filelib:wildcard(Pattern, root())
                  || Pattern <- ["*.md", "docs/*.md", "bench/*.md", "dev/*.md", "dev/*/*.md", "dev/*/*/*.md", "test/*.md", "test/*/*.md"]]).

-spec text(name()) -> binary().
text(Name) ->
    {ok, Text} = file:read_file(filename:join(root(), Name)),
    Text.

%% Fenced and indented code: {language, or none, lines}. An indented block ends at an empty line.
-spec blocks(name()) -> [{binary(), [binary()]}].
blocks(Name) -> blocks(lines(text(Name)), []).

blocks([], Found) -> lists:reverse(Found);
blocks([<<"```", Language/binary>> | Lines], Found) ->
    {Block, Rest} = lists:splitwith(fun(Line) -> Line =/= <<"```">> end, Lines),
    blocks(lists:nthtail(1, Rest), [{Language, Block} | Found]);
blocks([<<"    ", _/binary>> | _] = Lines, Found) ->
    {Block, Rest} = lists:splitwith(fun is_indented/1, Lines),
    blocks(Rest, [{<<>>, [binary:part(Line, 4, byte_size(Line) - 4) || Line <- Block]} | Found]);
blocks([_ | Lines], Found) -> blocks(Lines, Found).

is_indented(<<"    ", _/binary>>) -> true;
is_indented(_) -> false.

%% `Code` within text.
-spec spans(name()) -> [binary()].
spans(Name) ->
    [Code || [_, Code] <- all(prose(Name), "(`+)\\s?([^`]|[^`].*?[^`])\\s?\\1(?!`)", [1, 2])].

%% [{Target}] of links and pictures.
-spec links(name()) -> [binary()].
links(Name) ->
    Prose = re:replace(prose(Name), "`[^`]*`", "", [global, {return, binary}]),
    lists:append(all(Prose, "\\]\\(<?([^()\\s>]+)>?(?:\\s+\"[^\"]*\")?\\)", [1])
                 ++ all(Prose, "^\\[[^\\]]+\\]:\\s*(\\S+)", [1])
                 ++ all(Prose, "(?:src|srcset|href)=\"([^\"]+)\"", [1])).

%% What a link may say behind `#`, by GitHub's rule.
-spec anchors(name()) -> [binary()].
anchors(Name) ->
    Headings = lists:append(all(prose(Name), "^#{1,6}\\s+(.*?)\\s*#*$", [1])),
    Given = lists:append(all(prose(Name), "<a (?:id|name)=\"([^\"]+)\"", [1])),
    numbered([slug(Heading) || Heading <- Headings], []) ++ Given.

slug(Heading) ->
    Plain = re:replace(Heading, "\\[([^\\]]*)\\]\\([^)]*\\)", "\\1", [global, {return, binary}]),
    Lower = unicode:characters_to_binary(string:lowercase(Plain)),
    binary:replace(re:replace(Lower, "[^\\w\\- ]", "", [global, unicode, ucp, {return, binary}]), <<" ">>, <<"-">>, [global]).

%% The second heading of a name is NAME-1.
numbered([], _Seen) -> [];
numbered([Slug | Slugs], Seen) -> [again(Slug, length([Same || Same <- Seen, Same =:= Slug])) | numbered(Slugs, [Slug | Seen])].

again(Slug, 0) -> Slug;
again(Slug, Times) -> <<Slug/binary, $-, (integer_to_binary(Times))/binary>>.

%% Without the blocks.
-spec prose(name()) -> binary().
prose(Name) -> prose(lines(text(Name)), []).

prose([], Kept) -> iolist_to_binary(lists:join("\n", lists:reverse(Kept)));
prose([<<"```", _/binary>> | Lines], Kept) ->
    prose(lists:nthtail(1, lists:dropwhile(fun(Line) -> Line =/= <<"```">> end, Lines)), ["" | Kept]);
prose([<<"    ", _/binary>> | Lines], Kept) -> prose(Lines, ["" | Kept]);
prose([Line | Lines], Kept) -> prose(Lines, [Line | Kept]).

lines(Text) -> binary:split(Text, <<"\n">>, [global]).

all(Text, Pattern, Groups) ->
    case re:run(Text, Pattern, [global, multiline, dotall, unicode, {capture, Groups, binary}]) of
        {match, Found} -> Found;
        nomatch -> []
    end.
