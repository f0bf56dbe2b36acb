%% Owns the life of the node's one Kafka producer: opens it from the application environment, changes its settings, replaces it
%% when librdkafka gives it up, closes it. Has emq_plugin_kafka_watch look each second for what the operator should know.
-module(emq_plugin_kafka_producer).
-behaviour(gen_server).

-export([start_link/0, close_left_behind/0, suspend/0, reload/0, reload/1, refuse/1, status/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export_type([status/0]).

-define(APP, emq_plugin_kafka).
%% How often it is looked for what the operator should know.
-define(TICK_MS, 1000).
%% The pause before a producer that failed for good is replaced.
-define(REOPEN_MS, 5000).
-define(DEFAULT_SHUTDOWN_MS, 10000).
%% How soon, and how often, the process checks whether a start would still find the refused settings.
-define(LOOK_MS, 3000).

%% degraded: nothing is forwarded. suspended: a stop has begun, records go to the spool. stopped: no process, no producer. busy: it
%% opens, reloads or closes, and does not answer meanwhile. records: where new records go. Problems of running: refused settings, a
%% metrics endpoint that could not open, or a broker that opens its listeners too early.
-type status() :: #{state := running | degraded | suspended | stopped | busy,
                    records := forwarded | spooled | dropped | unseen | unknown,
                    problems := [binary()],
                    settings := [{Key :: binary(), Value :: binary()}],
                    since_ms := none | integer(),
                    last_error := none | emq_plugin_kafka_watch:last_error(),
                    alarms := [binary()]}.

-record(state, {mode = unloaded :: emq_plugin_kafka_opening:mode(),
                %% Of refused settings.
                problems = [] :: [binary()],
                %% The next check whether they are still there; never if only a reload or a start can tell.
                look_at = never :: never | integer(),
                %% Whether the application is being stopped.
                stopping = false :: boolean(),
                %% Whether a message `reopen` is on its way.
                reopening = false :: boolean(),
                %% When the producer that is open was opened, in ms since 1970.
                since = none :: none | integer(),
                watch :: emq_plugin_kafka_watch:watch()}).

-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% A plugin that was killed, rather than stopped, has left its producer open, perhaps with other settings than those that are to
%% be used now. Called when the application starts, not when this process is restarted.
-spec close_left_behind() -> ok.
close_left_behind() ->
    close_left_behind(emq_plugin_kafka_opening:loaded()).

close_left_behind(ok) -> close();
close_left_behind({error, _}) -> ok.

%% The first step of a stop, while the hooks are still registered: with a spool, everything goes there from now on.
-spec suspend() -> ok.
suspend() ->
    try
        gen_server:call(?MODULE, suspend, infinity)
    catch
        %% The process was killed, and so often that the application ends: the producer lives on.
        exit:{_, {gen_server, call, _}} -> suspend(emq_plugin_kafka_opening:loaded())
    end.

suspend(ok) -> suspended(emq_plugin_kafka_nif:suspend());
suspend({error, _}) -> ok.

%% Reads the settings again, and uses them from now on. Hooks are called and records taken all the while. On an error
%% everything is as it was. They are read by the caller. The settings may hold a password, and travel in a fun: a message
%% that a process had when it crashed is logged. Tells what has changed.
-spec reload() -> {ok, [emq_plugin_kafka_changes:change()]} | {error, [Problem :: binary()]}.
reload() ->
    read(emq_plugin_kafka_broker:read_settings()).

read({ok, Environment, Keep}) ->
    reloaded(reload(Environment), Keep);
read({error, Problems} = Error) ->
    ok = refuse(Problems),
    Error.

%% The same with settings that the broker hands over.
-spec reload(emq_plugin_kafka_broker:environment()) -> {ok, [emq_plugin_kafka_changes:change()]} | {error, [Problem :: binary()]}.
reload(Environment) ->
    gen_server:call(?MODULE, {reload, fun() -> Environment end}, infinity).

reloaded({ok, Changes}, Keep) ->
    ok = emq_plugin_kafka_broker:settings_in_use(Keep),
    {ok, Changes};
reloaded({error, _} = Error, _Keep) ->
    Error.

%% Settings could not even be read.
-spec refuse([Problem :: binary()]) -> ok.
refuse(Problems) ->
    gen_server:call(?MODULE, {refuse, Problems}, infinity).

-spec status() -> status().
status() ->
    try
        gen_server:call(?MODULE, status)
    catch
        exit:{timeout, {gen_server, call, _}} ->
            alone(busy, [<<"the plugin is opening, reloading or closing: ask again">>]);
        exit:{_, {gen_server, call, _}} ->
            alone(stopped, [])
    end.

alone(State, Problems) ->
    #{state => State, records => unknown, problems => Problems, settings => [], since_ms => none, last_error => none, alarms => []}.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that terminate/2 runs and the queue is drained.
    process_flag(trap_exit, true),
    _ = erlang:send_after(?TICK_MS, self(), tick),
    {ok, open(#state{watch = emq_plugin_kafka_watch:new()})}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(status, _From, #state{since = Since, watch = Watch} = State) ->
    {reply, maps:merge(answer(State), #{since_ms => Since, last_error => emq_plugin_kafka_watch:last_error(Watch),
                                        alarms => emq_plugin_kafka_watch:alarms(Watch)}), State};
handle_call(suspend, _From, #state{mode = Mode} = State) when Mode =:= running; Mode =:= spooling ->
    {reply, suspended(emq_plugin_kafka_nif:suspend()), State#state{stopping = true}};
handle_call(suspend, _From, State) ->
    {reply, ok, State#state{stopping = true}};
handle_call({reload, _Environment}, _From, #state{stopping = true} = State) ->
    {reply, {error, [<<"the plugin is being stopped">>]}, State};
handle_call({reload, Environment}, _From, State) ->
    {Result, Next} = change(Environment(), State),
    {reply, Result, Next};
handle_call({refuse, Problems}, _From, State) ->
    {reply, ok, refused(Problems, State)};
handle_call(Request, _From, State) ->
    {reply, {error, {unknown_request, Request}}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(tick, #state{watch = Watch} = State) ->
    _ = erlang:send_after(?TICK_MS, self(), tick),
    Watched = State#state{watch = emq_plugin_kafka_watch:look(wrong(answer(State), State), Watch)},
    {noreply, replace_failed(mended(now_ms(), Watched))};
handle_info(reopen, #state{stopping = false} = State) ->
    {noreply, reopen(emq_plugin_kafka_nif:status(), State)};
%% Kafka refused a batch for the sake of some of its records: the next producer isolates their topic.
handle_info({emq_plugin_kafka, spoiled}, State) ->
    {noreply, replace_failed(State)};
handle_info(_Message, State) ->
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{watch = Watch} = State) ->
    ok = closed_at_end(State),
    emq_plugin_kafka_watch:stop(Watch).

closed_at_end(#state{mode = unloaded}) -> ok;
closed_at_end(_Loaded) -> close().

%% Opening and closing.

open(State) ->
    {Mode, Problems, Changes} = emq_plugin_kafka_opening:start(),
    ok = tell_changes(Changes),
    opened(Mode, Problems, look_at(emq_plugin_kafka_broker:reads_file_at_start()), State).

opened(Mode, Problems, LookAt, State) ->
    told(Problems, LookAt, watched(State#state{mode = Mode})).

watched(#state{mode = unloaded} = State) -> State;
watched(#state{mode = running, watch = Watch} = State) ->
    State#state{since = erlang:system_time(millisecond), watch = emq_plugin_kafka_watch:opened(Watch)};
%% Dropped records are logged, too.
watched(#state{watch = Watch} = State) -> State#state{watch = emq_plugin_kafka_watch:opened(Watch)}.

instead(running) -> "; until this is corrected, the last settings that worked are in use";
instead(spooling) -> ", and until this is corrected nothing is forwarded: records go to the spool";
instead(counting) -> ", and until this is corrected nothing is forwarded: records are dropped and counted (dropped.degraded)";
instead(unloaded) -> ", and until this is corrected nothing is forwarded or counted".

%% In the log, in the status, as an alarm, and in the metrics.
told(Problems, LookAt, #state{mode = Mode, watch = Watch} = State) ->
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("~ts~ts", [Problem, instead(Mode)]) end, Problems),
    told(State#state{problems = Problems, look_at = LookAt, watch = emq_plugin_kafka_watch:failed(Problems, Watch)}).

told(#state{mode = unloaded} = State) ->
    State;
told(#state{problems = Problems} = State) ->
    ok = emq_plugin_kafka_nif:refused(Problems =/= []),
    State.

look_at(true) -> now_ms() + ?LOOK_MS;
look_at(false) -> never.

tell_changes([]) -> ok;
tell_changes(Changes) ->
    emq_plugin_kafka_log:error("settings changed: ~ts", [lists:join("; ", [emq_plugin_kafka_changes:line(C) || C <- Changes])]).

%% The hooks of new rules come before the rules, those of old ones go after them.
change(Environment, #state{mode = Mode} = State) ->
    ok = hooks_before(Mode),
    Result = emq_plugin_kafka_opening:change(Environment, Mode),
    {Answer, Next} = changed(Result, State),
    ok = hooks_after(Mode, Next),
    {Answer, Next}.

hooks_before(unloaded) -> ok;
hooks_before(_Loaded) -> emq_plugin_kafka_hooks:register_all().

hooks_after(_Mode, #state{mode = unloaded}) -> ok;
hooks_after(unloaded, _Loaded) -> emq_plugin_kafka_hooks:register();
hooks_after(_Loaded, _StillLoaded) -> emq_plugin_kafka_hooks:unregister_unneeded().

changed({ok, Changes}, #state{mode = Before} = State) ->
    ok = emq_plugin_kafka_log:log(info, "the settings were read again", []),
    ok = tell_changes(Changes),
    ok = tell_mended(State),
    {{ok, Changes}, told(in_force(Before, State#state{mode = running, problems = []}))};
changed({error, Problems, {running, _Problems, []}}, State) ->
    {{error, Problems}, refused(Problems, State)};
changed({error, Problems, {Mode, AllProblems, []}}, State) ->
    {{error, Problems}, opened(Mode, AllProblems, look_at(true), State)}.

in_force(running, #state{watch = Watch} = State) ->
    State#state{watch = emq_plugin_kafka_watch:reloaded(Watch)};
in_force(_Degraded, State) ->
    watched(State).

tell_mended(#state{problems = []}) -> ok;
tell_mended(#state{problems = [_ | _]}) -> emq_plugin_kafka_log:error("the settings are valid again, and in use", []).

%% The settings in force stay. A degraded plugin has problems of its own.
refused(Problems, State) ->
    told(Problems, look_at(true), State).

%% Refused settings can disappear without a reload: a broker that asks before it saves has not saved them, or somebody put the old
%% ones back. So this compares the settings in force with those that a start would find.
mended(Now, #state{mode = running, problems = [_ | _], look_at = At} = State) when is_integer(At), Now >= At ->
    mended_by(are_in_force(emq_plugin_kafka_broker:read_settings()), State);
mended(_Now, State) ->
    State.

are_in_force({ok, Environment, _Keep}) ->
    emq_plugin_kafka_settings:use(Environment, fun emq_plugin_kafka_opening:are_in_force/1) =:= true;
are_in_force({error, _}) ->
    false.

mended_by(true, State) ->
    ok = tell_mended(State),
    told(State#state{problems = []});
mended_by(false, State) ->
    State#state{look_at = look_at(true)}.

close() ->
    closed(emq_plugin_kafka_nif:close(shutdown_ms(application:get_env(?APP, shutdown_timeout)))).

%% It may be what is wrong.
shutdown_ms({ok, Milliseconds}) when is_integer(Milliseconds), Milliseconds >= 0 -> Milliseconds;
shutdown_ms(_NoneOrWrong) -> ?DEFAULT_SHUTDOWN_MS.

closed({ok, #{given_up := GivenUp, spooled := Spooled}}) ->
    ok = gave_up(GivenUp),
    handed_over(Spooled);
closed({error, closed}) ->
    ok.

gave_up(0) -> ok;
gave_up(Count) -> emq_plugin_kafka_log:error("closed with ~b records undelivered, which are lost (counted as dropped.purged)", [Count]).

%% How many there are in the end is told when it is closed.
suspended({ok, _Spooled}) -> ok;
suspended({error, Reason}) when Reason =:= closed; Reason =:= no_spool -> ok.

handed_over(0) -> ok;
handed_over(Count) -> emq_plugin_kafka_log:error("closed with ~b records in the spool; the next start goes on with them", [Count]).

%% While a `reopen` is on its way, nobody else replaces the producer: there is one at most.
replace_failed(#state{mode = running, reopening = false, stopping = false} = State) ->
    replace_failed(emq_plugin_kafka_nif:status(), State);
replace_failed(State) ->
    State.

%% librdkafka's fatal state ends a producer, not the plugin. One that is spoiled needs no pause: its successor knows better.
replace_failed({spoiled, _Settings}, State) ->
    isolated(emq_plugin_kafka_nif:reopen(), State);
replace_failed({fatal, _Settings}, State) ->
    emq_plugin_kafka_log:error("librdkafka has given up this producer (see above); a new one is opened in ~b s", [?REOPEN_MS div 1000]),
    reopen_later(State);
replace_failed(_Status, State) ->
    State.

isolated(ok, State) -> State;
isolated(Failed, State) -> reopened(Failed, State).

reopen_later(State) ->
    _ = erlang:send_after(?REOPEN_MS, self(), reopen),
    State#state{reopening = true}.

%% A reload may have replaced it meanwhile.
reopen({Failed, _Settings}, State) when Failed =:= fatal; Failed =:= spoiled -> reopened(emq_plugin_kafka_nif:reopen(), State);
reopen(_Status, State) -> State#state{reopening = false}.

reopened(ok, State) ->
    ok = emq_plugin_kafka_log:error("a new producer is open", []),
    State#state{reopening = false};
reopened({error, Problems}, State) ->
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("no new producer: ~ts", [Problem]) end, Problems),
    reopen_later(State).

answer(#state{mode = running} = State) -> open_status(emq_plugin_kafka_nif:status(), State);
answer(#state{mode = Mode, problems = Problems}) -> #{state => degraded, records => records(Mode), problems => Problems, settings => []}.

records(spooling) -> spooled;
records(counting) -> dropped;
records(unloaded) -> unseen.

%% Why nothing is forwarded, and what is not used.
wrong(#{state := degraded, problems := Problems}, _State) -> #{problems => Problems, refused => []};
wrong(#{state := _}, #state{problems = Refused}) -> #{problems => [], refused => Refused}.

open_status({fatal, Settings}, _State) ->
    #{state => degraded, records => forwarded, problems => [<<"librdkafka has given up this producer; a new one will be opened">>],
      settings => Settings};
open_status({spoiled, Settings}, State) ->
    open_status({open, Settings}, State);
open_status({open, Settings}, #state{stopping = true}) ->
    #{state => suspended, records => spooled, problems => [], settings => Settings};
open_status({open, Settings}, #state{problems = Refused}) ->
    #{state => running, records => forwarded, problems => [not_used(Problem) || Problem <- Refused] ++ unwatched(emq_plugin_kafka_nif:listening()),
      settings => Settings};
open_status(closed, _State) ->
    #{state => stopped, records => unknown, problems => [], settings => []}.

not_used(Problem) -> iolist_to_binary([Problem, instead(running)]).

%% Records are forwarded all the same.
unwatched({error, Problem}) -> [Problem];
unwatched(_OffOrAt) -> [].

now_ms() ->
    erlang:monotonic_time(millisecond).
