%% Waits for what nothing announces, by asking twenty times a second. Never a plain sleep.
-module(polling).

-export([until/1, until/2, until/3]).

-define(ASK_AGAIN_MS, 50).
%% Long, for a busy machine. The expected answer ends the wait.
-define(TIMEOUT_MS, 90000).

%% @doc Asks until the answer is true.
-spec until(fun(() -> boolean())) -> ok | {error, timeout}.
until(Condition) ->
    answered(until(Condition, fun(Answer) -> Answer end)).

answered({ok, true}) -> ok;
answered({error, false}) -> {error, timeout}.

%% @doc Asks until an answer is wanted. Returns that answer, or the last one as an error.
-spec until(fun(() -> Answer), fun((Answer) -> boolean())) -> {ok, Answer} | {error, Answer}.
until(Ask, IsWanted) ->
    until(Ask, IsWanted, ?TIMEOUT_MS).

-spec until(fun(() -> Answer), fun((Answer) -> boolean()), TimeoutMs :: non_neg_integer()) -> {ok, Answer} | {error, Answer}.
until(Ask, IsWanted, TimeoutMs) ->
    again(Ask, IsWanted, erlang:monotonic_time(millisecond) + TimeoutMs).

again(Ask, IsWanted, Deadline) ->
    Answer = Ask(),
    IsLate = erlang:monotonic_time(millisecond) > Deadline,
    next(IsWanted(Answer), IsLate, Answer, fun() -> again(Ask, IsWanted, Deadline) end).

next(true, _IsLate, Answer, _Again) -> {ok, Answer};
next(false, true, Answer, _Again) -> {error, Answer};
next(false, false, _Answer, Again) -> receive after ?ASK_AGAIN_MS -> Again() end.
