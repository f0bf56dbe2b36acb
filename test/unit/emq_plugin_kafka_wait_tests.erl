%% Waiting for a record: what is answered, how long it takes, and that no message is left behind. The library is played
%% by funs and by messages sent by hand.
-module(emq_plugin_kafka_wait_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ID, 7).
-define(SHORT, 30).
%% Longer than any of these tests may take.
-define(LONG, 60000).

%% Of all recorded publishes: those of a client's QoS 1 packets, and no will.
who_may_wait_test() ->
    Messages = [Message || {'message.publish', [Message]} <- hook_calls:recorded()],
    Allowed = [Message || Message <- Messages, emq_plugin_kafka_wait:allowed(Message) =:= wait],
    ?assert(length(Allowed) > 20),
    [?assertMatch({mqtt_message, _, Id, {<<_/binary>>, _}, _, 1, _, _, _, false, _, _, _} when is_integer(Id), Message)
     || Message <- Allowed],
    Others = Messages -- Allowed,
    [?assert(lists:any(Is, Others))
     || Is <- [fun(M) -> element(4, M) =:= {<<"w1">>, <<"alice">>} andalso element(5, M) =:= <<"will/t">>
                             andalso element(6, M) =:= 1 end,
               fun(M) -> element(4, M) =:= http end,
               fun(M) -> is_binary(element(4, M)) andalso element(6, M) =:= 1 end,
               fun(M) -> element(4, M) =:= presence andalso element(6, M) =:= 1 end,
               fun(M) -> is_integer(element(3, M)) andalso element(6, M) =:= 2 end,
               fun(M) -> is_tuple(element(4, M)) andalso element(6, M) =:= 0 end]],
    ?assertEqual([], [M || M <- Others, element(6, M) =:= 1, is_integer(element(3, M)), is_tuple(element(4, M))]).

what_a_client_writes_under_sys_does_not_wait_test() ->
    Message = fun(Topic) -> {mqtt_message, <<0:128>>, 1, {<<"c">>, undefined}, Topic, 1, [], false, false, false, [], <<>>, {0, 0, 0}} end,
    [?assertEqual({Topic, Expected}, {Topic, emq_plugin_kafka_wait:allowed(Message(Topic))})
     || {Topic, Expected} <- [{<<"$SYS/x">>, no_wait}, {<<"$SYS">>, no_wait}, {<<"$SYSTEM">>, wait}, {<<"t">>, wait}]],
    ?assertEqual(no_wait, emq_plugin_kafka_wait:allowed(not_a_message)).

