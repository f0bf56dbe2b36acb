%% Decides which alarms are raised and cleared. Pure; emq_plugin_kafka_watch asks it each second.
%%
%% An alarm is raised once, when something has been wrong for long enough to be worth waking somebody, and cleared once, when it
%% has been right for long enough not to wake them again.
-module(emq_plugin_kafka_alarms).

-export([new/0, next/3, raised/1, doubts_brokers/1]).
-export_type([alarms/0, observation/0, action/0]).

%% How long Kafka may be away, or acknowledge nothing of what waits.
-define(UNREACHABLE_MS, 10000).
%% How long nothing must be lost.
-define(QUIET_MS, 60000).
%% Of the room that new records have in the spool.
-define(FILLED_PERCENT, 80).
-define(EMPTIED_PERCENT, 70).

-record(alarms, {raised = [] :: [binary()],
                 %% Since when no broker was connected; since when nothing was settled of what waits.
                 away_since = none :: none | integer(),
                 stuck_since = none :: none | integer(),
                 settled = 0 :: non_neg_integer(),
                 %% How many were lost when it was looked first, and when more were.
                 lost = unknown :: unknown | non_neg_integer(),
                 lost_at = never :: never | integer()}).

-opaque alarms() :: #alarms{}.
%% broker_up: whether some broker is connected, as far as librdkafka's statistics tell. failing: whether errors came since the
%% last look. stats: none while there is no producer. control: the name of the broker's command line tool.
-type observation() :: #{problems := [binary()], refused := [binary()], stats := none | emq_plugin_kafka_nif:stats(),
                         spool_room => nil | #{occupied := non_neg_integer(), limit := non_neg_integer(), _ => _},
                         %% Messages that were published while no hook was called, since the plugin looked first.
                         unseen => non_neg_integer(),
                         broker_up := unknown | boolean(), failing := boolean(), linger_ms := non_neg_integer(),
                         control := binary()}.
-type action() :: {raise, emq_plugin_kafka_broker:alarm()} | {clear, Name :: binary()}.

-spec new() -> alarms().
new() ->
    #alarms{}.

