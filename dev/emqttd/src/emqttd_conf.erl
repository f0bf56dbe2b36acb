%% From conf files to application environments, as EMQ 2.3 boots: etc/emq.conf and
%% etc/plugins/*.conf in one text, read by its rules, mapped by all the schemas with cuttlefish.
%% Runs before the node does, in a VM of its own; parse/2 also serves the dashboard's calls.
-module(emqttd_conf).

-export([main/0, parse/2]).

-export_type([pair/0]).

-type pair() :: {Key :: [string()], Value :: string()}.

%% EMQ's rule, which is not that of Debian's cuttlefish: `#' opens a comment only at the start of
%% a line, so that a value may hold one. A value is never empty.
-define(SETTING, "^[ \\t]*((?:\\\\\\.|[A-Za-z0-9_@/:.-])+)[ \\t]*=[ \\t]*([^ \\t].*?)[ \\t]*$").
-define(IGNORED, "^[ \\t]*(#.*)?$").

%% @doc Arguments after -extra: the EMQ home. Writes data/configs/app.TIME.{conf,config,args}
%% and prints their common path; errors go to the terminal, and the exit status is 1.
-spec main() -> no_return().
main() ->
    [Root] = init:get_plain_arguments(),
    case generate(Root) of
        {ok, Path} ->
            io:format("~ts~n", [Path]),
            halt(0);
        {error, Phase, Errors} ->
            report(["Error generating configuration in phase ", atom_to_list(Phase)]),
            lists:foreach(fun(Error) -> report(cuttlefish_error:xlate(Error)) end, Errors),
            halt(1)
    end.

report(Message) ->
    {_, {Hour, Minute, Second}} = calendar:local_time(),
    io:format(standard_error, "~2..0w:~2..0w:~2..0w [error] ~ts~n", [Hour, Minute, Second, Message]).

generate(Root) ->
    Path = filename:join([Root, "data", "configs", "app." ++ timestamp()]),
    Plugins = filename:join([Root, "etc", "plugins"]),
    Files = [filename:join([Root, "etc", "emq.conf"])
             | [filename:join(Plugins, File) || File <- filelib:wildcard("*.conf", Plugins)]],
    ok = filelib:ensure_dir(Path),
    case merge(Files, Path ++ ".conf") of
        ok -> map(Path, filelib:wildcard(filename:join([Root, "releases", "*", "schema", "*.schema"])));
        {error, Error} -> {error, read, [Error]}
    end.

timestamp() ->
    {{Year, Month, Day}, {Hour, Minute, Second}} = calendar:local_time(),
    lists:flatten(io_lib:format("~4..0w.~2..0w.~2..0w.~2..0w.~2..0w.~2..0w",
                                [Year, Month, Day, Hour, Minute, Second])).

merge(Files, Path) ->
    Read = [{File, file:read_file(File)} || File <- Files],
    case [{file_open, {File, Reason}} || {File, {error, Reason}} <- Read] of
        [] -> file:write_file(Path, [[Text, $\n] || {_, {ok, Text}} <- Read]);
        [Error | _] -> {error, {error, Error}}
    end.

map(Path, Schemas) ->
    {ok, Text} = file:read_file(Path ++ ".conf"),
    case parse(Path ++ ".conf", Text) of
        {ok, Pairs} -> map(cuttlefish_schema:files(lists:sort(Schemas)), Pairs, Path);
        {error, Errors} -> {error, parse, Errors}
    end.

map({errorlist, Errors}, _Pairs, _Path) ->
    {error, schema, Errors};
map(Schema, Pairs, Path) ->
    mapped(cuttlefish_generator:map(Schema, Pairs), Path).

mapped({error, Phase, {errorlist, Errors}}, _Path) ->
    {error, Phase, Errors};
mapped(Config, Path) ->
    {VmArgs, Environments} = proplists:split(Config, [vm_args]),
    Args = cuttlefish_vmargs:stringify(proplists:get_value(vm_args, lists:append(VmArgs), [])),
    ok = file:write_file(Path ++ ".config", io_lib:format("~p.~n", [Environments])),
    ok = file:write_file(Path ++ ".args", lists:join($\n, Args)),
    %% A latin-1 value gives a file that Erlang reads as UTF-8 and refuses; EMQ ends here as well.
    case file:consult(Path ++ ".config") of
        {ok, [_]} -> {ok, Path};
        {error, Reason} -> {error, check, [file:format_error(Reason)]}
    end.

%% @doc The settings of a conf text in their order; of a key set twice, the last value.
-spec parse(file:name(), binary()) -> {ok, [pair()]} | {error, [{error, term()}]}.
parse(Name, Text) ->
    Lines = re:split(Text, "\r?\n"),
    Read = [line(Name, Number, Line) || {Number, Line} <- lists:enumerate(Lines)],
    case [Error || {error, _} = Error <- Read] of
        [] -> {ok, lists:foldl(fun set/2, [], Read)};
        Errors -> {error, Errors}
    end.

set(ignored, Pairs) -> Pairs;
set({Key, _} = Pair, Pairs) -> lists:keystore(Key, 1, Pairs, Pair).

line(Name, Number, Line) ->
    case {re:run(Line, ?IGNORED), re:run(Line, ?SETTING, [{capture, all_but_first, binary}])} of
        {{match, _}, _} -> ignored;
        {nomatch, {match, [Key, Value]}} -> setting(Name, Number, Key, Value);
        {nomatch, nomatch} -> {error, {conf_syntax, {Name, {Number, 1}}}}
    end.

setting(Name, Number, Key, Value) ->
    case unicode:characters_to_binary(Value, utf8, latin1) of
        Latin1 when is_binary(Latin1) ->
            {cuttlefish_variable:tokenize(binary_to_list(Key)), binary_to_list(Latin1)};
        _NotLatin1 ->
            {error, io_lib:format("~ts: Error converting value on line #~b to latin1", [Name, Number])}
    end.
