%% The settings on EMQX 5, which has no cuttlefish: turns data/plugins/emq_plugin_kafka/config.hocon into the environment that the
%% cuttlefish schema gives on the other brokers. The table priv/emqx5_settings.term maps fields to environment keys; it is generated
%% from that schema (dev/dist/emqx5_files.escript). Runs in its callers.
-module(emq_plugin_kafka_emqx5_settings).

-export([read/0, load_environment/0, changed/1, environment/1, table/0]).

-define(APP, emq_plugin_kafka).
-define(TABLE, "emqx5_settings.term").

-type problems() :: [Problem :: binary()].

%% Reads the file, so that a reload sees an operator's edits. EMQX writes changes by dashboard and REST API to it, too.
-spec read() -> {ok, emq_plugin_kafka_broker:environment()} | {error, problems()}.
read() ->
    of_config(config()).

of_config({ok, Config}) -> in_data_dir(environment(Config));
of_config({error, _} = Error) -> Error.

%% The settings as written, valid or not.
config() ->
    config(file()).

file() ->
    filename:join([emqx:data_dir(), "plugins", ?APP, "config.hocon"]).

config(File) ->
    config(filelib:is_regular(File), File).

config(true, File) -> loaded(hocon:load(File, #{format => map}), File);
config(false, File) -> read_memory(erlang:function_exported(emqx_plugins, get_config, 1), File).

read_memory(true, _File) -> configured(emqx_plugins:get_config(name_vsn()));
read_memory(false, File) -> {error, [problem("~ts is missing; this EMQX is older than 5.7 and has no configuration of plugins", [File])]}.

loaded({ok, Config}, _File) -> {ok, Config};
loaded({error, Reason}, File) -> {error, [problem("~ts: ~0tp", [File, Reason])]}.

%% EMQX 5.9 gives the bare map.
configured({ok, Config}) when is_map(Config) -> {ok, Config};
configured(Config) when is_map(Config) -> {ok, Config};
configured(Other) -> {error, [problem("EMQX has no configuration of ~ts: ~0tp", [name_vsn(), Other])]}.

in_data_dir({ok, Environment}) -> {ok, [in_data_dir_setting(Setting) || Setting <- Environment]};
in_data_dir({error, _} = Error) -> Error.

%% As installed by a system package, EMQX has its data outside its working directory.
in_data_dir_setting({spool_dir, "data/" ++ Inside}) -> {spool_dir, filename:join(emqx:data_dir(), Inside)};
in_data_dir_setting(Setting) -> Setting.

name_vsn() ->
    {ok, Vsn} = application:get_key(?APP, vsn),
    unicode:characters_to_binary([atom_to_list(?APP), "-", Vsn]).

%% EMQX starts the application with the environment of its .app file, which is empty. An error has the readable part.
-spec load_environment() -> ok | {error, problems(), [{atom() | binary(), term()}]}.
load_environment() ->
    load_environment(read()).

%% Replaced, not set: an earlier start may have left keys that the configuration has no longer.
load_environment({ok, Environment}) -> emq_plugin_kafka_settings:replace(Environment);
load_environment({error, Problems}) ->
    Partial = emq_plugin_kafka_emqx5_partial:environment(config(), table(), file()),
    {error, Problems, [in_data_dir_setting(Setting) || Setting <- Partial]}.

%% A new configuration from the dashboard or the REST API. EMQX 5.9 and later refuses it with this error. EMQX 5.7 and 5.8 have saved it
%% already and ignore the error: the plugin keeps its settings, and logs why.
-spec changed(Config :: map()) -> ok | {error, Text :: binary()}.
changed(Config) ->
    changed(Config, whereis(emq_plugin_kafka_producer), table()).

%% EMQX calls a removed version's code until the next version is loaded.
changed(_Config, undefined, {error, _Gone}) -> ok;
changed(Config, Pid, Table) -> answer(use(in_data_dir(of_table(Table, Config)), Pid), Pid).

%% EMQX also calls this before the application runs, for one with its default configuration.
use({ok, Environment}, undefined) -> checked(emq_plugin_kafka_settings:use(Environment, fun emq_plugin_kafka_nif:check/1));
use({ok, Environment}, _Pid) -> reload(Environment);
use({error, _} = Error, undefined) -> Error;
use({error, Problems} = Error, _Pid) ->
    _ = call_producer(fun() -> emq_plugin_kafka_producer:refuse(Problems) end),
    Error.

reload(Environment) ->
    checked(call_producer(fun() -> emq_plugin_kafka_producer:reload(Environment) end)).

call_producer(Ask) ->
    try
        Ask()
    catch
        exit:{_, {gen_server, call, _}} -> {error, [<<"the plugin is stopping">>]}
    end.

checked({ok, _ShownOrChanges}) -> ok;
checked({error, _} = Error) -> Error.

answer(ok, _Pid) ->
    ok;
answer({error, Problems}, Pid) ->
    Text = iolist_to_binary(lists:join("; ", Problems)),
    ok = logged(Pid, Text),
    {error, Text}.

%% A running producer process logs refused settings itself.
logged(undefined, Text) -> emq_plugin_kafka_log:error("the new configuration is refused: ~ts", [Text]);
logged(_Pid, _Text) -> ok.

%% The environment that a configuration gives. A missing field has its default; an unknown field is a problem.
-spec environment(Config :: map()) -> {ok, emq_plugin_kafka_broker:environment()} | {error, problems()}.
environment(Config) ->
    of_table(table(), Config).

%% The fields and their keys in the environment.
-spec table() -> {ok, [emq_plugin_kafka_emqx5_values:row()]} | {error, term()}.
table() ->
    table(code:priv_dir(?APP)).

table({error, bad_name}) -> {error, enoent};
table(Directory) -> file:consult(filename:join(Directory, ?TABLE)).

of_table({error, Reason}, _Config) ->
    {error, [problem("~ts of this version cannot be read: ~0tp", [?TABLE, Reason])]};
of_table({ok, Table}, Config) ->
    Fields = [Field || {Field, _, _, _} <- Table],
    Unknown = [problem("~ts: unknown setting", [emq_plugin_kafka_text:printable(Field)])
               || Field <- lists:sort(maps:keys(Config)), not lists:member(Field, Fields)],
    Settings = [emq_plugin_kafka_emqx5_values:setting(Row, Config) || Row <- Table],
    environment(Unknown ++ [Problem || {error, Problems} <- Settings, Problem <- Problems], lists:append([S || S <- Settings, is_list(S)])).

environment([], Environment) -> {ok, lists:sort(Environment)};
environment(Problems, _Environment) -> {error, Problems}.

problem(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).
