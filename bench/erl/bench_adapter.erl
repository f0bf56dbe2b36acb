%% What a Kafka client must offer to be measured: bench_job calls these, start/1 and stop/1 once, the others from many
%% processes at once.
%%
%% `settings` says which of the client's own settings apply: `default`, those it has when nobody sets any, or `best`, the
%% fastest that its documentation and trials gave. Topic, key, value and timestamp are the same in both.
-module(bench_adapter).

-callback application() -> atom().

-callback start(#{servers := [{Host :: string(), Port :: inet:port_number()}],
                  topic := binary(),
                  partitions := pos_integer(),
                  mode := atom(),
                  settings := default | best,
                  window := pos_integer(),
                  atom() => term()}) -> {ok, State :: term()}.

%% Takes the record, or waits until it can: at most `window` records are not yet acknowledged.
-callback async(State :: term(), Key :: binary(), Value :: binary() | tuple(), TsMs :: integer()) -> ok | {error, term()}.

%% Returns when Kafka has acknowledged the record.
-callback sync(State :: term(), Key :: binary(), Value :: binary() | tuple(), TsMs :: integer()) -> ok | {error, term()}.

-callback stop(State :: term()) -> ok.

%% What async and sync are called with where it is not the encoded record: made beforehand from the MQTT payload.
-callback item(State :: term(), Key :: binary(), Payload :: binary()) -> tuple().

-optional_callbacks([item/3]).
