%% The other Kafka of the suite, by dev/kafka/cluster: several nodes, TLS, SASL, ACLs, quotas. One at a time; a scenario that
%% asks for the same kind as the one before gets that one, with new topics. Where and what it is comes from FAULTS_DIR.
-module(faults_cluster).

-export([up/1, behind/3, node_count/0, start/1, stop/1, pause/0, resume/0, address/1, ports/1, certificate/1, password/1, certificate_file/1,
         topic/2, topic/3, tool/1, read/1, delete/1,
         leaders/1, in_sync/1, log/1, pid/1, server/2]).

-export_type([kind/0]).

%% What dev/kafka/cluster takes from its environment.
-type kind() :: [{NameOfVariable :: string(), Value :: string()}].

%% @doc All nodes of a cluster of that kind answer, and show a good certificate. Where the suite runs against a cluster it has
%% three nodes, whatever the kind says.
-spec up(kind()) -> ok.
up(Kind) -> as_wanted(faults_rig:fitting(Kind)).

as_wanted(Kind) ->
    File = directory() ++ ".kind",
    Text = iolist_to_binary(io_lib:format("~p", [lists:sort(Kind)])),
    ok = made(file:read_file(File), {ok, Text}, File, Kind),
    start([]).

made(Same, Same, _File, _Kind) ->
    certificate("good");
made(_, {ok, Text}, File, Kind) ->
    {0, _} = faults_kafka:shell([[[Name, "=", Value, " "] || {Name, Value} <- Kind], command(["make"])]),
    file:write_file(File, Text).

%% @doc The same, with a proxy of the caller's before each node, on ports that are its own; the nodes are called Host. The proxy,
%% and the address for the plugin.
-spec behind(kind(), Host :: string(), First :: inet:port_number()) -> {faults_proxy:proxy(), string()}.
behind(Kind, Host, First) ->
    Ports = lists:seq(First, First + list_to_integer(proplists:get_value("NODES", faults_rig:fitting(Kind))) - 1),
    Address = lists:flatten(lists:join(",", [Host ++ ":" ++ integer_to_list(Port) || Port <- Ports])),
    Proxy = faults_proxy:start(Ports),
    ok = up([{"HOST_NAME", Address} | Kind]),
    ok = faults_proxy:upstream(Proxy, ports("NAMED")),
    {Proxy, Address}.

%% @doc How many there are.
-spec node_count() -> pos_integer().
node_count() -> length(ports("PLAINTEXT")).

%% @doc SIGSTOP for all nodes; SIGCONT.
-spec pause() -> ok.
pause() -> signal("STOP").
-spec resume() -> ok.
resume() -> signal("CONT").

signal(Signal) ->
    Pids = [[" ", pid(integer_to_list(Node))] || Node <- lists:seq(1, node_count())],
    {0, _} = faults_kafka:shell(["kill -", Signal, Pids]),
    ok.

%% @doc These nodes, or all; returns when they answer.
-spec start([string()]) -> ok.
start(Nodes) -> done(["start" | Nodes]).

%% @doc A clean stop.
-spec stop([string()]) -> ok.
stop(Nodes) -> done(["stop" | Nodes]).

%% @doc What the TLS listeners show from their node's next start on.
-spec certificate(string()) -> ok.
certificate(Kind) -> done(["certificate", Kind]).

%% @doc A file with certificates: "ca", "other-ca".
-spec certificate_file(string()) -> file:filename().
certificate_file(Name) -> filename:join([directory(), "certs", Name ++ ".pem"]).

-spec password(string()) -> string().
password(User) -> told(["password", User]).

%% @doc host:port,... of a listener.
-spec address(string()) -> string().
address(Listener) -> told(["bootstrap", Listener]).

%% @doc The ports of a listener, node by node.
-spec ports(string()) -> [inet:port_number()].
ports(Listener) ->
    [list_to_integer(lists:last(string:lexemes(Address, ":"))) || Address <- string:lexemes(address(Listener), ",")].

-spec pid(string()) -> string().
pid(Node) -> told(["pid", Node]).

%% @doc The settings of the plugin that lead it to a listener.
-spec server(string(), [{string(), iodata()}]) -> [{string(), iodata()}].
server(Listener, Settings) ->
    [{"server", address(Listener)}, {"security.protocol", string:lowercase(Listener)} | Settings].

-spec topic(string(), pos_integer()) -> ok.
topic(Topic, Partitions) -> topic(Topic, Partitions, []).

%% @doc The same, with settings of the topic.
-spec topic(string(), pos_integer(), [string()]) -> ok.
topic(Topic, Partitions, Settings) ->
    _ = tool(["topics --create --topic ", Topic, " --partitions ", integer_to_list(Partitions),
              [[" --config ", Setting] || Setting <- Settings]]),
    ok.

%% @doc Returns when the topic is really gone: Kafka answers before.
-spec delete(string()) -> ok.
delete(Topic) ->
    _ = tool(["topics --delete --topic ", Topic]),
    _ = faults_wait:until("the topic is gone", fun() -> not lists:member(Topic, topics()) end, 30000),
    ok.

topics() -> string:lexemes(tool("topics --list"), "\n").

%% @doc The leader of each partition.
-spec leaders(string()) -> [{Partition :: string(), Node :: string()}].
leaders(Topic) ->
    {match, Found} = re:run(tool(["topics --describe --topic ", Topic]), "Partition: (\\d+)\\s+Leader: (\\S+)",
                            [global, {capture, all_but_first, list}]),
    [{Partition, Leader} || [Partition, Leader] <- Found].

%% @doc Whether every replica of the topic is in sync.
-spec in_sync(string()) -> boolean().
in_sync(Topic) ->
    "" =:= string:trim(tool(["topics --describe --under-replicated-partitions --topic ", Topic])).

%% @doc topics|configs|acls|elect ARGS, as dev/kafka/cluster has them; what it said.
-spec tool(iodata()) -> string().
tool(Line) ->
    {0, Said} = faults_kafka:shell(command([Line])),
    Said.

%% @doc The log of a node.
-spec log(string()) -> binary().
log(Node) ->
    {ok, Text} = file:read_file(filename:join([directory(), Node, "kafka.log"])),
    Text.

%% @doc All that is in a topic.
-spec read(string()) -> [faults_kafka:record()].
read(Topic) -> faults_kafka:read(Topic, address("PLAINTEXT")).

done(Args) ->
    {0, _} = faults_kafka:shell(command(Args)),
    ok.

told(Args) ->
    {0, Said} = faults_kafka:shell(command(Args)),
    string:trim(Said).

command(Args) ->
    Script = filename:join([os:getenv("PROJECT_ROOT"), "dev", "kafka", "cluster"]),
    ["KAFKA_CLUSTER_DIR='", directory(), "' ", lists:join(" ", [Script | Args])].

directory() -> filename:join(os:getenv("FAULTS_DIR"), "kafka-cluster").
