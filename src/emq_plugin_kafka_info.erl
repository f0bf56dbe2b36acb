%% The answers about the plugin, as maps: for the command `kafka`, for JSON, and for the shell. Total: the plugin may be stopped or degraded,
%% the library not loaded. No process: runs in its callers.
-module(emq_plugin_kafka_info).

-export([status/0, stats/0, rules/0, spool/0, test/2, flush/1, waiting/0, reload/0, json/1]).

-define(APP, emq_plugin_kafka).
-define(NOT_LOADED, <<"the native library is not loaded: see kafka status">>).

%% State, problems, brokers, backlog, last error, and settings with secrets replaced. Waits for the producer's process, up to 5 s.
-spec status() -> map().
status() ->
    Status = at_boot(emq_plugin_kafka_listeners:at_boot(), emq_plugin_kafka_producer:status()),
    maps:merge(Status#{node => emq_plugin_kafka_vm:node_name(), version => version(), runs_in => emq_plugin_kafka_broker:name(),
                       gated_qos => emq_plugin_kafka_broker:gated()}, library(if_loaded(fun of_library/0))).

at_boot(Boot, #{state := running, problems := Problems} = Status) ->
    Status#{boot => Boot, problems := Problems ++ emq_plugin_kafka_listeners:problems(Boot)};
at_boot(Boot, Status) ->
    Status#{boot => Boot}.

library({error, not_loaded}) ->
    #{librdkafka => none, config_hash => none, mode => none, modes => #{}, brokers => none, topics => [],
      queued => none, spooled => none, unseen => none, spool => none};
library(Answer) ->
    Answer.

of_library() ->
    #{librdkafka := Librdkafka, config_hash := Hash, modes := Modes} = About = emq_plugin_kafka_nif:about(),
    #{queued := Queued, spooled := Spooled, unseen := Unseen} = Stats = emq_plugin_kafka_nif:stats(),
    #{librdkafka => Librdkafka, config_hash => Hash, mode => mode(emq_plugin_kafka_nif:status()), modes => Modes,
      queued => Queued, spooled => Spooled, unseen => Unseen, spool => spool(Stats, About), topics => emq_plugin_kafka_nif:topics(),
      brokers => brokers(emq_plugin_kafka_nif:librdkafka())}.

%% none: librdkafka's statistics are off, or have not come yet.
brokers(#{brokers := Brokers}) -> Brokers;
brokers(none) -> none.

mode({_State, Settings}) -> proplists:get_value(<<"produce">>, Settings, none);
mode(None) when None =:= closed; None =:= spooling -> none.

version() ->
    version(application:get_key(?APP, vsn)).

version({ok, Version}) -> unicode:characters_to_binary(Version);
version(undefined) -> none.

%% All counters, those of records at one instant, and librdkafka's own numbers.
-spec stats() -> map() | {error, Problem :: binary()}.
stats() ->
    answer(if_loaded(fun() -> (emq_plugin_kafka_nif:stats())#{latency => emq_plugin_kafka_nif:latency(),
                                                          librdkafka => emq_plugin_kafka_nif:librdkafka()}
                 end)).

