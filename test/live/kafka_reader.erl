%% Reads records back with Kafka's own console consumer, which shares no code with the plugin.
-module(kafka_reader).

-export([bootstrap/0, new_topic/1, new_topic/2, new_topic/3, topic/1, records/2, raw_records/2, all_records/1, all_records/2, write/2]).

-define(TIMEOUT_S, "60").

bootstrap() ->
    Address = os:getenv("KAFKA"),
    true = is_list(Address),
    Address.

%% A topic that no other case uses, with one partition, so that the order of all records can be seen.
new_topic(Case) ->
    new_topic(Case, 1).

new_topic(Case, Partitions) ->
    new_topic(Case, Partitions, []).

%% With settings of its own: "cleanup.policy=compact".
new_topic(Case, Partitions, Settings) ->
    Topic = lists:flatten(io_lib:format("~s-~s-~b", [Case, os:getpid(), erlang:unique_integer([positive])])),
    {0, _} = kafka(["topic", Topic, integer_to_list(Partitions) | Settings]),
    Topic.

%% Writes records with Kafka's own console producer, the Java client.
write(Topic, Records) ->
    File = filename:join([os:getenv("PROJECT_ROOT"), "_build", Topic ++ ".records"]),
    ok = file:write_file(File, [[Key, "\t", Value, "\n"] || {Key, Value} <- Records]),
    {0, _} = standin_broker:run("/bin/sh", ["-c", "exec \"$0\" produce \"$1\" <\"$2\"", script(), Topic, File]),
    file:delete(File).

%% A topic of that name, which may be there already.
topic(Topic) ->
    {0, _} = kafka(["topic", Topic]),
    ok.

%% The first `Count` records of a topic, whose values are JSON; fails where fewer come.
records(Topic, Count) ->
    [Record#{value := jiffy:decode(Value, [return_maps])} || #{value := Value} = Record <- raw_records(Topic, Count)].

%% The same with the values as they are. The consumer writes a null as `null`, and records that hold line breaks or tabs cannot
%% be told apart.
raw_records(Topic, Count) ->
    {0, Output} = kafka(["consume", Topic, integer_to_list(Count), ?TIMEOUT_S]),
    Records = parsed(Output),
    Count = length(Records),
    Records.

%% All that is in a topic now, of this Kafka or of one at another address.
all_records(Topic) -> all_records(Topic, bootstrap()).

all_records(Topic, Address) ->
    {0, Output} = standin_broker:run("/usr/bin/env", ["KAFKA=" ++ Address, script(), "read", Topic]),
    parsed(Output).

%% What the consumer writes to stderr has no tabs.
parsed(Output) ->
    [record(Fields) || Line <- string:split(string:trim(Output), "\n", all),
                       [_, _, _, _, _, _] = Fields <- [string:split(Line, "\t", all)]].

record([Timestamp, Partition, Offset, Headers, Key, Value]) ->
    #{timestamp => list_to_integer(Timestamp), partition => list_to_integer(Partition),
      offset => list_to_integer(Offset), headers => Headers, key => list_to_binary(Key), value => list_to_binary(Value)}.

kafka(Args) ->
    standin_broker:run(script(), Args).

script() ->
    filename:join([os:getenv("PROJECT_ROOT"), "dev", "kafka", "kafka"]).
