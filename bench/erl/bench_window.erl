%% How many records are taken and not yet acknowledged, for clients that have no such limit of their own: who would exceed it
%% waits for a message.
%%
%% Callers count up, acknowledgements count down, in one atomic word; only a full window touches anything else. Those that
%% wait are woken together when half of the window is free, not one for each acknowledgement.
-module(bench_window).

-export([new/1, acquire/1, release/2]).
-export_type([window/0]).

-define(TAKEN, 1).
-define(WAITING, 2).

-opaque window() :: {Size :: pos_integer(), atomics:atomics_ref(), ets:tid()}.

%% The caller owns the table: it must live as long as the window.
-spec new(pos_integer()) -> window().
new(Size) ->
    {Size, atomics:new(2, []), ets:new(?MODULE, [public, {write_concurrency, true}])}.

-spec acquire(window()) -> ok.
acquire({Size, Atomics, _} = Window) ->
    case taken(Atomics, Size) of
        true -> ok;
        false -> wait(Window)
    end.

-spec release(window(), Records :: non_neg_integer()) -> ok.
release({Size, Atomics, Waiting}, Records) ->
    Left = atomics:sub_get(Atomics, ?TAKEN, Records),
    case atomics:get(Atomics, ?WAITING) > 0 andalso Left =< Size div 2 of
        true -> lists:foreach(fun({Pid}) -> wake(Atomics, Waiting, Pid) end, ets:tab2list(Waiting));
        false -> ok
    end.

taken(Atomics, Size) ->
    case atomics:add_get(Atomics, ?TAKEN, 1) =< Size of
        true -> true;
        false -> atomics:sub(Atomics, ?TAKEN, 1), false
    end.

%% Registered before it looks again, as release/2 counts down before it looks who waits: one of the two sees the other.
wait({Size, Atomics, Waiting} = Window) ->
    true = ets:insert(Waiting, {self()}),
    ok = atomics:add(Atomics, ?WAITING, 1),
    case taken(Atomics, Size) of
        true ->
            wake(Atomics, Waiting, self()),
            woken();
        false ->
            woken(),
            acquire(Window)
    end.

%% Whoever takes the entry sends the one message for it.
wake(Atomics, Waiting, Pid) ->
    case ets:take(Waiting, Pid) of
        [{Pid}] ->
            ok = atomics:sub(Atomics, ?WAITING, 1),
            Pid ! ?MODULE,
            ok;
        [] ->
            ok
    end.

woken() ->
    receive ?MODULE -> ok end.
