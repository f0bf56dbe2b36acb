%% Decides which alarms are raised and cleared. Pure; emq_plugin_kafka_watch calls it once a second.
%%
%% An alarm is raised once, when a condition has lasted long enough to wake somebody. It is cleared once, when the condition has been
%% gone long enough not to wake them again. It is raised again if it names a setting and another one is wrong now.
-module(emq_plugin_kafka_alarms).

-export([new/0, next/3, raised/1, needs_broker_state/1]).
-export_type([alarms/0, observation/0, action/0]).

%% How long no broker may be connected, or none of the waiting records be acknowledged.
-define(UNREACHABLE_MS, 10000).
%% How long after the last loss the alarm stays.
-define(QUIET_MS, 60000).
%% Of the spool's room for new records: raised at the first, cleared below the second.
-define(FILLED_PERCENT, 80).
-define(EMPTIED_PERCENT, 70).

-record(alarms, {%% The problem that each raised alarm names; none: it names no problem.
                 raised = #{} :: #{Name :: binary() => none | binary()},
                 %% Since when no broker is connected; since when records wait and none gets an outcome.
                 disconnected_since = none :: none | integer(),
                 stalled_since = none :: none | integer(),
                 settled = 0 :: non_neg_integer(),
                 %% Records lost so far, and when the last was.
                 lost = unknown :: unknown | non_neg_integer(),
                 lost_at = never :: never | integer()}).

-opaque alarms() :: #alarms{}.
%% problems: why nothing is forwarded. refused: problems of refused settings. stats: none while there is no producer. broker_up: whether
%% some broker is connected, by librdkafka's statistics. failing: whether librdkafka reported errors in the last second. control: the
%% name of the broker's command line tool.
-type observation() :: #{problems := [binary()], refused := [binary()], stats := none | emq_plugin_kafka_nif:stats(),
                         spool_room => nil | #{occupied := non_neg_integer(), limit := non_neg_integer(), _ => _},
                         %% Messages published without a registered hook, since the first producer was opened.
                         unseen => non_neg_integer(),
                         broker_up := unknown | boolean(), failing := boolean(), linger_ms := non_neg_integer(),
                         control := binary()}.
-type action() :: {raise, emq_plugin_kafka_broker:alarm()} | {clear, Name :: binary()}.

-spec new() -> alarms().
new() ->
    #alarms{}.

