%% ekaf (helpshift/ekaf), the client of EMQ's first Kafka bridges: pure Erlang, Kafka 0.8's protocol, which Kafka 4 no longer
%% speaks. It compresses nothing, sends no timestamps, and asks for the leader's acknowledgement only.
%%
%% produce_async_batched/2 always takes the record: no queue of it is bounded. A batch is sent when a timer finds that the
%% buffer is over ekaf_max_buffer_size or has not changed since; one that is lost is not sent again, and its acknowledgement is
%% read and thrown away. So the window counts what no batch has been made of yet, the last that ekaf tells.
-module(bench_ekaf).

-behaviour(bench_adapter).

-export([application/0, start/1, async/4, sync/4, stop/1]).
-export([batch/5]).

-define(WINDOW, 20000).

-spec application() -> atom().
application() -> ekaf.

-spec start(map()) -> {ok, map()}.
start(#{servers := [Server | _], topic := Topic, settings := Settings, window := Window}) ->
    Counted = bench_window:new(window(Settings, Window)),
    persistent_term:put(?MODULE, Counted),
    lists:foreach(fun({Key, Value}) -> ok = application:set_env(ekaf, Key, Value) end,
                  [{ekaf_bootstrap_broker, Server}, {ekaf_callback_massage_buffer, {?MODULE, batch}} | settings(Settings)]),
    {ok, _} = application:ensure_all_started(ekaf),
    {ok, _} = ekaf:prepare(Topic),
    {ok, #{topic => Topic, window => Counted}}.

%% The defaults: 100 connections for each partition, of which one gets all records until it fails; its buffer is looked at every
%% 5 s.
settings(default) ->
    [];
%% Another partition every second. A key's partition is not for ekaf to know: it has a strategy for that, `custom`, which asks
%% one worker after the other for its partition, for each record, in the one process that all records pass.
settings(best) ->
    [{ekaf_per_partition_workers, 1},
     {ekaf_per_partition_workers_max, 1},
     {ekaf_buffer_ttl, 20},
     {ekaf_partition_strategy, sticky_round_robin},
     {ekaf_sticky_partition_buffer_size, 1}].

%% Its buffers are lists that are counted at each look.
window(default, Window) -> Window;
window(best, Window) -> min(?WINDOW, Window).

-spec async(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok | {error, term()}.
async(#{topic := Topic, window := Window}, Key, Value, _TsMs) ->
    ok = bench_window:acquire(Window),
    ekaf:produce_async_batched(Topic, {Key, Value}).

%% Called with a batch's records, the first one first, in a process of its own; what ekaf does where nobody asks it to.
-spec batch(term(), pid(), atom(), tuple(), [{binary(), binary()}]) -> [tuple()].
batch(_Event, _Worker, _StateName, _State, Records) ->
    ok = bench_window:release(persistent_term:get(?MODULE), length(Records)),
    ekaf_lib:data_to_message_sets(lists:reverse(Records)).

-spec sync(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok | {error, term()}.
sync(#{topic := Topic}, Key, Value, _TsMs) ->
    case ekaf:produce_sync(Topic, {Key, Value}) of
        [{{sent, _Partition, _Worker}, Response}] -> acknowledged(ekaf_lib:response_to_proplist(Response));
        {error, _} = Error -> Error;
        Other -> {error, Other}
    end.

acknowledged([[{ok, true}]]) -> ok;
acknowledged(Other) -> {error, Other}.

-spec stop(State :: map()) -> ok.
stop(_State) ->
    application:stop(ekaf).
