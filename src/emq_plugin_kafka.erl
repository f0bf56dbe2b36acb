%% The plugin's face: hooks registered and unregistered, the callbacks, statistics.
%%
%% A callback runs in the process of the client or session that it is about. It is total, takes microseconds, never waits
%% and gives back what it was given: EMQ 2.3 calls it without a try, and an exception would cost the client its connection.
-module(emq_plugin_kafka).

-export([load/1, unload/0, status/0, stats/0]).
-export([on_client_connected/3, on_client_disconnected/3, on_client_subscribe/4, on_client_unsubscribe/4,
         on_session_created/3, on_session_subscribed/4, on_session_unsubscribed/4, on_session_terminated/4,
         on_message_publish/2, on_message_delivered/4, on_message_acked/4]).

%% Which callback serves which hook: the one table for load and unload.
-define(HOOKS, [{'client.connected', fun ?MODULE:on_client_connected/3},
                {'client.disconnected', fun ?MODULE:on_client_disconnected/3},
                {'client.subscribe', fun ?MODULE:on_client_subscribe/4},
                {'client.unsubscribe', fun ?MODULE:on_client_unsubscribe/4},
                {'session.created', fun ?MODULE:on_session_created/3},
                {'session.subscribed', fun ?MODULE:on_session_subscribed/4},
                {'session.unsubscribed', fun ?MODULE:on_session_unsubscribed/4},
                {'session.terminated', fun ?MODULE:on_session_terminated/4},
                {'message.publish', fun ?MODULE:on_message_publish/2},
                {'message.delivered', fun ?MODULE:on_message_delivered/4},
                {'message.acked', fun ?MODULE:on_message_acked/4}]).

%% EMQ calls the callbacks of a hook in ascending order of priority, those of equal priority in the order of their
%% registration, and most register with 0. Ours come last, whenever they were registered: they see a message as the
%% others left it, and none that another one stopped.
-define(PRIORITY, 1000).

%% Registers the hooks that some rule needs, and no other.
-spec load(Env :: list()) -> ok | {error, [{Hook :: atom(), Reason :: term()}]}.
load(Env) ->
    Needed = emq_plugin_kafka_nif:hooks(),
    failed([{Hook, emqttd:hook(Hook, {?MODULE, Callback}, [Env], ?PRIORITY)}
            || {Hook, Callback} <- ?HOOKS, lists:member(Hook, Needed)]).

-spec unload() -> ok | {error, [{Hook :: atom(), Reason :: term()}]}.
unload() ->
    failed([{Hook, emqttd:unhook(Hook, {?MODULE, Callback})} || {Hook, Callback} <- ?HOOKS]).

%% One that is there already, or already gone, is as wanted.
failed(Results) ->
    failed_of([{Hook, Reason} || {Hook, {error, Reason}} <- Results, Reason =/= already_hooked, Reason =/= not_found]).

failed_of([]) -> ok;
failed_of(Failed) -> {error, Failed}.

%% Whether the plugin forwards, with what settings (secrets replaced), or why it does not.
-spec status() -> emq_plugin_kafka_producer:status().
status() ->
    emq_plugin_kafka_producer:status().

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
    _ = forward('message.publish', [Message]),
    {ok, Message}.

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
    try
        produce(emq_plugin_kafka_event:from_hook(Hook, Args))
    catch
        _:_ -> count_bad_event()
    end.

produce(Event) ->
    produced(emq_plugin_kafka_nif:produce(Event), Event).

produced(heavy, Event) -> emq_plugin_kafka_nif:produce_large(Event);
produced(Outcome, _Event) -> Outcome.

count_bad_event() ->
    try
        emq_plugin_kafka_nif:produce(bad_event)
    catch
        error:Reason -> {error, Reason}
    end.