answered_is_answered_test() ->
    [begin
         _ = answer(Answer),
         ?assertEqual(Expected, outcome({wait, ?ID, ?LONG, OnFailure}, #{})),
         nothing_left()
     end || {Answer, OnFailure, Expected} <- [{ok, continue, ok}, {ok, disconnect, ok},
                                              {{error, spool_full}, continue, {error, spool_full}},
                                              {{error, spool_full}, disconnect, disconnect}]].

an_answer_that_comes_later_is_waited_for_test() ->
    Self = self(),
    _ = spawn_link(fun() -> waiting(Self), Self ! {emq_plugin_kafka, ?ID, ok} end),
    ?assertEqual(ok, outcome({wait, ?ID, ?LONG, disconnect}, #{})),
    nothing_left().

%% Until the process sits in a receive.
waiting(Pid) ->
    case process_info(Pid, status) of
        {status, waiting} -> ok;
        _ -> erlang:yield(), waiting(Pid)
    end.

a_timeout_applies_on_failure_and_cancels_once_test() ->
    [begin
         Answers = #{cancel => [cancelled]},
         {Time, Outcome} = timer:tc(fun() -> outcome({wait, ?ID, ?SHORT, OnFailure}, Answers) end),
         ?assertEqual(Expected, Outcome),
         ?assert(Time >= ?SHORT * 1000),
         ?assertEqual([{cancel, ?ID}], calls()),
         nothing_left()
     end || {OnFailure, Expected} <- [{disconnect, disconnect}, {continue, {error, timeout}}]].

%% The answer was sent between the deadline and the cancel.
an_answer_that_overtakes_the_cancel_counts_and_is_taken_test() ->
    Overtaken = #{cancel => [fun() -> answer(ok), answered end]},
    ?assertEqual(ok, outcome({wait, ?ID, 0, disconnect}, Overtaken)),
    nothing_left(),
    Refused = #{cancel => [fun() -> answer({error, closed}), answered end]},
    ?assertEqual(disconnect, outcome({wait, ?ID, 0, disconnect}, Refused)),
    nothing_left().

%% The library said `answered` and sent nothing: a bug of ours must not hold a client for ever.
a_promised_answer_is_waited_for_a_second_at_most_test_() -> {timeout, 60, fun promised/0}.

promised() ->
    {Time, Outcome} = timer:tc(fun() -> outcome({wait, ?ID, 0, continue}, #{cancel => [answered]}) end),
    ?assertEqual({error, timeout}, Outcome),
    ?assert(Time >= 1000000 andalso Time < 30000000).

messages_of_others_stay_where_they_are_test() ->
    Others = [{deliver, message}, {emq_plugin_kafka, ?ID + 1, ok}, {'$gen_call', x, y}],
    [self() ! Other || Other <- Others],
    _ = answer(ok),
    ?assertEqual(ok, outcome({wait, ?ID, ?LONG, continue}, #{})),
    ?assertEqual({error, timeout}, outcome({wait, ?ID, 0, continue}, #{cancel => [cancelled]})),
    ?assertEqual(Others, [receive Message -> Message end || _ <- Others]).

room_goes_on_with_the_rest_test() ->
    _ = answer(room),
    Library = #{rest => [fun() -> answer(room), {full, ?ID, ?LONG, 2} end,
                         fun() -> answer(ok), {wait, ?ID, ?LONG, continue} end]},
    ?assertEqual(ok, outcome({full, ?ID, ?LONG, 1}, Library)),
    ?assertEqual([{rest, ?ID, 1}, {rest, ?ID, 2}], calls()),
    nothing_left().

room_and_then_no_wait_test() ->
    [begin
         _ = answer(room),
         ?assertEqual(Expected, outcome({full, ?ID, ?LONG, 0}, #{rest => [Answer]})),
         nothing_left()
     end || {Answer, Expected} <- [{ok, ok}, {{error, queue_full}, {error, queue_full}}, {{refused, queue_full}, disconnect}]].

no_room_in_time_gives_up_test() ->
    {Time, Outcome} = timer:tc(fun() -> outcome({full, ?ID, ?SHORT, 3}, #{give_up => [{refused, queue_full}]}) end),
    ?assertEqual(disconnect, Outcome),
    ?assert(Time >= ?SHORT * 1000),
    ?assertEqual([{give_up, ?ID, 3}], calls()).

%% However often there was room for a part: one deadline, that of the first answer.
the_deadline_is_that_of_the_first_answer_test() ->
    _ = answer(room),
    Library = #{rest => [{full, ?ID, ?LONG, 1}], give_up => [{wait, ?ID, ?LONG, continue}], cancel => [cancelled]},
    {Time, Outcome} = timer:tc(fun() -> outcome({full, ?ID, ?SHORT, 0}, Library) end),
    ?assertEqual({error, timeout}, Outcome),
    ?assert(Time < ?LONG * 1000),
    ?assertEqual([{rest, ?ID, 0}, {give_up, ?ID, 1}, {cancel, ?ID}], calls()).

%% It is told of room at the moment it gives up: that is no answer to what it waits for next.
room_that_comes_too_late_is_taken_test() ->
    Library = #{give_up => [fun() -> answer(room), {error, queue_full} end]},
    ?assertEqual({error, queue_full}, outcome({full, ?ID, 0, 0}, Library)),
    nothing_left(),
    Waits = #{give_up => [fun() -> answer(room), answer(ok), {wait, ?ID, ?LONG, disconnect} end]},
    ?assertEqual(ok, outcome({full, ?ID, 0, 0}, Waits)),
    nothing_left().

what_needs_no_wait_passes_test() ->
    [?assertEqual(Outcome, emq_plugin_kafka_wait:outcome(Outcome, bad_event)) || Outcome <- [ok, ignored, {error, closed}]],
    ?assertEqual(disconnect, emq_plugin_kafka_wait:outcome({refused, waiters_full}, bad_event)).

%% A library that answers each of its calls with what is next in its list.
outcome(Answer, Answers) ->
    put(answers, Answers),
    put(calls, []),
    Library = #{rest => fun(Id, From) -> next(rest, {rest, Id, From}) end,
                give_up => fun(Id, From) -> next(give_up, {give_up, Id, From}) end,
                cancel => fun(Id) -> next(cancel, {cancel, Id}) end},
    emq_plugin_kafka_wait:settle(Answer, Library).

next(Call, Record) ->
    put(calls, [Record | get(calls)]),
    #{Call := [Next | Rest]} = Answers = get(answers),
    put(answers, Answers#{Call := Rest}),
    given(Next).

given(Fun) when is_function(Fun) -> Fun();
given(Answer) -> Answer.

calls() -> lists:reverse(get(calls)).

answer(Answer) -> self() ! {emq_plugin_kafka, ?ID, Answer}.

nothing_left() ->
    ?assertEqual({message_queue_len, 0}, process_info(self(), message_queue_len)).
