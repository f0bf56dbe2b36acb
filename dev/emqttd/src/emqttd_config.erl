%% What the dashboard's configuration page reads and writes of a plugin. Reading starts from the
%% conf files as they were at boot, or from the last write; writing sets the application's
%% environment through the plugin's own schema, and nothing on disk.
-module(emqttd_config).

-export([load/0, read/1, write/2]).

-define(TABLE, emqttd_config). %% {Application, Pairs}

-type row() :: {Key :: string(), Value :: string(), Doc :: [string()], Required :: boolean()}.

%% @doc The calling process owns the table.
-spec load() -> ok.
load() ->
    ?TABLE = ets:new(?TABLE, [named_table, public]),
    {ok, Directory} = emqttd:env(plugins_etc_dir),
    lists:foreach(fun(File) ->
                          {ok, Text} = file:read_file(filename:join(Directory, File)),
                          {ok, Pairs} = emqttd_conf:parse(File, Text),
                          true = ets:insert(?TABLE, {list_to_atom(hd(string:lexemes(File, "."))), Pairs})
                  end, filelib:wildcard("*.conf", Directory)).

%% @doc Mappings without a value first, then the settings in the order of the file. A setting
%% shows only when its key is a mapping's, letter for letter: one of a `$name' mapping does not.
-spec read(atom()) -> [row()].
read(Application) ->
    case filelib:is_file(schema(Application)) of
        true -> rows(emqttd_cli_config:read_config(Application), cuttlefish_schema:files([schema(Application)]));
        false -> []
    end.

rows(Pairs, {_Translations, Mappings, _Validators}) ->
    ByKey = [{cuttlefish_mapping:variable(Mapping), cuttlefish_mapping:doc(Mapping)} || Mapping <- Mappings],
    [{cuttlefish_variable:format(Key), "", Doc, false}
     || {Key, Doc} <- ByKey, not lists:keymember(Key, 1, Pairs)]
        ++ [{cuttlefish_variable:format(Key), Value, Doc, true}
            || {Key, Value} <- Pairs, {Found, Doc} <- ByKey, Found =:= Key].

%% @doc `error' when the values do not map, or not to this application alone.
-spec write(atom(), [{binary(), binary()}]) -> ok | error.
write(Application, Terms) ->
    Pairs = [{cuttlefish_variable:tokenize(binary_to_list(Key)), binary_to_list(Value)}
             || {Key, Value} <- Terms],
    case cuttlefish_generator:map(cuttlefish_schema:files([schema(Application)]), Pairs) of
        [{Application, Environment}] ->
            true = emqttd_cli_config:write_config(Application, Pairs),
            lists:foreach(fun({Key, Value}) -> application:set_env(Application, Key, Value) end,
                          Environment);
        _ ->
            error
    end.

schema(Application) ->
    filename:join(code:priv_dir(Application), atom_to_list(Application) ++ ".schema").
