%% brod (kafka4beam/brod): pure Erlang, a process for each partition.
%%
%% Mode no_ack is produce_no_ack/5, every other asynchronous mode produce_cb/6. A caller of produce_cb/6 waits until the record
%% is in the producer's buffer, which takes no more than partition_buffer_limit records. Nothing is dropped while Kafka takes
%% records; a producer whose request failed more than max_retries times (3) ends, with all that it has.
-module(bench_brod).

-behaviour(bench_adapter).

-export([application/0, start/1, async/4, sync/4, stop/1]).

-define(CLIENT, bench_brod_client).
%% Records in the buffer of one partition, and how many of them are sent without lingering any longer.
-define(BUFFER, 1000).
-define(BATCH, 500).
%% Of how many calls of a process one waits, in mode no_ack.
-define(STRIDE, 64).

-spec application() -> atom().
application() -> brod.

-spec start(map()) -> {ok, map()}.
start(#{servers := Servers, topic := Topic, partitions := Partitions, mode := Mode, settings := Settings, window := Window}) ->
    {ok, _} = application:ensure_all_started(brod),
    ok = brod:start_client(Servers, ?CLIENT, []),
    ok = brod:start_producer(?CLIENT, Topic, producer(Settings, Mode, Window div Partitions)),
    {ok, #{topic => Topic, mode => Mode, window => bench_window:new(Window)}}.

%% The defaults: a buffer of 256 records for each partition, one request on its way, no lingering, no compression.
producer(default, _Mode, _Share) ->
    [];
%% More than one request on its way makes smaller batches and was slower; so was snappy. lz4 is not for it: lz4b makes frames
%% of linked blocks, which Kafka refuses in batches over 64 KB, and brod's producer ends. Who waits for the acknowledgement
%% would wait for the lingering too.
producer(best, sync, Share) ->
    [{partition_buffer_limit, min(?BUFFER, Share)}];
producer(best, _Async, Share) ->
    [{partition_buffer_limit, min(?BUFFER, Share)}, {max_linger_ms, 5}, {max_linger_count, ?BATCH}].

-spec async(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok | {error, term()}.
async(#{mode := no_ack, topic := Topic}, Key, Value, TsMs) ->
    no_ack(next_call(), Topic, Key, {TsMs, Value});
async(#{topic := Topic, window := Window}, Key, Value, TsMs) ->
    ok = bench_window:acquire(Window),
    OnAck = fun(_Partition, _Offset) -> bench_window:release(Window, 1) end,
    outcome(brod:produce_cb(?CLIENT, Topic, hash, Key, {TsMs, Value}, OnAck)).

%% produce_no_ack/5 never waits and hears of no acknowledgement: under overload the producer's mailbox grows until memory ends.
%% Mailboxes are in order, so a caller that waits once for its record to be buffered has no earlier one in a mailbox; hence
%% every so manyth call is the other one.
no_ack(0, Topic, Key, Message) ->
    outcome(brod:produce_cb(?CLIENT, Topic, hash, Key, Message, fun(_Partition, _Offset) -> ok end));
no_ack(_Call, Topic, Key, Message) ->
    brod:produce_no_ack(?CLIENT, Topic, hash, Key, Message).

%% Of this process.
next_call() ->
    Call = case get(?MODULE) of
               undefined -> 1;
               Last -> (Last + 1) rem ?STRIDE
           end,
    _ = put(?MODULE, Call),
    Call.

outcome({ok, _Partition}) -> ok;
outcome({error, _} = Error) -> Error.

-spec sync(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok | {error, term()}.
sync(#{topic := Topic}, Key, Value, TsMs) ->
    brod:produce_sync(?CLIENT, Topic, hash, Key, {TsMs, Value}).

-spec stop(State :: map()) -> ok.
stop(_State) ->
    brod:stop_client(?CLIENT).
