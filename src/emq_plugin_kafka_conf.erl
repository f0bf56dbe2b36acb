%% Reads the plugin's conf file as EMQ 2.3 and EMQX 4 do at boot: with their rules for a line, and with the plugin's schema and the
%% release's cuttlefish. Changes nothing. No process: runs in its callers.
-module(emq_plugin_kafka_conf).

-export([read/1, pairs/1, environment/2]).
-export_type([pair/0]).

-type pair() :: {Key :: [string()], Value :: string()}.

-define(APP, emq_plugin_kafka).
-define(PREFIX, ["emq", "plugin", "kafka"]).

%% `#` begins a comment only at the start of a line: a value may contain one. A value is never empty. The lines are read here, because
%% releases of cuttlefish differ in how they read them.
-define(SETTING, "^[ \\t]*((?:\\\\\\.|[A-Za-z0-9_@/:.-])+)[ \\t]*=[ \\t]*([^ \\t].*?)[ \\t]*$").
-define(NO_SETTING, "^[ \\t]*(#.*)?$").

%% The application environment of the conf file in a directory, and its settings as written.
-spec read({ok, Directory :: file:filename()} | undefined) ->
          {ok, emq_plugin_kafka_broker:environment(), [pair()]} | {error, [Problem :: binary()]}.
read({ok, Directory}) ->
    File = filename:join(Directory, "emq_plugin_kafka.conf"),
    read(File, file:read_file(File));
read(undefined) ->
    {error, [<<"this broker does not report the folder of its plugins' conf files">>]}.

read(File, {ok, Text}) ->
    mapped(File, pairs(Text));
read(File, {error, Reason}) ->
    {error, [problem("~ts: ~ts", [File, file:format_error(Reason)])]}.

mapped(File, {error, Problems}) ->
    {error, [problem("~ts: ~ts", [File, Problem]) || Problem <- Problems]};
mapped(_File, {ok, Pairs}) ->
    Schema = filename:join(code:priv_dir(?APP), "emq_plugin_kafka.schema"),
    with(environment(Schema, Pairs), Pairs).

with({ok, Environment}, Pairs) -> {ok, Environment, Pairs};
with({error, _} = Error, _Pairs) -> Error.

%% This plugin's settings of a conf text, in their order. The last value of a key counts.
-spec pairs(binary()) -> {ok, [pair()]} | {error, [Problem :: binary()]}.
pairs(Text) ->
    Lines = re:split(Text, "\r?\n"),
    Read = [line(Number, Line) || {Number, Line} <- lists:zip(lists:seq(1, length(Lines)), Lines)],
    settings(lists:append(Read), [Problem || [{error, Problem}] <- Read]).

settings(Read, []) ->
    Ours = [Pair || {Key, _} = Pair <- Read, lists:prefix(?PREFIX, Key)],
    {ok, lists:foldl(fun({Key, _} = Pair, Pairs) -> lists:keystore(Key, 1, Pairs, Pair) end, [], Ours)};
settings(_Read, Problems) ->
    {error, Problems}.

line(Number, Line) ->
    line(Number, re:run(Line, ?NO_SETTING, [{capture, none}]), re:run(Line, ?SETTING, [{capture, all_but_first, binary}])).

line(_Number, match, _) -> [];
line(Number, nomatch, {match, [Key, Value]}) -> setting(Number, Key, unicode:characters_to_binary(Value, utf8, latin1));
line(Number, nomatch, nomatch) -> [{error, problem("line ~b: expected KEY = VALUE", [Number])}].

%% EMQ's boot refuses characters outside latin1, and it reads the same file.
setting(_Number, Key, Value) when is_binary(Value) ->
    [{cuttlefish_variable:tokenize(binary_to_list(Key)), binary_to_list(Value)}];
setting(Number, Key, _NotLatin1) ->
    [{error, problem("line ~b: ~ts: EMQ's conf files do not allow one of its characters", [Number, Key])}].

%% The environment that a schema gives for settings.
-spec environment(file:filename(), [pair()]) -> {ok, emq_plugin_kafka_broker:environment()} | {error, [Problem :: binary()]}.
environment(Schema, Pairs) ->
    of_schema(cuttlefish_schema:files([Schema]), Pairs).

of_schema({errorlist, Errors}, _Pairs) -> {error, problems(Errors)};
of_schema(Schema, Pairs) -> of_map(cuttlefish_generator:map(Schema, Pairs)).

of_map([{?APP, Environment}]) -> {ok, Environment};
of_map({error, _Phase, {errorlist, Errors}}) -> {error, problems(Errors)}.

problems(Errors) ->
    [problem("~ts", [cuttlefish_error:xlate(Error)]) || {error, Error} <- Errors].

problem(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).
