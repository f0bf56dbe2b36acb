%% The callbacks are total: whatever a hook is called with, it gets back what its contract wants, and one record is
%% counted. The NIF is real; there is no Kafka behind it.
-module(emq_plugin_kafka_total_tests).

%% Before EUnit's header, which defines LET too.
-include_lib("proper/include/proper.hrl").
-undef(LET).
-include_lib("eunit/include/eunit.hrl").
-undef(LET).
-define(LET(Variable, Generator, Result), proper_types:bind(Generator, fun(Variable) -> Result end, false)).

-define(CASES, 10000).

%% Where publishers wait, or lose their connection: the only exception is the one meant, and only they get it.
waiting_test_() ->
    [{setup, fun() -> open([{<<"produce">>, <<"sync">>}, {<<"on_failure">>, OnFailure}, {<<"produce_timeout">>, <<"0">>}]) end,
      fun close/1,
      [{"recorded publishes, on_failure = " ++ binary_to_list(OnFailure), fun() -> recorded_publishes(OnFailure) end},
       {"mutated, on_failure = " ++ binary_to_list(OnFailure), {timeout, 120, fun() -> holds(prop_publish()) end}}]}
     || OnFailure <- [<<"continue">>, <<"disconnect">>]].

%% Kafka never answers: each that may wait does so in vain.
recorded_publishes(OnFailure) ->
    Publishes = [Call || {'message.publish', _} = Call <- hook_calls:recorded()],
    [?assertEqual({Call, true}, {Call, published(Call)}) || Call <- Publishes],
    Ended = [Call || Call <- Publishes, ends_the_connection(Call)],
    MayWait = [Call || {_, [Message]} = Call <- Publishes, emq_plugin_kafka_wait:allowed(Message) =:= wait],
    ?assert(length(MayWait) > 20),
    ?assertEqual({OnFailure, case OnFailure of <<"disconnect">> -> MayWait; <<"continue">> -> [] end}, {OnFailure, Ended}).

ends_the_connection(Call) ->
    try hook_calls:replay(Call) of
        _ -> false
    catch
        exit:{shutdown, kafka_unavailable} -> true
    end.

prop_publish() ->
    Publishes = [Call || {'message.publish', _} = Call <- hook_calls:recorded()],
    ?FORALL({Call, Term}, {oneof(Publishes), mutations:nasty()},
            ?FORALL(Mutated, mutations:mutation(Call, Term), published(Mutated))).

%% No message is left in the mailbox, either.
published({_, [Message]} = Call) ->
    #{accepted := Before} = emq_plugin_kafka:stats(),
    Kept = try hook_calls:replay(Call) of
               {Given, Wanted} -> Given =:= Wanted
           catch
               exit:{shutdown, kafka_unavailable} -> emq_plugin_kafka_wait:allowed(Message) =:= wait
           end,
    #{accepted := After, waiting := Waiting} = emq_plugin_kafka:stats(),
    Kept andalso lists:member(After - Before, counted(Call)) andalso adds_up() andalso Waiting =:= 0
        andalso process_info(self(), message_queue_len) =:= {message_queue_len, 0}.

total_test_() ->
    {setup, fun open/0, fun close/1,
     [{"recorded calls are never bad events", fun recorded_calls_are_no_bad_events/0},
      {"$SYS messages become no records", fun sys_messages_become_no_records/0},
      {"one position of a recorded call mutated", {timeout, 120, fun() -> holds(prop_mutated()) end}},
      {"calls by the broker's types are never bad events", {timeout, 120, fun() -> holds(prop_typed()) end}},
      {"a payload is a binary or an io list", {timeout, 120, fun() -> holds(prop_payload()) end}},
      {"a payload that is neither is a bad event", fun payloads_that_are_none/0},
      {"a long or deep io list is left to a dirty scheduler", fun long_payloads/0},
      {"an io list without bounds is too large", {timeout, 120, fun boundless_payloads/0}},
      {"arbitrary terms everywhere", {timeout, 120, fun() -> holds(prop_arbitrary()) end}},
      {"the NIF takes any term", {timeout, 120, fun() -> holds(prop_nif()) end}},
      {"events that are nearly right", fun near_misses/0},
      {"a long SUBSCRIBE is left to a dirty scheduler", fun long_subscribes/0}]}.

