%% Decides what the operator is told: which lines, how often. Pure; the producer process asks it each second and logs.
%%
%% An outage of hours must not fill the log: each kind of notice is told at once, then once a minute with a count, and its end
%% is told, too. Lost records, and publishers that got no PUBACK, are told every ten seconds at most, with counts.
-module(emq_plugin_kafka_report).

-export([new/2, reloaded/1, next/5, failures/1]).
-export_type([report/0, places/0]).

-define(NOTICES_EVERY_MS, 60000).
-define(LOSSES_EVERY_MS, 10000).
%% Of many rules or topics that lose records, those that lose most are named.
-define(MAX_PLACES, 5).

-record(report, {%% By kind: when it was last told, and how many were not told since.
                 notices = #{} :: #{binary() => {Told :: integer(), Untold :: non_neg_integer()}},
                 %% The losses as they were last told, and when.
                 losses :: losses(),
                 places :: places(),
                 losses_told = never :: integer() | never,
                 %% The same of publishers whose record was not safe in time.
                 refusals :: losses(),
                 refusals_told = never :: integer() | never,
                 %% Whether a failure was told and its end was not.
                 failing = false :: boolean(),
                 success :: non_neg_integer()}).

-opaque report() :: #report{}.
-type losses() :: #{binary() => non_neg_integer()}.
%% Where records were lost: by rule (on their way in) and by Kafka topic (refused by Kafka).
-type places() :: #{rules := losses(), topics := losses()}.

%% What has happened so far is no news.
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

%% Who has mended something and reloaded is told at once if it is still broken.
-spec reloaded(report()) -> report().
reloaded(Report) ->
    Report#report{notices = #{}}.

notice(Now, {Level, Kind, Text, Count}, #report{notices = Told} = Report) ->
    case maps:get(Kind, Told, never) of
        {At, Untold} when Now - At < ?NOTICES_EVERY_MS ->
            {[], Report#report{notices = Told#{Kind => {At, Untold + Count}}}};
        {_At, Untold} ->
            {[{Level, [Text, more(Untold + Count - 1)]}], told(Now, Level, Kind, Report)};
        never ->
            {[{Level, [Text, more(Count - 1)]}], told(Now, Level, Kind, Report)}
    end.

told(Now, Level, Kind, Report) ->
    failing(is_failure(Level, Kind), told(Now, Kind, Report)).

failing(true, Report) -> Report#report{failing = true};
failing(false, Report) -> Report.

told(Now, Kind, #report{notices = Told} = Report) ->
    Report#report{notices = Told#{Kind => {Now, 0}}}.

%% The texts of notices that tell of something that does not work.
-spec failures([emq_plugin_kafka_nif:notice()]) -> [binary()].
failures(Notices) ->
    [Text || {Level, Kind, Text, _Count} <- Notices, is_failure(Level, Kind)].

%% That an earlier life left records in the spool, or that a setting is unwise, is none.
is_failure(error, <<"setting ", _/binary>>) -> false;
is_failure(error, <<"spool recovery", _/binary>>) -> false;
is_failure(Level, _Kind) -> Level =:= error.

more(0) -> "";
more(Count) -> io_lib:format(" (and ~b more like that)", [Count]).

%% A kind of which nothing was heard for long is new when it comes again.
forget(Now, #report{notices = Told} = Report) ->
    Report#report{notices = maps:filter(fun(_Kind, {At, _Untold}) -> Now - At < 2 * ?NOTICES_EVERY_MS end, Told)}.

%% The end of a failure is that Kafka takes records while librdkafka has nothing more to say. Told where the beginning was told.
ended([], #{success := Success}, #report{failing = true, success = Before} = Report) when Success > Before ->
    {[{error, "Kafka takes records again"}], Report#report{failing = false, success = Success}};
ended(_Notices, #{success := Success}, Report) ->
    {[], Report#report{success = Success}}.

lost(Now, Stats, Places, #report{losses = Before, losses_told = Told} = Report) ->
    {Lines, Losses, NowTold} = counts("records lost: ", Now, losses(Stats), Before, Told),
    with_places(Lines, Places, Report#report{losses = Losses, losses_told = NowTold}).

with_places([], _Places, Report) ->
    {[], Report};
with_places([{Level, Line}], #{rules := Rules, topics := Topics} = Places, #report{places = Before} = Report) ->
    {[{Level, [Line, grown("; by rule: ", Rules, maps:get(rules, Before)),
               grown("; refused by topic: ", Topics, maps:get(topics, Before))]}], Report#report{places = Places}}.

%% Which have grown, and by how much, those that grew most first.
grown(Title, Counts, Before) ->
    Grown = [{maps:get(Name, Before, 0) - Count, Name} || {Name, Count} <- maps:to_list(Counts), Count > maps:get(Name, Before, 0)],
    named(Title, lists:sublist(lists:sort(Grown), ?MAX_PLACES), max(0, length(Grown) - ?MAX_PLACES)).

named(_Title, [], 0) -> "";
named(Title, Grown, More) ->
    [Title, lists:join(", ", [[Name, " ", integer_to_list(-Less)] || {Less, Name} <- Grown]), others(More)].

others(0) -> "";
others(More) -> io_lib:format(" and ~b others", [More]).

refused(Now, Stats, #report{refusals = Before, refusals_told = Told} = Report) ->
    {Lines, Refusals, NowTold} = counts("publishers whose record was not safe in time: ", Now, refusals(Stats), Before, Told),
    {Lines, Report#report{refusals = Refusals, refusals_told = NowTold}}.

%% A line of what has grown since it was told last.
counts(_Title, Now, _Counts, Before, Told) when is_integer(Told), Now - Told < ?LOSSES_EVERY_MS ->
    {[], Before, Told};
counts(Title, Now, Counts, Before, Told) ->
    case [[Reason, " ", integer_to_list(Count - maps:get(Reason, Before, 0))]
          || {Reason, Count} <- lists:sort(maps:to_list(Counts)), Count > maps:get(Reason, Before, 0)] of
        [] -> {[], Before, Told};
        New -> {[{error, [Title, lists:join(", ", New)]}], Counts, Now}
    end.

losses(#{dropped_by := Dropped, failed_by := Failed}) ->
    maps:from_list([{<<"dropped.", (atom_to_binary(Reason, utf8))/binary>>, Count}
                    || {Reason, Count} <- maps:to_list(Dropped)]
                   ++ [{<<"failed.", Error/binary>>, Count} || {Error, Count} <- maps:to_list(Failed)]).

refusals(#{wait_timeouts := Timeouts, disconnected := Disconnected}) ->
    #{<<"wait_timeouts">> => Timeouts, <<"disconnected">> => Disconnected}.
