%% docs/recipes.md, run as it is printed: each recipe's configuration goes through EMQ's schema into the plugin, the hook
%% calls that its text tells of are made, and what Kafka's own consumer reads is compared, character by character, with what the
%% page says arrives. Only the server and the times are not the printed ones.
-module(recipes_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0]).
-export([no_recipe_is_left_out/1, telemetry/1, topic_per_device_type/1, more_device_types_than_topics/1, raw_payloads/1,
         audit_trail/1, last_values/1, cloudevents_structured/1, cloudevents_binary/1]).

%% The times of the printed records: when a hook ran, and when the producer was opened.
-define(PRINTED_MS, "1795358337665").
-define(PRINTED_TIME, "2026-11-22T14:38:57.665Z").
-define(PRINTED_OPENED, "1795358337000").
-define(PRINTED_SERVER, "kafka1:9092").

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [no_recipe_is_left_out, telemetry, topic_per_device_type, more_device_types_than_topics, raw_payloads, audit_trail,
     last_values, cloudevents_structured, cloudevents_binary].

%% Cases.

no_recipe_is_left_out(_Config) ->
    ?assertEqual(["All telemetry to one topic", "One Kafka topic per device type", "Raw payloads keyed by device",
                  "Connection log as an audit trail", "Last value of each topic, in a compacted topic",
                  "CloudEvents, structured", "CloudEvents, binary"],
                 [Title || {Title, _} <- sections()]).

