%% The documents: what is made is as it is made, links lead somewhere, and no page is longer than a reader takes.
-module(docs_tests).

-include_lib("eunit/include/eunit.hrl").

-import(docs_pages, [root/0, names/0]).

the_made_pages_are_as_they_are_made_test_() ->
    {timeout, 60, ?_assertMatch({0, _}, standin_broker:run(filename:join(root(), "dev/docs"), ["--check"]))}.

%% Which events each broker has, and which are sent without rules, is in the page as in the code.
the_page_of_events_says_what_the_code_does_test() ->
    {ok, Page} = file:read_file(filename:join(root(), "docs/events.md")),
    {match, Rows} = re:run(Page, "^\\| (\\**)`([a-z]+\\.[a-z]+)`\\** \\| [^|]* \\| ?([^|]*?) ?\\| [^|]* \\|$",
                           [global, multiline, {capture, all_but_first, list}]),
    Adapters = [emq_plugin_kafka_emq2, emq_plugin_kafka_emqx4, emq_plugin_kafka_emqx5],
    [?assertEqual({Adapter, lists:sort(Adapter:events())},
                  {Adapter, lists:sort([list_to_atom(Event) || [_, Event, On] <- Rows, lists:member(Adapter, brokers(On))])})
     || Adapter <- Adapters],
    ?assertEqual(lists:sort(sent_without_rules()), lists:sort([list_to_atom(Event) || ["**", Event, _] <- Rows])).

brokers("") -> [emq_plugin_kafka_emq2 | brokers("4, 5")];
brokers("4, 5") -> [emq_plugin_kafka_emqx4 | brokers("5")];
brokers("5") -> [emq_plugin_kafka_emqx5].

sent_without_rules() ->
    ok = emq_plugin_kafka_nif:open([{<<"server">>, <<"127.0.0.1:1">>}, {<<"spool">>, <<"off">>}], <<"n@h">>),
    Hooks = emq_plugin_kafka_nif:hooks(),
    _ = emq_plugin_kafka_nif:close(0),
    Hooks.

every_link_leads_somewhere_test_() ->
    true = length(names()) > 15,
    [{Name, fun() -> ?assertEqual([], [Link || Link <- docs_pages:links(Name), not leads_somewhere(Name, Link)]) end} || Name <- names()].

the_readme_leads_to_every_page_of_docs_test() ->
    Links = docs_pages:links("README.md"),
    ?assertEqual([], [Name || "docs/" ++ _ = Name <- names(), not lists:member(list_to_binary(Name), Links)]).

leads_somewhere(Name, Link) ->
    #{path := Path} = Parts = uri_string:parse(Link),
    is_map_key(scheme, Parts) orelse leads_to_file(filename:dirname(Name), Name, Path, maps:get(fragment, Parts, none)).

leads_to_file(_Dir, Name, <<>>, Anchor) -> lists:member(Anchor, docs_pages:anchors(Name));
leads_to_file(Dir, _Name, Path, none) -> filelib:is_file(filename:join([root(), Dir, Path]));
leads_to_file(Dir, _Name, Path, Anchor) ->
    filelib:is_file(filename:join([root(), Dir, Path])) andalso lists:member(Anchor, docs_pages:anchors(filename:join(Dir, Path))).

%% Who changes a sentence in the schema does not see the table that it becomes a cell of.
no_cell_of_a_made_page_is_long_test_() ->
    [{Name, ?_assertEqual([], [Cell || Cell <- cells(docs_pages:text(Name)), length(string:lexemes(Cell, " ")) > 12])}
     || Name <- ["docs/configuration.md", "docs/events.md", "docs/rules.md"]].

%% Code counts as one word.
cells(Page) ->
    [Cell || <<"| ", _/binary>> = Row <- string:split(re:replace(Page, "`[^`]*`", "X", [global, {return, binary}]), "\n", all),
             Cell <- string:split(Row, "|", all)].

%% In KB, as the pages are planned.
limits() ->
    [{"README.md", 7}, {"bench/README.md", 8}, {"ARCHITECTURE.md", 8}, {"CONTRIBUTING.md", 3},
     {"docs/configuration.md", 9}, {"docs/rules.md", 7}, {"docs/events.md", 7},
     {"docs/guarantees.md", 8}, {"docs/operating.md", 9}, {"docs/recipes.md", 12}, {"docs/install.md", 9}, {"docs/metrics.md", 6},
     {"docs/security.md", 7}, {"docs/faults.md", 4}, {"dev/dist/emqx5_package.md", 2.5}].

no_page_is_too_long_test_() ->
    [{Name, ?_assertMatch({Size, Most} when Size > 0 andalso Size =< Most, {filelib:file_size(filename:join(root(), Name)), Kilobytes * 1024})}
     || {Name, Kilobytes} <- limits()].
