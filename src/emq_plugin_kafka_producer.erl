%% Owns the life of the node's one Kafka producer: opens it from the application environment, replaces it when
%% librdkafka gives it up, drains and closes it. Registers the hooks while it works, and logs what happens: nothing
%% is logged from inside a hook, because the broker's own log and alarm messages pass through the hooks.
-module(emq_plugin_kafka_producer).
-behaviour(gen_server).

-export([start_link/0, register_hooks/0, unregister_hooks/0, status/0, settings/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export_type([status/0]).

-define(APP, emq_plugin_kafka).
%% How often notices and new losses are looked for, and how long losses stay unlogged after the last such line.
-define(TICK_MS, 1000).
-define(LOSSES_EVERY_MS, 10000).
%% How many notices of one tick are logged.
-define(MAX_NOTICES, 10).
%% The pause before a producer that failed for good is replaced.
-define(REOPEN_MS, 5000).
-define(DEFAULT_SHUTDOWN_MS, 10000).

-type status() :: #{state := running | degraded | stopped,
                    problems := [binary()],
                    settings := [{Key :: binary(), Value :: binary()}]}.

-record(state, {%% Why there is no producer; none when there is one.
                problems = [] :: [binary()],
                hooked = false :: boolean(),
                %% Losses as of the last log line about them, and its time in ms.
                logged_losses = #{} :: #{binary() => non_neg_integer()},
                logged_at :: integer() | undefined,
                reopening = false :: boolean()}).

-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Registers the hooks where there is a producer; a degraded plugin has none.
-spec register_hooks() -> ok.
register_hooks() ->
    gen_server:call(?MODULE, register_hooks, infinity).

-spec unregister_hooks() -> ok.
unregister_hooks() ->
    try
        gen_server:call(?MODULE, unregister_hooks, infinity)
    catch
        %% The process is just being restarted; hooks do not depend on it.
        exit:{_, {gen_server, call, _}} -> unhook()
    end.

-spec status() -> status().
status() ->
    try
        gen_server:call(?MODULE, status)
    catch
        exit:{_, {gen_server, call, _}} -> #{state => stopped, problems => [], settings => []}
    end.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that terminate/2 runs and the queue is drained.
    process_flag(trap_exit, true),
    %% An earlier process of ours that crashed has left its producer open, perhaps with other settings.
    _ = close_left_behind(loaded()),
    _ = erlang:send_after(?TICK_MS, self(), tick),
    %% Losses of earlier lives are no news.
    {ok, open(#state{logged_losses = losses(loaded())})}.

-spec handle_call(term(), {pid(), term()}, #state{}) -> {reply, term(), #state{}}.
handle_call(register_hooks, _From, #state{problems = []} = State) ->
    {reply, ok, State#state{hooked = hook()}};
handle_call(register_hooks, _From, State) ->
    {reply, ok, State};
handle_call(unregister_hooks, _From, #state{hooked = true} = State) ->
    {reply, unhook(), State#state{hooked = false}};
handle_call(unregister_hooks, _From, State) ->
    {reply, ok, State};
handle_call(status, _From, #state{problems = []} = State) ->
    {reply, running(emq_plugin_kafka_nif:status()), State};
handle_call(status, _From, #state{problems = Problems} = State) ->
    {reply, #{state => degraded, problems => Problems, settings => []}, State};
handle_call(Request, _From, State) ->
    {reply, {error, {unknown_request, Request}}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(tick, #state{problems = []} = State) ->
    _ = erlang:send_after(?TICK_MS, self(), tick),
    log_notices(emq_plugin_kafka_nif:take_notices()),
    {noreply, log_losses(replace_failed(emq_plugin_kafka_nif:status(), State))};
handle_info(tick, State) ->
    _ = erlang:send_after(?TICK_MS, self(), tick),
    {noreply, State};
handle_info(reopen, State) ->
    _ = emq_plugin_kafka_nif:close(0),
    {noreply, reopened(open(State))};
handle_info(_Message, State) ->
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{problems = []}) ->
    closed(emq_plugin_kafka_nif:close(application:get_env(?APP, shutdown_timeout, ?DEFAULT_SHUTDOWN_MS)));
terminate(_Reason, _State) ->
    ok.

%% Opening and closing.

open(State) ->
    opened(open_with(loaded()), State).

open_with(ok) ->
    emq_plugin_kafka_nif:open(settings(application:get_all_env(?APP)), atom_to_binary(node(), utf8));
open_with({error, Problem}) ->
    {error, [Problem]}.

opened(ok, State) ->
    State#state{problems = []};
opened({error, Problems}, State) ->
    lists:foreach(fun(Problem) -> log("nothing is forwarded: ~ts", [Problem]) end, Problems),
    State#state{problems = Problems}.

%% The library is loaded with the module where that is possible; here its failure gets its words.
loaded() ->
    loaded(emq_plugin_kafka_nif:load()).

loaded(ok) -> ok;
loaded({error, {reload, _}}) -> ok;
loaded({error, {_Reason, Text}}) -> {error, iolist_to_binary(["the native library cannot be loaded: ", Text])}.

close_left_behind(ok) -> emq_plugin_kafka_nif:close(0);
close_left_behind(Error) -> Error.

closed({ok, 0}) ->
    ok;
closed({ok, GivenUp}) ->
    log("stopped with ~b records undelivered, which are lost (counted as dropped.purged)", [GivenUp]);
closed({error, closed}) ->
    ok.

%% librdkafka's fatal state ends a producer, not the plugin.
replace_failed({fatal, _Settings}, #state{reopening = false} = State) ->
    log("librdkafka has given up this producer (see above); a new one is opened in ~b s", [?REOPEN_MS div 1000]),
    _ = erlang:send_after(?REOPEN_MS, self(), reopen),
    State#state{reopening = true};
replace_failed(_Status, State) ->
    State.

reopened(#state{problems = []} = State) ->
    State#state{reopening = false};
reopened(State) ->
    _ = erlang:send_after(?REOPEN_MS, self(), reopen),
    State.

running({fatal, Settings}) ->
    #{state => degraded, problems => [<<"librdkafka has given up this producer">>], settings => Settings};
running({open, Settings}) ->
    #{state => running, problems => [], settings => Settings};
running(closed) ->
    #{state => stopped, problems => [], settings => []}.

%% The application environment as text, for the one place that checks it.
-spec settings([{atom(), term()}]) -> [emq_plugin_kafka_nif:setting()].
settings(Env) ->
    lists:append([setting(Name, Value) || {Name, Value} <- Env]).

%% OTP's own key, in every application's environment.
setting(included_applications, _) ->
    [];
setting(rdkafka, [{_, _} | _] = Properties) ->
    [{<<"rdkafka.", (text(Name))/binary>>, text(Value)} || {Name, Value} <- Properties];
setting(rdkafka, []) ->
    [];
setting(Name, Value) ->
    [{atom_to_binary(Name, utf8), text(Value)}].

text(Value) when is_binary(Value) -> Value;
text(Value) when is_atom(Value) -> atom_to_binary(Value, utf8);
text(Value) when is_integer(Value) -> integer_to_binary(Value);
text(Value) -> printed(io_lib:printable_unicode_list(Value), Value).

printed(true, Text) -> unicode:characters_to_binary(Text);
printed(false, Term) -> unicode:characters_to_binary(io_lib:format("~0tp", [Term])).

%% Hooks.

hook() ->
    hooked(emq_plugin_kafka:load([])).

hooked(ok) ->
    true;
hooked({error, Failed}) ->
    log("these hooks could not be registered: ~0tp", [Failed]),
    true.

unhook() ->
    unhooked(emq_plugin_kafka:unload()).

unhooked(ok) -> ok;
unhooked({error, Failed}) -> log("these hooks could not be unregistered: ~0tp", [Failed]).

%% Logging. error_logger's error_msg is the one call that reaches the log of every EMQ; its warnings are off by default.

log(Format, Args) ->
    error_logger:error_msg("emq_plugin_kafka: " ++ Format ++ "~n", Args).

log_notices({[], 0}) ->
    ok;
log_notices({Notices, Suppressed}) ->
    {Logged, Left} = lists:split(min(length(Notices), ?MAX_NOTICES), Notices),
    lists:foreach(fun(Notice) -> log("~ts", [Notice]) end, Logged),
    log_more(length(Left) + Suppressed).

log_more(0) -> ok;
log_more(More) -> log("and ~b more like that", [More]).

log_losses(#state{logged_at = At, logged_losses = Before} = State) ->
    Now = erlang:monotonic_time(millisecond),
    Losses = losses(ok),
    case new_losses(Losses, Before) of
        [] ->
            State;
        _ when At =/= undefined, Now - At < ?LOSSES_EVERY_MS ->
            State;
        New ->
            log("records lost since the last such line: ~ts",
                [lists:join(", ", [[Reason, " ", integer_to_list(Count)] || {Reason, Count} <- New])]),
            State#state{logged_losses = Losses, logged_at = Now}
    end.

losses(ok) ->
    #{dropped_by := Dropped, failed_by := Failed} = emq_plugin_kafka_nif:stats(),
    maps:fold(fun(Reason, Count, Losses) -> Losses#{<<"dropped.", (atom_to_binary(Reason, utf8))/binary>> => Count} end,
              maps:fold(fun(Error, Count, Losses) -> Losses#{<<"failed.", Error/binary>> => Count} end, #{}, Failed),
              Dropped);
losses({error, _}) ->
    #{}.

new_losses(Losses, Before) ->
    [{Reason, Count - maps:get(Reason, Before, 0)}
     || {Reason, Count} <- maps:to_list(Losses), Count > maps:get(Reason, Before, 0)].
