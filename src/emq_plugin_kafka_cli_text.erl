%% The answers of the command `kafka` as text for a terminal. Pure.
-module(emq_plugin_kafka_cli_text).

-export([format/2]).

-spec format(Command :: atom(), Answer :: map()) -> unicode:chardata().
format(problem, #{problem := Problem}) ->
    ["problem: ", Problem, "\n"];
format(status, Status) ->
    status(Status);
format(stats, #{latency := Latency, librdkafka := Librdkafka} = Stats) ->
    [lines(counters("", maps:without([latency, librdkafka], Stats)) ++ latency(Latency) ++ librdkafka(Librdkafka)), tables(Librdkafka)];
format(rules, #{rules := Rules}) ->
    table(["event", "name", "matched", "dropped", "definition"],
          [[text(Event), Name, text(Matched), text(Dropped), Definition]
           || #{event := Event, name := Name, matched := Matched, dropped := Dropped, definition := Definition} <- Rules]);
format(spool, Spool) ->
    spool(Spool);
format(test, Report) ->
    emq_plugin_kafka_cli_probe:format(Report);
format(flush, #{ok := true, took_ms := Took}) ->
    ["flushed in ", duration(Took), "\n"];
format(flush, #{ok := false, left := nil, problem := Problem}) ->
    ["not flushed: ", Problem, "\n"];
format(flush, #{ok := false, left := Left, problem := Problem}) ->
    ["not flushed: ", Problem, "; records left: ", integer_to_list(Left), "\n"];
format(reload, #{ok := true, changes := []}) ->
    "reloaded, nothing has changed\n";
format(reload, #{ok := true, changes := Changes}) ->
    ["reloaded:\n", [[emq_plugin_kafka_changes:line(Change), "\n"] || Change <- Changes]];
format(reload, #{ok := false, problems := Problems}) ->
    ["nothing was changed:\n", [[Problem, "\n"] || Problem <- Problems]].

%% status

status(#{state := State, problems := Problems, settings := Settings, alarms := Alarms} = Status) ->
    lines([{"state", atom_to_list(State)}]
          ++ records(maps:get(records, Status, forwarded))
          ++ [{"problem", Problem} || Problem <- Problems]
          ++ [{"alarm", Alarm} || Alarm <- Alarms]
          ++ [{"running since", since(maps:get(since_ms, Status))},
              {"last error", last_error(maps:get(last_error, Status))},
              {"node", maps:get(node, Status)},
              {"version", versions(Status)},
              {"runs in", maps:get(runs_in, Status)},
              {"can withhold", gated(maps:get(gated_qos, Status))},
              {"configuration", text(maps:get(config_hash, Status))},
              {"mode", text(maps:get(mode, Status))}]
          ++ [{["mode of ", Rule], Mode} || {Rule, Mode} <- lists:sort(maps:to_list(maps:get(modes, Status)))]
          ++ [{"records queued", text(maps:get(queued, Status))},
              {"records spooled", spooled(Status)},
              {"messages unseen", text(maps:get(unseen, Status))},
              {"clients at boot", boot(maps:get(boot, Status))}]
          ++ brokers(maps:get(brokers, Status))
          ++ [{["topic ", Name], io_lib:format("~b acknowledged, ~b refused~s", [Success, Failed, isolated(Isolated)])}
              || #{name := Name, success := Success, failed := Failed, isolated := Isolated} <- maps:get(topics, Status)]
          ++ Settings).

%% Kafka refuses some records of the topic, so they are sent in small batches.
isolated(true) -> ", isolated";
isolated(false) -> "".

%% Where new records go, unless they are forwarded.
records(spooled) -> [{"records", "go to the spool"}];
records(dropped) -> [{"records", "are dropped and counted (dropped.degraded)"}];
records(unseen) -> [{"records", "are not seen"}];
records(_Forwarded) -> [].

versions(#{version := Version, librdkafka := none}) -> text(Version);
versions(#{version := Version, librdkafka := Librdkafka}) -> [text(Version), ", librdkafka ", Librdkafka].

%% Whether clients wait until the hooks are registered at a boot.
boot(closed) -> "wait for the plugin";
boot(next) -> "do not wait for the plugin; they will from the next boot";
boot(open) -> "do not wait for the plugin".

%% The acknowledgements that can be withheld while a record is not safe.
gated([]) -> "no acknowledgement";
gated(QoS) -> lists:join(" and ", [acknowledgement(N) || N <- QoS]).

acknowledgement(1) -> "PUBACK";
acknowledgement(2) -> "PUBREC".

spooled(#{spooled := none}) -> "unknown";
spooled(#{spool := #{state := off}}) -> "no spool";
spooled(#{spooled := 0, spool := #{state := State}}) -> ["0, ", atom_to_list(State)];
spooled(#{spooled := Count, spool := #{state := State, oldest_ms := Oldest, filled_percent := Filled}}) ->
    [integer_to_list(Count), ", the oldest ", duration(Oldest), ", ", integer_to_list(Filled), " % full, ", atom_to_list(State)].

brokers(none) ->
    [{"brokers", "unknown; librdkafka reports them every 5 s"}];
brokers(Brokers) ->
    [{["broker ", Name], [broker_state(State), round_trip(Average, Worst)]}
     || #{name := Name, state := State, rtt_avg_us := Average, rtt_p99_us := Worst} <- Brokers].

broker_state(<<"UP">>) -> "up";
broker_state(<<"DOWN">>) -> "down";
%% librdkafka connects only to brokers that it needs.
broker_state(<<"INIT">>) -> "not connected, not needed";
broker_state(State) -> ["not connected (", State, ")"].

%% 0: no requests in the last interval.
round_trip(0, 0) -> "";
round_trip(Average, Worst) -> [", round trip ", milliseconds(Average), ", 99 % below ", milliseconds(Worst)].

milliseconds(Microseconds) -> io_lib:format("~.1f ms", [Microseconds / 1000]).

last_error(none) -> "none";
last_error(#{text := Text, at_ms := At}) -> [time(At), " ", Text].

since(none) -> "not running";
since(Ms) -> time(Ms).

%% stats

%% Counters by reason, and those of the spool, are maps in the map.
counters(Prefix, Stats) ->
    lists:append([counter([Prefix, text(Name)], Value) || {Name, Value} <- lists:sort(maps:to_list(Stats))]).

counter(Name, #{} = Several) -> counters([Name, "."], Several);
counter(Name, Value) -> [{Name, text(Value)}].

%% Buckets: an upper bound, and how many records took no longer.
latency(#{count := Count, sum_ms := Sum, buckets := Buckets}) ->
    [{"ack_latency.count", text(Count)}, {"ack_latency.sum_ms", text(Sum)}
     | [{["ack_latency.le_", text(Upper), "_ms"], text(Records)} || {Upper, Records} <- Buckets, is_integer(Upper)]].

librdkafka(none) ->
    [{"librdkafka", "no statistics: they are off, or not there yet"}];
librdkafka(Numbers) ->
    [{["librdkafka.", text(Name)], text(Number)} || {Name, Number} <- lists:sort(maps:to_list(Numbers)), is_integer(Number)].

tables(none) ->
    [];
tables(#{brokers := Brokers, topics := Topics}) ->
    [["\n", table(Keys, [[text(maps:get(list_to_existing_atom(Key), Entry)) || Key <- Keys] || Entry <- Entries])]
     || {Keys, Entries} <- [{["name", "state", "rtt_avg_us", "rtt_p99_us", "requests", "retries", "errors", "timeouts", "waiting"], Brokers},
                            {["name", "partitions", "batch_records_avg", "batch_bytes_avg"], Topics}]].

%% Each column is as wide as its widest cell. The last one has no trailing blanks.
table(Header, Rows) ->
    Texts = [[unicode:characters_to_list(Cell) || Cell <- Row] || Row <- [Header | Rows]],
    Widths = lists:foldl(fun(Row, Widths) -> lists:zipwith(fun(Cell, Width) -> max(string:length(Cell), Width) end, Row, Widths) end,
                         [0 || _ <- Header], Texts),
    [[string:trim([string:pad(Cell, Width + 2) || {Cell, Width} <- lists:zip(Row, Widths)], trailing), "\n"] || Row <- Texts].

%% spool

spool(#{state := off}) ->
    lines([{"state", "off"}]);
spool(#{state := State, dir := Dir, records := Records, bytes := Bytes, max_bytes := Max, segments := Segments,
        oldest_ms := Oldest, room_bytes := Room, filled_percent := Filled}) ->
    lines([{"state", atom_to_list(State)},
           {"directory", Dir},
           {"records", integer_to_list(Records)},
           {"oldest record", oldest(Records, Oldest)},
           {"segments", integer_to_list(Segments)},
           {"on disk", [bytes(Bytes), " of ", bytes(Max)]},
           {"room for new records", [bytes(Room), " (", integer_to_list(Filled), " % full)"]}]).

oldest(0, _Milliseconds) -> "none";
oldest(_Records, Milliseconds) -> duration(Milliseconds).

%% Values.

%% Names and values, the values aligned.
lines(Pairs) ->
    Named = [{unicode:characters_to_list(Name), Value} || {Name, Value} <- Pairs],
    Width = lists:max([string:length(Name) || {Name, _} <- Named]) + 1,
    [[string:pad(Name, Width), ": ", Value, "\n"] || {Name, Value} <- Named].

text(none) -> "none";
text(Value) when is_integer(Value) -> integer_to_list(Value);
text(Value) when is_float(Value) -> float_to_list(Value, [{decimals, 3}, compact]);
text(Value) when is_atom(Value) -> atom_to_list(Value);
text(Value) -> Value.

time(Ms) ->
    calendar:system_time_to_rfc3339(Ms, [{unit, millisecond}, {offset, "Z"}]).

duration(Ms) when Ms < 1000 -> io_lib:format("~b ms", [Ms]);
duration(Ms) when Ms < 120000 -> io_lib:format("~b s", [Ms div 1000]);
duration(Ms) when Ms < 7200000 -> io_lib:format("~b min", [Ms div 60000]);
duration(Ms) -> io_lib:format("~b h", [Ms div 3600000]).

bytes(Bytes) when Bytes < 1000000 -> io_lib:format("~b kB", [Bytes div 1000]);
bytes(Bytes) when Bytes < 1000000000 -> io_lib:format("~b MB", [Bytes div 1000000]);
bytes(Bytes) -> io_lib:format("~.1f GB", [Bytes / 1000000000]).
