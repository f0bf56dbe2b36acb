%% Payloads that are io lists, on each generation of brokers and in each format, into a real Kafka: the records are those of the same
%% payload as one binary. The registration on EMQX is that of test/brokers/emqx4 and emqx5.
-module(iodata_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, groups/0, init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
-export([an_io_list_becomes_the_record_of_its_bytes/1, a_publisher_without_a_name_is_an_event/1]).

suite() -> [{timetrap, {seconds, 600}}].

all() -> [{group, emq2}, {group, emqx4}, {group, emqx5}].

groups() ->
    Cases = [an_io_list_becomes_the_record_of_its_bytes, a_publisher_without_a_name_is_an_event],
    [{emq2, [], Cases}, {emqx4, [], Cases}, {emqx5, [], Cases}].

init_per_group(emq2, Config) -> [{generation, 2} | Config];
init_per_group(emqx4, Config) -> [{generation, 4} | Config];
init_per_group(emqx5, Config) -> [{generation, 5} | Config].

end_per_group(_Group, _Config) -> ok.

init_per_testcase(_Case, Config) ->
    ok = start(generation(Config)),
    Config.

start(2) -> ok;
start(Generation) -> standin_emqx_hooks:start(Generation).

end_per_testcase(_Case, Config) ->
    _ = emq_plugin_kafka_nif:close(0),
    stop(generation(Config)).

stop(2) -> ok;
stop(_Generation) -> standin_emqx_hooks:stop().

generation(Config) -> proplists:get_value(generation, Config).

%% Cases.

%% The same bytes as a binary and in pieces: what differs of the two records is when they were made.
an_io_list_becomes_the_record_of_its_bytes(Config) ->
    Generation = generation(Config),
    Payloads = payloads(),
    Of = fun(All) -> [Call || Payload <- All, Call <- calls(Generation, Payload)] end,
    [begin
         Whole = by_key(records(Generation, Format, Of(Payloads))),
         Pieces = by_key(records(Generation, Format, Of([cut(Payload) || Payload <- Payloads]))),
         ?assertEqual({Format, length(Of(Payloads))}, {Format, length(Whole)}),
         [?assertEqual({Format, W}, {Format, P}) || {W, P} <- lists:zip(Whole, Pieces)]
     end || Format <- formats()].

%% Only the records of one key are in order.
by_key(Records) ->
    lists:sort(fun({A, _, _}, {B, _, _}) -> A =< B end, Records).

%% emqx_message:make/2 leaves the publisher undefined, and so does EMQ 2.3's emqttd_message:from_packet/1.
a_publisher_without_a_name_is_an_event(Config) ->
    Generation = generation(Config),
    Calls = [{Hook, [nameless(Arg) || Arg <- Args]} || {Hook, Args} <- calls(Generation, [<<"p">>])],
    Values = [jiffy:decode(Value, [return_maps]) || {_Key, Value, _Headers} <- records(Generation, <<"{\"format\": \"json\"}">>, Calls)],
    ?assertEqual(length(Calls), length(Values)),
    ?assertMatch([#{<<"client_id">> := <<>>, <<"message">> := #{<<"payload">> := <<"p">>}} | _], Values),
    ?assertEqual([<<>>], lists:usort([Publisher || #{<<"message">> := #{<<"publisher">> := Publisher}} <- Values])).

nameless(Message) when element(1, Message) =:= message; element(1, Message) =:= mqtt_message -> setelement(4, Message, undefined);
nameless(Arg) -> Arg.

%% Payloads.

%% Text and JSON, so that Kafka's console consumer can print them; bytes that are no text are in emq_plugin_kafka_total_tests.
payloads() ->
    [<<"{\"a\":{\"b\":[1,\"", "\x{e9}\x{1f600}"/utf8, "\"]}}">>, <<"21.5">>, <<>>, iolist_to_binary(["{\"a\":\"", lists:duplicate(100000, $x), "\"}"])].

%% In pieces of each sort: bytes, binaries, lists, an end that is a binary. Long ones go to a dirty scheduler.
cut(<<>>) ->
    [[], <<>>, [[] | <<>>]];
cut(<<First, Rest/binary>>) ->
    Half = byte_size(Rest) div 2,
    <<Left:Half/binary, Right/binary>> = Rest,
    [[[First], []], [binary_to_list(Left)] | Right].

%% Formats, as rules.

formats() ->
    [<<"{\"format\": \"json\"}">>, <<"{\"format\": \"raw\"}">>, <<"{\"format\": \"cloudevents\"}">>,
     <<"{\"format\": \"cloudevents\", \"mode\": \"binary\"}">>,
     <<"{\"value\": {\"whole\": \"${payload}\", \"part\": \"${payload.a|none}\"}, \"key\": \"${payload.a.b|none}\", \"headers\": {\"h\": \"${payload.a.b[0]|none}\"}}">>].

%% Calls.

calls(2, Payload) ->
    Message = {mqtt_message, <<0:128>>, 1, {<<"c">>, <<"u">>}, <<"a/b">>, 1, [], false, false, false, [], Payload, {1795, 358993, 21999}},
    [{'message.publish', [Message]}, {'message.delivered', [<<"r">>, undefined, Message]}, {'message.acked', [<<"r">>, undefined, Message]}];
calls(4, Payload) ->
    common(message(Payload)) ++ [{'delivery.completed', [client(), message(Payload), #{session_birth_time => 1}]}];
calls(5, Payload) ->
    Message = erlang:append_element(message(Payload), #{}),
    common(Message) ++ [{'delivery.completed', [Message, #{session_birth_time => 1, clientid => <<"r">>}]},
                        {'message.puback', [7, Message, [], 0]}].

common(Message) ->
    [{'message.publish', [Message]}, {'message.dropped', [Message, #{node => node()}, no_subscribers]},
     {'message.delivered', [client(), Message]}, {'message.acked', [client(), Message]}, {'delivery.dropped', [client(), Message, queue_full]}].

message(Payload) ->
    {message, <<0:128>>, 1, <<"c">>, #{retain => false}, #{username => <<"u">>}, <<"a/b">>, Payload, 1700000000000}.

client() -> #{clientid => <<"r">>, username => undefined, peerhost => {127, 0, 0, 1}, zone => default, protocol => mqtt}.

run(2, Call) -> {Same, Same} = hook_calls:replay(Call);
run(_Generation, Call) -> true = emqx_calls:run(Call).

%% Records.

%% {Key, Value, Headers} without times, and what tells one cloud event from another.
records(Generation, Rule, Calls) ->
    Topic = kafka_reader:new_topic("iodata"),
    ok = emq_plugin_kafka_nif:open([{<<"server">>, list_to_binary(kafka_reader:bootstrap())}, {<<"topic">>, list_to_binary(Topic)},
                                    {<<"spool">>, <<"off">>}
                                    | [{<<"hook.", (atom_to_binary(Event, utf8))/binary, ".1">>, Rule} || Event <- events(Calls)]],
                                   <<"n@127.0.0.1">>),
    ok = registered(Generation),
    #{accepted := Before, dropped := Dropped} = emq_plugin_kafka:stats(),
    [run(Generation, Call) || Call <- Calls],
    ?assertMatch(#{dropped := Dropped}, emq_plugin_kafka:stats()),
    #{accepted := After} = emq_plugin_kafka:stats(),
    ?assertEqual(length(Calls), After - Before),
    {ok, #{given_up := 0}} = emq_plugin_kafka_nif:close(30000),
    [{Key, timeless(Value), timeless(Headers)}
     || #{key := Key, value := Value, headers := Headers} <- kafka_reader:raw_records(Topic, length(Calls))].

events(Calls) -> lists:usort([Event || {Event, _} <- Calls]).

registered(2) -> ok;
registered(_Generation) -> emq_plugin_kafka:load([]).

timeless(Text) ->
    lists:foldl(fun({Pattern, With}, Left) -> re:replace(Left, Pattern, With, [global, {return, binary}]) end, Text,
                [{"\"ts\":[0-9]+", "\"ts\":0"}, {"\"id\":\"[^\"]*\"", "\"id\":\"\""}, {"ce_id:[^,]*", "ce_id:"}, {"ts:[0-9]+", "ts:0"},
                 {"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "now"}]).