%% Nobody listens on port 1: records pile up to the bound and are dropped, which is an outcome like any other.
open() -> open([]).

open(Settings) ->
    ok = emq_plugin_kafka_nif:open([{<<"server">>, <<"127.0.0.1:1">>}, {<<"queue_max_messages">>, <<"1000">>},
                                    {<<"spool">>, <<"off">>} | Settings] ++
                                   [{<<"hook.", Event/binary, ".1">>, rule(Event)} || Event <- events()],
                                   <<"n@h">>).

events() ->
    [<<"client.connected">>, <<"client.disconnected">>, <<"client.subscribe">>, <<"client.unsubscribe">>,
     <<"session.created">>, <<"session.subscribed">>, <<"session.unsubscribed">>, <<"session.terminated">>,
     <<"message.publish">>, <<"message.delivered">>, <<"message.acked">>].

%% Templates meet the same terms as the plain format.
rule(<<"message.publish">>) -> <<"{\"key\": \"${username}\", \"topic\": \"${topic[0]}\", \"value\": {\"p\": \"${payload.a|}\"}}">>;
rule(<<"client.connected">>) -> <<"{\"format\": \"cloudevents\", \"mode\": \"binary\"}">>;
rule(<<"message.delivered">>) -> <<"{\"format\": \"raw\", \"filter\": \"#\"}">>;
rule(_) -> <<"{}">>.

close(ok) ->
    {ok, _} = emq_plugin_kafka_nif:close(0).

holds(Property) ->
    %% On failure the comparison shows the call that broke it.
    ?assertEqual(true, proper:quickcheck(Property, [{numtests, ?CASES}, quiet, long_result])).

recorded_calls_are_no_bad_events() ->
    Calls = hook_calls:recorded(),
    ?assert(length(Calls) > 500),
    lists:foreach(fun(Call) ->
                          ?assertEqual({Call, true, 0}, {Call, lists:member(outcome(Call), counted(Call)), bad_events(Call)})
                  end, Calls).

sys_messages_become_no_records() ->
    {Sys, _} = lists:partition(fun is_sys/1, hook_calls:recorded()),
    ?assert(length(Sys) > 100),
    lists:foreach(fun(Call) -> ?assertEqual(0, outcome(Call)) end, Sys).

prop_mutated() ->
    Calls = hook_calls:recorded(),
    ?FORALL({Call, Term}, {oneof(Calls), mutations:nasty()},
            ?FORALL(Mutated, mutations:mutation(Call, Term), contract_kept(Mutated))).

prop_arbitrary() ->
    ?FORALL(Call, oneof([{'client.subscribe', [mutations:nasty(), mutations:nasty(), oneof([mutations:nasty(), list({mutations:nasty(), mutations:nasty()})])]},
                         {'client.unsubscribe', [mutations:nasty(), mutations:nasty(), oneof([mutations:nasty(), list({mutations:nasty(), mutations:nasty()})])]},
                         {'session.created', [mutations:nasty(), mutations:nasty()]},
                         {'session.terminated', [mutations:nasty(), mutations:nasty(), mutations:nasty()]},
                         {'message.delivered', [mutations:nasty(), mutations:nasty(), mutations:nasty()]},
                         {'message.acked', [mutations:nasty(), mutations:nasty(), mutations:nasty()]},
                         {'client.connected', [mutations:nasty(), mutations:nasty()]},
                         {'client.disconnected', [mutations:nasty(), mutations:nasty()]},
                         {'session.subscribed', [mutations:nasty(), mutations:nasty(), oneof([mutations:nasty(), {mutations:nasty(), mutations:nasty()}])]},
                         {'session.unsubscribed', [mutations:nasty(), mutations:nasty(), oneof([mutations:nasty(), {mutations:nasty(), mutations:nasty()}])]},
                         {'message.publish', [oneof([mutations:nasty(), loose_tuple(mutations:nasty())])]}]),
            contract_kept(Call)).

