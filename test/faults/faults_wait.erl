%% Waits for an event that nothing announces, by asking again. Never a plain sleep: what is waited for has a name, and not
%% seeing it in time is an error.
-module(faults_wait).

-export([until/3]).

-define(ASK_AGAIN_MS, 50).
%% On a machine that has other things to do. What comes ends the wait.
-define(LEAST_MS, 90000).

%% @doc Asks until the answer is neither `false' nor an exception of a node that is not there; that answer. Waits for a minute and
%% a half at least.
-spec until(What :: iodata(), fun(() -> false | Answer), timeout()) -> Answer.
until(What, Ask, Timeout) ->
    again(What, Ask, erlang:monotonic_time(millisecond) + max(Timeout, ?LEAST_MS)).

again(What, Ask, Deadline) ->
    case answer(Ask) of
        false ->
            Late = erlang:monotonic_time(millisecond) > Deadline,
            later(Late, What, Ask, Deadline);
        Answer ->
            Answer
    end.

later(true, What, _Ask, _Deadline) ->
    error({not_seen_in_time, iolist_to_binary(What)});
later(false, What, Ask, Deadline) ->
    receive after ?ASK_AGAIN_MS -> again(What, Ask, Deadline) end.

answer(Ask) ->
    try Ask()
    catch error:{erpc, _} -> false
    end.
