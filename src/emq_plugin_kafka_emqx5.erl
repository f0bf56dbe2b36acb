%% EMQX 5: its hooks, its command line, its alarms, its configuration of plugins.
-module(emq_plugin_kafka_emqx5).
-behaviour(emq_plugin_kafka_broker).

-export([name/0, control/0, naming/0, data_dir/0, gated/0, messages_published/0]).
-export([events/0, hook/1, unhook/1]).
-export([load_environment/0, reads_file_at_start/0, read_settings/0, settings_in_use/1]).
-export([register_command/0, unregister_command/0, command_result/1, raise/1, clear/1, clear_all/0]).
-export([is_stopping/0, opens_listeners_first/0, open_listeners_last/0]).
-export([on_message_publish/1, on_message_puback/4, on_delivery_completed/2]).

-define(SHARED, emq_plugin_kafka_emqx).

%% Which callbacks serve which event.
-define(EVENTS, [{'client.connect', [{'client.connect', {?SHARED, on_client_connect, [5]}}]},
                 {'client.connack', [{'client.connack', {?SHARED, on_client_connack, [5]}}]},
                 {'client.connected', [{'client.connected', {?SHARED, on_client_connected, [5]}},
                                       {'client.connack', {?SHARED, on_client_refused, [5]}}]},
                 {'client.disconnected', [{'client.disconnected', {?SHARED, on_client_disconnected, [5]}}]},
                 {'client.subscribe', [{'client.subscribe', {?SHARED, on_client_subscribe, [5]}}]},
                 {'client.unsubscribe', [{'client.unsubscribe', {?SHARED, on_client_unsubscribe, [5]}}]},
                 {'session.created', [{'session.created', {?SHARED, on_session_created, [5]}}]},
                 {'session.resumed', [{'session.resumed', {?SHARED, on_session_resumed, [5]}}]},
                 {'session.discarded', [{'session.discarded', {?SHARED, on_session_discarded, [5]}}]},
                 {'session.takenover', [{'session.takenover', {?SHARED, on_session_takenover, [5]}}]},
                 {'session.subscribed', [{'session.subscribed', {?SHARED, on_session_subscribed, [5]}}]},
                 {'session.unsubscribed', [{'session.unsubscribed', {?SHARED, on_session_unsubscribed, [5]}}]},
                 {'session.terminated', [{'session.terminated', {?SHARED, on_session_terminated, [5]}}]},
                 {'message.publish', [{'message.publish', {?MODULE, on_message_publish, []}}]},
                 {'message.puback', [{'message.puback', {?MODULE, on_message_puback, []}}]},
                 {'message.delivered', [{'message.delivered', {?SHARED, on_message_delivered, [5]}}]},
                 {'message.acked', [{'message.acked', {?SHARED, on_message_acked, [5]}}]},
                 {'message.dropped', [{'message.dropped', {?SHARED, on_message_dropped, [5]}}]},
                 {'delivery.dropped', [{'delivery.dropped', {?SHARED, on_delivery_dropped, [5]}}]},
                 {'delivery.completed', [{'delivery.completed', {?MODULE, on_delivery_completed, []}}]}]).

%% Whether this EMQX can disconnect a publisher instead of acknowledging.
-define(DISCONNECTS, {?MODULE, disconnects}).

-spec name() -> binary().
name() -> <<"EMQX 5">>.

-spec control() -> binary().
control() -> <<"emqx ctl">>.

-spec naming() -> emq_plugin_kafka_nif:naming().
naming() -> hocon.

-spec data_dir() -> file:filename().
data_dir() -> emqx:data_dir().

%% The hook of a QoS 2 publish runs before PUBREC.
-spec gated() -> [1 | 2].
gated() -> gated(disconnects()).

gated(true) -> [1, 2];
gated(false) -> [].

-spec events() -> [emq_plugin_kafka_broker:event()].
events() -> [Event || {Event, _} <- ?EVENTS].

%% The broker keeps the settings to itself.
-spec load_environment() -> ok | {error, [Problem :: binary()], [{atom() | binary(), term()}]}.
load_environment() -> emq_plugin_kafka_emqx5_settings:load_environment().

-spec reads_file_at_start() -> boolean().
reads_file_at_start() -> true.

-spec hook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
hook('message.publish') ->
    ok = tell(disconnects()),
    ?SHARED:hook(registrations('message.publish'));
hook(Event) ->
    ?SHARED:hook(registrations(Event)).

-spec unhook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
unhook(Event) -> ?SHARED:unhook(registrations(Event)).

registrations(Event) ->
    {Event, Registrations} = lists:keyfind(Event, 1, ?EVENTS),
    Registrations.

%% EMQX learned it in 5.7: earlier ones would acknowledge the message and deliver it to nobody. It is in their code or it is not.
disconnects() -> disconnects(persistent_term:get(?DISCONNECTS, unknown)).

disconnects(unknown) ->
    Does = knows(should_disconnect, beam_lib:chunks(code:which(emqx_broker), [atoms])),
    ok = persistent_term:put(?DISCONNECTS, Does),
    Does;
disconnects(Does) ->
    Does.