prop_nif() ->
    ?FORALL(Term, mutations:nasty(),
            lists:member(produce(Term), [ok, ignored, {error, bad_event}, {error, queue_full}])
            andalso adds_up()).

%% Every field of a right event in turn, with a value that is just outside of its type.
near_misses() ->
    Publish = {publish, <<"c">>, undefined, <<"t">>, <<"p">>, 0, false, false, <<0:128>>, 0},
    Wrong = [{1, published}, {2, undefined}, {2, c}, {3, null}, {4, undefined}, {5, <<1:7>>}, {5, undefined}, {6, 3}, {6, -1}, {6, 256},
             {6, 1.0}, {7, 0}, {8, undefined}, {9, <<0:120>>}, {9, 0}, {10, undefined}, {10, 1 bsl 63}],
    lists:foreach(fun({N, Value}) ->
                          ?assertEqual({error, bad_event}, produce(setelement(N, Publish, Value)))
                  end, Wrong),
    Client = {client, <<"c">>, undefined, undefined, 1, 4, 60, true, undefined, undefined},
    [?assertEqual({N, {error, bad_event}}, {N, produce({connected, 0, setelement(N, Client, Value)})})
     || {N, Value} <- [{5, 65536}, {6, 256}, {7, 65536}]],
    ?assertEqual({error, bad_event}, produce({connected, 256, Client})),
    lists:foreach(fun(Opts) ->
                          Subscribed = {subscriptions, 'session.subscribed', <<"c">>, undefined, [{<<"t">>, Opts}]},
                          ?assertEqual({error, bad_event}, produce(Subscribed))
                  end, [undefined, [{qos, 1} | improper], [{qos, 1.0}], [{"qos", 1}], [{qos, 1, 2}], [1], {qos, 1},
                        lists:duplicate(33, local)]).

prop_typed() ->
    ?FORALL(Call, broker_types:call(2), bad_events(Call) =:= 0).

publish_of(Payload) -> {publish, <<"c">>, undefined, <<"t">>, Payload, 0, false, false, <<0:128>>, 0}.

prop_payload() ->
    ?FORALL(Payload, broker_types:payload(),
            lists:member(take(publish_of(Payload)), [ok, {error, queue_full}, {error, missing_field}]) andalso adds_up()).

take(Event) -> taken(produce(Event), Event).

taken(heavy, Event) -> emq_plugin_kafka_nif:produce_large(Event, no_wait);
taken(Outcome, _Event) -> Outcome.

payloads_that_are_none() ->
    [?assertEqual({Payload, {error, bad_event}}, {Payload, take(publish_of(Payload))}) || Payload <- broker_types:no_payloads()].

%% What no rule wants is left where it is.
long_payloads() ->
    Long = [lists:duplicate(2001, $x), [binary:copy(<<"x">>, 65537)], lists:foldl(fun(_, Deep) -> [Deep, $x] end, [], lists:seq(1, 2000))],
    [?assertEqual(heavy, produce(publish_of(Payload))) || Payload <- Long],
    [?assertEqual(ignored, produce(setelement(4, publish_of(Payload), <<"$SYS/x">>))) || Payload <- Long],
    [?assertNotEqual(heavy, produce(publish_of(Payload))) || Payload <- [lists:duplicate(1990, $x), [binary:copy(<<"x">>, 65536)]]].

