%% Decides what the operator is told: which lines, how often. Pure; the producer process asks it each second and logs.
%%
%% An outage of hours must not fill the log: each kind of notice is told at once, then once a minute with a count, and its end
%% is told, too. Lost records, and publishers that got no PUBACK, are told every ten seconds at most, with counts.
-module(emq_plugin_kafka_report).

-export([new/1, next/4]).
-export_type([report/0]).

-define(NOTICES_EVERY_MS, 60000).
-define(LOSSES_EVERY_MS, 10000).

-record(report, {%% By kind: when it was last told, and how many were not told since.
                 notices = #{} :: #{binary() => {Told :: integer(), Untold :: non_neg_integer()}},
                 %% The losses as they were last told, and when.
                 losses :: losses(),
                 losses_told = never :: integer() | never,
                 %% The same of publishers whose record was not safe in time.
                 refusals :: losses(),
                 refusals_told = never :: integer() | never,
                 %% Whether a failure was told and its end was not.
                 failing = false :: boolean(),
                 success :: non_neg_integer()}).

-opaque report() :: #report{}.
-type losses() :: #{binary() => non_neg_integer()}.

%% What has happened so far is no news.
-spec new(emq_plugin_kafka_nif:stats()) -> report().
new(#{success := Success} = Stats) ->
    #report{losses = losses(Stats), refusals = refusals(Stats), success = Success}.

-spec next(Now :: integer(), [emq_plugin_kafka_nif:notice()], emq_plugin_kafka_nif:stats(), report()) ->
          {[unicode:chardata()], report()}.
next(Now, Notices, Stats, Report) ->
    {NoticeLines, AfterNotices} = lists:mapfoldl(fun(Notice, R) -> notice(Now, Notice, R) end, Report, Notices),
    {EndLines, AfterEnd} = ended(Notices, Stats, AfterNotices),
    {LossLines, AfterLosses} = lost(Now, Stats, AfterEnd),
    {RefusalLines, Next} = refused(Now, Stats, AfterLosses),
    {lists:append(NoticeLines) ++ EndLines ++ LossLines ++ RefusalLines, forget(Now, Next)}.

notice(Now, {Kind, Text, Count}, #report{notices = Told} = Report) ->
    case maps:get(Kind, Told, never) of
        {At, Untold} when Now - At < ?NOTICES_EVERY_MS ->
            {[], Report#report{notices = Told#{Kind => {At, Untold + Count}}}};
        {_At, Untold} ->
            {[[Text, more(Untold + Count - 1)]], told(Now, Kind, Report)};
        never ->
            {[[Text, more(Count - 1)]], told(Now, Kind, Report)}
    end.

%% That an earlier life left records in the spool, or that a setting is unwise, is no failure, whose end would be told.
told(Now, <<"setting ", _/binary>> = Kind, #report{notices = Told} = Report) ->
    Report#report{notices = Told#{Kind => {Now, 0}}};
told(Now, <<"spool recovery", _/binary>> = Kind, #report{notices = Told} = Report) ->
    Report#report{notices = Told#{Kind => {Now, 0}}};
told(Now, Kind, #report{notices = Told} = Report) ->
    Report#report{notices = Told#{Kind => {Now, 0}}, failing = true}.

more(0) -> "";
more(Count) -> io_lib:format(" (and ~b more like that)", [Count]).

%% A kind of which nothing was heard for long is new when it comes again.
forget(Now, #report{notices = Told} = Report) ->
    Report#report{notices = maps:filter(fun(_Kind, {At, _Untold}) -> Now - At < 2 * ?NOTICES_EVERY_MS end, Told)}.

%% The end of a failure is that Kafka takes records while librdkafka has nothing more to say.
ended([], #{success := Success}, #report{failing = true, success = Before} = Report) when Success > Before ->
    {["Kafka takes records again"], Report#report{failing = false, success = Success}};
ended(_Notices, #{success := Success}, Report) ->
    {[], Report#report{success = Success}}.

lost(Now, Stats, #report{losses = Before, losses_told = Told} = Report) ->
    {Lines, Losses, NowTold} = counts("records lost: ", Now, losses(Stats), Before, Told),
    {Lines, Report#report{losses = Losses, losses_told = NowTold}}.

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
        New -> {[[Title, lists:join(", ", New)]], Counts, Now}
    end.

losses(#{dropped_by := Dropped, failed_by := Failed}) ->
    maps:from_list([{<<"dropped.", (atom_to_binary(Reason, utf8))/binary>>, Count}
                    || {Reason, Count} <- maps:to_list(Dropped)]
                   ++ [{<<"failed.", Error/binary>>, Count} || {Error, Count} <- maps:to_list(Failed)]).

refusals(#{wait_timeouts := Timeouts, disconnected := Disconnected}) ->
    #{<<"wait_timeouts">> => Timeouts, <<"disconnected">> => Disconnected}.
