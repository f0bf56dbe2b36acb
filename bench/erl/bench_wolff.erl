%% wolff (kafka4beam/wolff), EMQX's own producer: pure Erlang, a process for each partition.
%%
%% cast/3 never waits, and a queue that is full (2 GB in its defaults, of each partition) drops its oldest records: the window
%% keeps it far from that.
-module(bench_wolff).

-behaviour(bench_adapter).

-export([application/0, start/1, async/4, sync/4, stop/1]).
-export([acknowledged/3]).

-define(CLIENT, <<"bench">>).
-define(TIMEOUT_MS, 60000).
-define(WINDOW, 5000).

-spec application() -> atom().
application() -> wolff.

-spec start(map()) -> {ok, map()}.
start(#{servers := Servers, topic := Topic, mode := Mode, settings := Settings, window := Window}) ->
    {ok, _} = application:ensure_all_started(wolff),
    {ok, _Client} = wolff:ensure_supervised_client(?CLIENT, Servers, #{}),
    {ok, Producers} = wolff:ensure_supervised_producers(?CLIENT, Topic, producer(Settings, Mode)),
    Counted = bench_window:new(window(Settings, Window)),
    {ok, #{producers => Producers, window => Counted, on_ack => {fun ?MODULE:acknowledged/3, [Counted]}}}.

%% The defaults: a random partition, no compression, no lingering, one batch on its way for each partition. The queue is in
%% memory alone in both.
producer(default, _Mode) ->
    #{};
%% A key's records in one partition, as everywhere else here. Who waits for the acknowledgement would wait for the lingering too,
%% and smaller batches cost more.
producer(best, sync) ->
    #{partitioner => first_key_dispatch};
%% More than one batch on its way costs the order where one of them fails and is sent again. lz4 is not for it: lz4b makes
%% frames of linked blocks, which Kafka refuses in batches over 64 KB, and wolff tries again for ever.
producer(best, _Async) ->
    #{partitioner => first_key_dispatch, compression => snappy, max_send_ahead => 5, max_linger_ms => 5}.

%% With fewer records in its mailboxes and queues wolff uses a quarter less CPU time for each.
window(default, Window) -> Window;
window(best, Window) -> min(?WINDOW, Window).

-spec async(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok.
async(#{producers := Producers, window := Window, on_ack := OnAck}, Key, Value, TsMs) ->
    ok = bench_window:acquire(Window),
    {_Partition, _Pid} = wolff:cast(Producers, [#{key => Key, value => Value, ts => TsMs}], OnAck),
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
