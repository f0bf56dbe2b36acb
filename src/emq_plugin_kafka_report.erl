%% Decides which lines are logged, and how often. Pure; emq_plugin_kafka_watch calls it once a second and logs.
%%
%% An outage of hours must not fill the log. Each kind of notice is logged at once, then once a minute with a count; its end is logged,
%% too. Lost records, and publishers without a PUBACK, are logged every ten seconds at most, with counts.
-module(emq_plugin_kafka_report).

-export([new/2, reloaded/1, next/5, failures/1]).
-export_type([report/0, places/0]).

-define(NOTICES_EVERY_MS, 60000).
-define(LOSSES_EVERY_MS, 10000).
%% How many rules or topics a line names: those that lost most.
-define(MAX_PLACES, 5).

-record(report, {%% By kind: when it was last logged, and how many were suppressed since.
                 notices = #{} :: #{binary() => {LoggedAt :: integer(), Suppressed :: non_neg_integer()}},
                 %% The losses as they were last logged, and when.
                 losses :: losses(),
                 places :: places(),
                 losses_logged_at = never :: integer() | never,
                 %% The same for publishers whose record was not safe in time.
                 refusals :: losses(),
                 refusals_logged_at = never :: integer() | never,
                 %% Whether a failure was logged, but not yet its end.
                 failing = false :: boolean(),
                 success :: non_neg_integer()}).

-opaque report() :: #report{}.
-type losses() :: #{binary() => non_neg_integer()}.
%% Where records were lost: by rule (before Kafka had them) and by Kafka topic (refused by Kafka).
-type places() :: #{rules := losses(), topics := losses()}.