-spec raised(alarms()) -> [Name :: binary()].
raised(#alarms{raised = Raised}) ->
    maps:keys(Raised).

%% Whether the next observation needs `broker_up` from librdkafka's statistics.
-spec needs_broker_state(alarms()) -> boolean().
needs_broker_state(#alarms{disconnected_since = Since}) ->
    Since =/= none.

-spec next(Now :: integer(), observation(), alarms()) -> {[action()], alarms()}.
next(Now, Observation, Alarms) ->
    Observed = stalled(Now, Observation, disconnected(Now, Observation, lost(Now, Observation, Alarms))),
    lists:foldl(fun({Name, Is}, {Actions, A}) -> change(Name, Is, Observation, Actions, A) end, {[], Observed},
                [{<<"degraded">>, degraded(Observation)},
                 {<<"settings">>, refused(Observation)},
                 {<<"kafka_unreachable">>, unreachable(Now, Observation, Observed)},
                 {<<"spool_filling">>, filling(Observation, is_map_key(<<"spool_filling">>, Observed#alarms.raised))},
                 {<<"records_lost">>, losing_records(Now, Observed)}]).

%% Raises or clears an alarm whose condition has changed. The brokers do not replace the text of a raised alarm.
change(Name, Is, Observation, Actions, #alarms{raised = Raised} = Alarms) ->
    Problem = problem(Name, Observation),
    case {Is, Raised} of
        {true, #{Name := Problem}} ->
            {Actions, Alarms};
        {true, #{Name := _Another}} ->
            {Actions ++ [{clear, Name}, {raise, alarm(Name, Observation)}], Alarms#alarms{raised = Raised#{Name := Problem}}};
        {true, _} ->
            {Actions ++ [{raise, alarm(Name, Observation)}], Alarms#alarms{raised = Raised#{Name => Problem}}};
        {false, #{Name := _}} ->
            {Actions ++ [{clear, Name}], Alarms#alarms{raised = maps:remove(Name, Raised)}};
        {false, _} ->
            {Actions, Alarms}
    end.

problem(<<"degraded">>, #{problems := [Problem | _]}) -> Problem;
problem(<<"settings">>, #{refused := [Problem | _]}) -> Problem;
problem(_Name, _Observation) -> none.

%% The observations.

lost(_Now, #{stats := none}, Alarms) ->
    Alarms;
%% At the first observation: earlier losses raise no alarm; messages published before the hooks were registered do.
lost(Now, #{stats := #{dropped := Dropped, failed := Failed}} = Observation, #alarms{lost = unknown} = Alarms) ->
    lost(Now, Dropped + Failed + unseen(Observation), Dropped + Failed, Alarms);
lost(Now, #{stats := #{dropped := Dropped, failed := Failed}} = Observation, #alarms{lost = Before} = Alarms) ->
    lost(Now, Dropped + Failed + unseen(Observation), Before, Alarms).

unseen(Observation) -> maps:get(unseen, Observation, 0).

lost(Now, Lost, Before, Alarms) when Lost > Before -> Alarms#alarms{lost = Lost, lost_at = Now};
lost(_Now, Lost, _Before, Alarms) -> Alarms#alarms{lost = Lost}.

%% Only errors begin an outage: Kafka closes idle connections, too.
disconnected(_Now, #{broker_up := Up}, Alarms) when Up =/= false -> Alarms#alarms{disconnected_since = none};
disconnected(Now, #{failing := true}, #alarms{disconnected_since = none} = Alarms) -> Alarms#alarms{disconnected_since = Now};
disconnected(_Now, _Observation, Alarms) -> Alarms.

stalled(_Now, #{stats := none}, Alarms) ->
    Alarms#alarms{stalled_since = none};
stalled(Now, #{stats := #{accepted := Accepted, queued := Queued, spooled := Spooled}}, Alarms) ->
    stalled(Now, Accepted - Queued - Spooled, Queued + Spooled, Alarms).

stalled(Now, Settled, Waiting, #alarms{settled = Settled, stalled_since = none} = Alarms) when Waiting > 0 ->
    Alarms#alarms{stalled_since = Now};
stalled(_Now, Settled, Waiting, #alarms{settled = Settled} = Alarms) when Waiting > 0 ->
    Alarms;
stalled(_Now, Settled, _Waiting, Alarms) ->
    Alarms#alarms{settled = Settled, stalled_since = none}.

%% The conditions.

degraded(#{problems := Problems}) ->
    Problems =/= [].

refused(#{refused := Refused}) ->
    Refused =/= [].

unreachable(Now, #{linger_ms := Linger}, #alarms{disconnected_since = DisconnectedSince, stalled_since = StalledSince}) ->
    lasted(Now, DisconnectedSince, ?UNREACHABLE_MS) orelse lasted(Now, StalledSince, ?UNREACHABLE_MS + Linger).

lasted(_Now, none, _Milliseconds) -> false;
lasted(Now, Since, Milliseconds) -> Now - Since >= Milliseconds.

filling(#{stats := #{spool := #{state := full}}}, _Raised) -> true;
filling(#{spool_room := #{occupied := Occupied, limit := Limit}}, Raised) -> Occupied * 100 >= threshold(Raised) * Limit;
filling(_NoSpool, _Raised) -> false.

threshold(true) -> ?EMPTIED_PERCENT;
threshold(false) -> ?FILLED_PERCENT.

losing_records(_Now, #alarms{lost_at = never}) -> false;
losing_records(Now, #alarms{lost_at = At}) -> Now - At < ?QUIET_MS.

%% The texts.

alarm(<<"degraded">> = Name, #{problems := [Problem | _]}) ->
    #{name => Name, severity => critical, title => <<"The Kafka plugin forwards nothing">>, summary => utf8(Problem)};
alarm(<<"settings">> = Name, #{refused := [Problem | _]}) ->
    #{name => Name, severity => error, title => <<"The Kafka plugin uses its last settings that worked">>, summary => utf8(Problem)};
alarm(<<"kafka_unreachable">> = Name, #{stats := #{queued := Queued, spooled := Spooled}, control := Control}) ->
    #{name => Name, severity => error, title => <<"Kafka cannot be reached">>,
      summary => text("no acknowledgement, or no broker connected, for ~b s; waiting: ~b records in memory, ~b in the spool; "
                      "run ~ts kafka test", [?UNREACHABLE_MS div 1000, Queued, Spooled, Control])};
alarm(<<"spool_filling">> = Name, #{stats := #{spooled := Spooled}, spool_room := #{occupied := Occupied, limit := Limit}}) ->
    #{name => Name, severity => warning, title => <<"The Kafka plugin's spool is filling">>,
      summary => text("~b % of ~b MB, ~b records", [Occupied * 100 div Limit, Limit div 1000000, Spooled])};
alarm(<<"records_lost">> = Name, #{stats := #{dropped := Dropped, failed := Failed}, control := Control} = Observation) ->
    #{name => Name, severity => error, title => <<"The Kafka plugin loses records">>,
      summary => text("since the start: ~b dropped, ~b refused by Kafka, ~b messages published while no hook was registered; "
                      "for the reasons, run ~ts kafka stats", [Dropped, Failed, unseen(Observation), Control])}.

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

%% On text that is not UTF-8, EMQ 2.3's JSON encoder crashes and ends all alarms.
utf8(Text) ->
    utf8(unicode:characters_to_binary(Text), Text).

utf8(Text, _) when is_binary(Text) -> Text;
utf8(_Invalid, Text) -> << <<(printable(Byte))>> || <<Byte>> <= Text >>.

printable(Byte) when Byte >= 32, Byte < 127 -> Byte;
printable(_Byte) -> $?.
