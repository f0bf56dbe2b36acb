%% Monitors the producer once a second: reads notices and counters of the library, logs lines, raises and clears alarms. Which ones is
%% decided in emq_plugin_kafka_report and emq_plugin_kafka_alarms, which are pure. Runs in the producer's process.
-module(emq_plugin_kafka_watch).

-export([new/0, opened/1, reloaded/1, failed/2, tick/2, last_error/1, alarms/1, stop/1]).
-export_type([watch/0, last_error/0]).

-record(watch, {%% none: no producer was opened yet.
                report = none :: none | emq_plugin_kafka_report:report(),
                %% Where records were lost, when `lost` was their total.
                places = #{rules => #{}, topics => #{}} :: emq_plugin_kafka_report:places(),
                lost = 0 :: non_neg_integer(),
                %% The counter `unseen` when the first producer was opened.
                unseen = unknown :: unknown | non_neg_integer(),
                alarms :: emq_plugin_kafka_alarms:alarms(),
                last_error = none :: none | last_error()}).

-opaque watch() :: #watch{}.
-type last_error() :: #{text := binary(), at_ms := integer()}.

%% Clears alarms that a crashed process before this one may have left.
-spec new() -> watch().
new() ->
    ok = emq_plugin_kafka_broker:clear_all(),
    #watch{alarms = emq_plugin_kafka_alarms:new()}.

%% A producer is open. Earlier losses are not reported again.
-spec opened(watch()) -> watch().
opened(Watch) ->
    Stats = emq_plugin_kafka_nif:stats(),
    Places = places(),
    (unseen(Watch, Stats))#watch{report = emq_plugin_kafka_report:new(Stats, Places), places = Places, lost = lost(Stats)}.

unseen(#watch{unseen = unknown} = Watch, #{unseen := Unseen}) -> Watch#watch{unseen = Unseen};
unseen(Watch, _Stats) -> Watch.

%% The producer was replaced by one with other settings.
-spec reloaded(watch()) -> watch().
reloaded(#watch{report = none} = Watch) -> Watch;
reloaded(#watch{report = Report} = Watch) -> Watch#watch{report = emq_plugin_kafka_report:reloaded(Report)}.

%% Settings are invalid: the last of these problems is the last error.
-spec failed([binary()], watch()) -> watch().
failed(Problems, Watch) ->
    lists:foldl(fun failure/2, Watch, Problems).

%% problems: why nothing is forwarded. refused: problems of refused settings.
-spec tick(#{problems := [binary()], refused := [binary()]}, watch()) -> watch().
tick(Problems, #watch{report = none} = Watch) ->
    update_alarms(Problems#{stats => none, broker_up => unknown, failing => false, linger_ms => 0}, Watch);
tick(Problems, Watch) ->
    Notices = emq_plugin_kafka_nif:take_notices(),
    Stats = emq_plugin_kafka_nif:stats(),
    #watch{report = Report, places = Places, unseen = Before} = Located = locate(lost(Stats), Watch),
    {Lines, NextReport} = emq_plugin_kafka_report:next(now_ms(), Notices, Stats, Places, Report),
    lists:foreach(fun({Level, Line}) -> emq_plugin_kafka_log:log(Level, "~ts", [Line]) end, Lines),
    Errors = emq_plugin_kafka_report:failures(Notices),
    #watch{alarms = Alarms} = Reported = lists:foldl(fun failure/2, Located#watch{report = NextReport}, Errors),
    #{linger_ms := Linger, spool_room := Room} = emq_plugin_kafka_nif:about(),
    BrokerUp = broker_up(Errors =/= [] orelse emq_plugin_kafka_alarms:needs_broker_state(Alarms)),
    update_alarms(Problems#{stats => Stats, spool_room => Room, unseen => maps:get(unseen, Stats) - Before, failing => Errors =/= [],
                            linger_ms => Linger, broker_up => BrokerUp}, Reported).

lost(#{dropped := Dropped, failed := Failed}) ->
    Dropped + Failed.

%% Asks the library only when more records were lost.
locate(Same, #watch{lost = Same} = Watch) -> Watch;
locate(Lost, Watch) -> Watch#watch{lost = Lost, places = places()}.

places() ->
    #{rules => maps:from_list([{<<(atom_to_binary(Event, utf8))/binary, ".", Name/binary>>, Dropped}
                               || #{event := Event, name := Name, dropped := Dropped} <- emq_plugin_kafka_nif:rules()]),
      topics => maps:from_list([{Name, Failed} || #{name := Name, failed := Failed} <- emq_plugin_kafka_nif:topics()])}.

%% librdkafka's statistics are long: they are read only while something is wrong. Otherwise a broker counts as connected.
broker_up(false) -> true;
broker_up(true) -> up(emq_plugin_kafka_nif:librdkafka()).

up(#{brokers := [_ | _] = Brokers}) -> lists:any(fun(#{state := State}) -> State =:= <<"UP">> end, Brokers);
up(_NotKnown) -> unknown.

-spec last_error(watch()) -> none | last_error().
last_error(#watch{last_error = LastError}) ->
    LastError.

%% The names of raised alarms.
-spec alarms(watch()) -> [binary()].
alarms(#watch{alarms = Alarms}) ->
    emq_plugin_kafka_alarms:raised(Alarms).

%% The plugin stops: clears its alarms.
-spec stop(watch()) -> ok.
stop(#watch{alarms = Alarms}) ->
    lists:foreach(fun emq_plugin_kafka_broker:clear/1, emq_plugin_kafka_alarms:raised(Alarms)).

failure(Text, Watch) ->
    Watch#watch{last_error = #{text => Text, at_ms => erlang:system_time(millisecond)}}.

update_alarms(Observation, #watch{alarms = Alarms} = Watch) ->
    Controlled = Observation#{control => emq_plugin_kafka_broker:control()},
    {Actions, Next} = emq_plugin_kafka_alarms:next(now_ms(), Controlled, Alarms),
    lists:foreach(fun act/1, Actions),
    Watch#watch{alarms = Next}.

act({raise, Alarm}) -> emq_plugin_kafka_broker:raise(Alarm);
act({clear, Name}) -> emq_plugin_kafka_broker:clear(Name).

now_ms() ->
    erlang:monotonic_time(millisecond).
