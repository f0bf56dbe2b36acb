%% The hook table. Callbacks of one hook run in the caller's process, in ascending order of
%% priority (equal ones in order of registration), and, as in EMQ 2.3, with no try around them.
-module(emqttd_hooks).

-behaviour(gen_server).

-export([start_link/0, add/3, add/4, delete/2, run/2, run/3, lookup/1]).
-export([init/1, handle_call/3, handle_cast/2]).

-export_type([callback/0]).

-type tag() :: atom() | string() | binary().
-type callback() :: function() | {tag(), function()}.

-record(callback, {tag :: tag(), function :: function(), init_args :: [term()],
                   priority :: integer()}).

-spec start_link() -> {ok, pid()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec add(atom(), callback(), [term()]) -> ok | {error, already_hooked}.
add(Hook, Callback, InitArgs) ->
    add(Hook, Callback, InitArgs, 0).

-spec add(atom(), callback(), [term()], integer()) -> ok | {error, already_hooked}.
add(Hook, Function, InitArgs, Priority) when is_function(Function) ->
    add(Hook, {undefined, Function}, InitArgs, Priority);
add(Hook, {Tag, Function}, InitArgs, Priority) when is_function(Function) ->
    Callback = #callback{tag = Tag, function = Function, init_args = InitArgs, priority = Priority},
    gen_server:call(?MODULE, {add, Hook, Callback}).

-spec delete(atom(), callback()) -> ok | {error, not_found}.
delete(Hook, Function) when is_function(Function) ->
    delete(Hook, {undefined, Function});
delete(Hook, {Tag, Function}) when is_function(Function) ->
    gen_server:call(?MODULE, {delete, Hook, Tag, Function}).

%% @doc Runs callbacks for their effect. `stop' ends the run, any other result does not.
-spec run(atom(), [term()]) -> ok | stop.
run(Hook, Args) ->
    run_each(lookup(Hook), Args).

run_each([#callback{function = Function, init_args = InitArgs} | Rest], Args) ->
    case apply(Function, Args ++ InitArgs) of
        stop -> stop;
        _ -> run_each(Rest, Args)
    end;
run_each([], _Args) ->
    ok.

%% @doc Folds callbacks over an accumulator, handed to them after the arguments.
-spec run(atom(), [term()], term()) -> {ok | stop, term()}.
run(Hook, Args, Acc) ->
    fold(lookup(Hook), Args, Acc).

fold([#callback{function = Function, init_args = InitArgs} | Rest], Args, Acc) ->
    case apply(Function, Args ++ [Acc | InitArgs]) of
        {ok, NewAcc} -> fold(Rest, Args, NewAcc);
        stop -> {stop, Acc};
        {stop, NewAcc} -> {stop, NewAcc};
        _ -> fold(Rest, Args, Acc)
    end;
fold([], _Args, Acc) ->
    {ok, Acc}.

-spec lookup(atom()) -> [#callback{}].
lookup(Hook) ->
    case ets:lookup(mqtt_hook, Hook) of
        [{Hook, Callbacks}] -> Callbacks;
        [] -> []
    end.

-spec init([]) -> {ok, no_state}.
init([]) ->
    mqtt_hook = ets:new(mqtt_hook, [named_table, protected, {read_concurrency, true}]),
    {ok, no_state}.

-spec handle_call(term(), gen_server:from(), no_state) -> {reply, term(), no_state}.
handle_call({add, Hook, #callback{tag = Tag, function = Function} = Callback}, _From, State) ->
    Callbacks = lookup(Hook),
    case matching(Tag, Function, Callbacks) of
        [] -> {reply, store(Hook, insert(Callback, Callbacks)), State};
        [_ | _] -> {reply, {error, already_hooked}, State}
    end;
handle_call({delete, Hook, Tag, Function}, _From, State) ->
    Callbacks = lookup(Hook),
    case matching(Tag, Function, Callbacks) of
        [] -> {reply, {error, not_found}, State};
        Found -> {reply, store(Hook, Callbacks -- Found), State}
    end.

-spec handle_cast(term(), no_state) -> {stop, term(), no_state}.
handle_cast(Unexpected, State) ->
    {stop, {unexpected, Unexpected}, State}.

matching(Tag, Function, Callbacks) ->
    [C || #callback{tag = T, function = F} = C <- Callbacks, T =:= Tag, F =:= Function].

insert(#callback{priority = Priority} = Callback, Callbacks) ->
    {Before, After} = lists:splitwith(fun(C) -> C#callback.priority =< Priority end, Callbacks),
    Before ++ [Callback | After].

store(Hook, Callbacks) ->
    true = ets:insert(mqtt_hook, {Hook, Callbacks}),
    ok.