%% A few cells can stand for any number of bytes, or of none, and lists may be deeper than any stack. Read to their end, the first
%% two would take years.
boundless_payloads() ->
    Doubled = fun(Bottom) -> lists:foldl(fun(_, Half) -> [Half, Half] end, Bottom, lists:seq(1, 60)) end,
    Deep = lists:foldl(fun(_, Inner) -> [Inner, $x] end, [], lists:seq(1, 2000000)),
    [begin
         Event = {received, 'message.delivered', <<"c">>, undefined, publish_of(Payload)},
         ?assertEqual(heavy, produce(Event)),
         ?assertEqual({error, too_large}, emq_plugin_kafka_nif:produce_large(Event, no_wait))
     end || Payload <- [Doubled([<<"0123456789">>]), Doubled([]), Deep, lists:duplicate(300, binary:copy(<<"x">>, 1000000))]].

%% Many topics, or a few of a client with a huge name. Nothing is counted until the records are made.
long_subscribes() ->
    Topics = fun(Count) -> [{integer_to_binary(N), [{qos, 0}]} || N <- lists:seq(1, Count)] end,
    Subscribe = fun(ClientId, Count) -> {subscriptions, 'client.subscribe', ClientId, undefined, Topics(Count)} end,
    Huge = binary:copy(<<"x">>, 65535),
    #{accepted := Before} = emq_plugin_kafka:stats(),
    ?assertEqual(heavy, produce(Subscribe(<<"c">>, 200))),
    ?assertEqual(heavy, produce(Subscribe(Huge, 3))),
    ?assertMatch(#{accepted := Before}, emq_plugin_kafka:stats()),
    ?assertNotEqual(heavy, produce(Subscribe(<<"c">>, 8))),
    _ = emq_plugin_kafka:on_client_subscribe(<<"c">>, undefined, Topics(200), []),
    ?assertMatch(#{accepted := After} when After =:= Before + 208, emq_plugin_kafka:stats()).

produce(Event) -> emq_plugin_kafka_nif:produce(Event, no_wait).

%% A call keeps its contract, and has one outcome.
contract_kept(Call) ->
    #{accepted := Before} = emq_plugin_kafka:stats(),
    {Given, Wanted} = hook_calls:replay(Call),
    #{accepted := After} = emq_plugin_kafka:stats(),
    Given =:= Wanted andalso lists:member(After - Before, counted(Call)) andalso adds_up().

adds_up() ->
    #{accepted := Accepted, success := Success, failed := Failed, dropped := Dropped, spooled := Spooled,
      queued := Queued, dropped_by := DroppedBy} = emq_plugin_kafka:stats(),
    Accepted =:= Success + Failed + Dropped + Spooled + Queued andalso Dropped =:= lists:sum(maps:values(DroppedBy)).

outcome(Call) ->
    #{accepted := Before} = emq_plugin_kafka:stats(),
    {Same, Same} = hook_calls:replay(Call),
    #{accepted := After} = emq_plugin_kafka:stats(),
    After - Before.

bad_events(Call) ->
    #{dropped_by := #{bad_event := Before}} = emq_plugin_kafka:stats(),
    {Same, Same} = hook_calls:replay(Call),
    #{dropped_by := #{bad_event := After}} = emq_plugin_kafka:stats(),
    After - Before.

%% How many records a call may become: one for each topic of a SUBSCRIBE, or one bad event instead; none for $SYS.
counted({Hook, [_, _, [_ | _] = Topics]}) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' ->
    [1 | [length(Topics) || length_is_known(Topics)]];
counted({Hook, [_, _, []]}) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' ->
    [0, 1];
counted(Call) ->
    [1 | [0 || is_sys(Call)]].

length_is_known(List) ->
    try length(List) of
        _ -> true
    catch
        error:badarg -> false
    end.

is_sys({'message.publish', [Message]}) -> is_sys_message(Message);
is_sys({Hook, [_, _, Message]}) when Hook =:= 'message.delivered'; Hook =:= 'message.acked' -> is_sys_message(Message);
is_sys(_) -> false.

is_sys_message(Message) when tuple_size(Message) =:= 13 ->
    case element(5, Message) of
        <<"$SYS">> -> true;
        <<"$SYS/", _/binary>> -> true;
        <<"$", _/binary>> -> true;
        _ -> false
    end;
is_sys_message(_) ->
    false.
