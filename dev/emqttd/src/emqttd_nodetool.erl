%% What bin/emqttd and bin/emqttd_ctl do to a node from outside, in a VM of their own:
%%   HOME NODE ping | stop | getpid | rpc MODULE FUNCTION ARG...   asks NODE, which must run
%%   start LOG COMMAND ARG...                                      starts COMMAND, waits for its boot
-module(emqttd_nodetool).

-export([main/0, booted/0]).

-define(BOOT_TIMEOUT, 60000).
-define(BOOT_PORT, "EMQTTD_BOOT_PORT").

-spec main() -> no_return().
main() ->
    case init:get_plain_arguments() of
        ["start", Log | Command] -> start(Log, Command);
        [Home, Node | Request] -> ask(Home, list_to_atom(Node), Request)
    end.

-spec ask(file:filename(), node(), [string()]) -> no_return().
ask(Home, Node, Request) ->
    case net_kernel:hidden_connect_node(Node) andalso rpc:call(Node, code, root_dir, []) of
        Home ->
            answered(Node, request(Node, Request));
        Other when is_list(Other) ->
            %% Several brokers may have the default name; only one at a time has it.
            io:format(standard_error, "Node ~s is another broker, of ~ts.~n", [Node, Other]),
            halt(1);
        _NotRunning ->
            io:format(standard_error, "Node ~s not responding to pings.~n", [Node]),
            halt(1)
    end.

request(_Node, ["ping"]) ->
    io:format("pong~n");
request(Node, ["getpid"]) ->
    io:format("~s~n", [rpc:call(Node, os, getpid, [])]);
request(Node, ["stop"]) ->
    true = monitor_node(Node, true),
    _ = rpc:call(Node, emqttd_plugins, unload, [], 60000),
    io:format("~p~n", [rpc:call(Node, init, stop, [])]),
    receive {nodedown, Node} -> ok end;
request(Node, ["rpc", Module, Function | Args]) ->
    rpc:call(Node, list_to_atom(Module), list_to_atom(Function), [Args], 60000).

-spec answered(node(), term()) -> no_return().
answered(_Node, ok) ->
    halt(0);
answered(_Node, {error, cmd_not_found}) ->
    halt(1);
answered(Node, {error, Reason}) ->
    io:format("RPC to ~s error: ~p~n", [Node, Reason]),
    halt(1);
answered(Node, {badrpc, Reason}) ->
    io:format("RPC to ~s failed: ~p~n", [Node, Reason]),
    halt(1).

%% The node tells that it booted by connecting to a port of ours; that it failed, by ending.
-spec start(file:filename(), [string()]) -> no_return().
start(Log, Command) ->
    {ok, Listening} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Listening),
    Self = self(),
    _ = spawn_link(fun() -> {ok, _} = gen_tcp:accept(Listening), Self ! booted end),
    Node = open_port({spawn_executable, "/bin/sh"},
                     [exit_status,
                      {env, [{?BOOT_PORT, integer_to_list(Port)}]},
                      {args, ["-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1 </dev/null", "sh", Log | Command]}]),
    receive
        booted -> halt(0);
        {Node, {exit_status, Status}} ->
            io:format(standard_error, "The broker ended with status ~b; see ~ts~n", [Status, Log]),
            halt(1)
    after ?BOOT_TIMEOUT ->
            io:format(standard_error, "The broker did not boot within ~b s; see ~ts~n",
                      [?BOOT_TIMEOUT div 1000, Log]),
            halt(1)
    end.

%% @doc Called by a node that has booted; answers start/2, if that is how it was started.
-spec booted() -> ok.
booted() ->
    case os:getenv(?BOOT_PORT) of
        false -> ok;
        Port ->
            {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, list_to_integer(Port), []),
            true = os:unsetenv(?BOOT_PORT),
            gen_tcp:close(Socket)
    end.
