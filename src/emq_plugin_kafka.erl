%% The plugin's face: hooks registered and unregistered, the callbacks, statistics.
%%
%% A callback runs in the process of the client or session that it is about. It is total, takes microseconds, never waits
%% and gives back what it was given: EMQ 2.3 calls it without a try, and an exception would cost the client its connection.
%% The exception is what a client publishes with QoS 1: its callback waits, or ends the connection, where a rule wants that.
-module(emq_plugin_kafka).

-export([load/1, load_all/1, unload/0, unload_unneeded/0, take/2, status/0, stats/0]).
-export([on_client_connected/3, on_client_disconnected/3, on_client_subscribe/4, on_client_unsubscribe/4,
         on_session_created/3, on_session_subscribed/4, on_session_unsubscribed/4, on_session_terminated/4,
         on_message_publish/2, on_message_delivered/4, on_message_acked/4]).

%% Registers the hooks that some rule needs, and no other.
-spec load(Env :: list()) -> ok | {error, [{Event :: atom(), Reason :: term()}]}.
load(_Env) ->
    hook(needed()).

%% Registers every hook, before a change of the rules: no event of a new rule is missed. What no rule is about costs a
%% look and becomes nothing.
-spec load_all(Env :: list()) -> ok | {error, [{Event :: atom(), Reason :: term()}]}.
load_all(_Env) ->
    hook(emq_plugin_kafka_broker:events()).

%% Tells whether there was anything to unregister.
-spec unload() -> {ok, Unregistered :: boolean()} | {error, [{Event :: atom(), Reason :: term()}]}.
unload() ->
    unhook(emq_plugin_kafka_broker:events()).

%% Unregisters the hooks that no rule needs.
-spec unload_unneeded() -> {ok, Unregistered :: boolean()} | {error, [{Event :: atom(), Reason :: term()}]}.
unload_unneeded() ->
    unhook(emq_plugin_kafka_broker:events() -- needed()).

needed() ->
    Needed = emq_plugin_kafka_nif:hooks(),
    [Event || Event <- emq_plugin_kafka_broker:events(), lists:member(Event, Needed)].

hook(Events) ->
    failed([{Event, emq_plugin_kafka_broker:hook(Event)} || Event <- Events]).

unhook(Events) ->
    Results = [{Event, emq_plugin_kafka_broker:unhook(Event)} || Event <- Events],
    unhooked(failed(Results), lists:any(fun({_Event, Result}) -> Result =:= ok end, Results)).

unhooked(ok, Any) -> {ok, Any};
unhooked({error, Failed}, _Any) -> {error, Failed}.

%% One that is already gone is as wanted.
failed(Results) ->
    failed_of([{Event, Reason} || {Event, {error, Reason}} <- Results, Reason =/= not_found]).

failed_of([]) -> ok;
failed_of(Failed) -> {error, Failed}.

%% Whether the plugin forwards, to whom, what waits, with what settings (secrets replaced), or why it does not.
-spec status() -> map().
status() ->
    emq_plugin_kafka_info:status().

%% Every counter, at one instant: accepted = success + failed + dropped + spooled + queued.
-spec stats() -> emq_plugin_kafka_nif:stats() | {error, not_loaded}.
stats() ->
    try
        emq_plugin_kafka_nif:stats()
    catch
        error:not_loaded -> {error, not_loaded}
    end.

-spec on_client_connected(ConnAck :: term(), Client, Env :: term()) -> {ok, Client}.
on_client_connected(ConnAck, Client, _Env) ->
    _ = forward('client.connected', [ConnAck, Client]),
    {ok, Client}.

-spec on_client_disconnected(Reason :: term(), Client :: term(), Env :: term()) -> ok.
on_client_disconnected(Reason, Client, _Env) ->
    _ = forward('client.disconnected', [Reason, Client]),
    ok.

-spec on_client_subscribe(ClientId :: term(), Username :: term(), TopicTable, Env :: term()) -> {ok, TopicTable}.
on_client_subscribe(ClientId, Username, TopicTable, _Env) ->
    _ = forward('client.subscribe', [ClientId, Username, TopicTable]),
    {ok, TopicTable}.

