%% The stand-in broker from a test's side: build one in a directory, set its conf, start and stop
%% it, run its commands, and reach into its node. No case shares a node's name or a port.
-module(standin_broker).

-export([build/1, configure/2, start/1, start_failing/1, stop/1, kill/1, ctl/2, run/2, connect/1,
         rpc/4, port/2, free_port/0, node_name/1, log/2, plugin_conf/3]).

-export_type([home/0]).

-define(TIMEOUT, 60000).

-type home() :: file:filename().

%% @doc Builds a broker with free ports and a name of its own.
-spec build(file:filename()) -> home().
build(Directory) ->
    {ok, Root} = root(os:getenv("PROJECT_ROOT")),
    {0, _} = run(filename:join([Root, "dev", "emqttd", "build"]), [Directory]),
    Name = io_lib:format("standin_~s_~b@127.0.0.1", [os:getpid(), erlang:unique_integer([positive])]),
    configure(Directory, [{"node.name", Name},
                          {"listener.tcp.external", ["127.0.0.1:", integer_to_list(free_port())]},
                          {"listener.api.mgmt", ["127.0.0.1:", integer_to_list(free_port())]}]),
    Directory.

root(false) -> error(project_root_is_not_set);
root(Directory) -> {ok, Directory}.

%% @doc A port that nobody has. Not one of those that the kernel gives to clients, above 32768: one of those may be taken while
%% its owner is away, and a client that tries to reach it may even reach itself. Random, as other tests choose ports, too.
-spec free_port() -> inet:port_number().
free_port() ->
    Port = 10000 + rand:uniform(20000),
    case gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]) of
        {ok, Socket} -> ok = gen_tcp:close(Socket), Port;
        {error, eaddrinuse} -> free_port()
    end.

%% @doc Appends settings to emq.conf: of a key that is there twice, the last one counts.
-spec configure(home(), [{string(), iodata()}]) -> ok.
configure(Home, Settings) ->
    file:write_file(conf(Home), [["\n", Key, " = ", Value, "\n"] || {Key, Value} <- Settings], [append]).

conf(Home) -> filename:join([Home, "etc", "emq.conf"]).

%% @doc Writes etc/plugins/NAME.conf.
-spec plugin_conf(home(), atom(), iodata()) -> ok.
plugin_conf(Home, Name, Text) ->
    file:write_file(filename:join([Home, "etc", "plugins", atom_to_list(Name) ++ ".conf"]), Text).

-spec setting(home(), string()) -> string().
setting(Home, Key) ->
    {ok, Text} = file:read_file(conf(Home)),
    {match, Values} = re:run(Text, ["^", Key, " = (.*)$"], [global, multiline, {capture, all_but_first, list}]),
    lists:append(lists:last(Values)).

-spec port(home(), mqtt | rest) -> inet:port_number().
port(Home, mqtt) -> port_of(setting(Home, "listener\\.tcp\\.external"));
port(Home, rest) -> port_of(setting(Home, "listener\\.api\\.mgmt")).

port_of(Address) ->
    list_to_integer(lists:last(string:lexemes(Address, ":"))).

-spec node_name(home()) -> node().
node_name(Home) ->
    list_to_atom(setting(Home, "node\\.name")).

-spec start(home()) -> ok.
start(Home) ->
    {0, _} = emqttd(Home, "start"),
    ok.

%% @doc Starts a broker that must not come up; what it said on the terminal.
-spec start_failing(home()) -> string().
start_failing(Home) ->
    {Status, Output} = emqttd(Home, "start"),
    false = Status =:= 0,
    Output.

-spec stop(home()) -> ok.
stop(Home) ->
    {0, _} = emqttd(Home, "stop"),
    ok.

%% @doc kill -9.
-spec kill(home()) -> ok.
kill(Home) ->
    {0, Pid} = emqttd(Home, "pid"),
    {0, _} = run("/bin/kill", ["-KILL", string:trim(Pid)]),
    {0, _} = run(os:find_executable("tail"), ["--pid=" ++ string:trim(Pid), "-s", "0.1", "-f", "/dev/null"]),
    ok.

emqttd(Home, Command) ->
    run(filename:join([Home, "bin", "emqttd"]), [Command]).

%% @doc bin/emqttd_ctl ARGS.
-spec ctl(home(), [string()]) -> {ExitStatus :: non_neg_integer(), Output :: string()}.
ctl(Home, Args) ->
    run(filename:join([Home, "bin", "emqttd_ctl"]), Args).

%% @doc Runs a program; its output is what it wrote to stdout and stderr.
-spec run(file:filename(), [string()]) -> {ExitStatus :: non_neg_integer(), Output :: string()}.
run(Program, Args) ->
    Port = open_port({spawn_executable, Program}, [exit_status, stderr_to_stdout, {args, Args}]),
    output(Port, []).

output(Port, Acc) ->
    receive
        {Port, {data, Data}} -> output(Port, [Acc, Data]);
        {Port, {exit_status, Status}} -> {Status, lists:flatten(Acc)}
    after ?TIMEOUT ->
            error({timeout, lists:flatten(Acc)})
    end.

%% @doc Makes this VM a node that the running broker's node knows.
-spec connect(home()) -> ok.
connect(Home) ->
    ok = application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 1}),
    ok = distributed(is_alive()),
    Cookie = list_to_atom(setting(Home, "node\\.cookie")),
    true = erlang:set_cookie(node_name(Home), Cookie),
    true = net_kernel:hidden_connect_node(node_name(Home)),
    ok.

distributed(true) -> ok;
distributed(false) ->
    Name = list_to_atom("standin_test_" ++ os:getpid() ++ "@127.0.0.1"),
    {ok, _} = net_kernel:start([Name, longnames]),
    ok.

%% @doc Calls a function in the broker's node.
-spec rpc(home(), module(), atom(), [term()]) -> term().
rpc(Home, Module, Function, Args) ->
    erpc:call(node_name(Home), Module, Function, Args, ?TIMEOUT).

%% @doc A log file's text.
-spec log(home(), string()) -> binary().
log(Home, Name) ->
    {ok, Text} = file:read_file(filename:join([Home, "log", Name])),
    Text.
