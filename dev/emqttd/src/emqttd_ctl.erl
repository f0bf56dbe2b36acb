%% The commands of bin/emqttd_ctl: a plugin registers a function, run/1 calls it in a process
%% whose output goes to whoever typed the command.
-module(emqttd_ctl).

-behaviour(gen_server).

-export([start_link/0, register_cmd/2, register_cmd/3, unregister_cmd/1, run/1]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(TABLE, mqttd_ctl_cmd). %% {{Sequence, Command}, {Module, Function}, Options}

-spec start_link() -> {ok, pid()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec register_cmd(atom(), {module(), atom()}) -> ok.
register_cmd(Command, Function) ->
    register_cmd(Command, Function, []).

-spec register_cmd(atom(), {module(), atom()}, list()) -> ok.
register_cmd(Command, {_, _} = Function, Options) ->
    gen_server:cast(?MODULE, {register, Command, Function, Options}).

-spec unregister_cmd(atom()) -> ok.
unregister_cmd(Command) ->
    gen_server:cast(?MODULE, {unregister, Command}).

%% @doc Runs a command. Whatever it returns is success; only an exception is an error.
-spec run([string()]) -> ok | {error, term()}.
run([]) -> usage();
run(["help"]) -> usage();
run([Command | Args]) ->
    case ets:match(?TABLE, {{'_', list_to_atom(Command)}, '$1', '_'}) of
        [[{Module, Function}]] -> call(Module, Function, Args);
        [] -> ok = usage(), {error, cmd_not_found}
    end.

call(Module, Function, Args) ->
    try Module:Function(Args) of
        _ -> ok
    catch
        _:Reason:Stacktrace ->
            io:format("Reason:~p, get_stacktrace:~p~n", [Reason, Stacktrace]),
            {error, Reason}
    end.

usage() ->
    io:format("Usage: ~s~n", [?MODULE]),
    lists:foreach(fun({_, {Module, Function}, _}) ->
                          io:format("~80..-s~n", [""]),
                          Module:Function(usage)
                  end, ets:tab2list(?TABLE)).

-spec init([]) -> {ok, Sequence :: non_neg_integer()}.
init([]) ->
    ?TABLE = ets:new(?TABLE, [ordered_set, named_table, protected]),
    {ok, 0}.

-spec handle_call(term(), gen_server:from(), non_neg_integer()) -> {stop, term(), non_neg_integer()}.
handle_call(Unexpected, _From, Sequence) ->
    {stop, {unexpected, Unexpected}, Sequence}.

-spec handle_cast(tuple(), non_neg_integer()) -> {noreply, non_neg_integer()}.
handle_cast({register, Command, Function, Options}, Sequence) ->
    %% A command registered again keeps its place in the help.
    Place = case ets:match(?TABLE, {{'$1', Command}, '_', '_'}) of
                [] -> Sequence;
                [[Earlier]] -> Earlier
            end,
    true = ets:insert(?TABLE, {{Place, Command}, Function, Options}),
    {noreply, Sequence + 1};
handle_cast({unregister, Command}, Sequence) ->
    true = ets:match_delete(?TABLE, {{'_', Command}, '_', '_'}),
    {noreply, Sequence}.
