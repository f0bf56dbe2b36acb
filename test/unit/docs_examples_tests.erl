%% What a page tells people to write or to run is there: settings and rules go through the parsers of the plugin, commands and files exist.
-module(docs_examples_tests).

-include_lib("eunit/include/eunit.hrl").

-import(docs_pages, [root/0, names/0]).

%% Pages that show what others have, or once had.
-define(HISTORY, ["CHANGELOG.md"]).
%% What pages show as a mistake.
-define(MISTAKES, [<<"produce = durabel">>]).

%% Settings of EMQ 2.3 and EMQX 4

every_configuration_is_accepted_test_() ->
    [{Name, fun() -> ?assertEqual([], refused(Name, conf(Lines))) end}
     || Name <- pages(), {_, Lines} <- docs_pages:blocks(Name), conf(Lines) =/= []].

%% At least these many, so that the test cannot be blind.
there_are_configurations_test() ->
    Pages = [Name || Name <- pages(), {_, Lines} <- docs_pages:blocks(Name), conf(Lines) =/= []],
    ?assert(length(Pages) > 5),
    [?assert(lists:member(Page, Pages)) || Page <- ["docs/recipes.md", "docs/rules.md", "docs/configuration.md"]].

conf(Lines) -> [Line || Line <- Lines, starts_with(Line, "^\\s*emq\\.plugin\\.kafka\\.\\S+ *=")].

%% Settings within text: `linger = 50ms`, with or without the prefix.
every_setting_in_text_is_accepted_test_() ->
    Keys = keys(),
    [{Name, fun() -> ?assertEqual([], [Problem || Span <- docs_pages:spans(Name), is_setting(Span, Keys), Problem <- refused_alone(Name, full(Span))]) end}
     || Name <- pages()].

%% Some settings need others.
refused_alone(Name, Setting) ->
    Needed = [[], [<<"emq.plugin.kafka.idempotence = off">>],
              [<<"emq.plugin.kafka.sasl.mechanism = PLAIN">>, <<"emq.plugin.kafka.sasl.username = u">>, <<"emq.plugin.kafka.sasl.password = p">>],
              [<<"emq.plugin.kafka.security.protocol = sasl_ssl">>]],
    hd(lists:sort(fun(A, B) -> length(A) =< length(B) end, [refused(Name, Others ++ [Setting]) || Others <- Needed])).

mistakes_are_refused_test() ->
    [?assertError(_, refused("", [full(Mistake)])) || Mistake <- ?MISTAKES].

is_setting(Span, Keys) ->
    not lists:member(Span, ?MISTAKES) andalso is_setting_of(Span, Keys).

is_setting_of(Span, Keys) ->
    case re:run(Span, "^(?:emq\\.plugin\\.kafka\\.)?([a-z][a-z0-9_.]*) = \\S", [{capture, all_but_first, list}]) of
        {match, [Key]} -> lists:member(Key, Keys) orelse starts_with(Key, "^(hook|rdkafka)\\.");
        nomatch -> false
    end.

full(<<"emq.plugin.kafka.", _/binary>> = Span) -> Span;
full(Span) -> <<"emq.plugin.kafka.", Span/binary>>.

%% Names of settings: `emq.plugin.kafka.spool.dir`.
every_setting_that_is_named_exists_test_() ->
    Keys = keys(),
    [{Name, fun() -> ?assertEqual([], [Key || Key <- named(Name), not lists:member(Key, Keys), not starts_with(Key, "^(hook|rdkafka)(\\.|$)")]) end}
     || Name <- pages()].

named(Name) ->
    found(docs_pages:text(Name), "emq\\.plugin\\.kafka\\.([a-z][a-zA-Z0-9_.]*[a-zA-Z0-9_])").

keys() ->
    [string:join(Key, ".") || ["emq", "plugin", "kafka" | Key] <- [cuttlefish_mapping:variable(Mapping) || Mapping <- mappings()],
                              not lists:member(hd(Key), ["hook", "rdkafka"])].

mappings() ->
    {_, Mappings, _} = cuttlefish_schema:files([schema()]),
    Mappings.

schema() -> filename:join(root(), "priv/emq_plugin_kafka.schema").