-spec raised(alarms()) -> [Name :: binary()].
raised(#alarms{raised = Raised}) ->
    Raised.

%% Whether it matters if a broker is connected.
-spec doubts_brokers(alarms()) -> boolean().
doubts_brokers(#alarms{away_since = Since}) ->
    Since =/= none.

-spec next(Now :: integer(), observation(), alarms()) -> {[action()], alarms()}.
next(Now, Observation, Alarms) ->
    Looked = settled(Now, Observation, away(Now, Observation, lost(Now, Observation, Alarms))),
    lists:foldl(fun({Name, Is}, {Actions, A}) -> change(Name, Is, Observation, Actions, A) end, {[], Looked},
                [{<<"degraded">>, degraded(Observation)},
                 {<<"settings">>, refused(Observation)},
                 {<<"kafka_unreachable">>, unreachable(Now, Observation, Looked)},
                 {<<"spool_filling">>, filling(Observation, lists:member(<<"spool_filling">>, Looked#alarms.raised))},
                 {<<"records_lost">>, losing(Now, Looked)}]).

%% From what is and what was, what is to be done.
change(Name, Is, Observation, Actions, #alarms{raised = Raised} = Alarms) ->
    case {Is, lists:member(Name, Raised)} of
        {true, false} -> {Actions ++ [{raise, alarm(Name, Observation)}], Alarms#alarms{raised = Raised ++ [Name]}};
        {false, true} -> {Actions ++ [{clear, Name}], Alarms#alarms{raised = lists:delete(Name, Raised)}};
        {Same, Same} -> {Actions, Alarms}
    end.

%% What was seen.

lost(_Now, #{stats := none}, Alarms) ->
    Alarms;
%% Losses of earlier lives are no news. Messages that passed before this life's hooks are.
lost(Now, #{stats := #{dropped := Dropped, failed := Failed}} = Observation, #alarms{lost = unknown} = Alarms) ->
    lost(Now, Dropped + Failed + unseen(Observation), Dropped + Failed, Alarms);
lost(Now, #{stats := #{dropped := Dropped, failed := Failed}} = Observation, #alarms{lost = Before} = Alarms) ->
    lost(Now, Dropped + Failed + unseen(Observation), Before, Alarms).

unseen(Observation) -> maps:get(unseen, Observation, 0).

lost(Now, Lost, Before, Alarms) when Lost > Before -> Alarms#alarms{lost = Lost, lost_at = Now};
lost(_Now, Lost, _Before, Alarms) -> Alarms#alarms{lost = Lost}.

%% A connection that Kafka closes because nobody uses it is no outage: one that fails is.
away(_Now, #{broker_up := Up}, Alarms) when Up =/= false -> Alarms#alarms{away_since = none};
away(Now, #{failing := true}, #alarms{away_since = none} = Alarms) -> Alarms#alarms{away_since = Now};
away(_Now, _Observation, Alarms) -> Alarms.

settled(_Now, #{stats := none}, Alarms) ->
    Alarms#alarms{stuck_since = none};
settled(Now, #{stats := #{accepted := Accepted, queued := Queued, spooled := Spooled}}, Alarms) ->
    settled(Now, Accepted - Queued - Spooled, Queued + Spooled, Alarms).

settled(Now, Settled, Waiting, #alarms{settled = Settled, stuck_since = none} = Alarms) when Waiting > 0 ->
    Alarms#alarms{stuck_since = Now};
settled(_Now, Settled, Waiting, #alarms{settled = Settled} = Alarms) when Waiting > 0 ->
    Alarms;
settled(_Now, Settled, _Waiting, Alarms) ->
    Alarms#alarms{settled = Settled, stuck_since = none}.

%% What it means.

degraded(#{problems := Problems}) ->
    Problems =/= [].

refused(#{refused := Refused}) ->
    Refused =/= [].

unreachable(Now, #{linger_ms := Linger}, #alarms{away_since = Away, stuck_since = Stuck}) ->
    longer(Now, Away, ?UNREACHABLE_MS) orelse longer(Now, Stuck, ?UNREACHABLE_MS + Linger).

longer(_Now, none, _Milliseconds) -> false;
longer(Now, Since, Milliseconds) -> Now - Since >= Milliseconds.

filling(#{stats := #{spool := #{state := full}}}, _Raised) -> true;
filling(#{spool_room := #{occupied := Occupied, limit := Limit}}, Raised) -> Occupied * 100 >= threshold(Raised) * Limit;
filling(_NoSpool, _Raised) -> false.

threshold(true) -> ?EMPTIED_PERCENT;
threshold(false) -> ?FILLED_PERCENT.

losing(_Now, #alarms{lost_at = never}) -> false;
losing(Now, #alarms{lost_at = At}) -> Now - At < ?QUIET_MS.

%% In words.

alarm(<<"degraded">> = Name, #{problems := [Problem | _]}) ->
    #{name => Name, severity => critical, title => <<"The Kafka plugin forwards nothing">>, summary => plain(Problem)};
alarm(<<"settings">> = Name, #{refused := [Problem | _]}) ->
    #{name => Name, severity => error, title => <<"The Kafka plugin uses its last settings that worked">>, summary => plain(Problem)};
alarm(<<"kafka_unreachable">> = Name, #{stats := #{queued := Queued, spooled := Spooled}, control := Control}) ->
    #{name => Name, severity => error, title => <<"Kafka cannot be reached">>,
      summary => text("no acknowledgement, or no broker connected, for ~b s; waiting: ~b records in memory, ~b in the spool; "
                      "see ~ts kafka test", [?UNREACHABLE_MS div 1000, Queued, Spooled, Control])};
alarm(<<"spool_filling">> = Name, #{stats := #{spooled := Spooled}, spool_room := #{occupied := Occupied, limit := Limit}}) ->
    #{name => Name, severity => warning, title => <<"The Kafka plugin's spool is filling">>,
      summary => text("~b % of ~b MB, ~b records", [Occupied * 100 div Limit, Limit div 1000000, Spooled])};
alarm(<<"records_lost">> = Name, #{stats := #{dropped := Dropped, failed := Failed}, control := Control} = Observation) ->
    #{name => Name, severity => error, title => <<"The Kafka plugin loses records">>,
      summary => text("since the start: ~b dropped, ~b refused by Kafka, ~b messages published while no hook was called; "
                      "the reasons: ~ts kafka stats", [Dropped, Failed, unseen(Observation), Control])}.

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

%% An alarm's text goes into JSON that EMQ 2.3 makes with an encoder that crashes, and ends all alarms, on what is not UTF-8.
plain(Text) ->
    plain(unicode:characters_to_binary(Text), Text).

plain(Text, _) when is_binary(Text) -> Text;
plain(_Invalid, Text) -> << <<(printable(Byte))>> || <<Byte>> <= Text >>.

printable(Byte) when Byte >= 32, Byte < 127 -> Byte;
printable(_Byte) -> $?.