%% The rules in the order of evaluation.
-spec rules() -> map() | {error, Problem :: binary()}.
rules() ->
    answer(if_loaded(fun() -> #{rules => emq_plugin_kafka_nif:rules()} end)).

%% The spool. room_bytes: what is left for new records, in whole segments, without the part reserved for shutdown.
-spec spool() -> map() | {error, Problem :: binary()}.
spool() ->
    answer(if_loaded(fun() -> spool(emq_plugin_kafka_nif:stats(), emq_plugin_kafka_nif:about()) end)).

spool(#{spool := #{} = Spool}, #{spool_room := #{dir := Dir, occupied := Occupied, limit := Limit}}) ->
    Spool#{dir => Dir, room_bytes => max(0, Limit - Occupied), filled_percent => Occupied * 100 div Limit};
spool(_Stats, _About) ->
    #{state => off}.

%% Sends one record by a client of its own, and waits for it. An empty topic means the setting's.
-spec test(Topic :: binary(), Milliseconds :: non_neg_integer()) -> map().
test(Topic, Milliseconds) ->
    Test = fun(Settings) -> emq_plugin_kafka_nif:test(Settings, emq_plugin_kafka_vm:node_name(), Topic, Milliseconds) end,
    tested(emq_plugin_kafka_settings:use(application:get_all_env(?APP), Test)).

tested({ok, #{problem := nil} = Report}) -> Report#{ok => true, problems => []};
tested({ok, Report}) -> Report#{ok => false, problems => []};
tested({error, Problems}) ->
    #{ok => false, problems => Problems, topic => nil, servers => [], brokers => [], delivered => nil, problem => nil, said => []}.

%% Waits until Kafka has all records that are queued or spooled now.
-spec flush(Milliseconds :: non_neg_integer()) -> map().
flush(Milliseconds) ->
    Began = erlang:monotonic_time(millisecond),
    Result = flushed(if_loaded(fun() -> emq_plugin_kafka_nif:flush(Milliseconds) end)),
    Result#{took_ms => erlang:monotonic_time(millisecond) - Began}.

flushed(ok) -> #{ok => true, left => 0, problem => nil};
flushed({error, {timeout, Left}}) -> #{ok => false, left => Left, problem => <<"Kafka has not acknowledged all records in time">>};
flushed({error, closed}) -> #{ok => false, left => nil, problem => <<"the plugin is not running: see kafka status">>};
flushed({error, replaced}) -> #{ok => false, left => nil, problem => <<"a stop, a reload or a failure interrupted it: flush again">>};
flushed({error, not_loaded}) -> #{ok => false, left => nil, problem => ?NOT_LOADED}.

%% The backlog: records queued and spooled.
-spec waiting() -> non_neg_integer() | unknown.
waiting() ->
    waiting(if_loaded(fun emq_plugin_kafka_nif:stats/0)).

waiting(#{queued := Queued, spooled := Spooled}) -> Queued + Spooled;
waiting({error, not_loaded}) -> unknown.

%% Reads the settings again, and uses them.
-spec reload() -> map().
reload() ->
    try reloaded(emq_plugin_kafka_producer:reload())
    catch
        exit:{_, {gen_server, call, _}} -> reloaded({error, [<<"the plugin is not running">>]})
    end.

reloaded({ok, Changes}) -> #{ok => true, problems => [], changes => Changes};
reloaded({error, Problems}) -> #{ok => false, problems => Problems, changes => []}.

%% An answer as JSON: `none` and `undefined` become null, pairs become objects.
-spec json(term()) -> {ok, binary()} | {error, not_loaded}.
json(Answer) ->
    if_loaded(fun() -> encoded(emq_plugin_kafka_nif:to_json(plain(Answer))) end).

encoded({ok, Json}) -> {ok, Json};
encoded({error, Why}) -> error({no_json, Why}).

plain(None) when None =:= none; None =:= undefined -> nil;
plain(#{} = Map) -> maps:from_list([{key(Key), plain(Value)} || {Key, Value} <- maps:to_list(Map)]);
plain([{Key, _} | _] = Pairs) when is_binary(Key) -> plain(maps:from_list(Pairs));
plain(List) when is_list(List) -> [plain(Element) || Element <- List];
plain(Tuple) when is_tuple(Tuple) -> plain(tuple_to_list(Tuple));
plain(Text) when is_binary(Text) -> utf8(unicode:characters_to_binary(Text), Text);
plain(Value) -> Value.

key(Key) when is_atom(Key) -> atom_to_binary(Key, utf8);
key(Key) when is_binary(Key) -> plain(Key).

utf8(Text, _) when is_binary(Text) -> Text;
utf8(_Invalid, Text) -> unicode:characters_to_binary(Text, latin1).

%% Other errors of the library are raised.
if_loaded(Ask) ->
    try
        Ask()
    catch
        error:not_loaded -> {error, not_loaded}
    end.

answer({error, not_loaded}) -> {error, ?NOT_LOADED};
answer(Answer) -> Answer.
