%% The application: its start and stop, in the order that keeps callbacks in flight safe.
-module(emq_plugin_kafka_app).
-behaviour(application).
%% EMQX 4 recognizes a plugin by this attribute.
-emqx_plugin(?MODULE).

-export([start/2, prep_stop/1, stop/1]).
%% Called by EMQX 5.
-export([on_config_changed/2, on_health_check/1]).

%% The producer first, the hooks second: no callback without a producer. With invalid settings the plugin starts, too, because EMQ's
%% dashboard reports a failed start as a success. Its hooks then spool or count records.
-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    ok = emq_plugin_kafka_producer:close_left_behind(),
    started(emq_plugin_kafka_sup:start_link()).

started({ok, Supervisor}) ->
    %% In any state: a reload can correct the settings.
    ok = emq_plugin_kafka_cli:register(),
    ok = hook(emq_plugin_kafka_producer:status()),
    {ok, Supervisor};
started(Failed) ->
    Failed.

%% Without the library, hooks have nothing to call.
hook(#{records := unseen}) ->
    ok;
hook(#{records := _}) ->
    ok = emq_plugin_kafka_hooks:register(),
    Problems = emq_plugin_kafka_listeners:problems(emq_plugin_kafka_listeners:at_boot()),
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("~ts", [Problem]) end, Problems).

%% Called before the processes end: in EMQ 2.3, a callback that fails ends its client's connection. With a spool, records go there
%% until the hooks are unregistered. That comes last, so that the gap without hooks is short; if the broker stops, the hooks stay.
%% Without a spool, the hooks are unregistered first, and the queue is drained then. Callbacks that run meanwhile find the producer
%% open, or closed and count `dropped.closed`.
-spec prep_stop(State) -> State.
prep_stop(State) ->
    ok = emq_plugin_kafka_producer:suspend(),
    ok = emq_plugin_kafka_listeners:at_stop(),
    State.

-spec stop(term()) -> ok.
stop(_State) ->
    emq_plugin_kafka_cli:unregister().

%% EMQX 5.7 and later call this on each node with the plugin's new configuration, whether the plugin runs or not.
-spec on_config_changed(Old :: map(), New :: map()) -> ok | {error, Text :: binary()}.
on_config_changed(_Old, New) ->
    emq_plugin_kafka_emqx5_settings:changed(New).

%% EMQX 5.9 and later call this when the dashboard shows the plugin.
-spec on_health_check(Options :: map()) -> ok | {error, Text :: binary()}.
on_health_check(_Options) ->
    health(emq_plugin_kafka_info:status()).

health(#{state := running, problems := []}) -> ok;
health(#{state := State, problems := Problems}) ->
    {error, iolist_to_binary(lists:join("; ", [atom_to_binary(State, utf8) | Problems]))}.
