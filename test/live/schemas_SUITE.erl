%% The JSON Schema files in schemas/ and the records that the plugin makes are held against each other, by a validator
%% that is not ours. The records come from a real Kafka; the hook calls are those recorded on EMQ 2.3.11.
-module(schemas_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).
-export([every_event_has_a_schema/1, every_field_is_described/1, every_record_of_every_recording_is_valid/1,
         records_of_bytes_that_are_no_text_are_valid/1, hostile_texts_are_valid_and_come_back_whole/1,
         broken_records_are_refused/1]).

-define(EVENTS, ['client.connected', 'client.disconnected', 'client.subscribe', 'client.unsubscribe',
                 'session.created', 'session.subscribed', 'session.unsubscribed', 'session.terminated',
                 'message.publish', 'message.delivered', 'message.acked']).

%% Whose records are made of calls of EMQX 4 and 5 by emqx_SUITE.
-define(LATER_EVENTS, ['client.connect', 'client.connack', 'session.resumed', 'session.discarded', 'session.takenover',
                       'message.dropped', 'message.puback', 'delivery.dropped', 'delivery.completed']).

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [every_event_has_a_schema, every_field_is_described, every_record_of_every_recording_is_valid,
     records_of_bytes_that_are_no_text_are_valid, hostile_texts_are_valid_and_come_back_whole,
     broken_records_are_refused].

init_per_suite(Config) ->
    [{recorded, records([], hook_calls:recorded())} | Config].

end_per_suite(_Config) ->
    ok.

%% Cases.

every_event_has_a_schema(_Config) ->
    Files = filelib:wildcard("*.schema.json", dir("schemas")),
    ?assertEqual(lists:sort([atom_to_list(Event) ++ ".schema.json" || Event <- ?EVENTS ++ ?LATER_EVENTS]), lists:sort(Files)).

%% A reference that leaves a field to be guessed is none.
every_field_is_described(_Config) ->
    [?assertEqual({Event, []}, {Event, undescribed(schema(Event))}) || Event <- ?EVENTS ++ ?LATER_EVENTS].

every_record_of_every_recording_is_valid(Config) ->
    Records = proplists:get_value(recorded, Config),
    ?assert(length(Records) > 300),
    Counts = counts(0, Records, Config),
    ?assertEqual(lists:sort(?EVENTS), [Event || {Event, Valid, 0} <- Counts, Valid > 0]),
    ?assertEqual(length(Records), lists:sum([Valid || {_, Valid, 0} <- Counts])).