%% The list of properties that the plugin refuses is true.
every_refused_property_is_refused_test_() ->
    [_, List] = binary:split(docs_pages:text("docs/configuration.md"), <<"The plugin refuses:\n">>),
    Properties = found(List, "`([a-z_]+(?:\\.[a-z_]+)*)`") -- ["server"],
    true = length(Properties) > 10,
    [{Property, fun() ->
                        [Problem] = problems("", check([{rdkafka, [{Property, "1"}]}])),
                        ?assertNotEqual(nomatch, string:find(Problem, "rdkafka." ++ Property)),
                        ?assertEqual(nomatch, string:find(Problem, "No such configuration property"))
                end} || Property <- Properties].

%% Settings of EMQX 5

every_hocon_is_accepted_test_() ->
    Blocks = [{Name, Lines} || Name <- pages(), {Language, Lines} <- docs_pages:blocks(Name), is_hocon(Language, Lines)],
    true = Blocks =/= [],
    [{Name, fun() ->
                    {ok, Environment} = emq_plugin_kafka_emqx5_settings:environment(hocon(Lines)),
                    ?assertEqual([], problems(Name, check(Environment)))
            end}
     || {Name, Lines} <- Blocks].

is_hocon(<<"hocon">>, _Lines) -> true;
is_hocon(<<>>, [First | _]) -> starts_with(First, "^(server|topic|produce|hook|rdkafka)( = \"| \\{)");
is_hocon(_, _) -> false.