-spec on_client_unsubscribe(ClientId :: term(), Username :: term(), TopicTable, Env :: term()) -> {ok, TopicTable}.
on_client_unsubscribe(ClientId, Username, TopicTable, _Env) ->
    _ = forward('client.unsubscribe', [ClientId, Username, TopicTable]),
    {ok, TopicTable}.

-spec on_session_created(ClientId :: term(), Username :: term(), Env :: term()) -> ok.
on_session_created(ClientId, Username, _Env) ->
    _ = forward('session.created', [ClientId, Username]),
    ok.

-spec on_session_terminated(ClientId :: term(), Username :: term(), Reason :: term(), Env :: term()) -> ok.
on_session_terminated(ClientId, Username, Reason, _Env) ->
    _ = forward('session.terminated', [ClientId, Username, Reason]),
    ok.

-spec on_session_subscribed(ClientId :: term(), Username :: term(), TopicOpts, Env :: term()) -> {ok, TopicOpts}.
on_session_subscribed(ClientId, Username, TopicOpts, _Env) ->
    _ = forward('session.subscribed', [ClientId, Username, TopicOpts]),
    {ok, TopicOpts}.

-spec on_session_unsubscribed(ClientId :: term(), Username :: term(), TopicOpts, Env :: term()) -> {ok, TopicOpts}.
on_session_unsubscribed(ClientId, Username, TopicOpts, _Env) ->
    _ = forward('session.unsubscribed', [ClientId, Username, TopicOpts]),
    {ok, TopicOpts}.

-spec on_message_publish(Message, Env :: term()) -> {ok, Message}.
on_message_publish(Message, _Env) ->
    published(forward('message.publish', [Message], emq_plugin_kafka_wait:allowed(Message)), Message).

%% Ended with a reason that EMQ takes for an orderly end: no PUBACK, nothing in the log, and the client sends again.
published(disconnect, _Message) -> exit({shutdown, kafka_unavailable});
published(_Outcome, Message) -> {ok, Message}.

-spec on_message_delivered(ClientId :: term(), Username :: term(), Message, Env :: term()) -> {ok, Message}.
on_message_delivered(ClientId, Username, Message, _Env) ->
    _ = forward('message.delivered', [ClientId, Username, Message]),
    {ok, Message}.

-spec on_message_acked(ClientId :: term(), Username :: term(), Message, Env :: term()) -> {ok, Message}.
on_message_acked(ClientId, Username, Message, _Env) ->
    _ = forward('message.acked', [ClientId, Username, Message]),
    {ok, Message}.

%% The event functions and the NIF are total by themselves. Should one of them have a bug, a client does not pay for it.
forward(Hook, Args) ->
    forward(Hook, Args, no_wait).

forward(Hook, Args, Wait) ->
    try
        produce(emq_plugin_kafka_event:from_hook(Hook, Args), Wait)
    catch
        _:_ -> count_bad_event()
    end.

%% The same for the events of other generations.
-spec take(fun(() -> emq_plugin_kafka_event:event()), emq_plugin_kafka_nif:wait()) ->
          emq_plugin_kafka_nif:outcome() | disconnect.
take(Make, Wait) ->
    try
        produce(Make(), Wait)
    catch
        _:_ -> count_bad_event()
    end.

produce(Event, Wait) ->
    produced(emq_plugin_kafka_nif:produce(Event, Wait), Event, Wait).

produced(ok, _Event, _Wait) -> ok;
produced(heavy, Event, Wait) -> emq_plugin_kafka_wait:outcome(emq_plugin_kafka_nif:produce_large(Event, Wait), Event);
produced(Answer, Event, _Wait) -> emq_plugin_kafka_wait:outcome(Answer, Event).

count_bad_event() ->
    try
        emq_plugin_kafka_nif:produce(bad_event, no_wait)
    catch
        error:Reason -> {error, Reason}
    end.
