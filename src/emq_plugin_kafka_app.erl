%% The application: its start and stop, in the order that keeps callbacks in flight safe.
-module(emq_plugin_kafka_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1]).

%% The producer first, the hooks second: no callback without a producer. A plugin that cannot work starts all the
%% same, without hooks: a start that fails would leave EMQ's dashboard claiming success.
-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    ok = emq_plugin_kafka_producer:close_left_behind(),
    started(emq_plugin_kafka_sup:start_link()).

started({ok, Supervisor}) ->
    hook(emq_plugin_kafka_producer:status()),
    {ok, Supervisor};
started(Failed) ->
    Failed.

hook(#{state := running}) -> hooked(emq_plugin_kafka:load([]));
hook(#{state := _}) -> ok.

hooked(ok) -> ok;
hooked({error, Failed}) -> emq_plugin_kafka_producer:log("these hooks could not be registered: ~0tp", [Failed]).

%% Before the processes end: in EMQ 2.3 a callback that fails takes its client's connection with it. Callbacks that are
%% already running find the producer open, or closed and count `dropped.closed`.
-spec prep_stop(State) -> State.
prep_stop(State) ->
    unhooked(emq_plugin_kafka:unload()),
    State.

unhooked(ok) -> ok;
unhooked({error, Failed}) -> emq_plugin_kafka_producer:log("these hooks could not be unregistered: ~0tp", [Failed]).

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
