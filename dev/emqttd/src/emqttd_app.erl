%% The application. When it runs, its plugins are started and its listeners opened, by a process
%% of their own as in EMQ 2.3: a plugin may depend on this application.
%%
%% With `-emqttd listeners_first true' in etc/vm.args it is as EMQX 4 and 5 are: the listeners open first, unless `boot_modules'
%% leaves them out, and plugins are started next, before the application runs.
-module(emqttd_app).

-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()}.
start(_Type, _Args) ->
    ok = emqttd_metrics:new(),
    {ok, Supervisor} = emqttd_sup:start_link(),
    ok = emqttd_config:load(),
    ok = emqttd_cli:load(),
    ok = emqttd_presence:load(),
    ok = emqttd_retainer:load(),
    ok = emqttd_cluster:rejoin(),
    ok = started(emqttd:env(listeners_first, false)),
    {ok, Supervisor}.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.

started(false) ->
    _ = spawn(fun boot/0),
    ok;
started(true) ->
    ok = open_first(lists:member(listeners, emqttd:env(boot_modules, [broker, listeners]))),
    ok = emqttd_plugins:load(),
    _ = spawn(fun booted/0),
    ok.

open_first(true) -> emqttd_listeners:start();
open_first(false) -> ok.

boot() ->
    {ok, _} = application:ensure_all_started(emqttd),
    ok = emqttd_plugins:load(),
    try emqttd_listeners:start() of
        ok -> booted()
    catch
        error:Reason ->
            error_logger:error_msg("Cannot open a listener: ~0p~n", [Reason]),
            init:stop(1)
    end.

booted() ->
    {ok, _} = application:ensure_all_started(emqttd),
    io:format("~s ~s is running now~n", [emqttd, emqttd_broker:version()]),
    emqttd_nodetool:booted().