%% Reports only what happens from now on.
-spec new(emq_plugin_kafka_nif:stats(), places()) -> report().
new(#{success := Success} = Stats, Places) ->
    #report{losses = losses(Stats), places = Places, refusals = refusals(Stats), success = Success}.

-spec next(Now :: integer(), [emq_plugin_kafka_nif:notice()], emq_plugin_kafka_nif:stats(), places(), report()) ->
          {[{emq_plugin_kafka_log:level(), unicode:chardata()}], report()}.
next(Now, Notices, Stats, Places, Report) ->
    {NoticeLines, AfterNotices} = lists:mapfoldl(fun(Notice, R) -> notice(Now, Notice, R) end, Report, Notices),
    {EndLines, AfterEnd} = ended(Notices, Stats, AfterNotices),
    {LossLines, AfterLosses} = lost(Now, Stats, Places, AfterEnd),
    {RefusalLines, Next} = refused(Now, Stats, AfterLosses),
    {lists:append(NoticeLines) ++ EndLines ++ LossLines ++ RefusalLines, forget(Now, Next)}.

%% After a reload, a problem that is still there is logged at once.
-spec reloaded(report()) -> report().
reloaded(Report) ->
    Report#report{notices = #{}}.

notice(Now, {Level, Kind, Text, Count}, #report{notices = Logged} = Report) ->
    case maps:get(Kind, Logged, never) of
        {At, Suppressed} when Now - At < ?NOTICES_EVERY_MS ->
            {[], Report#report{notices = Logged#{Kind => {At, Suppressed + Count}}}};
        {_At, Suppressed} ->
            {[{Level, [Text, more(Suppressed + Count - 1)]}], logged(Now, Level, Kind, Report)};
        never ->
            {[{Level, [Text, more(Count - 1)]}], logged(Now, Level, Kind, Report)}
    end.

logged(Now, Level, Kind, Report) ->
    failing(is_failure(Level, Kind), logged(Now, Kind, Report)).

failing(true, Report) -> Report#report{failing = true};
failing(false, Report) -> Report.

logged(Now, Kind, #report{notices = Logged} = Report) ->
    Report#report{notices = Logged#{Kind => {Now, 0}}}.

%% The texts of notices about failures.
-spec failures([emq_plugin_kafka_nif:notice()]) -> [binary()].
failures(Notices) ->
    [Text || {Level, Kind, Text, _Count} <- Notices, is_failure(Level, Kind)].

%% No failures, though logged as errors: records of an earlier run in the spool, and unwise settings.
is_failure(error, <<"setting ", _/binary>>) -> false;
is_failure(error, <<"spool recovery", _/binary>>) -> false;
is_failure(Level, _Kind) -> Level =:= error.

more(0) -> "";
more(Count) -> io_lib:format(" (and ~b more of this kind)", [Count]).

%% A kind of notice that comes again after a long time is logged at once.
forget(Now, #report{notices = Logged} = Report) ->
    Report#report{notices = maps:filter(fun(_Kind, {At, _Suppressed}) -> Now - At < 2 * ?NOTICES_EVERY_MS end, Logged)}.

%% A failure has ended when Kafka takes records and librdkafka reports nothing more.
ended([], #{success := Success}, #report{failing = true, success = Before} = Report) when Success > Before ->
    {[{error, "Kafka accepts records again"}], Report#report{failing = false, success = Success}};
ended(_Notices, #{success := Success}, Report) ->
    {[], Report#report{success = Success}}.

lost(Now, Stats, Places, #report{losses = Before, losses_logged_at = LoggedAt} = Report) ->
    {Lines, Losses, NowLoggedAt} = counts("records lost: ", Now, losses(Stats), Before, LoggedAt),
    with_places(Lines, Places, Report#report{losses = Losses, losses_logged_at = NowLoggedAt}).

with_places([], _Places, Report) ->
    {[], Report};
with_places([{Level, Line}], #{rules := Rules, topics := Topics} = Places, #report{places = Before} = Report) ->
    {[{Level, [Line, grown("; by rule: ", Rules, maps:get(rules, Before)),
               grown("; refused by topic: ", Topics, maps:get(topics, Before))]}], Report#report{places = Places}}.

%% The counts that have grown, by how much, largest first.
grown(Title, Counts, Before) ->
    Grown = [{maps:get(Name, Before, 0) - Count, Name} || {Name, Count} <- maps:to_list(Counts), Count > maps:get(Name, Before, 0)],
    names(Title, lists:sublist(lists:sort(Grown), ?MAX_PLACES), max(0, length(Grown) - ?MAX_PLACES)).

names(_Title, [], 0) -> "";
names(Title, Grown, More) ->
    [Title, lists:join(", ", [[Name, " ", integer_to_list(-Less)] || {Less, Name} <- Grown]), others(More)].

others(0) -> "";
others(More) -> io_lib:format(" and ~b others", [More]).

refused(Now, Stats, #report{refusals = Before, refusals_logged_at = LoggedAt} = Report) ->
    {Lines, Refusals, NowLoggedAt} = counts("publishers whose record was not safe in time: ", Now, refusals(Stats), Before, LoggedAt),
    {Lines, Report#report{refusals = Refusals, refusals_logged_at = NowLoggedAt}}.

%% A line of the counts that have grown since the last line.
counts(_Title, Now, _Counts, Before, LoggedAt) when is_integer(LoggedAt), Now - LoggedAt < ?LOSSES_EVERY_MS ->
    {[], Before, LoggedAt};
counts(Title, Now, Counts, Before, LoggedAt) ->
    case [[Reason, " ", integer_to_list(Count - maps:get(Reason, Before, 0))]
          || {Reason, Count} <- lists:sort(maps:to_list(Counts)), Count > maps:get(Reason, Before, 0)] of
        [] -> {[], Before, LoggedAt};
        New -> {[{error, [Title, lists:join(", ", New)]}], Counts, Now}
    end.

losses(#{dropped_by := Dropped, failed_by := Failed}) ->
    maps:from_list([{<<"dropped.", (atom_to_binary(Reason, utf8))/binary>>, Count}
                    || {Reason, Count} <- maps:to_list(Dropped)]
                   ++ [{<<"failed.", Error/binary>>, Count} || {Error, Count} <- maps:to_list(Failed)]).

refusals(#{wait_timeouts := Timeouts, disconnected := Disconnected}) ->
    #{<<"wait_timeouts">> => Timeouts, <<"disconnected">> => Disconnected}.
