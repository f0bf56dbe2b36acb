%% The record that every client of the benchmark sends: what the plugin makes of a publish.
-module(bench_record).

-export([keys/1, payload/1, value/2]).

-define(UNIT, <<"{\"t\":21.5,\"h\":40.1,\"id\":\"s-0001\",\"ok\":true,\"seq\":123456,\"x\":\"ab\"}">>).

-spec keys(pos_integer()) -> [binary()].
keys(Count) ->
    [<<"client", (integer_to_binary(Number))/binary>> || Number <- lists:seq(1, Count)].

%% An MQTT payload of so many bytes: text with quotes in it, as sensors send it.
-spec payload(pos_integer()) -> binary().
payload(Bytes) ->
    binary:part(binary:copy(?UNIT, Bytes div byte_size(?UNIT) + 1), 0, Bytes).

%% The same JSON as the plugin's, encoded beforehand.
-spec value(Key :: binary(), Payload :: binary()) -> binary().
value(Key, Payload) ->
    Escaped = binary:replace(Payload, <<"\"">>, <<"\\\"">>, [global]),
    <<"{\"type\":\"public\",\"client_id\":\"", Key/binary, "\",\"message\":{\"username\":\"bench\",\"topic\":\"sensors/1/temp\","
      "\"payload\":\"", Escaped/binary, "\",\"qos\":1,\"dup\":0,\"retain\":0,\"id\":\"0005B1E2C3D4F5A6B7C8D9E0F1A2B3C4\","
      "\"timestamp\":1700000000000},\"cluster_node\":\"bench@127.0.0.1\",\"ts\":1700000000000}">>.
