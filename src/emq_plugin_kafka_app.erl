%% The application: its start and stop, in the order that keeps callbacks in flight safe.
-module(emq_plugin_kafka_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1]).

%% The producer first, the hooks second: no callback without a producer. A plugin that cannot work starts all the
%% same, without hooks: a start that fails would leave EMQ's dashboard claiming success.
-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    started(emq_plugin_kafka_sup:start_link()).

started({ok, Supervisor}) ->
    ok = emq_plugin_kafka_producer:register_hooks(),
    {ok, Supervisor};
started(Failed) ->
    Failed.

%% Before the processes end: in EMQ 2.3 a callback that fails takes its client's connection with it. Callbacks that are
%% already running find the producer open, or closed and count `dropped.closed`.
-spec prep_stop(State) -> State.
prep_stop(State) ->
    ok = emq_plugin_kafka_producer:unregister_hooks(),
    State.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
