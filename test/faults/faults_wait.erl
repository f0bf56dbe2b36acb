%% Waits for an event that nothing announces: what is waited for has a name, and not seeing it in time is an error.
-module(faults_wait).

-export([until/3]).

%% On a machine that has other things to do. What comes ends the wait.
-define(LEAST_MS, 90000).

%% @doc Asks until the answer is neither `false' nor an exception of a node that is not there, or has no code; that answer. Waits for
%% a minute and a half at least.
-spec until(What :: iodata(), fun(() -> false | Answer), timeout()) -> Answer.
until(What, Ask, Timeout) ->
    seen(polling:until(fun() -> answer(Ask) end, fun(Answer) -> Answer =/= false end, max(Timeout, ?LEAST_MS)), What).

seen({ok, Answer}, _What) -> Answer;
seen({error, false}, What) -> error({not_seen_in_time, iolist_to_binary(What)}).

answer(Ask) ->
    try Ask()
    catch
        error:{erpc, _} -> false;
        %% A VM that boots or ends answers, too.
        error:{exception, undef, _} -> false
    end.
