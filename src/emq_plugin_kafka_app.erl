%% The application: its start and stop, in the order that keeps callbacks in flight safe.
-module(emq_plugin_kafka_app).
-behaviour(application).
%% By which EMQX 4 knows a plugin.
-emqx_plugin(?MODULE).

-export([start/2, prep_stop/1, stop/1]).
%% EMQX 5's.
-export([on_config_changed/2, on_health_check/1]).

%% The producer first, the hooks second: no callback without a producer. A plugin whose settings are wrong starts all the
%% same: a start that fails would leave EMQ's dashboard claiming success. Its hooks keep or count what passes.
-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    ok = emq_plugin_kafka_producer:close_left_behind(),
    started(emq_plugin_kafka_sup:start_link()).

started({ok, Supervisor}) ->
    %% In any state: a reload mends a wrong setting.
    ok = emq_plugin_kafka_cli:register(),
    ok = hook(emq_plugin_kafka_producer:status()),
    {ok, Supervisor};
started(Failed) ->
    Failed.

%% Without the library there is nobody to call.
hook(#{records := unseen}) ->
    ok;
hook(#{records := _}) ->
    ok = emq_plugin_kafka_hooks:register(),
    Problems = emq_plugin_kafka_doors:problems(emq_plugin_kafka_doors:boot()),
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("~ts", [Problem]) end, Problems).

%% Before the processes end: in EMQ 2.3 a callback that fails takes its client's connection with it. With a spool, what comes
%% until the hooks are gone goes there, and the gap in which EMQ calls no hook is short: the hooks go last, or stay if the broker
%% itself stops. Without a spool they go first, and queued records are drained afterwards. Callbacks that are already running find the
%% producer open, or closed and count `dropped.closed`.
-spec prep_stop(State) -> State.
prep_stop(State) ->
    ok = emq_plugin_kafka_producer:suspend(),
    ok = emq_plugin_kafka_doors:leave(),
    State.

-spec stop(term()) -> ok.
stop(_State) ->
    emq_plugin_kafka_cli:unregister().

%% Called on each node with what the dashboard or the REST interface has for the plugin, whether it runs or not.
-spec on_config_changed(Old :: map(), New :: map()) -> ok | {error, Text :: binary()}.
on_config_changed(_Old, New) ->
    emq_plugin_kafka_emqx5_settings:changed(New).

%% EMQX 5.9 and later ask when the plugin is looked at.
-spec on_health_check(Options :: map()) -> ok | {error, Text :: binary()}.
on_health_check(_Options) ->
    health(emq_plugin_kafka_info:status()).

health(#{state := running, problems := []}) -> ok;
health(#{state := State, problems := Problems}) ->
    {error, iolist_to_binary(lists:join("; ", [atom_to_binary(State, utf8) | Problems]))}.