%% Client ids, user names, topics and payloads that are no UTF-8, in each way to write a payload.
records_of_bytes_that_are_no_text_are_valid(Config) ->
    Calls = [bytes(Call) || Call <- hook_calls:recorded()],
    lists:foreach(
      fun(How) ->
              Records = records([{<<"encode_payload">>, How}], Calls),
              Counts = counts(0, Records, Config),
              ?assertEqual(lists:sort(?EVENTS), [Event || {Event, Valid, 0} <- Counts, Valid > 0]),
              [?assertMatch(#{<<"client_id_encoding">> := <<"base64">>}, decode(Text)) || {_, Text} <- Records],
              ?assertEqual([encoding(How)], lists:usort(payload_encodings(Records)))
      end,
      [<<"auto">>, <<"utf8">>, <<"base64">>]).

hostile_texts_are_valid_and_come_back_whole(Config) ->
    Texts = [<<>>, <<0>>, list_to_binary(lists:seq(0, 255)), list_to_binary(lists:seq(0, 127)),
             unicode:characters_to_binary([16#2028, 16#2029, 16#FFFF, 16#1F600, 16#10FFFF, 16#E9]),
             <<16#ED, 16#A0, 16#80, 16#C0, 16#80>>, <<"\\\"},\"type\":\"x\",{\"">>,
             binary:copy(<<$">>, 65535), binary:copy(<<255>>, 65535), binary:copy(<<"[">>, 10000)],
    Records = records([], [hostile(Event, Text) || Text <- Texts, Event <- ?EVENTS]),
    ?assertEqual([{Event, length(Texts), 0} || Event <- lists:sort(?EVENTS)], counts(0, Records, Config)),
    %% The event is the key: only the records of one are in order.
    [?assertEqual({Event, []}, {Event, strangers(Text, decode(Json))})
     || Event <- ?EVENTS, {Text, Json} <- lists:zip(Texts, [Json || {Of, Json} <- Records, Of =:= Event])].

%% Everything that a client chooses is that text.
hostile('client.connected', Text) ->
    {'client.connected', [0, hostile_client(Text)]};
hostile('client.disconnected', Text) ->
    {'client.disconnected', [normal, hostile_client(Text)]};
hostile(Hook, Text) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' ->
    {Hook, [Text, Text, [{Text, [{qos, 1}]}]]};
hostile(Hook, Text) when Hook =:= 'session.subscribed'; Hook =:= 'session.unsubscribed' ->
    {Hook, [Text, Text, {Text, [{qos, 1}]}]};
hostile('session.created', Text) ->
    {'session.created', [Text, Text]};
hostile('session.terminated', Text) ->
    {'session.terminated', [Text, Text, normal]};
hostile('message.publish', Text) ->
    {'message.publish', [hostile_message(Text)]};
hostile(Hook, Text) ->
    {Hook, [Text, Text, hostile_message(Text)]}.

hostile_client(Text) ->
    {mqtt_client, Text, self(), Text, {{0, 0, 0, 0, 0, 0, 0, 1}, 50000}, true, 4, 60, Text, undefined, undefined, {1, 2, 3}}.

hostile_message(Text) ->
    {mqtt_message, undefined, undefined, {Text, Text}, Text, 2, [], true, true, false, [], Text, {1, 2, 3}}.

%% The fields that have not the text: none, but for those that no client chooses.
strangers(Text, Record) ->
    [Name || Object <- [Record, maps:get(<<"message">>, Record)],
             Name <- [<<"client_id">>, <<"username">>, <<"publisher">>, <<"publisher_username">>, <<"topic">>, <<"payload">>,
                      <<"will_topic">>],
             {ok, Value} <- [maps:find(Name, Object)],
             Text =/= plain(Value, maps:find(<<Name/binary, "_encoding">>, Object))].

plain(Value, {ok, <<"base64">>}) -> base64:decode(Value);
plain(Value, error) -> Value.

%% Each is one step away from a valid one.
broken_records_are_refused(Config) ->
    Valid = maps:to_list(maps:from_list(proplists:get_value(recorded, Config))),
    ?assertEqual(lists:sort(?EVENTS), lists:sort([Event || {Event, _} <- Valid])),
    Broken = [{Event, jiffy:encode(Record)} || {Event, Text} <- Valid, Record <- broken(decode(Text))],
    Expected = [{Event, 0, length([x || {E, _} <- Broken, E =:= Event])} || Event <- lists:sort(?EVENTS)],
    ?assertEqual(Expected, counts(1, Broken, Config)).

broken(#{<<"message">> := Message} = Record) ->
    [Record#{<<"colour">> => <<"red">>}, Record#{<<"type">> := <<"other">>}, Record#{<<"ts">> := <<"now">>},
     Record#{<<"client_id">> := null}, Record#{<<"message">> := []},
     Record#{<<"client_id">> := <<"no base64">>, <<"client_id_encoding">> => <<"base64">>},
     Record#{<<"message">> := Message#{<<"colour">> => <<"red">>}},
     Record#{<<"message">> := Message#{<<"username">> := 1}}]
        ++ [maps:remove(Field, Record) || Field <- always_there(Record)]
        ++ [Record#{<<"message">> := maps:remove(Field, Message)} || Field <- always_there(Message)]
        ++ [Record#{<<"message">> := Message#{<<"qos">> := 3}} || maps:is_key(<<"qos">>, Message)]
        ++ [Record#{<<"message">> := Message#{<<"connack">> := Other}} || #{<<"connack">> := Code} <- [Message],
                                                                           Other <- [5 * (1 - min(Code, 1))]].

always_there(Object) ->
    [Field || Field <- maps:keys(Object), string:find(Field, "_encoding") =:= nomatch].

%% Records of hook calls, through the plugin's own callbacks and a real Kafka.

%% {Event, Text of the record} for each record that the calls make.
records(Settings, Calls) ->
    Topic = kafka_reader:new_topic("schemas"),
    ok = emq_plugin_kafka_nif:open([{<<"server">>, list_to_binary(kafka_reader:bootstrap())},
                                    {<<"topic">>, list_to_binary(Topic)},
                                    %% So that the close waits until Kafka has the records.
                                    {<<"spool">>, <<"off">>} | Settings ++ rules()], <<"emq@127.0.0.1">>),
    #{accepted := Before, dropped := Dropped} = emq_plugin_kafka_nif:stats(),
    [{Same, Same} = hook_calls:replay(Call) || Call <- Calls],
    #{accepted := After, dropped := Dropped} = emq_plugin_kafka_nif:stats(),
    {ok, #{given_up := 0}} = emq_plugin_kafka_nif:close(30000),
    Count = lists:sum([expected(Call) || Call <- Calls]),
    ?assertEqual(Count, After - Before),
    [{binary_to_existing_atom(Event, utf8), Value} || #{key := Event, value := Value} <- kafka_reader:raw_records(Topic, Count)].

%% A rule for each event, whose name is the key; the broker's own messages need one more.
rules() ->
    [rule(Event, <<"1">>, <<"{\"key\": \"${event}\"}">>) || Event <- ?EVENTS]
        ++ [rule(Event, <<"2">>, <<"{\"filter\": \"$SYS/#\", \"key\": \"${event}\"}">>)
            || Event <- ['message.publish', 'message.delivered', 'message.acked']].

rule(Event, Name, Json) ->
    {<<"hook.", (atom_to_binary(Event, utf8))/binary, ".", Name/binary>>, Json}.

expected({Hook, [_ClientId, _Username, TopicTable]}) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' ->
    length(TopicTable);
expected(_) ->
    1.

%% The call with bytes in it that are no UTF-8.
bytes({Hook, [Code, Client]}) when Hook =:= 'client.connected'; Hook =:= 'client.disconnected' ->
    {Hook, [Code, setelement(9, setelement(4, setelement(2, Client, <<255>>), <<254>>), <<"w/", 253>>)]};
bytes({'message.publish', [Message]}) ->
    {'message.publish', [bytes_of_message(Message)]};
bytes({Hook, [_ClientId, _Username, Message]}) when Hook =:= 'message.delivered'; Hook =:= 'message.acked' ->
    {Hook, [<<255>>, <<254>>, bytes_of_message(Message)]};
bytes({Hook, [_ClientId, _Username | Rest]}) ->
    {Hook, [<<255>>, <<254>> | Rest]}.

bytes_of_message(Message) ->
    %% A topic of $SYS stays one for the filter.
    Topic = <<(element(5, Message))/binary, 252>>,
    setelement(12, setelement(5, setelement(4, Message, {<<255>>, <<254>>}), Topic), <<"x", 251, 0>>).

encoding(<<"utf8">>) -> <<"utf8_lossy">>;
encoding(_) -> <<"base64">>.

payload_encodings(Records) ->
    [Encoding || {_, Text} <- Records,
                 #{<<"message">> := #{<<"payload">> := _, <<"payload_encoding">> := Encoding}} <- [decode(Text)]].

%% The validator.

%% {Event, how many are valid, how many refused}.
counts(Status, Records, Config) ->
    {Exit, Counts} = schema_validator:validate(Records, Config),
    ?assertEqual({Status, Counts}, {Exit, Counts}),
    Counts.

%% Schemas.

schema(Event) ->
    {ok, Text} = file:read_file(filename:join(dir("schemas"), atom_to_list(Event) ++ ".schema.json")),
    decode(Text).

%% The names of properties without a description, at every depth.
undescribed(#{<<"properties">> := Properties, <<"description">> := _}) ->
    [Name || {Name, Schema} <- maps:to_list(Properties), not maps:is_key(<<"description">>, Schema)]
        ++ lists:append([undescribed(Schema) || Schema <- maps:values(Properties)]);
undescribed(_) ->
    [].

decode(Text) ->
    jiffy:decode(Text, [return_maps]).

dir(Name) ->
    filename:join(os:getenv("PROJECT_ROOT"), Name).
