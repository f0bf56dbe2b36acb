%% The settings on EMQX 5, where there is no cuttlefish: data/plugins/emq_plugin_kafka/config.hocon as the environment that the
%% cuttlefish schema makes on the other brokers, by a table that is made of that schema (dev/emqx5_files.escript). Changes nothing but
%% the environment; runs in the process of whoever asks.
-module(emq_plugin_kafka_emqx5_settings).

-export([read/0, load_environment/0, changed/1, environment/1, config/0, file/0, table/0, setting/2, placed_setting/1]).

-define(APP, emq_plugin_kafka).
-define(TABLE, "emqx5_settings.term").

-type problems() :: [Problem :: binary()].

%% As it is on disk, so that a reload sees what was edited there. EMQX writes what the dashboard and the REST interface change there, too.
-spec read() -> {ok, emq_plugin_kafka_broker:environment()} | {error, problems()}.
read() ->
    of_config(config()).

of_config({ok, Config}) -> placed(environment(Config));
of_config({error, _} = Error) -> Error.

%% The settings as they are written, wrong or not.
-spec config() -> {ok, Config :: map()} | {error, problems()}.
config() ->
    config(file()).

-spec file() -> file:filename().
file() ->
    filename:join([emqx:data_dir(), "plugins", ?APP, "config.hocon"]).

config(File) ->
    config(filelib:is_regular(File), File).

config(true, File) -> loaded(hocon:load(File, #{format => map}), File);
config(false, File) -> read_memory(erlang:function_exported(emqx_plugins, get_config, 1), File).

read_memory(true, _File) -> configured(emqx_plugins:get_config(name_vsn()));
read_memory(false, File) -> {error, [problem("~ts is not there, and this EMQX, older than 5.7, has no configuration for plugins", [File])]}.

loaded({ok, Config}, _File) -> {ok, Config};
loaded({error, Reason}, File) -> {error, [problem("~ts: ~0tp", [File, Reason])]}.

%% EMQX 5.9 gives the bare map.
configured({ok, Config}) when is_map(Config) -> {ok, Config};
configured(Config) when is_map(Config) -> {ok, Config};
configured(Other) -> {error, [problem("EMQX has no configuration of ~ts: ~0tp", [name_vsn(), Other])]}.

%% EMQX's own data are not below its working directory where a package of the system has installed it.
placed({ok, Environment}) -> {ok, [placed_setting(Setting) || Setting <- Environment]};
placed({error, _} = Error) -> Error.

-spec placed_setting({Name, Value}) -> {Name, Value | file:filename()}.
placed_setting({spool_dir, "data/" ++ Inside}) -> {spool_dir, filename:join(emqx:data_dir(), Inside)};
placed_setting(Setting) -> Setting.

name_vsn() ->
    {ok, Vsn} = application:get_key(?APP, vsn),
    unicode:characters_to_binary([atom_to_list(?APP), "-", Vsn]).

%% EMQX starts the application with the environment of its .app file, which is empty.
-spec load_environment() -> ok | {error, problems(), [{atom() | binary(), term()}]}.
load_environment() ->
    prepared(read()).

%% Of an earlier start, something may be there that the configuration does not have any more.
prepared({ok, Environment}) -> emq_plugin_kafka_settings:replace(Environment);
prepared({error, Problems}) ->
    {error, Problems, emq_plugin_kafka_emqx5_partial:environment()}.

%% A new configuration from the dashboard or the REST interface. EMQX 5.9 and later refuses what this refuses. EMQX 5.7 and 5.8 do not
%% look at the answer, and have saved it already: it stays out of use, and the log says why.
-spec changed(Config :: map()) -> ok | {error, Text :: binary()}.
changed(Config) ->
    changed(Config, whereis(emq_plugin_kafka_producer), table()).

%% The code of a version that was removed is asked as long as the next one is not loaded.
changed(_Config, undefined, {error, _Gone}) -> ok;
changed(Config, Pid, Table) -> answer(use(placed(of_table(Table, Config)), Pid), Pid).

%% EMQX tells of a configuration, its own default for one, also before the application runs.
use({ok, Environment}, undefined) -> checked(emq_plugin_kafka_settings:use(Environment, fun emq_plugin_kafka_nif:check/1));
use({ok, Environment}, _Pid) -> reload(Environment);
use({error, _} = Error, undefined) -> Error;
use({error, Problems} = Error, _Pid) ->
    _ = running(fun() -> emq_plugin_kafka_producer:refuse(Problems) end),
    Error.

reload(Environment) ->
    checked(running(fun() -> emq_plugin_kafka_producer:reload(Environment) end)).

running(Ask) ->
    try
        Ask()
    catch
        exit:{_, {gen_server, call, _}} -> {error, [<<"the plugin is being stopped">>]}
    end.

checked({ok, _ShownOrChanges}) -> ok;
checked({error, _} = Error) -> Error.

answer(ok, _Pid) ->
    ok;
answer({error, Problems}, Pid) ->
    Text = iolist_to_binary(lists:join("; ", Problems)),
    ok = logged(Pid, Text),
    {error, Text}.

%% The process logs what it refuses.
logged(undefined, Text) -> emq_plugin_kafka_log:error("a new configuration is not used: ~ts", [Text]);
logged(_Pid, _Text) -> ok.

%% The environment that a configuration makes. What it does not have has its default; what the plugin does not know is a problem.
-spec environment(Config :: map()) -> {ok, emq_plugin_kafka_broker:environment()} | {error, problems()}.
environment(Config) ->
    of_table(table(), Config).

%% Which fields there are, and what they are called in the environment.
-spec table() -> {ok, [term()]} | {error, term()}.
table() ->
    table(code:priv_dir(?APP)).

table({error, bad_name}) -> {error, enoent};
table(Directory) -> file:consult(filename:join(Directory, ?TABLE)).

of_table({error, Reason}, _Config) ->
    {error, [problem("~ts of this version cannot be read: ~0tp", [?TABLE, Reason])]};
of_table({ok, Table}, Config) ->
    Fields = [Field || {Field, _, _, _} <- Table],
    Unknown = [problem("~ts: there is no such setting", [emq_plugin_kafka_text:printable(Field)]) || Field <- lists:sort(maps:keys(Config)), not lists:member(Field, Fields)],
    Settings = [setting(Row, Config) || Row <- Table],
    environment(Unknown ++ [Problem || {error, Problems} <- Settings, Problem <- Problems], lists:append([S || S <- Settings, is_list(S)])).

environment([], Environment) -> {ok, lists:sort(Environment)};
environment(Problems, _Environment) -> {error, Problems}.

%% Of a row of the table.
-spec setting(term(), Config :: map()) -> [{Name :: atom(), Value :: term()}] | {error, problems()}.
setting({Field, Name, Types, Default}, Config) ->
    setting(emq_plugin_kafka_emqx5_values:value(Types, maps:get(Field, Config, null)), Field, Name, Default).

setting({ok, Value}, _Field, Name, _Default) -> [{Name, Value}];
setting(unset, _Field, Name, {default, Value}) -> [{Name, Value}];
setting(unset, _Field, _Name, none) -> [];
setting({error, Problems}, Field, _Name, _Default) -> {error, [problem("~ts~ts: ~ts", [Field, Inside, Text]) || {Inside, Text} <- Problems]}.

problem(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).
