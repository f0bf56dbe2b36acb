%% The callbacks of EMQX 4 and 5 are total: whatever a hook is called with, it goes on with what it has, nothing is raised, and one
%% record is counted. The NIF is real; there is no Kafka behind it. The registration is that of test/brokers/emqx4 and emqx5.
-module(emq_plugin_kafka_emqx_total_tests).

%% Before EUnit's header, which defines LET too.
-include_lib("proper/include/proper.hrl").
-undef(LET).
-include_lib("eunit/include/eunit.hrl").

-define(CASES, 10000).
%% Terms within terms take the generator long.
-define(ARBITRARY, 200).
-define(TYPED, 2000).
-define(HOOKS, ['client.connect', 'client.connack', 'client.connected', 'client.disconnected', 'client.subscribe',
                'client.unsubscribe', 'session.created', 'session.subscribed', 'session.unsubscribed', 'session.resumed',
                'session.discarded', 'session.terminated', 'message.publish', 'message.delivered', 'message.acked',
                'message.dropped', 'delivery.dropped', 'delivery.completed']).

total_test_() ->
    [{setup, fun() -> open(Generation, Settings) end, fun close/1,
      fun(Calls) ->
              [{title(Generation, Settings, "recorded calls are never bad events"), {timeout, 120, fun() -> recorded(Calls) end}},
               {title(Generation, Settings, "one position of a recorded call mutated"), {timeout, 120, fun() -> holds(mutated(Calls), ?CASES) end}},
               {title(Generation, Settings, "calls by the broker's types are never bad events"),
                {timeout, 120, fun() -> holds(typed(Generation), ?TYPED) end}},
               {title(Generation, Settings, "arbitrary terms everywhere"), {timeout, 120, fun() -> holds(arbitrary(Calls), ?ARBITRARY) end}}]
      end}
     || Generation <- [4, 5], Settings <- [[], [{<<"produce">>, <<"sync">>}, {<<"produce_timeout">>, <<"0">>}]]].

title(Generation, [], Text) -> lists:flatten(io_lib:format("EMQX ~b: ~s", [Generation, Text]));
title(Generation, _Sync, Text) -> title(Generation, [], Text ++ ", where publishers lose their connection").

