%% erlkaf (silviucpp/erlkaf): librdkafka behind a NIF in C++, as the plugin is one in Rust.
%%
%% When librdkafka's queue is full, its default is to write records to a queue on disk, from which it reads back at most 5000
%% a second: records that are neither in Kafka nor within the window. So both settings have block_calling_process, which tries
%% again every 100 ms.
-module(bench_erlkaf).

-behaviour(bench_adapter).

-export([application/0, start/1, async/4, sync/4, stop/1]).

%% Which partition: librdkafka's partitioner.
-define(PARTITIONER, -1).
%% A producer without delivery reports, as its documentation has it, and one with: a report is a message with a copy of the
%% whole record, for each record.
-define(RECORDS, bench_records).
-define(REPORTED, bench_reported).

-spec application() -> atom().
application() -> erlkaf.

-spec start(map()) -> {ok, map()}.
start(#{servers := Servers, topic := Topic, mode := Mode, settings := Settings, window := Window}) ->
    %% The queue on disk is opened whatever the strategy, else inside erlkaf's own folder. The working directory is the job's.
    ok = application:set_env(erlkaf, global_client_options, [{local_queue_path, "erlkaf"}]),
    {ok, _} = application:ensure_all_started(erlkaf),
    Waiting = ets:new(?MODULE, [public, {write_concurrency, true}]),
    Reported = fun(Status, Record) -> reported(Waiting, Status, Record) end,
    Client = connection(Servers, Window) ++ client(Settings, Mode),
    ok = producer(?RECORDS, Topic, Settings, Client),
    ok = producer(?REPORTED, Topic, Settings, [{delivery_report_callback, Reported} | Client]),
    %% async/4 has no acknowledgement to wait for: this connects its producer.
    {ok, _} = erlkaf:get_metadata(?RECORDS),
    {ok, #{topic => Topic, waiting => Waiting}}.

producer(Name, Topic, Settings, Client) ->
    ok = erlkaf:create_producer(Name, Client),
    erlkaf:create_topic(Name, Topic, topic(Settings)).

%% The default partitioner is consistent_random: CRC32 of the key.
topic(default) -> [];
topic(best) -> [{partitioner, murmur2_random}].

connection(Servers, Window) ->
    Addresses = lists:join($,, [[Host, $:, integer_to_list(Port)] || {Host, Port} <- Servers]),
    [{bootstrap_servers, iolist_to_binary(Addresses)},
     {queue_buffering_max_messages, Window},
     {queue_buffering_overflow_strategy, block_calling_process}].

%% librdkafka's defaults: no compression, 5 ms of lingering, no idempotence.
client(default, _Mode) ->
    [];
client(best, Mode) ->
    [{compression_codec, lz4}, {queue_buffering_max_ms, linger(Mode)}, {enable_idempotence, true}].

%% Who waits for the acknowledgement would wait for the lingering too.
linger(sync) -> 0;
linger(_Async) -> 5.

-spec async(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok | {error, term()}.
async(#{topic := Topic}, Key, Value, TsMs) ->
    erlkaf:produce(?RECORDS, Topic, ?PARTITIONER, Key, Value, undefined, TsMs).

%% A report names its record by nothing but the record: each caller has keys of its own, so the key tells whose it is.
-spec sync(State :: map(), Key :: binary(), Value :: binary(), TsMs :: integer()) -> ok | {error, term()}.
sync(#{topic := Topic, waiting := Waiting}, Key, Value, TsMs) ->
    Reference = make_ref(),
    true = ets:insert_new(Waiting, {Key, self(), Reference}),
    case erlkaf:produce(?REPORTED, Topic, ?PARTITIONER, Key, Value, undefined, TsMs) of
        ok ->
            receive {Reference, Status} -> Status end;
        {error, _} = Error ->
            true = ets:delete(Waiting, Key),
            Error
    end.

%% Runs in erlkaf's process. The record is {erlkaf_msg, Topic, Partition, Offset, Key, Value, Headers, Timestamp}.
reported(Waiting, Status, Record) ->
    [{_Key, Pid, Reference}] = ets:take(Waiting, element(5, Record)),
    Pid ! {Reference, Status},
    ok.

-spec stop(State :: map()) -> ok.
stop(_State) ->
    ok = erlkaf:stop_client(?RECORDS),
    ok = erlkaf:stop_client(?REPORTED).