knows(Atom, {ok, {_Module, [{atoms, Atoms}]}}) -> lists:keymember(Atom, 2, Atoms);
knows(_Atom, {error, beam_lib, _Reason}) -> false.

tell(true) -> ok;
tell(false) -> tell_of(emq_plugin_kafka_nif:about(), emq_plugin_kafka_nif:status()).

%% Only where somebody relies on it.
tell_of(#{modes := Modes}, {_State, Settings}) ->
    Wanted = [proplists:get_value(<<"on_failure">>, Settings) =:= <<"disconnect">>
              | [Mode =/= <<"async">> || Mode <- [proplists:get_value(<<"produce">>, Settings) | maps:values(Modes)]]],
    tell_who_relies(lists:member(true, Wanted));
tell_of(_About, None) when None =:= closed; None =:= spooling ->
    ok.

tell_who_relies(false) -> ok;
tell_who_relies(true) ->
    emq_plugin_kafka_log:error("on_failure = disconnect has no effect in this EMQX, which cannot leave a publish unacknowledged "
                               "(5.7 and later can): one whose record is not safe in time is acknowledged all the same", []).

%% Another plugin may have made several messages of one; then nobody waits.
-spec on_message_publish(Message :: term()) -> ok | {stop, Message :: term()}.
on_message_publish([Message | Messages]) ->
    _ = forward(Message, no_wait),
    on_message_publish(Messages);
on_message_publish(Message) when is_tuple(Message) ->
    published(forward(Message, emq_plugin_kafka_emqx_gate:allowed(Message)), Message);
on_message_publish([]) ->
    ok;
on_message_publish(Other) ->
    published(forward(Other, no_wait), Other).

forward(Message, Wait) -> forward(Message, Wait, emq_plugin_kafka_emqx_gate:refused(Message)).

%% Nobody gets a message that another plugin has refused.
forward(_Message, _Wait, true) ->
    ignored;
forward(Message, Wait, false) ->
    emq_plugin_kafka:take(fun() -> emq_plugin_kafka_emqx_event:from_hook(5, 'message.publish', [Message]) end, Wait).

published(disconnect, Message) -> left_unacknowledged(disconnects(), Message);
published(_Outcome, _Message) -> ok.

%% No PUBACK, no PUBREC: the connection ends, in MQTT 5 with a DISCONNECT, the session stays, and the client sends again.
left_unacknowledged(true, Message) ->
    Headers = element(6, Message),
    {stop, setelement(6, Message, Headers#{should_disconnect => true, allow_publish => false})};
left_unacknowledged(false, _Message) ->
    ok.

-spec on_message_puback(term(), term(), term(), term()) -> ok.
on_message_puback(PacketId, Message, Routes, ReasonCode) ->
    _ = emq_plugin_kafka:take(
          fun() -> emq_plugin_kafka_emqx_event:from_hook(5, 'message.puback', [PacketId, Message, Routes, ReasonCode]) end, no_wait),
    ok.

-spec on_delivery_completed(term(), term()) -> ok.
on_delivery_completed(Message, Session) ->
    _ = emq_plugin_kafka:take(fun() -> emq_plugin_kafka_emqx_event:from_hook(5, 'delivery.completed', [Message, Session]) end, no_wait),
    ok.

-spec register_command() -> ok.
register_command() -> ?SHARED:register_command().

-spec unregister_command() -> ok.
unregister_command() -> ?SHARED:unregister_command().

%% The exit status is 1 for an error; its tool prints most of them, but not this one, and the answer says it all.
-spec command_result(Succeeded :: boolean()) -> ok | {error, cmd_not_found}.
command_result(true) -> ok;
command_result(false) -> {error, cmd_not_found}.

-spec raise(emq_plugin_kafka_broker:alarm()) -> ok.
raise(#{title := Title, summary := Summary} = Alarm) ->
    emq_plugin_kafka_emqx_alarm:raise(Alarm, [<<Title/binary, ": ", Summary/binary>>]).

-spec clear(Name :: binary()) -> ok.
clear(Name) -> emq_plugin_kafka_emqx_alarm:clear(Name).

-spec clear_all() -> ok.
clear_all() -> emq_plugin_kafka_emqx_alarm:clear_all().

-spec read_settings() -> {ok, emq_plugin_kafka_broker:environment(), none} | {error, [Problem :: binary()]}.
read_settings() -> read(emq_plugin_kafka_emqx5_settings:read()).

read({ok, Environment}) -> {ok, Environment, none};
read({error, _} = Error) -> Error.

-spec settings_in_use(none) -> ok.
settings_in_use(none) -> ok.

%% It does not count those of the broker itself.
-spec messages_published() -> non_neg_integer().
messages_published() -> emqx_metrics:val('messages.publish').

%% When it stops, or joins a cluster, EMQX forgets that its configuration is loaded, and stops plugins next.
-spec is_stopping() -> boolean().
is_stopping() -> emq_plugin_kafka_vm:is_stopping() orelse not loaded().

loaded() ->
    try emqx_app:init_load_done()
    catch
        error:undef -> true
    end.

-spec opens_listeners_first() -> true.
opens_listeners_first() -> true.

-spec open_listeners_last() -> ok.
open_listeners_last() -> emq_plugin_kafka_emqx5_listeners:open_last().
