%% The plugin's face: registers and unregisters the hooks, has the callbacks of EMQ 2.3, and tells status and counters.
%%
%% A callback runs in the process of its client or session. It is total, takes microseconds, never blocks, and returns its argument:
%% EMQ 2.3 calls it without a try, so that an exception would end the client's connection. One exception: the callback of a QoS 1
%% publish blocks, or ends the connection, where a rule says so (emq_plugin_kafka_wait).
%%
%% The modules by group, without the prefix emq_plugin_kafka_:
%%
%%   the core          app, sup            the application: start and stop
%%                     producer            the process that owns the Kafka producer
%%                     producer_*          the steps of that process: lifecycle, reopen; the status
%%                     nif, library        the native library; why it cannot be loaded
%%                     wait                a publisher that waits for its record
%%                     event               arguments of EMQ 2.3's hooks as an event
%%                     hooks, unseen       the hooks at start, reload and stop; messages published while none was registered
%%                     listeners, vm       the broker's listeners at boot and stop; the VM
%%   settings          settings            the application environment as text for the library
%%                     conf                the conf file of EMQ 2.3 and EMQX 4
%%                     changes             what differs between two settings
%%                     last_settings       the last settings that worked, on disk
%%   the brokers       broker              one interface; finds the adapter
%%                     emq2, emqx4, emqx5  the adapters
%%                     emqx, emqx_*        shared by EMQX 4 and 5: callbacks, events, fields, alarms, who may wait
%%                     emqx5_*             EMQX 5 alone: settings, listeners
%%   what people see   cli, cli_*          the command `kafka`
%%                     info                status and numbers as maps, for the command, JSON and the shell
%%                     watch               once a second: logs, alarms
%%                     report, alarms      decide which lines are logged and which alarms are raised
%%                     log, text           the broker's log; printable text
%%
%% On the way of a message: its callback here or in an adapter, event or emqx_event, nif, wait. Nothing else.
-module(emq_plugin_kafka).

-export([load/1, load_all/1, unload/0, unload_unneeded/0]).
-export([status/0, stats/0]).
%% Callbacks of EMQ 2.3. Those of EMQX call take/2.
-export([take/2]).
-export([on_client_connected/3, on_client_disconnected/3, on_client_subscribe/4, on_client_unsubscribe/4,
         on_session_created/3, on_session_subscribed/4, on_session_unsubscribed/4, on_session_terminated/4,
         on_message_publish/2, on_message_delivered/4, on_message_acked/4]).

%% Registers the hooks that the rules need.
-spec load(Env :: list()) -> ok | {error, [{Event :: atom(), Reason :: term()}]}.
load(_Env) ->
    hook(needed_events()).

%% Registers every hook before a change of the rules, so that no event of a new rule is missed. Events without a rule are ignored.
-spec load_all(Env :: list()) -> ok | {error, [{Event :: atom(), Reason :: term()}]}.
load_all(_Env) ->
    hook(emq_plugin_kafka_broker:events()).

%% Unregisters every hook. Unregistered: whether any was registered.
-spec unload() -> {ok, Unregistered :: boolean()} | {error, [{Event :: atom(), Reason :: term()}]}.
unload() ->
    unhook(emq_plugin_kafka_broker:events()).

%% Unregisters the hooks that no rule needs.
-spec unload_unneeded() -> {ok, Unregistered :: boolean()} | {error, [{Event :: atom(), Reason :: term()}]}.
unload_unneeded() ->
    unhook(emq_plugin_kafka_broker:events() -- needed_events()).

needed_events() ->
    Needed = emq_plugin_kafka_nif:hooks(),
    [Event || Event <- emq_plugin_kafka_broker:events(), lists:member(Event, Needed)].

hook(Events) ->
    failed([{Event, emq_plugin_kafka_broker:hook(Event)} || Event <- Events]).

unhook(Events) ->
    Results = [{Event, emq_plugin_kafka_broker:unhook(Event)} || Event <- Events],
    unhooked(failed(Results), lists:any(fun({_Event, Result}) -> Result =:= ok end, Results)).

unhooked(ok, Any) -> {ok, Any};
unhooked({error, Failed}, _Any) -> {error, Failed}.

%% Unregistering an unregistered hook is no failure.
failed(Results) ->
    failed_result([{Event, Reason} || {Event, {error, Reason}} <- Results, Reason =/= not_found]).

failed_result([]) -> ok;
failed_result(Failed) -> {error, Failed}.

%% State, problems, brokers, backlog, and settings with secrets replaced: see emq_plugin_kafka_info.
-spec status() -> map().
status() ->
    emq_plugin_kafka_info:status().

%% All counters at one instant: accepted = success + failed + dropped + spooled + queued.
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

%% EMQ takes this reason for an orderly end: no PUBACK, no log line, and the client sends the message again.
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

%% The event functions and the NIF are total. The catch is for their bugs: they must not end a client's connection.
forward(Hook, Args) ->
    forward(Hook, Args, no_wait).

forward(Hook, Args, Wait) ->
    try
        produce(emq_plugin_kafka_event:from_hook(Hook, Args), Wait)
    catch
        _:_ -> count_bad_event()
    end.

%% The same for the callbacks of EMQX. Never raises; `disconnect`: end the publisher's connection.
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