telemetry(_Config) ->
    run("All telemetry to one topic",
        [publish(<<"thermo-17">>, <<"plant1">>, <<"sensors/kitchen/temp">>, <<"{\"t\":21.5}">>, 0),
         publish(<<"thermo-17">>, <<"plant1">>, <<"chat/room1">>, <<"hello">>, 0),
         publish(<<"thermo-17">>, <<"plant1">>, <<"sensors/kitchen/raw">>, <<0, 16#FF, 16#10>>, 1)]).

topic_per_device_type(_Config) ->
    run("One Kafka topic per device type",
        [publish(<<"c1">>, <<"plant1">>, <<"devices/thermometer/17/state">>, <<"{\"t\":21.5}">>, 0),
         publish(<<"c2">>, undefined, <<"devices/door lock/4/state">>, <<"open">>, 0)]).

%% What the page says about topic.max_dynamic.
more_device_types_than_topics(_Config) ->
    Title = "One Kafka topic per device type",
    {topic, Default} = lists:keyfind(topic, 1, environment(Title)),
    ok = kafka_reader:topic(Default),
    Start = os:system_time(millisecond),
    ok = open([{topic_max_dynamic, 1} | lists:keydelete(topic_max_dynamic, 1, environment(Title))]),
    #{redirected := Before} = emq_plugin_kafka_nif:stats(),
    made([publish(<<"c1">>, undefined, <<"devices/thermometer/17/state">>, <<"1">>, 0),
          publish(<<"c1">>, undefined, <<"devices/gauge/18/state">>, <<"2">>, 0)]),
    #{redirected := After} = emq_plugin_kafka_nif:stats(),
    {ok, #{given_up := 0}} = emq_plugin_kafka_nif:close(30000),
    ?assertEqual(1, After - Before),
    ?assertMatch([#{key := <<"18">>}], since(Start, Default, 1)).

raw_payloads(_Config) ->
    run("Raw payloads keyed by device", [publish(<<"gateway-1">>, <<"plant1">>, <<"meters/m-8/data">>, <<"4711.25">>, 0)]).

audit_trail(_Config) ->
    Client = client(<<"thermo-17">>, <<"plant1">>, {{192, 0, 2, 17}, 50123}),
    Intruder = client(<<"intruder">>, undefined, {{198, 51, 100, 9}, 40001}),
    run("Connection log as an audit trail",
        [{'client.connected', [0, Client]},
         {'session.subscribed', [<<"thermo-17">>, <<"plant1">>, {<<"orders/#">>, [{qos, 1}]}]},
         {'client.disconnected', [keepalive_timeout, Client]},
         {'client.connected', [4, Intruder]}]).

%% Into a topic that was created by the page's own command.
last_values(_Config) ->
    Title = "Last value of each topic, in a compacted topic",
    ok = created_as_printed(Title),
    run(Title, [retained(publish(<<"valve-3">>, undefined, <<"state/valve-3">>, <<"open">>, 0)),
                retained(publish(<<"valve-3">>, undefined, <<"state/valve-3">>, <<"closed">>, 1)),
                retained(publish(<<"valve-3">>, undefined, <<"state/valve-3">>, <<>>, 2))]).

cloudevents_structured(_Config) ->
    run("CloudEvents, structured",
        [{'client.connected', [0, client(<<"thermo-17">>, <<"plant1">>, {{192, 0, 2, 17}, 50123})]},
         publish(<<"thermo-17">>, <<"plant1">>, <<"sensors/kitchen/temp">>, <<"21.5">>, 0)]).

cloudevents_binary(_Config) ->
    run("CloudEvents, binary", [publish(<<"thermo-17">>, <<"plant1">>, <<"sensors/kitchen/temp">>, <<"21.5">>, 0)]).

%% Hook calls, as EMQ 2.3 makes them.

publish(ClientId, Username, Topic, Payload, Number) ->
    Id = <<(16#000660DE6FF604156EC4000004B40000 + Number):128>>,
    {'message.publish', [{mqtt_message, Id, 1, {ClientId, Username}, Topic, 1, [], false, false, false, [], Payload,
                          {1795, 358337, 664000}}]}.

retained({'message.publish', [Message]}) ->
    {'message.publish', [setelement(8, Message, true)]}.

client(ClientId, Username, Peer) ->
    {mqtt_client, ClientId, self(), Username, Peer, true, 4, 60, undefined, undefined, undefined, {1795, 358337, 664000}}.

%% A recipe: what its configuration makes of the calls is what the page says.

run(Title, Calls) ->
    Printed = printed_records(Title),
    Topics = lists:usort([Topic || #{topic := Topic} <- Printed]),
    Environment = environment(Title),
    %% Kafka makes those of client data by itself, where it is allowed to.
    [ok = kafka_reader:topic(Topic) || Topic <- Topics, {topic, Topic} =:= lists:keyfind(topic, 1, Environment)],
    Start = os:system_time(millisecond),
    ok = open(Environment),
    #{accepted := Before} = emq_plugin_kafka_nif:stats(),
    made(Calls),
    #{accepted := After} = emq_plugin_kafka_nif:stats(),
    {ok, #{given_up := 0}} = emq_plugin_kafka_nif:close(30000),
    ?assertEqual(length(Printed), After - Before),
    lists:foreach(fun(Topic) -> compare(Start, Topic, [Record || #{topic := T} = Record <- Printed, T =:= Topic]) end,
                  Topics).

%% Without a spool, so that a close waits until Kafka has the records.
open(Environment) ->
    emq_plugin_kafka_nif:open(emq_plugin_kafka_settings:of_environment(lists:keystore(spool, 1, Environment, {spool, off})),
                              <<"emq@127.0.0.1">>).

made(Calls) ->
    [{Same, Same} = hook_calls:replay(Call) || Call <- Calls],
    ok.

compare(Start, Topic, Printed) ->
    Arrived = since(Start, Topic, length(Printed)),
    lists:foreach(fun({P, A}) -> same(P, A, Start) end, lists:zip(by_key(Printed), by_key(Arrived))).

%% Only the records of one key are in order.
by_key(Records) ->
    lists:sort(fun(#{key := A}, #{key := B}) -> iolist_to_binary(A) =< iolist_to_binary(B) end, Records).

same(#{key := Key, headers := Headers, value := Value}, #{timestamp := Ts} = Arrived, Start) ->
    #{key := K, headers := H, value := V} = Arrived,
    Opened = opened([H, "\n", V], Start, Ts),
    ?assertEqual({list_to_binary(Key), with_times(Headers, Ts, Opened), list_to_binary(with_times(Value, Ts, Opened))},
                 {K, H, V}).

with_times(Text, Ts, Opened) ->
    Time = calendar:system_time_to_rfc3339(Ts, [{unit, millisecond}, {offset, "Z"}]),
    lists:foldl(fun({Printed, Actual}, T) -> lists:flatten(string:replace(T, Printed, Actual, all)) end, Text,
                [{?PRINTED_MS, integer_to_list(Ts)}, {?PRINTED_TIME, Time}, {?PRINTED_OPENED, Opened}]).

%% The part of a CloudEvent's id that only the plugin knows.
opened(Text, Start, Ts) ->
    case re:run(Text, "(?:\"specversion\":\"1.0\",\"id\":\"|ce_id:)([0-9]+)-", [{capture, all_but_first, list}]) of
        {match, [Opened]} ->
            ?assert(list_to_integer(Opened) >= Start andalso list_to_integer(Opened) =< Ts),
            Opened;
        nomatch ->
            ?PRINTED_OPENED
    end.

%% The records of this run: a topic with a printed name may hold those of earlier ones before them.
since(Start, Topic, Wanted) ->
    case of_this_run(Start, kafka_reader:raw_records(Topic, Wanted)) of
        Records when length(Records) =:= Wanted ->
            Records;
        _ ->
            Held = offsets(Topic, "latest") - offsets(Topic, "earliest"),
            Records = of_this_run(Start, kafka_reader:raw_records(Topic, Held)),
            ?assertEqual(Wanted, length(Records)),
            Records
    end.

of_this_run(Start, Records) ->
    [Record || #{timestamp := Ts} = Record <- Records, Ts >= Start].

%% Summed over the partitions, of each of which there is a line TOPIC:PARTITION:OFFSET.
offsets(Topic, Time) ->
    Output = tool("GetOffsetShell", ["--bootstrap-server", kafka_reader:bootstrap(), "--topic", Topic, "--time", Time]),
    {match, Offsets} = re:run(Output, "^" ++ Topic ++ ":[0-9]+:([0-9]+)$", [global, multiline, {capture, all_but_first, list}]),
    lists:sum([list_to_integer(Offset) || [Offset] <- Offsets]).

%% One of Kafka's own tools, from the jars that dev/kafka/kafka has brought.
tool(Name, Args) ->
    Jars = lists:last(filelib:wildcard(path("_build/kafka-[0-9]*"))),
    {0, Output} = standin_broker:run(os:find_executable("java"),
                                     ["-cp", Jars ++ "/*", "org.apache.kafka.tools." ++ Name | Args]),
    Output.

%% The page.

sections() ->
    {ok, Text} = file:read_file(path("docs/recipes.md")),
    [_Introduction | Sections] = string:split(binary_to_list(Text), "\n## ", all),
    [begin
         [Title, Body] = string:split(Section, "\n"),
         {Title, Body}
     end || Section <- Sections].

%% The one block of the section whose first line begins so.
block(Title, Prefix) ->
    {Title, Body} = lists:keyfind(Title, 1, sections()),
    {match, Blocks} = re:run(Body, "^```\n(.*?)^```$", [global, multiline, dotall, {capture, all_but_first, list}]),
    [Block] = [Block || [Block] <- Blocks, lists:prefix(Prefix, Block)],
    Block.

printed_records(Title) ->
    [printed_record(string:lexemes(Lines, "\n")) || Lines <- string:split(block(Title, "topic:"), "\n\n", all)].

printed_record(["topic:   " ++ Topic, "key:     " ++ Key, "headers: " ++ Headers, "value:   " ++ Value]) ->
    #{topic => Topic, key => Key, headers => headers(Headers), value => Value}.

%% The console consumer's word for none.
headers("none") -> "NO_HEADERS";
headers(Headers) -> Headers.

%% The configuration as EMQ reads it, at boot and in its dashboard: text to keys and values by EMQ's own rule, and those through
%% the schema. Then another server.
environment(Title) ->
    Conf = [setting(Line) || Line <- string:lexemes(block(Title, "emq.plugin.kafka."), "\n")],
    Schema = cuttlefish_schema:files([path("priv/emq_plugin_kafka.schema")]),
    [{emq_plugin_kafka, Environment}] = cuttlefish_generator:map(Schema, Conf),
    {server, ?PRINTED_SERVER ++ _} = lists:keyfind(server, 1, Environment),
    lists:keystore(server, 1, Environment, {server, kafka_reader:bootstrap()}).

setting(Line) ->
    [Key, Value] = string:split(Line, "="),
    {cuttlefish_variable:tokenize(string:trim(Key)), string:trim(Value)}.

%% The command that the page tells to run; with another server, and again without harm.
created_as_printed(Title) ->
    {Title, Body} = lists:keyfind(Title, 1, sections()),
    {match, [Line]} = re:run(Body, "^    kafka-topics\\.sh (.*)$", [multiline, {capture, all_but_first, list}]),
    Args = [of_this_kafka(Word) || Word <- string:lexemes(Line, " ")] ++ ["--if-not-exists"],
    _ = tool("TopicCommand", Args),
    ok.

of_this_kafka(?PRINTED_SERVER) -> kafka_reader:bootstrap();
of_this_kafka(Word) -> Word.

path(Name) ->
    filename:join(os:getenv("PROJECT_ROOT"), Name).
