%% Loaded into a broker's node by a test: records every hook call, in its process, in a table that
%% a process of its own keeps. It can also misbehave in a hook, after the call was recorded.
-module(standin_recorder).

-export([start/0, calls/0, clear/0, wait/2, misbehave/2, behave/0, publish_internally/1]).

-define(TABLE, ?MODULE).
-define(MISBEHAVING, standin_misbehaving).
-define(TIMEOUT, 60000).

-define(ARITY, #{'client.connected' => 2, 'client.disconnected' => 2,
                 'client.subscribe' => 3, 'client.unsubscribe' => 3,
                 'session.created' => 2, 'session.subscribed' => 3, 'session.unsubscribed' => 3,
                 'session.terminated' => 3, 'message.publish' => 1,
                 'message.delivered' => 3, 'message.acked' => 3}).

-type call() :: {Sequence :: integer(), pid(), Process :: mfa(), Hook :: atom(), Args :: [term()]}.
-type action() :: {raise, error | exit | throw, term()} | {return, term()} | {wait, non_neg_integer()}
                | {raise_on_sys, term()} | {only, Topic :: binary(), action()}.

%% @doc Registers on all eleven hooks, with an Env of its own as EMQ's recorder had.
-spec start() -> ok.
start() ->
    Starter = self(),
    Keeper = spawn(fun() -> keep(Starter) end),
    receive {Keeper, ready} -> ok end,
    maps:foreach(fun(Hook, Arity) -> ok = emqttd:hook(Hook, {?MODULE, recording(Hook, Arity)}, [[]]) end,
                 ?ARITY).

-spec calls() -> [call()].
calls() ->
    lists:sort(ets:tab2list(?TABLE)).

-spec clear() -> ok.
clear() ->
    true = ets:delete_all_objects(?TABLE),
    ok.

%% @doc Waits until a hook has been called `Count' times since the last clear/0. The broker's own
%% messages do not count.
-spec wait(atom(), pos_integer()) -> ok.
wait(Hook, Count) ->
    Ref = monitor(process, ?MODULE),
    ?MODULE ! {wait, self(), Ref, Hook, Count},
    receive
        {Ref, reached} -> true = demonitor(Ref, [flush]), ok;
        {'DOWN', Ref, process, _, Reason} -> error(Reason)
    after ?TIMEOUT ->
            error({not_reached, Hook, Count, [{H, P, A} || {_, _, P, H, A} <- calls()]})
    end.

%% @doc Calls of this hook end so from now on. $SYS messages are spared, but for `raise_on_sys',
%% which is for them alone; `only' spares all but the messages of one topic.
-spec misbehave(atom(), action()) -> ok.
misbehave(Hook, Action) ->
    Function = misbehaving(Action, maps:get(Hook, ?ARITY)),
    ok = persistent_term:put(?MISBEHAVING, [{Hook, Function} | persistent_term:get(?MISBEHAVING, [])]),
    emqttd:hook(Hook, {?MISBEHAVING, Function}, [], 10).

-spec behave() -> ok.
behave() ->
    lists:foreach(fun({Hook, Function}) -> ok = emqttd:unhook(Hook, {?MISBEHAVING, Function}) end,
                  persistent_term:get(?MISBEHAVING, [])),
    _ = persistent_term:erase(?MISBEHAVING),
    ok.

%% @doc Publishes from a process of no client, one message after the other.
-spec publish_internally([{From :: term(), 0..2, binary(), binary()}]) -> ok.
publish_internally(Messages) ->
    {Publisher, Ref} = spawn_monitor(fun() ->
        [emqttd:publish(emqttd_message:make(From, Qos, Topic, Payload)) || {From, Qos, Topic, Payload} <- Messages]
    end),
    receive {'DOWN', Ref, process, Publisher, normal} -> ok end.

%%% The callbacks

recording(Hook, 1) -> fun(A, Env) -> record(Hook, [A, Env]) end;
recording(Hook, 2) -> fun(A, B, Env) -> record(Hook, [A, B, Env]) end;
recording(Hook, 3) -> fun(A, B, C, Env) -> record(Hook, [A, B, C, Env]) end.

record(Hook, Args) ->
    Call = {erlang:unique_integer([monotonic]), self(), process(get('$initial_call')), Hook, Args},
    true = ets:insert(?TABLE, Call),
    ?MODULE ! recorded,
    ok.

process(undefined) ->
    {initial_call, Function} = process_info(self(), initial_call),
    Function;
process(Function) ->
    Function.

misbehaving(Action, 1) -> fun(A) -> act(Action, A) end;
misbehaving(Action, 2) -> fun(A, _) -> act(Action, A) end;
misbehaving(Action, 3) -> fun(A, _, _) -> act(Action, A) end.

act({raise_on_sys, Reason}, Message) when element(10, Message) -> error(Reason);
act({raise_on_sys, _}, _) -> ok;
act({only, Topic, Action}, Message) when element(5, Message) =:= Topic -> act(Action, Message);
act({only, _, _}, _) -> ok;
act(_, Message) when element(1, Message) =:= mqtt_message, element(10, Message) -> ok;
act({raise, Class, Reason}, _) -> erlang:raise(Class, Reason, []);
act({return, Value}, _) -> Value;
act({wait, Milliseconds}, _) -> timer:sleep(Milliseconds).

%%% The keeper of the table, who tells those who wait

keep(Starter) ->
    true = register(?MODULE, self()),
    ?TABLE = ets:new(?TABLE, [named_table, public, ordered_set]),
    Starter ! {self(), ready},
    serve([]).

serve(Waiting) ->
    receive
        recorded -> serve(tell(Waiting));
        {wait, Pid, Ref, Hook, Count} -> serve(tell([{Pid, Ref, Hook, Count} | Waiting]))
    end.

tell(Waiting) ->
    Counted = [Hook || {_, _, Process, Hook, _} <- ets:tab2list(?TABLE), element(1, Process) =/= emqttd_broker],
    {Reached, Rest} = lists:partition(fun({_, _, Hook, Count}) ->
                                              length([H || H <- Counted, H =:= Hook]) >= Count
                                      end, Waiting),
    _ = [Pid ! {Ref, reached} || {Pid, Ref, _, _} <- Reached],
    Rest.
