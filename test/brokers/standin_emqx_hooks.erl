%% What the hooks of EMQX 4 and 5 have in common, for the tests: a table of callbacks in descending order of priority, changed by
%% one process; what a callback raises is caught and logged, what a filter raises is not; del only sends a message.
%%
%% The broker's module emqx_hooks is one of two that call this one: emqx4/emqx_hooks.erl and emqx5/emqx_hooks.erl.
-module(standin_emqx_hooks).
-behaviour(gen_server).

-export([start/1, stop/0, add/4, del/2, lookup/1, run/2, run_fold/3, failures/0, slow/1]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(TABLE, emqx_hooks).

%% Loads the modules of a generation by which the plugin knows it, and starts the process.
start(Generation) ->
    Name = "emqx" ++ integer_to_list(Generation),
    Root = os:getenv("PROJECT_ROOT", "."),
    Out = filename:join([Root, "_build", "test", Name]),
    ok = filelib:ensure_dir(filename:join(Out, "any")),
    [load(Out, File) || File <- filelib:wildcard(filename:join([Root, "test", "brokers", Name, "*.erl"]))],
    ok = forget(),
    {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, Generation, []),
    ok.

%% The plugin looks into the file of one of them.
load(Out, File) ->
    {ok, Module} = compile:file(File, [debug_info, return_errors, {outdir, Out}]),
    {module, Module} = code:load_abs(filename:join(Out, atom_to_list(Module))).

stop() ->
    ok = gen_server:stop(?MODULE),
    [begin _ = code:purge(Module), true = code:delete(Module), _ = code:purge(Module) end
     || Module <- [emqx_hooks, emqx_hookpoints, emqx_broker, emqx, hocon, emqx_plugins, emqx_ctl, emqx_alarm],
        erlang:module_loaded(Module)],
    forget().

%% Which broker it is is found once in the life of a node.
forget() ->
    _ = persistent_term:erase({emq_plugin_kafka_broker, adapter}),
    _ = persistent_term:erase({emq_plugin_kafka_emqx5, disconnects}),
    ok.

add(Hook, Action, Filter, Priority) -> gen_server:call(?MODULE, {add, Hook, {callback, Action, Filter, Priority}}, infinity).

del(Hook, Action) -> gen_server:cast(?MODULE, {del, Hook, Action}).

%% Each request takes the process so long from now on.
slow(Milliseconds) -> gen_server:call(?MODULE, {slow, Milliseconds}).

%% What callbacks have raised.
failures() -> gen_server:call(?MODULE, failures).

lookup(Hook) -> lists:append([Callbacks || {_, Callbacks} <- ets:lookup(?TABLE, Hook)]).

run(Hook, Args) -> run_callbacks(lookup(Hook), Args).

run_callbacks([], _Args) -> ok;
run_callbacks([{callback, Action, Filter, _} | Callbacks], Args) ->
    case passed(Filter, Args) andalso safely(Action, Args) of
        stop -> ok;
        _ -> run_callbacks(Callbacks, Args)
    end.

run_fold(Hook, Args, Acc) -> fold_callbacks(lookup(Hook), Args, Acc).

fold_callbacks([], _Args, Acc) -> Acc;
fold_callbacks([{callback, Action, Filter, _} | Callbacks], Args, Acc) ->
    All = Args ++ [Acc],
    case passed(Filter, All) andalso safely(Action, All) of
        stop -> Acc;
        {stop, New} -> New;
        {ok, New} -> fold_callbacks(Callbacks, Args, New);
        _ -> fold_callbacks(Callbacks, Args, Acc)
    end.

passed(undefined, _Args) -> true;
passed(Filter, Args) -> true = is_boolean(Result = execute(Filter, Args)), Result.

safely(Action, Args) ->
    try
        execute(Action, Args)
    catch
        Class:Reason:Stack ->
            ok = gen_server:call(?MODULE, {failed, {Action, Class, Reason, Stack}}, infinity)
    end.

execute({Module, Function, Extra}, Args) -> apply(Module, Function, Args ++ Extra).

init(Generation) ->
    ?TABLE = ets:new(?TABLE, [named_table, protected, {read_concurrency, true}]),
    {ok, #{generation => Generation, failures => [], slow => 0}}.

handle_call({add, Hook, Callback}, _From, #{generation := Generation, slow := Slow} = State) ->
    timer:sleep(Slow),
    Callbacks = lookup(Hook),
    {reply, added(lists:any(fun(Other) -> same(Generation, Callback, Other) end, Callbacks), Hook, Callback, Callbacks), State};
handle_call({slow, Milliseconds}, _From, State) ->
    {reply, ok, State#{slow := Milliseconds}};
handle_call({failed, Failure}, _From, #{failures := Failures} = State) ->
    {reply, ok, State#{failures := Failures ++ [Failure]}};
handle_call(failures, _From, #{failures := Failures} = State) ->
    {reply, Failures, State}.

handle_cast({del, Hook, Action}, #{slow := Slow} = State) ->
    timer:sleep(Slow),
    Left = [Callback || {callback, Other, _, _} = Callback <- lookup(Hook), Other =/= Action],
    true = case Left of [] -> ets:delete(?TABLE, Hook); _ -> ets:insert(?TABLE, {Hook, Left}) end,
    {noreply, State}.

added(true, _Hook, _Callback, _Callbacks) ->
    {error, already_exists};
added(false, Hook, {callback, _, _, Priority} = Callback, Callbacks) ->
    {Before, After} = lists:splitwith(fun({callback, _, _, Other}) -> Other >= Priority end, Callbacks),
    true = ets:insert(?TABLE, {Hook, Before ++ [Callback | After]}),
    ok.

%% EMQX 5 does not look at a callback's own arguments.
same(4, {callback, Action, _, _}, {callback, Other, _, _}) -> Action =:= Other;
same(5, {callback, {Module, Function, _}, _, _}, {callback, {OtherModule, OtherFunction, _}, _, _}) ->
    {Module, Function} =:= {OtherModule, OtherFunction}.
