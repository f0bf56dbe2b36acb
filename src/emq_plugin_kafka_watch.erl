%% What the operator should know: reads what the library tells, logs it, raises and clears alarms. Runs in the producer's process,
%% once a second; what is told and when is decided in emq_plugin_kafka_report and emq_plugin_kafka_alarms, which are pure.
-module(emq_plugin_kafka_watch).

-export([new/0, opened/1, reloaded/1, failed/2, tick/2, last_error/1, alarms/1, stop/1]).
-export_type([watch/0, last_error/0]).

-record(watch, {%% None before a producer was opened.
                report = none :: none | emq_plugin_kafka_report:report(),
                %% Where records were lost, as of when so many were.
                places = #{rules => #{}, topics => #{}} :: emq_plugin_kafka_report:places(),
                lost = 0 :: non_neg_integer(),
                %% The messages of earlier lives that no hook had seen.
                unseen = unknown :: unknown | non_neg_integer(),
                alarms :: emq_plugin_kafka_alarms:alarms(),
                last_error = none :: none | last_error()}).

-opaque watch() :: #watch{}.
-type last_error() :: #{text := binary(), at_ms := integer()}.

%% A process of this one's place that crashed may have left alarms.
-spec new() -> watch().
new() ->
    ok = emq_plugin_kafka_broker:clear_all(),
    #watch{alarms = emq_plugin_kafka_alarms:new()}.

%% A producer is open. Losses of earlier lives are no news.
-spec opened(watch()) -> watch().
opened(Watch) ->
    Stats = emq_plugin_kafka_nif:stats(),
    Places = places(),
    (unseen(Watch, Stats))#watch{report = emq_plugin_kafka_report:new(Stats, Places), places = Places, lost = lost(Stats)}.

unseen(#watch{unseen = unknown} = Watch, #{unseen := Unseen}) -> Watch#watch{unseen = Unseen};
unseen(Watch, _Stats) -> Watch.

%% The same producer's place has another, with other settings.
-spec reloaded(watch()) -> watch().
reloaded(#watch{report = none} = Watch) -> Watch;
reloaded(#watch{report = Report} = Watch) -> Watch#watch{report = emq_plugin_kafka_report:reloaded(Report)}.

%% None could be opened, or settings are not used.
-spec failed([binary()], watch()) -> watch().
failed(Problems, Watch) ->
    lists:foldl(fun failure/2, Watch, Problems).

%% problems: why nothing is forwarded. refused: problems of refused settings.
-spec tick(#{problems := [binary()], refused := [binary()]}, watch()) -> watch().
tick(Wrong, #watch{report = none} = Watch) ->
    alarm(Wrong#{stats => none, broker_up => unknown, failing => false, linger_ms => 0}, Watch);
tick(Wrong, Watch) ->
    Notices = emq_plugin_kafka_nif:take_notices(),
    Stats = emq_plugin_kafka_nif:stats(),
    #watch{report = Report, places = Places, unseen = Before} = Located = located(lost(Stats), Watch),
    {Lines, NextReport} = emq_plugin_kafka_report:next(now_ms(), Notices, Stats, Places, Report),
    lists:foreach(fun({Level, Line}) -> emq_plugin_kafka_log:log(Level, "~ts", [Line]) end, Lines),
    Errors = emq_plugin_kafka_report:failures(Notices),
    #watch{alarms = Alarms} = Remembered = lists:foldl(fun failure/2, Located#watch{report = NextReport}, Errors),
    #{linger_ms := Linger, spool_room := Room} = emq_plugin_kafka_nif:about(),
    alarm(Wrong#{stats => Stats, spool_room => Room, unseen => maps:get(unseen, Stats) - Before, failing => Errors =/= [], linger_ms => Linger,
                 broker_up => broker_up(Errors =/= [] orelse emq_plugin_kafka_alarms:doubts_brokers(Alarms))}, Remembered).

lost(#{dropped := Dropped, failed := Failed}) ->
    Dropped + Failed.

%% Where is only asked when there is something new.
located(Same, #watch{lost = Same} = Watch) -> Watch;
located(Lost, Watch) -> Watch#watch{lost = Lost, places = places()}.

places() ->
    #{rules => maps:from_list([{<<(atom_to_binary(Event, utf8))/binary, ".", Name/binary>>, Dropped}
                               || #{event := Event, name := Name, dropped := Dropped} <- emq_plugin_kafka_nif:rules()]),
      topics => maps:from_list([{Name, Failed} || #{name := Name, failed := Failed} <- emq_plugin_kafka_nif:topics()])}.

%% librdkafka's statistics are long: they are read when something is wrong.
broker_up(false) -> true;
broker_up(true) -> up(emq_plugin_kafka_nif:librdkafka()).

up(#{brokers := [_ | _] = Brokers}) -> lists:any(fun(#{state := State}) -> State =:= <<"UP">> end, Brokers);
up(_NotKnown) -> unknown.

-spec last_error(watch()) -> none | last_error().
last_error(#watch{last_error = LastError}) ->
    LastError.

%% The names of those that are raised.
-spec alarms(watch()) -> [binary()].
alarms(#watch{alarms = Alarms}) ->
    emq_plugin_kafka_alarms:raised(Alarms).

%% The plugin stops: nothing is wrong any more, or nobody here knows.
-spec stop(watch()) -> ok.
stop(#watch{alarms = Alarms}) ->
    lists:foreach(fun emq_plugin_kafka_broker:clear/1, emq_plugin_kafka_alarms:raised(Alarms)).

failure(Text, Watch) ->
    Watch#watch{last_error = #{text => Text, at_ms => erlang:system_time(millisecond)}}.

alarm(Observation, #watch{alarms = Alarms} = Watch) ->
    Controlled = Observation#{control => emq_plugin_kafka_broker:control()},
    {Actions, Next} = emq_plugin_kafka_alarms:next(now_ms(), Controlled, Alarms),
    lists:foreach(fun act/1, Actions),
    Watch#watch{alarms = Next}.

act({raise, Alarm}) -> emq_plugin_kafka_broker:raise(Alarm);
act({clear, Name}) -> emq_plugin_kafka_broker:clear(Name).

now_ms() ->
    erlang:monotonic_time(millisecond).
