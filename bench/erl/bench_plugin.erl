%% The plugin: its real callback, called as EMQ 2.3 calls it, in a VM without a broker.
-module(bench_plugin).

-behaviour(bench_adapter).

-export([application/0, start/1, item/3, warm/2, counters/1, async/4, sync/4, stop/1]).

%% How long the last records may take.
-define(CLOSE_MS, 60000).

-spec application() -> atom().
application() -> emq_plugin_kafka.

%% The plugin's defaults but for what `set` has. Memory that is full makes its publishers wait, where `set` has nothing else:
%% as fast as Kafka takes records, none dropped.
-spec start(map()) -> {ok, map()}.
start(#{servers := Servers, topic := Topic, mode := Mode, arguments := Args}) ->
    Addresses = lists:join($,, [[Host, $:, integer_to_list(Port)] || {Host, Port} <- Servers]),
    Settings = #{<<"server">> => iolist_to_binary(Addresses), <<"topic">> => Topic, <<"produce">> => atom_to_binary(Mode),
                 <<"overflow">> => <<"block">>, <<"produce_timeout">> => <<"60000">>, <<"on_failure">> => <<"auto">>},
    Set = maps:from_list([{Key, Value} || {<<"set.", Key/binary>>, Value} <- maps:to_list(Args)]),
    ok = emq_plugin_kafka_nif:open(maps:to_list(maps:merge(Settings, Set)) ++ rules(Args), <<"bench@127.0.0.1">>),
    {ok, #{mode => Mode, qos => maps:get(<<"qos">>, Args, <<"1">>), full => maps:get(<<"full">>, Args, <<"off">>),
           silent => maps:get(<<"silent">>, Args, <<"off">>)}}.

%% `rule`: one rule for all messages. `rules`: so many, of which only the last one matches.
rules(#{<<"rule">> := Rule}) ->
    [{<<"hook.message.publish.1">>, Rule}];
rules(#{<<"rules">> := Count}) ->
    Last = binary_to_integer(Count),
    [{<<"hook.message.publish.", (integer_to_binary(Number))/binary>>, filter(Number, Last)} || Number <- lists:seq(1, Last)];
rules(_Args) ->
    [].

filter(Last, Last) -> <<"{\"filter\": \"sensors/+/temp\"}">>;
filter(Number, _Last) -> <<"{\"filter\": \"sensors/+/no", (integer_to_binary(Number))/binary, "\"}">>.

%% A message as EMQ's connection process has it in its hands: QoS 1, with a packet id; or QoS 0, whose publisher never waits.
-spec item(State :: map(), Key :: binary(), Payload :: binary()) -> tuple().
item(State, Key, Payload) ->
    QoS = binary_to_integer(maps:get(qos, State)),
    {mqtt_message, <<16#0005B1E2C3D4F5A6B7C8D9E0F1A2B3C4:128>>, packet_id(QoS), {Key, <<"bench">>}, <<"sensors/1/temp">>, QoS, [],
     false, false, false, [], Payload, {1700, 0, 0}}.

packet_id(0) -> undefined;
packet_id(1) -> 1.

-spec async(State :: map(), Key :: binary(), Message :: tuple(), TsMs :: integer()) -> ok.
async(_State, _Key, Message, _TsMs) ->
    {ok, Message} = emq_plugin_kafka:on_message_publish(Message, []),
    ok.

%% Until the connections to all leaders are up; or, where the row is about a queue that is full, until it is. Where no message
%% becomes a record (`silent`), there is nothing to wait for.
-spec warm(State :: map(), [{Key :: binary(), Message :: tuple()}]) -> ok.
warm(#{full := <<"later">>}, _Items) ->
    ok;
warm(#{silent := <<"on">>}, _Items) ->
    ok;
warm(#{full := <<"on">>} = State, [{Key, Message} | _] = Items) ->
    ok = async(State, Key, Message, 0),
    case emq_plugin_kafka_nif:stats() of
        #{dropped_by := #{queue_full := Full}} when Full > 0 -> ok;
        _ -> warm(State, Items)
    end;
warm(State, Items) ->
    lists:foreach(fun({Key, Message}) -> ok = sync(State, Key, Message, 0) end, lists:sublist(Items, 50)).

%% What is waiting, and what was not taken.
-spec counters(State :: map()) -> #{atom() => integer()}.
counters(_State) ->
    maps:with([queued, queued_bytes, dropped], emq_plugin_kafka_nif:stats()).

%% In mode sync the callback itself waits for Kafka; else, for the warm-up, the counters tell.
-spec sync(State :: map(), Key :: binary(), Message :: tuple(), TsMs :: integer()) -> ok.
sync(#{mode := sync} = State, Key, Message, TsMs) ->
    async(State, Key, Message, TsMs);
sync(State, Key, Message, TsMs) ->
    #{success := Before} = emq_plugin_kafka_nif:stats(),
    ok = async(State, Key, Message, TsMs),
    delivered(Before).

delivered(Before) ->
    case emq_plugin_kafka_nif:stats() of
        #{success := Success} when Success > Before -> ok;
        _ -> erlang:yield(), delivered(Before)
    end.

-spec stop(State :: map()) -> ok.
stop(#{full := <<"off">>, qos := QoS}) ->
    ok = settled(QoS, erlang:monotonic_time(millisecond) + ?CLOSE_MS),
    {ok, #{given_up := 0, spooled := 0}} = emq_plugin_kafka_nif:close(?CLOSE_MS),
    ok;
stop(_Full) ->
    {ok, #{}} = emq_plugin_kafka_nif:close(0),
    ok.

%% Kafka has all records; its last acknowledgements may be on their way. Only who cannot wait may have lost some.
settled(QoS, Deadline) ->
    case {emq_plugin_kafka_nif:stats(), erlang:monotonic_time(millisecond) < Deadline} of
        {#{dropped := Dropped, failed := 0, spooled := 0, queued := 0}, _} when Dropped =:= 0; QoS =:= <<"0">> -> ok;
        {#{failed := 0}, true} -> erlang:yield(), settled(QoS, Deadline);
        {Stats, _} -> {error, Stats}
    end.
