%% wolff (kafka4beam/wolff), EMQX's own producer: pure Erlang, a process for each partition.
%%
%% Its queue drops the oldest records when it is full (2 GB in its defaults) and cast/3 never waits, so the window bounds it.
-module(bench_wolff).

-behaviour(bench_adapter).

-export([application/0, start/1, async/4, sync/4, stop/1]).
-export([acknowledged/3]).

-define(CLIENT, <<"bench">>).
-define(TIMEOUT_MS, 60000).

-spec application() -> atom().
application() -> wolff.

-spec start(map()) -> {ok, map()}.
start(#{servers := Servers, topic := Topic, settings := Settings, window := Window}) ->
    {ok, _} = application:ensure_all_started(wolff),
    {ok, _Client} = wolff:ensure_supervised_client(?CLIENT, Servers, #{}),
    {ok, Producers} = wolff:ensure_supervised_producers(?CLIENT, Topic, producer(Settings)),
    Counted = bench_window:new(Window),
    {ok, #{producers => Producers, window => Counted, send => send(Settings),
           on_ack => {fun ?MODULE:acknowledged/3, [Counted]}}}.

%% The default partitioner is random; the other keeps a key's records in order, in one partition.
producer(default) -> #{};
producer(best) ->
    #{partitioner => first_key_dispatch}.

send(default) -> fun wolff:send/3;
send(best) -> fun wolff:cast/3.

-spec async(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok.
async(#{producers := Producers, window := Window, send := Send, on_ack := OnAck}, Key, Value, TsMs) ->
    ok = bench_window:acquire(Window),
    {_Partition, _Pid} = Send(Producers, [#{key => Key, value => Value, ts => TsMs}], OnAck),
    ok.

%% An atom instead of an offset says why a record was dropped; the job must not go on as if it had not been.
-spec acknowledged(non_neg_integer(), integer(), bench_window:window()) -> ok.
acknowledged(_Partition, Offset, Window) when is_integer(Offset) ->
    bench_window:release(Window, 1).

-spec sync(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok | {error, term()}.
sync(#{producers := Producers}, Key, Value, TsMs) ->
    case wolff:send_sync(Producers, [#{key => Key, value => Value, ts => TsMs}], ?TIMEOUT_MS) of
        {_Partition, Offset} when is_integer(Offset) -> ok;
        {_Partition, Dropped} -> {error, Dropped}
    end.

-spec stop(State :: map()) -> ok.
stop(#{producers := Producers}) ->
    ok = wolff:stop_and_delete_supervised_producers(Producers),
    wolff:stop_and_delete_supervised_client(?CLIENT).
