%% A Kafka with a listener of each kind of security, by dev/kafka/cluster, for the live tests.
-module(kafka_cluster).

-export([start/1, start/2, stop/1, run/2, address/2, certificate/2, password/2, set_password/3]).

-type cluster() :: file:filename().

%% A cluster of one node in this directory, which creates topics by itself.
-spec start(file:filename()) -> cluster().
start(Directory) -> start(Directory, ["AUTO_CREATE=true"]).

%% With other settings, as in the environment.
-spec start(file:filename(), [string()]) -> cluster().
start(Directory, Settings) ->
    {0, _} = run(Directory, Settings, ["make"]),
    {0, _} = run(Directory, ["start"]),
    Directory.

-spec stop(cluster()) -> ok.
stop(Cluster) ->
    {0, _} = run(Cluster, ["clean"]),
    ok.

%% host:port of a listener.
-spec address(cluster(), string()) -> string().
address(Cluster, Listener) ->
    {0, Address} = run(Cluster, ["bootstrap", Listener]),
    string:trim(Address).

%% A file of certs/.
-spec certificate(cluster(), string()) -> file:filename().
certificate(Cluster, Name) ->
    filename:join([Cluster, "certs", Name]).

-spec password(cluster(), string()) -> string().
password(Cluster, User) ->
    {0, Password} = run(Cluster, ["password", User]),
    string:trim(Password).

%% Changes a user's password for SCRAM-SHA-512.
-spec set_password(cluster(), string(), string()) -> ok.
set_password(Cluster, User, Password) ->
    {0, _} = run(Cluster, ["configs", "--alter", "--add-config", "SCRAM-SHA-512=[password=" ++ Password ++ "]",
                           "--entity-type", "users", "--entity-name", User]),
    ok.

%% Any command.
-spec run(cluster(), [string()]) -> {ExitStatus :: non_neg_integer(), Output :: string()}.
run(Cluster, Args) -> run(Cluster, [], Args).

run(Directory, Settings, Args) ->
    Script = filename:join([os:getenv("PROJECT_ROOT"), "dev", "kafka", "cluster"]),
    standin_broker:run("/usr/bin/env", ["KAFKA_CLUSTER_DIR=" ++ Directory, "NODES=1" | Settings] ++ [Script | Args]).
