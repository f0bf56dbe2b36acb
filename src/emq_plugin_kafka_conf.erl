%% Reads the plugin's conf file again, as EMQ 2.3 and 4 do when they boot: by their rules of what a line is, mapped by the plugin's
%% own schema with the cuttlefish of the release. Changes nothing. Runs in the process of whoever asks.
-module(emq_plugin_kafka_conf).

-export([read/1, pairs/1, environment/2]).
-export_type([pair/0]).

-type pair() :: {Key :: [string()], Value :: string()}.

-define(APP, emq_plugin_kafka).
-define(PREFIX, ["emq", "plugin", "kafka"]).

%% `#` opens a comment only at the start of a line, so that a value may hold one; a value is never empty. Other releases of
%% cuttlefish than EMQ's own read conf files otherwise, so that the lines are read here.
-define(SETTING, "^[ \\t]*((?:\\\\\\.|[A-Za-z0-9_@/:.-])+)[ \\t]*=[ \\t]*([^ \\t].*?)[ \\t]*$").
-define(NO_SETTING, "^[ \\t]*(#.*)?$").

%% The application environment that the conf file in a directory makes, and the settings as they are written there.
-spec read({ok, Directory :: file:filename()} | undefined) ->
          {ok, emq_plugin_kafka_broker:environment(), [pair()]} | {error, [Problem :: binary()]}.
read({ok, Directory}) ->
    File = filename:join(Directory, "emq_plugin_kafka.conf"),
    read(File, file:read_file(File));
read(undefined) ->
    {error, [<<"this broker does not say where its plugins' conf files are">>]}.

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

%% The settings of a conf text that are this plugin's, in their order; of a key that is there twice, the last value.
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

%% A boot refuses other characters, and the next one reads the same file.
setting(_Number, Key, Value) when is_binary(Value) ->
    [{cuttlefish_variable:tokenize(binary_to_list(Key)), binary_to_list(Value)}];
setting(Number, Key, _NotLatin1) ->
    [{error, problem("line ~b: ~ts: a character that EMQ's conf files cannot hold", [Number, Key])}].

%% The environment that a schema makes of settings.
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
