%% Reads records back with Kafka's own console consumer, which shares no code with the plugin.
-module(kafka_reader).

-export([bootstrap/0, new_topic/1, records/2]).

-define(TIMEOUT_S, "60").

bootstrap() ->
    Address = os:getenv("KAFKA"),
    true = is_list(Address),
    Address.

%% A topic that no other case uses, with one partition, so that the order of all records can be seen.
new_topic(Case) ->
    Topic = lists:flatten(io_lib:format("~s-~s-~b", [Case, os:getpid(), erlang:unique_integer([positive])])),
    {0, _} = kafka(["topic", Topic]),
    Topic.

%% The first `Count` records of a topic; fails where fewer come.
records(Topic, Count) ->
    {0, Output} = kafka(["consume", Topic, integer_to_list(Count), ?TIMEOUT_S]),
    Lines = string:split(string:trim(Output), "\n", all),
    %% What the consumer writes to stderr has no tabs.
    Records = [record(Fields) || Line <- Lines, [_, _, _, _, _, _] = Fields <- [string:split(Line, "\t", all)]],
    Count = length(Records),
    Records.

record([Timestamp, Partition, Offset, Headers, Key, Value]) ->
    #{timestamp => list_to_integer(Timestamp), partition => list_to_integer(Partition),
      offset => list_to_integer(Offset), headers => Headers, key => list_to_binary(Key),
      value => jiffy:decode(list_to_binary(Value), [return_maps])}.

kafka(Args) ->
    standin_broker:run(filename:join([os:getenv("PROJECT_ROOT"), "dev", "kafka"]), Args).
