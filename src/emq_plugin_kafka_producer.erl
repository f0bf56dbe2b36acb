%% The process that owns the node's one Kafka producer: keeps track of its settings and of their problems, and ticks once a second.
%%
%% The steps themselves are elsewhere, and run in this process: opening and closing (emq_plugin_kafka_producer_lifecycle), replacing a
%% failed producer (emq_plugin_kafka_producer_reopen), logs and alarms (emq_plugin_kafka_watch). Hooks never call this process.
-module(emq_plugin_kafka_producer).
-behaviour(gen_server).

-export([start_link/0, close_left_behind/0, suspend/0, reload/0, reload/1, refuse/1, status/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

%% How often logs, alarms and a failed producer are looked after.
-define(TICK_MS, 1000).
%% How often the process checks whether the refused settings are still there.
-define(RECHECK_MS, 3000).

-record(state, {mode = unloaded :: emq_plugin_kafka_producer_lifecycle:mode(),
                %% Of refused settings.
                problems = [] :: [binary()],
                %% When to check refused settings again; never, if only a reload or a start can correct them. Monotonic, ms.
                recheck_at = never :: never | integer(),
                %% Whether the application is being stopped.
                stopping = false :: boolean(),
                reopen = idle :: emq_plugin_kafka_producer_reopen:state(),
                %% When the open producer was opened, in ms since 1970.
                since = none :: none | integer(),
                watch :: emq_plugin_kafka_watch:watch()}).

-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Closes the producer that a killed plugin has left open, perhaps with other settings than the current ones. Called when the application
%% starts, not when this process is restarted.
-spec close_left_behind() -> ok.
close_left_behind() ->
    close_left_behind(emq_plugin_kafka_producer_lifecycle:load_library()).

close_left_behind(ok) -> emq_plugin_kafka_producer_lifecycle:close();
close_left_behind({error, _}) -> ok.

%% The first step of a stop, while the hooks are still registered: moves the backlog to the spool, if there is one. Blocks until it has.
-spec suspend() -> ok.
suspend() ->
    try
        gen_server:call(?MODULE, suspend, infinity)
    catch
        %% The process was killed, so often that the application ends. The producer is still open.
        exit:{_, {gen_server, call, _}} -> suspend(emq_plugin_kafka_producer_lifecycle:load_library())
    end.

suspend(ok) -> emq_plugin_kafka_producer_lifecycle:suspend();
suspend({error, _}) -> ok.

%% Reads the settings again and uses them. Events are taken meanwhile. On an error nothing changes. Returns what has changed. Blocks until
%% the new producer is open. The caller reads the settings.
-spec reload() -> {ok, [emq_plugin_kafka_changes:change()]} | {error, [Problem :: binary()]}.
reload() ->
    reload_read(emq_plugin_kafka_broker:read_settings()).

reload_read({ok, Environment, Source}) ->
    reloaded(reload(Environment), Source);
reload_read({error, Problems} = Error) ->
    ok = refuse(Problems),
    Error.

reloaded({ok, Changes}, Source) ->
    ok = emq_plugin_kafka_broker:settings_in_use(Source),
    {ok, Changes};
reloaded({error, _} = Error, _Source) ->
    Error.

%% The same with given settings. They may have a password, and a crashed process logs its last message: so a fun carries them.
-spec reload(emq_plugin_kafka_broker:environment()) -> {ok, [emq_plugin_kafka_changes:change()]} | {error, [Problem :: binary()]}.
reload(Environment) ->
    gen_server:call(?MODULE, {reload, fun() -> Environment end}, infinity).

%% Reports settings that could not even be read.
-spec refuse([Problem :: binary()]) -> ok.
refuse(Problems) ->
    gen_server:call(?MODULE, {refuse, Problems}, infinity).

-spec status() -> emq_plugin_kafka_producer_status:status().
status() ->
    try
        gen_server:call(?MODULE, status)
    catch
        exit:{timeout, {gen_server, call, _}} ->
            emq_plugin_kafka_producer_status:without_process(busy, [<<"the plugin is busy: it opens, reloads or closes; try again">>]);
        exit:{_, {gen_server, call, _}} ->
            emq_plugin_kafka_producer_status:without_process(stopped, [])
    end.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that terminate/2 runs and the queue is drained.
    process_flag(trap_exit, true),
    _ = erlang:send_after(?TICK_MS, self(), tick),
    {ok, open(#state{watch = emq_plugin_kafka_watch:new()})}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(status, _From, #state{since = Since, watch = Watch} = State) ->
    {reply, maps:merge(status(State), #{since_ms => Since, last_error => emq_plugin_kafka_watch:last_error(Watch),
                                        alarms => emq_plugin_kafka_watch:alarms(Watch)}), State};
handle_call(suspend, _From, #state{mode = Mode} = State) when Mode =:= running; Mode =:= spooling ->
    {reply, emq_plugin_kafka_producer_lifecycle:suspend(), State#state{stopping = true}};
handle_call(suspend, _From, State) ->
    {reply, ok, State#state{stopping = true}};
handle_call({reload, _Environment}, _From, #state{stopping = true} = State) ->
    {reply, {error, [<<"the plugin is stopping">>]}, State};
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
    Watched = State#state{watch = emq_plugin_kafka_watch:tick(problems(status(State), State), Watch)},
    {noreply, replace_failed(recheck_refused(now_ms(), Watched))};
handle_info(reopen, #state{stopping = false} = State) ->
    {noreply, State#state{reopen = emq_plugin_kafka_producer_reopen:retry()}};
%% From the library: Kafka refused a batch because of some of its records. The next producer isolates their topic.
handle_info({emq_plugin_kafka, spoiled}, State) ->
    {noreply, replace_failed(State)};
handle_info(_Message, State) ->
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{watch = Watch} = State) ->
    ok = close(State),
    emq_plugin_kafka_watch:stop(Watch).

close(#state{mode = unloaded}) -> ok;
close(_Loaded) -> emq_plugin_kafka_producer_lifecycle:close().

status(#state{mode = Mode, problems = Problems, stopping = Stopping}) ->
    emq_plugin_kafka_producer_status:of_mode(Mode, Problems, Stopping).

%% For the alarms: why nothing is forwarded, and why settings were refused.
problems(#{state := degraded, problems := Problems}, _State) -> #{problems => Problems, refused => []};
problems(#{state := _}, #state{problems = Refused}) -> #{problems => [], refused => Refused}.

replace_failed(#state{mode = running, stopping = false, reopen = Reopen} = State) ->
    State#state{reopen = emq_plugin_kafka_producer_reopen:replace_failed(Reopen)};
replace_failed(State) ->
    State.

%% Opening.

open(State) ->
    {Mode, Problems, Changes} = emq_plugin_kafka_producer_lifecycle:open(),
    ok = log_changes(Changes),
    opened(Mode, Problems, recheck_at(emq_plugin_kafka_broker:reads_file_at_start()), State).

opened(Mode, Problems, RecheckAt, State) ->
    report(Problems, RecheckAt, watch_opened(State#state{mode = Mode})).

%% While degraded, too: dropped records are logged.
watch_opened(#state{mode = unloaded} = State) -> State;
watch_opened(#state{mode = running, watch = Watch} = State) ->
    State#state{since = erlang:system_time(millisecond), watch = emq_plugin_kafka_watch:opened(Watch)};
watch_opened(#state{watch = Watch} = State) -> State#state{watch = emq_plugin_kafka_watch:opened(Watch)}.

log_changes([]) -> ok;
log_changes(Changes) ->
    emq_plugin_kafka_log:error("settings changed: ~ts", [lists:join("; ", [emq_plugin_kafka_changes:line(C) || C <- Changes])]).

%% Changing the settings.

%% The hooks of new rules are registered before the change, those of old rules unregistered after it.
change(Environment, #state{mode = Mode} = State) ->
    ok = hooks_before(Mode),
    Result = emq_plugin_kafka_producer_lifecycle:change(Environment, Mode),
    {Answer, Next} = changed(Result, State),
    ok = hooks_after(Mode, Next),
    {Answer, Next}.

hooks_before(unloaded) -> ok;
hooks_before(_Loaded) -> emq_plugin_kafka_hooks:register_all().

hooks_after(_Mode, #state{mode = unloaded}) -> ok;
hooks_after(unloaded, _Loaded) -> emq_plugin_kafka_hooks:register();
hooks_after(_Loaded, _StillLoaded) -> emq_plugin_kafka_hooks:unregister_unneeded().

changed({ok, Changes}, #state{mode = Before} = State) ->
    ok = emq_plugin_kafka_log:log(info, "settings reloaded", []),
    ok = log_changes(Changes),
    ok = log_corrected(State),
    {{ok, Changes}, refused_metric(watch_changed(Before, State#state{mode = running, problems = []}))};
changed({error, Problems, {running, _Problems, []}}, State) ->
    {{error, Problems}, refused(Problems, State)};
changed({error, Problems, {Mode, AllProblems, []}}, State) ->
    {{error, Problems}, opened(Mode, AllProblems, recheck_at(true), State)}.

watch_changed(running, #state{watch = Watch} = State) ->
    State#state{watch = emq_plugin_kafka_watch:reloaded(Watch)};
watch_changed(_Degraded, State) ->
    watch_opened(State).

%% Refused settings.

%% The settings in use stay. A degraded plugin has problems of its own.
refused(Problems, State) ->
    report(Problems, recheck_at(true), State).

%% In the log, in the status, as an alarm, and as a metric.
report(Problems, RecheckAt, #state{mode = Mode, watch = Watch} = State) ->
    Consequence = emq_plugin_kafka_producer_status:consequence(Mode),
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("~ts~ts", [Problem, Consequence]) end, Problems),
    refused_metric(State#state{problems = Problems, recheck_at = RecheckAt, watch = emq_plugin_kafka_watch:failed(Problems, Watch)}).

refused_metric(#state{mode = unloaded} = State) ->
    State;
refused_metric(#state{problems = Problems} = State) ->
    ok = emq_plugin_kafka_nif:refused(Problems =/= []),
    State.

recheck_at(true) -> now_ms() + ?RECHECK_MS;
recheck_at(false) -> never.

%% Refused settings can disappear without a reload: a broker that asks before it saves has not saved them, or an operator has put the old
%% ones back. So the settings in use are compared with those that a start would find.
recheck_refused(Now, #state{mode = running, problems = [_ | _], recheck_at = At} = State) when is_integer(At), Now >= At ->
    rechecked(are_in_use(emq_plugin_kafka_broker:read_settings()), State);
recheck_refused(_Now, State) ->
    State.

are_in_use({ok, Environment, _Source}) ->
    emq_plugin_kafka_settings:use(Environment, fun emq_plugin_kafka_producer_lifecycle:are_in_use/1) =:= true;
are_in_use({error, _}) ->
    false.

rechecked(true, State) ->
    ok = log_corrected(State),
    refused_metric(State#state{problems = []});
rechecked(false, State) ->
    State#state{recheck_at = recheck_at(true)}.

log_corrected(#state{problems = []}) -> ok;
log_corrected(#state{problems = [_ | _]}) -> emq_plugin_kafka_log:error("the settings are valid again, and in use", []).

now_ms() ->
    erlang:monotonic_time(millisecond).
