%% The Kafka of the fault suite behind the proxy, and what is read back from it by Kafka's own console consumer, which shares no
%% code with the plugin. One node of its own through dev/kafka/kafka (KAFKA_DIR, KAFKA_PORT and KAFKA_VIA are in the environment, set by
%% the runner), or with --cluster the three of faults_cluster, of which all are started, stopped and paused.
-module(faults_kafka).

-export([start/0, stop/0, pause/0, resume/0, via/0, pid/0, topic/2, topic/3, read/1, read/2, dev/1, shell/1]).

-export_type([record/0]).

-type record() :: #{partition := non_neg_integer(), offset := non_neg_integer(), timestamp := integer(), headers := binary(),
                    key := binary(), value := binary()}.

-define(TIMEOUT_MS, 400000).

%% @doc Starts it, or finds it running; returns when it answers.
-spec start() -> ok.
start() -> start(faults_rig:kafka()).

start(single) -> done(["start"]);
start(cluster) -> faults_cluster:up([]).

%% @doc A clean stop; data and ports stay.
-spec stop() -> ok.
stop() -> stop(faults_rig:kafka()).

stop(single) -> done(["stop"]);
stop(cluster) -> faults_cluster:stop([]).

%% @doc SIGSTOP: its sockets stay open, the kernel takes bytes for them, and nobody answers.
-spec pause() -> ok.
pause() -> pause(faults_rig:kafka()).

pause(single) -> signal("STOP");
pause(cluster) -> faults_cluster:pause().

-spec resume() -> ok.
resume() -> resume(faults_rig:kafka()).

resume(single) -> signal("CONT");
resume(cluster) -> faults_cluster:resume().

signal(Signal) ->
    {0, _} = shell(["kill -", Signal, " ", pid()]),
    ok.

done(Args) ->
    {0, _} = dev(Args),
    ok.

%% @doc The process; of a cluster that of the first node.
-spec pid() -> string().
pid() -> pid(faults_rig:kafka()).

pid(single) ->
    {0, Pid} = dev(["pid"]),
    string:trim(Pid);
pid(cluster) ->
    faults_cluster:pid("1").

%% @doc The ports of the listener that the proxy stands before, node by node.
-spec via() -> [inet:port_number()].
via() -> via(faults_rig:kafka()).

via(single) ->
    {0, Address} = dev(["via"]),
    [list_to_integer(lists:last(string:lexemes(string:trim(Address), ":")))];
via(cluster) ->
    faults_cluster:ports("NAMED").

-spec topic(string(), pos_integer()) -> ok.
topic(Topic, Partitions) -> topic(Topic, Partitions, []).

%% @doc A topic with properties of its own.
-spec topic(string(), pos_integer(), [Property :: string()]) -> ok.
topic(Topic, Partitions, Properties) -> topic(faults_rig:kafka(), Topic, Partitions, Properties).

topic(single, Topic, Partitions, Properties) -> done(["topic", Topic, integer_to_list(Partitions) | Properties]);
topic(cluster, Topic, Partitions, Properties) -> faults_cluster:topic(Topic, Partitions, Properties).

%% @doc All that is in a topic. Values must be without tabs and line breaks.
-spec read(string()) -> [record()].
read(Topic) -> read(Topic, bootstrap(faults_rig:kafka())).

%% dev/kafka/kafka knows its own.
bootstrap(single) -> "";
bootstrap(cluster) -> faults_cluster:address("PLAINTEXT").

%% @doc The same, from another Kafka.
-spec read(string(), Bootstrap :: string()) -> [record()].
read(Topic, Bootstrap) ->
    File = filename:join(os:getenv("FAULTS_DIR"), Topic ++ ".records"),
    Said = File ++ ".stderr",
    case shell(["KAFKA='", Bootstrap, "' ", script(), " read ", Topic, " >", File, " 2>", Said]) of
        {0, _} ->
            {ok, Text} = file:read_file(File),
            ok = file:delete(File),
            ok = file:delete(Said),
            [record(binary:split(Line, <<"\t">>, [global])) || Line <- binary:split(Text, <<"\n">>, [global, trim])];
        {Status, _} ->
            error({kafka_was_not_read, Topic, Status, file:read_file(Said)})
    end.

record([Timestamp, Partition, Offset, Headers, Key, Value]) ->
    #{timestamp => binary_to_integer(Timestamp), partition => binary_to_integer(Partition),
      offset => binary_to_integer(Offset), headers => Headers, key => Key, value => Value}.

%% @doc dev/kafka/kafka ARGS.
-spec dev([string()]) -> {ExitStatus :: non_neg_integer(), Output :: string()}.
dev(Args) ->
    shell(lists:join(" ", [script() | Args])).

script() ->
    filename:join([os:getenv("PROJECT_ROOT"), "dev", "kafka", "kafka"]).

%% @doc A line for the shell; its output is what it wrote to stdout. What it wrote to stderr is in tools.log.
-spec shell(iodata()) -> {ExitStatus :: non_neg_integer(), Output :: string()}.
shell(Line) ->
    %% A child that stays, as Kafka does, must not hold our pipe: dev/kafka/kafka sends its output to a file.
    Logged = ["exec 2>>'", os:getenv("FAULTS_DIR"), "/tools.log'; ", Line],
    Port = open_port({spawn_executable, "/bin/sh"}, [exit_status, {args, ["-c", lists:flatten(Logged)]}]),
    output(Port, []).

output(Port, Acc) ->
    receive
        {Port, {data, Data}} -> output(Port, [Acc, Data]);
        {Port, {exit_status, Status}} -> {Status, lists:flatten(Acc)}
    after ?TIMEOUT_MS ->
            error({timeout, lists:flatten(Acc)})
    end.