%% Nobody listens on port 1: records pile up to the bound and are dropped, which is an outcome like any other.
open(Generation, Settings) ->
    ok = standin_emqx_hooks:start(Generation),
    ok = emq_plugin_kafka_nif:open([{<<"server">>, <<"127.0.0.1:1">>}, {<<"queue_max_messages">>, <<"1000">>}, {<<"spool">>, <<"off">>}
                                    | Settings]
                                   ++ [{<<"hook.", (atom_to_binary(Event, utf8))/binary, ".1">>, rule(Event)}
                                       || Event <- emq_plugin_kafka_broker:events()],
                                   <<"n@h">>),
    ok = emq_plugin_kafka:load([]),
    Calls = emqx_calls:recorded(Generation),
    %% As in the process of a connection, of that client whose QoS 1 and 2 were recorded.
    ok = logger:update_process_metadata(#{clientid => publisher(Calls)}),
    Calls.

publisher(Calls) ->
    hd([element(4, Message) || {'message.publish', [Message]} <- Calls, element(3, Message) =:= 2]).

%% Templates meet the same terms as the plain format.
rule('message.publish') -> <<"{\"key\": \"${username}\", \"topic\": \"${topic[0]}\", \"value\": {\"p\": \"${payload.a|}\"}}">>;
rule('client.connected') -> <<"{\"format\": \"cloudevents\", \"mode\": \"binary\"}">>;
rule('message.delivered') -> <<"{\"format\": \"raw\", \"filter\": \"#\"}">>;
rule('message.dropped') -> <<"{\"key\": \"${user_property.a|none}\", \"format\": \"raw\"}">>;
rule(_) -> <<"{}">>.

close(_Calls) ->
    ok = logger:unset_process_metadata(),
    {ok, _} = emq_plugin_kafka:unload(),
    {ok, _} = emq_plugin_kafka_nif:close(0),
    standin_emqx_hooks:stop().

holds(Property, Cases) ->
    %% On failure the comparison shows the call that broke it.
    ?assertEqual(true, proper:quickcheck(Property, [{numtests, Cases}, quiet, long_result])).

recorded(Calls) ->
    #{dropped_by := #{bad_event := Before}} = emq_plugin_kafka:stats(),
    ?assert(length(Calls) > 500),
    [?assertEqual({Call, true}, {Call, contract_kept(Call)}) || Call <- Calls],
    ?assertMatch(#{dropped_by := #{bad_event := Before}}, emq_plugin_kafka:stats()).

mutated(Calls) ->
    Ours = [Call || {Hook, _} = Call <- Calls, lists:member(Hook, ?HOOKS)],
    ?FORALL({Call, Term}, {oneof(Ours), mutations:nasty()},
            ?FORALL(Mutated, mutations:mutation(Call, Term), contract_kept(Mutated))).

typed(Generation) ->
    ?FORALL(Call, broker_types:call(Generation), begin
                                                   Before = bad_events(),
                                                   contract_kept(Call) andalso bad_events() =:= Before
                                               end).

bad_events() ->
    #{dropped_by := #{bad_event := Count}} = emq_plugin_kafka:stats(),
    Count.

%% As many arguments as the broker gives.
arbitrary(Calls) ->
    Arities = lists:usort([{Hook, length(Args)} || {Hook, Args} <- Calls, lists:member(Hook, ?HOOKS)]),
    ?FORALL({Hook, Arity}, oneof(Arities),
            ?FORALL(Args, vector(Arity, oneof([mutations:nasty(), message_like(), map_like()])), contract_kept({Hook, Args}))).

message_like() ->
    oneof([loose_tuple(mutations:nasty()),
           {message, mutations:nasty(), oneof([1, 2, mutations:nasty()]), mutations:nasty(), map_like(), map_like(), mutations:nasty(),
            mutations:nasty(), mutations:nasty()},
           {message, mutations:nasty(), oneof([1, 2, mutations:nasty()]), mutations:nasty(), map_like(), map_like(), mutations:nasty(),
            mutations:nasty(), mutations:nasty(), mutations:nasty()}]).

map_like() ->
    proper_types:bind(
      list({oneof([clientid, username, peername, peerhost, properties, conn_props, client_attrs, 'User-Property', proto_ver, share,
                   expiry_interval, retry_interval, sub_props, is_persistent, protocol, allow_publish]),
            oneof([mutations:nasty(), mqtt, {{1, 2, 3, 4}, 5}, [{mutations:nasty(), mutations:nasty()}]])}),
      fun maps:from_list/1, false).

%% The hook goes on with what it had, unless the publisher is to lose its connection; nothing is raised but that, each record has
%% an outcome, and no message is left in the mailbox.
contract_kept(Call) ->
    #{accepted := Before} = emq_plugin_kafka:stats(),
    Kept = try
               emqx_calls:run(Call) orelse not_acknowledged(Call)
           catch
               exit:{shutdown, kafka_unavailable} -> not_acknowledged(Call)
           end,
    #{accepted := After, waiting := Waiting} = emq_plugin_kafka:stats(),
    Kept andalso After - Before =< most(Call) andalso adds_up() andalso Waiting =:= 0
        andalso process_info(self(), message_queue_len) =:= {message_queue_len, 0}
        andalso standin_emqx_hooks:failures() =:= [].

not_acknowledged({'message.publish', [Message]}) -> emq_plugin_kafka_emqx_gate:allowed(Message) =:= wait;
not_acknowledged(_Call) -> false.

%% One for each topic of a SUBSCRIBE or message of several, two for a CONNACK that refuses.
most({Hook, [_, _, [_ | _] = Topics]}) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' -> count(Topics);
most({'message.publish', [[_ | _] = Messages]}) -> count(Messages);
most({'client.connack', _}) -> 2;
most(_) -> 1.

count([_ | Rest]) -> 1 + count(Rest);
count(_) -> 1.

adds_up() ->
    #{accepted := Accepted, success := Success, failed := Failed, dropped := Dropped, spooled := Spooled,
      queued := Queued, dropped_by := DroppedBy} = emq_plugin_kafka:stats(),
    Accepted =:= Success + Failed + Dropped + Spooled + Queued
        andalso Dropped =:= lists:sum(maps:values(DroppedBy)).