%% As much of HOCON as the pages use: names and values, and blocks of them.
hocon(Lines) -> hocon(Lines, #{}).

hocon([], Config) -> Config;
hocon([Line | Lines], Config) ->
    case re:run(Line, "^\\s*\"?([^\" ]+)\"? *(?:=|(\\{)$) *(.*)$", [{capture, all_but_first, binary}]) of
        {match, [Block, <<"{">>, <<>>]} ->
            {Inside, [_ | Rest]} = lists:splitwith(fun(Inner) -> not starts_with(Inner, "^\\s*\\}") end, Lines),
            hocon(Rest, Config#{Block => hocon(Inside)});
        {match, [Key, <<>>, Value]} -> hocon(Lines, Config#{Key => value(Value)});
        nomatch -> true = starts_with(Line, "^\\s*(#.*)?$"), hocon(Lines, Config)
    end.

value(<<"\"\"\"", Text/binary>>) -> binary:part(Text, 0, byte_size(Text) - 3);
value(<<"\"", _/binary>> = Text) -> jiffy:decode(Text);
value(Text) -> jiffy:decode(Text).

%% Rules

every_rule_is_accepted_test_() ->
    [{Name, fun() -> ?assertEqual([], [Rule || Rule <- rules(Name), not is_accepted(Rule)]) end} || Name <- pages()].

every_field_of_a_rule_has_an_example_test() ->
    {error, [Problem]} = check([{hooks, [{"message.publish.1", "{\"x\": 1}"}]}]),
    {match, [Fields]} = re:run(Problem, "expected one of (.*)$", [{capture, all_but_first, list}]),
    Rules = [Rule || Rule <- rules("docs/rules.md"), is_accepted(Rule)],
    ?assertEqual([], [Field || Field <- string:lexemes(Fields, ", "), not lists:any(fun(Rule) -> has(Field, Rule) end, Rules)]).

has(Field, Rule) -> string:find(Rule, ["\"", Field, "\":"]) =/= nomatch.

%% Whole ones in code and in text, and fields of some: `"produce": "durable"`.
rules(Name) ->
    Code = docs_pages:spans(Name) ++ [string:trim(Line) || {Language, Lines} <- docs_pages:blocks(Name), Language =:= <<>>, Line <- Lines],
    [rule(Text) || Text <- Code, starts_with(Text, "^\\{?\"(" ++ fields() ++ ")\": ")].

rule(<<"{", _/binary>> = Rule) -> Rule;
rule(Fields) -> <<"{", Fields/binary, "}">>.

fields() -> "filter|topic|key|format|mode|value|headers|tombstone|produce|on_failure".

%% By some event.
is_accepted(Rule) ->
    lists:any(fun(Event) -> is_accepted(Event, Rule) end, emq_plugin_kafka_broker:all_events()).

is_accepted(Event, Rule) ->
    {ok, Pairs} = emq_plugin_kafka_conf:pairs(<<"emq.plugin.kafka.hook.", (atom_to_binary(Event, utf8))/binary, ".1 = ", Rule/binary>>),
    {ok, Environment} = emq_plugin_kafka_conf:environment(schema(), Pairs),
    element(1, check(Environment)) =:= ok.

%% Records

every_record_has_the_fields_of_its_event_test_() ->
    Schemas = [jiffy:decode(Text, [return_maps]) || File <- filelib:wildcard("schemas/*.json", root()),
                                                    {ok, Text} <- [file:read_file(filename:join(root(), File))]],
    Records = [{Name, Record} || Name <- pages(), {_, Lines} <- docs_pages:blocks(Name), Record <- records(lists:join("\n", Lines))],
    true = length(Records) > 5,
    [{Name, ?_assert(lists:any(fun(Schema) -> fits(Record, Schema) end, Schemas))} || {Name, Record} <- Records].

%% Whole ones.
records(Text) ->
    [element(1, decoded(jiffy:decode(Rest, [return_maps, return_trailer]))) || Rest <- tails(iolist_to_binary(Text), <<"{\"type\":\"">>),
                                                                              binary:match(Rest, <<",...">>) =:= nomatch].

decoded({has_trailer, Record, Trailer}) -> {Record, Trailer};
decoded(Record) -> {Record, <<>>}.

tails(Text, Start) ->
    [binary:part(Text, At, byte_size(Text) - At) || {At, _} <- binary:matches(Text, Start)].

fits(#{<<"type">> := Type, <<"message">> := Message} = Record, #{<<"properties">> := #{<<"type">> := Types, <<"message">> := Inner}} = Schema) ->
    lists:member(Type, maps:get(<<"enum">>, Types, [maps:get(<<"const">>, Types, none)])) andalso has_fields(Record, Schema)
        andalso has_fields(Message, Inner).

has_fields(Object, #{<<"properties">> := Known, <<"required">> := Required}) ->
    Required -- maps:keys(Object) =:= [] andalso maps:keys(Object) -- maps:keys(Known) =:= [].

%% Through EMQ's parser, the schema and the library.

refused(Name, Lines) ->
    {ok, Pairs} = emq_plugin_kafka_conf:pairs(iolist_to_binary(lists:join("\n", Lines))),
    {ok, Environment} = emq_plugin_kafka_conf:environment(schema(), Pairs),
    problems(Name, check(Environment)).

check(Environment) -> emq_plugin_kafka_nif:check(emq_plugin_kafka_settings:of_environment(Environment)).

%% The files of certificates and passwords are not here.
problems(_Name, {ok, _}) -> [];
problems(_Name, {error, Problems}) -> [Problem || Problem <- Problems, string:find(Problem, "No such file") =:= nomatch].

%% Commands

every_command_of_make_exists_test_() ->
    {0, Help} = standin_broker:run(os:find_executable("make"), ["-C", root(), "--no-print-directory", "help"]),
    Targets = found(Help, "^make (\\w+)"),
    [{Name, ?_assertEqual([], [Target || Target <- in_code(Name, "(?:^(?:\\$ )?(?:[A-Z]\\w*=\\S+ )*|&& )make (?!-)([a-z]+)"), not lists:member(Target, Targets)])}
     || Name <- pages()].

every_command_of_the_plugin_exists_test_() ->
    {ok, Source} = file:read_file(filename:join(root(), "src/emq_plugin_kafka_cli.erl")),
    Commands = found(Source, "\\{\"kafka ([a-z]+)"),
    true = length(Commands) > 5,
    Calls = "(?:emqttd_ctl|emqx_ctl|emqx ctl) kafka(?: ([a-z]+))|^kafka ([a-z]+)",
    [{Name, ?_assertEqual([], [Command || Command <- in_code(Name, Calls), not lists:member(Command, Commands)])} || Name <- pages()].

every_option_of_a_script_exists_test_() ->
    [{Name, fun() -> ?assertEqual([], [{Script, Option} || {Script, Option} <- options(Name), not has_option(Script, Option)]) end}
     || Name <- pages()].

%% In a line of code: the script, and each option behind it.
options(Name) ->
    [{of_root(Script), Option}
     || Line <- code(Name),
        [Script, Rest] <- [Match || {match, Match} <- [re:run(Line, "(?:^|[ /])(bin/(?:un)?install|dev/[a-z0-9_./-]+)((?: [^ |#]+)*)",
                                                              [{capture, all_but_first, list}])]],
        Option <- found(Rest, " (--[a-z][a-z-]*)"), Option =/= "--help"].

of_root("bin/" ++ Script) -> "dev/install/" ++ Script;
of_root(Script) -> Script.

has_option(Script, Option) ->
    {0, Usage} = standin_broker:run(filename:join(root(), Script), ["--help"]),
    {ok, Text} = file:read_file(filename:join(root(), Script)),
    string:find(Usage, Option) =/= nomatch orelse string:find(Text, Option) =/= nomatch.

every_test_that_is_called_exists_test_() ->
    [{Name, fun() ->
                    [?assert(exists(["test/unit/" ++ Module ++ ".erl"])) || Module <- in_code(Name, "--module=(\\w+)")],
                    [?assert(exists([File ++ ".erl"])) || File <- in_code(Name, "--suite (\\S+)")],
                    [?assert(exists(["native/tests/" ++ Test ++ ".rs"])) || Test <- in_code(Name, "cargo test [^#]*--test (\\w+)")]
            end}
     || Name <- pages()].

every_file_that_is_named_exists_test_() ->
    [{Name, ?_assertEqual([], [File || File <- files(Name), not exists([File, File ++ ".erl", filename:join(filename:dirname(Name), File)])])} || Name <- pages()].

%% Files of this repository, below folders that releases of EMQ do not have.
files(Name) ->
    [File || File <- in_code(Name, "(?:^|[ (])((?:dev|test|bench|native|src|schemas|docs)/[A-Za-z0-9_./-]*[A-Za-z0-9_/])(?=$|[ ,:;)])")].

exists(Files) -> lists:any(fun(File) -> filelib:wildcard(File, root()) =/= [] end, Files).

%% Counters, reasons, fields, alarms, tests: `missing_field`. Kafka's own errors are librdkafka's.
every_name_is_somewhere_in_the_sources_test_() ->
    {setup, fun sources/0, fun(Sources) ->
        [{Name, ?_assertEqual([], [Word || Word <- words(Name), binary:match(Sources, list_to_binary(Word)) =:= nomatch] -- ["remote_console"])}
         || Name <- pages() -- ["docs/kafka-errors.md"]]
    end}.

words(Name) ->
    lists:usort([Word || Span <- docs_pages:spans(Name), Word <- found(Span, "(?<![\\w-])([a-z]+(?:_[a-z0-9]+)+)(?![\\w-])")]).

%% With the names of the files. The documents are not among them.
sources() ->
    Files = lists:append([filelib:wildcard(Pattern, root()) || Pattern <- ["src/*", "native/**/*.rs", "priv/*.schema", "schemas/*", "dev/**/*",
                                                                           "test/**/*.erl", "test/faults/mutants/*", "bench/**/*.{py,rs,erl}"]]),
    iolist_to_binary([[File, "\n", Text] || File <- Files, filename:extension(File) =/= ".md",
                                            {ok, Text} <- [file:read_file(filename:join(root(), File))]]).

%% Code within text, and lines of blocks.

pages() -> names() -- ?HISTORY.

code(Name) ->
    docs_pages:spans(Name) ++ lists:append([Lines || {_, Lines} <- docs_pages:blocks(Name)]).

in_code(Name, Pattern) ->
    [Word || Line <- code(Name), Word <- found(Line, Pattern)].

%% Of each match the group that there is.
found(Text, Pattern) ->
    case re:run(Text, Pattern, [global, multiline, {capture, all_but_first, list}]) of
        {match, Found} -> [lists:append(Groups) || Groups <- Found];
        nomatch -> []
    end.

starts_with(Text, Pattern) -> re:run(Text, Pattern, [{capture, none}]) =:= match.
