%% Owns the life of the node's one Kafka producer: opens it from the application environment, changes its settings, replaces it
%% when librdkafka gives it up, closes it. Has emq_plugin_kafka_watch look each second for what the operator should know.
-module(emq_plugin_kafka_producer).
-behaviour(gen_server).

-export([start_link/0, close_left_behind/0, suspend/0, reload/0, reload/1, status/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export_type([status/0]).

-define(APP, emq_plugin_kafka).
%% How often it is looked for what the operator should know.
-define(TICK_MS, 1000).
%% The pause before a producer that failed for good is replaced.
-define(REOPEN_MS, 5000).
-define(DEFAULT_SHUTDOWN_MS, 10000).

%% suspended: a stop has begun, records go to the spool. stopped: no process, no producer. busy: it opens, reloads or closes,
%% and does not answer meanwhile.
-type status() :: #{state := running | degraded | suspended | stopped | busy,
                    problems := [binary()],
                    settings := [{Key :: binary(), Value :: binary()}],
                    since_ms := none | integer(),
                    last_error := none | emq_plugin_kafka_watch:last_error(),
                    alarms := [binary()]}.

-record(state, {%% Why there is no producer; none when there is one.
                problems = [] :: [binary()],
                %% Whether the application is being stopped.
                stopping = false :: boolean(),
                %% Whether a producer that failed for good is about to be replaced.
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
    close_left_behind(loaded()).

close_left_behind(ok) -> close();
close_left_behind({error, _}) -> ok.

%% The first step of a stop, while the hooks are still registered: with a spool, everything goes there from now on.
-spec suspend() -> ok.
suspend() ->
    try
        gen_server:call(?MODULE, suspend, infinity)
    catch
        %% The process was killed, and so often that the application ends: the producer lives on.
        exit:{_, {gen_server, call, _}} -> suspend(loaded())
    end.

suspend(ok) -> suspended(emq_plugin_kafka_nif:suspend());
suspend({error, _}) -> ok.

%% Reads the settings again, and uses them from now on. Hooks are called and records taken all the while. On an error
%% everything is as it was. They are read by the caller. The settings may hold a password, and travel in a fun: a message
%% that a process had when it crashed is logged.
-spec reload() -> ok | {error, [Problem :: binary()]}.
reload() ->
    read(emq_plugin_kafka_broker:read_settings()).

read({ok, Environment, Keep}) ->
    reloaded(reload(Environment), Keep);
read({error, _} = Error) ->
    Error.

%% The same with settings that the broker hands over.
-spec reload(emq_plugin_kafka_broker:environment()) -> ok | {error, [Problem :: binary()]}.
reload(Environment) ->
    gen_server:call(?MODULE, {reload, fun() -> Environment end}, infinity).

reloaded(ok, Keep) ->
    emq_plugin_kafka_broker:settings_read(Keep);
reloaded({error, _} = Error, _Keep) ->
    Error.

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
    #{state => State, problems => Problems, settings => [], since_ms => none, last_error => none, alarms => []}.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that terminate/2 runs and the queue is drained.
    process_flag(trap_exit, true),
    _ = erlang:send_after(?TICK_MS, self(), tick),
    {ok, open(#state{watch = emq_plugin_kafka_watch:new()})}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(status, _From, #state{since = Since, watch = Watch} = State) ->
    {reply, maps:merge(with_doors(answer(State)), #{since_ms => Since, last_error => emq_plugin_kafka_watch:last_error(Watch),
                                        alarms => emq_plugin_kafka_watch:alarms(Watch)}), State};
handle_call(suspend, _From, #state{problems = []} = State) ->
    {reply, suspended(emq_plugin_kafka_nif:suspend()), State#state{stopping = true}};
handle_call(suspend, _From, State) ->
    {reply, ok, State#state{stopping = true}};
handle_call({reload, _Environment}, _From, #state{stopping = true} = State) ->
    {reply, {error, [<<"the plugin is being stopped">>]}, State};
handle_call({reload, Environment}, _From, State) ->
    {Result, Next} = change(Environment(), State),
    {reply, Result, Next};
handle_call(Request, _From, State) ->
    {reply, {error, {unknown_request, Request}}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(tick, #state{watch = Watch} = State) ->
    _ = erlang:send_after(?TICK_MS, self(), tick),
    Watched = State#state{watch = emq_plugin_kafka_watch:look(degrading(answer(State)), Watch)},
    {noreply, ticked(Watched)};
handle_info(reopen, #state{stopping = false} = State) ->
    {noreply, reopen(emq_plugin_kafka_nif:status(), State)};
%% Kafka refused a batch for the sake of some of its records: the next producer isolates their topic.
handle_info({emq_plugin_kafka, spoiled}, #state{problems = [], stopping = false} = State) ->
    {noreply, replace_failed(emq_plugin_kafka_nif:status(), State)};
handle_info(_Message, State) ->
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{watch = Watch} = State) ->
    ok = closed_at_end(State),
    emq_plugin_kafka_watch:stop(Watch).

closed_at_end(#state{problems = []}) -> close();
closed_at_end(_Degraded) -> ok.

ticked(#state{problems = []} = State) -> replace_failed(emq_plugin_kafka_nif:status(), State);
ticked(Degraded) -> Degraded.

%% Opening and closing.

open(State) ->
    Opened = prepared(emq_plugin_kafka_broker:prepare()),
    ok = log_problems(Opened),
    opened(Opened, State).

%% Not every broker has set the environment by now.
prepared(ok) -> open_with(loaded(), application:get_all_env(?APP));
prepared({error, _} = Error) -> Error.

open_with(ok, Environment) ->
    emq_plugin_kafka_settings:use(Environment, fun(Settings) -> emq_plugin_kafka_nif:open(Settings, node_name()) end);
open_with({error, Problem}, _Environment) ->
    {error, [Problem]}.

log_problems({error, Problems}) ->
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("nothing is forwarded: ~ts", [Problem]) end, Problems);
log_problems(_Open) -> ok.

%% An earlier process of this one's place crashed; its producer, and what is queued in it, lives on.
opened(already_open, State) ->
    opened(ok, State);
opened(ok, State) ->
    State#state{problems = [], since = erlang:system_time(millisecond),
                watch = emq_plugin_kafka_watch:opened(State#state.watch)};
opened({error, Problems}, State) ->
    State#state{problems = Problems, watch = emq_plugin_kafka_watch:failed(Problems, State#state.watch)}.

%% The hooks of new rules come before the rules, those of old ones go after them.
change(Environment, #state{problems = []} = State) ->
    ok = emq_plugin_kafka_hooks:register_all(),
    Reload = fun(Settings) -> emq_plugin_kafka_nif:reload(Settings, node_name()) end,
    Result = changed(emq_plugin_kafka_settings:use(Environment, Reload), Environment),
    ok = emq_plugin_kafka_hooks:unregister_unneeded(),
    {Result, told_anew(Result, State)};
%% The settings that it was started with were wrong.
change(Environment, State) ->
    started(changed(open_with(loaded(), Environment), Environment), State).

told_anew(ok, #state{watch = Watch} = State) -> State#state{watch = emq_plugin_kafka_watch:reloaded(Watch)};
told_anew({error, _}, State) -> State.

started(ok, State) ->
    ok = emq_plugin_kafka_hooks:register(),
    {ok, opened(ok, State)};
started({error, _} = Error, State) ->
    {Error, State}.

changed(ok, Environment) ->
    ok = emq_plugin_kafka_settings:replace(Environment),
    emq_plugin_kafka_log:log(info, "the settings were read again", []);
changed({error, _} = Error, _Environment) ->
    Error.

node_name() ->
    atom_to_binary(node(), utf8).

%% The library is loaded with the module where that is possible; here its failure gets its words.
loaded() ->
    loaded(emq_plugin_kafka_nif:load()).

loaded(ok) -> of_this_version();
loaded({error, {reload, _}}) -> of_this_version();
loaded({error, {_Reason, Text}}) -> {error, emq_plugin_kafka_library:explain(emq_plugin_kafka_nif:library() ++ ".so", Text)}.

of_this_version() ->
    #{version := Library} = emq_plugin_kafka_nif:build(),
    emq_plugin_kafka_library:of_version(Library, application:get_key(?APP, vsn)).

close() ->
    closed(emq_plugin_kafka_nif:close(application:get_env(?APP, shutdown_timeout, ?DEFAULT_SHUTDOWN_MS))).

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

%% librdkafka's fatal state ends a producer, not the plugin. One that is spoiled needs no pause: its successor knows better.
replace_failed({spoiled, _Settings} = Status, #state{stopping = false} = State) ->
    reopen(Status, State);
replace_failed({fatal, _Settings}, #state{reopening = false, stopping = false} = State) ->
    emq_plugin_kafka_log:error("librdkafka has given up this producer (see above); a new one is opened in ~b s", [?REOPEN_MS div 1000]),
    _ = erlang:send_after(?REOPEN_MS, self(), reopen),
    State#state{reopening = true};
replace_failed(_Status, State) ->
    State.

%% A reload may have replaced it meanwhile.
reopen({fatal, _Settings}, State) -> reopened(emq_plugin_kafka_nif:reopen(), State);
reopen({spoiled, _Settings}, State) -> isolated(emq_plugin_kafka_nif:reopen(), State);
reopen(_Status, State) -> State#state{reopening = false}.

isolated(ok, State) -> State;
isolated(Failed, State) -> reopened(Failed, State#state{reopening = true}).

reopened(ok, State) ->
    ok = emq_plugin_kafka_log:error("a new producer is open", []),
    State#state{reopening = false};
reopened({error, Problems}, State) ->
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("no new producer: ~ts", [Problem]) end, Problems),
    _ = erlang:send_after(?REOPEN_MS, self(), reopen),
    State.

answer(#state{problems = []} = State) -> open_status(emq_plugin_kafka_nif:status(), State);
answer(#state{problems = Problems}) -> #{state => degraded, problems => Problems, settings => []}.

%% Why nothing is forwarded.
degrading(#{state := degraded, problems := Problems}) -> Problems;
degrading(#{state := _}) -> [].

open_status({fatal, Settings}, _State) ->
    #{state => degraded, problems => [<<"librdkafka has given up this producer; a new one will be opened">>], settings => Settings};
open_status({spoiled, Settings}, State) ->
    open_status({open, Settings}, State);
open_status({open, Settings}, #state{stopping = true}) ->
    #{state => suspended, problems => [], settings => Settings};
open_status({open, Settings}, _State) ->
    #{state => running, problems => unwatched(emq_plugin_kafka_nif:listening()), settings => Settings};
open_status(closed, _State) ->
    #{state => stopped, problems => [], settings => []}.

%% Looked for when somebody asks, not each second: it reads a file.
with_doors(#{state := running, problems := Problems} = Answer) -> Answer#{problems := Problems ++ emq_plugin_kafka_doors:problems()};
with_doors(Answer) -> Answer.

%% Records are forwarded all the same.
unwatched({error, Problem}) -> [Problem];
unwatched(_OffOrAt) -> [].
