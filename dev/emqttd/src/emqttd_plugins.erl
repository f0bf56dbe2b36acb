%% Plugins: applications that the boot file loaded and that have a conf file in etc/plugins/. The
%% ones switched on are remembered in data/loaded_plugins, one `name.' a line.
-module(emqttd_plugins).

-export([load/0, unload/0, list/0, load/1, unload/1]).

-include("emqttd.hrl").

%% @doc At boot: starts what the file names.
-spec load() -> ok.
load() ->
    Plugins = [Name || #mqtt_plugin{name = Name} <- list()],
    {Known, Unknown} = lists:partition(fun(Name) -> lists:member(Name, Plugins) end, remembered()),
    _ = [error_logger:error_msg("Cannot find plugins: ~p~n", [Unknown]) || Unknown =/= []],
    lists:foreach(fun start/1, Known -- running()).

%% @doc At shutdown: stops what the file names, and leaves the file alone.
-spec unload() -> ok.
unload() ->
    lists:foreach(fun application:stop/1, remembered()).

-spec list() -> [#mqtt_plugin{}].
list() ->
    Running = running(),
    [#mqtt_plugin{name = Name, version = proplists:get_value(vsn, Keys, "0"),
                  descr = proplists:get_value(description, Keys, ""),
                  active = lists:member(Name, Running)}
     || File <- filelib:wildcard("*.{conf,config}", directory()),
        Name <- [list_to_atom(hd(string:lexemes(File, ".")))],
        {ok, Keys} <- [application:get_all_key(Name)]].

-spec load(atom()) -> {ok, [atom()]} | {error, term()}.
load(Name) ->
    case {lists:member(Name, running()), is_plugin(Name)} of
        {true, _} -> failed(Name, already_started);
        {false, false} -> failed(Name, not_found);
        {false, true} -> remember_started(Name, start(Name))
    end.

-spec unload(atom()) -> ok | {error, term()}.
unload(Name) ->
    case {lists:member(Name, running()), is_plugin(Name)} of
        {false, _} -> failed(Name, not_started);
        {true, false} -> failed(Name, not_found);
        {true, true} -> forget_stopped(Name, application:stop(Name))
    end.

failed(Name, Reason) ->
    error_logger:error_msg("Plugin ~s: ~p~n", [Name, Reason]),
    {error, Reason}.

start(Name) ->
    case application:ensure_all_started(Name) of
        {ok, Started} -> {ok, Started};
        {error, {Application, Reason}} ->
            error_logger:error_msg("load plugin ~p error, cannot start app ~s for ~p~n",
                                   [Name, Application, Reason]),
            {error, {Application, Reason}}
    end.

remember_started(Name, {ok, _} = Started) ->
    ok = remember((remembered() -- [Name]) ++ [Name]),
    Started;
remember_started(_Name, Error) ->
    Error.

forget_stopped(Name, ok) -> remember(remembered() -- [Name]);
forget_stopped(_Name, Error) -> Error.

is_plugin(Name) ->
    lists:keymember(Name, #mqtt_plugin.name, list()).

running() ->
    [Name || {Name, _, _} <- application:which_applications()].

directory() ->
    {ok, Directory} = emqttd:env(plugins_etc_dir),
    Directory.

remembered() ->
    {ok, File} = emqttd:env(plugins_loaded_file),
    case file:consult(File) of
        {ok, Names} -> Names;
        {error, enoent} -> [];
        {error, Reason} ->
            error_logger:error_msg("Failed to read: ~p, error: ~p~n", [File, Reason]),
            []
    end.

remember(Names) ->
    {ok, File} = emqttd:env(plugins_loaded_file),
    file:write_file(File, [io_lib:format("~s.~n", [Name]) || Name <- Names]).
