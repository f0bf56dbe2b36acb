%% The adapter of EMQX 5: hooks, command line, alarms, the configuration of plugins.
-module(emq_plugin_kafka_emqx5).
-behaviour(emq_plugin_kafka_broker).

-export([name/0, control/0, naming/0, data_dir/0, gated/0, messages_published/0]).
-export([events/0, hook/1, unhook/1]).
-export([load_environment/0, reads_file_at_start/0, read_settings/0, settings_in_use/1]).
-export([register_command/0, unregister_command/0, command_result/1, raise/1, clear/1, clear_all/0]).
-export([is_stopping/0, opens_listeners_first/0, open_listeners_last/0]).
-export([on_message_publish/1, on_message_puback/4, on_delivery_completed/2]).

-define(SHARED, emq_plugin_kafka_emqx).

%% The callbacks of each event.
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

%% EMQX 5 starts a plugin without its configuration.
-spec load_environment() -> ok | {error, [Problem :: binary()], [{atom() | binary(), term()}]}.
load_environment() -> emq_plugin_kafka_emqx5_settings:load_environment().

-spec reads_file_at_start() -> boolean().
reads_file_at_start() -> true.

-spec hook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
hook('message.publish') ->
    ok = warn(disconnects()),
    ?SHARED:hook(registrations('message.publish'));
hook(Event) ->
    ?SHARED:hook(registrations(Event)).

-spec unhook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
unhook(Event) -> ?SHARED:unhook(registrations(Event)).

registrations(Event) ->
    {Event, Registrations} = lists:keyfind(Event, 1, ?EVENTS),
    Registrations.

%% Since EMQX 5.7: earlier releases acknowledge the message and deliver it to nobody. The atom is in the code of releases that can.
disconnects() -> disconnects(persistent_term:get(?DISCONNECTS, unknown)).

disconnects(unknown) ->
    Disconnects = has_atom(should_disconnect, beam_lib:chunks(code:which(emqx_broker), [atoms])),
    ok = persistent_term:put(?DISCONNECTS, Disconnects),
    Disconnects;
disconnects(Disconnects) ->
    Disconnects.

has_atom(Atom, {ok, {_Module, [{atoms, Atoms}]}}) -> lists:keymember(Atom, 2, Atoms);
has_atom(_Atom, {error, beam_lib, _Reason}) -> false.

%% Warns only where a rule relies on it.
warn(true) -> ok;
warn(false) -> warn(emq_plugin_kafka_nif:about(), emq_plugin_kafka_nif:status()).

warn(#{modes := Modes}, {_State, Settings}) ->
    Wanted = [proplists:get_value(<<"on_failure">>, Settings) =:= <<"disconnect">>
              | [Mode =/= <<"async">> || Mode <- [proplists:get_value(<<"produce">>, Settings) | maps:values(Modes)]]],
    warn_if(lists:member(true, Wanted));
warn(_About, None) when None =:= closed; None =:= spooling ->
    ok.

warn_if(false) -> ok;
warn_if(true) ->
    emq_plugin_kafka_log:error("on_failure = disconnect has no effect: this EMQX acknowledges each publish, even if its record is not "
                               "safe in time. EMQX 5.7 and later can withhold the acknowledgement", []).

%% Another plugin may have turned one message into several. Then nobody waits.
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

%% A message that another plugin has refused is not published, and becomes no record.
forward(_Message, _Wait, true) ->
    ignored;
forward(Message, Wait, false) ->
    emq_plugin_kafka:take(fun() -> emq_plugin_kafka_emqx_event:from_hook(5, 'message.publish', [Message]) end, Wait).

published(disconnect, Message) -> leave_unacknowledged(disconnects(), Message);
published(_Outcome, _Message) -> ok.

%% No PUBACK or PUBREC: the connection ends, in MQTT 5 with a DISCONNECT. The session stays, and the client sends the message again.
leave_unacknowledged(true, Message) ->
    Headers = element(6, Message),
    {stop, setelement(6, Message, Headers#{should_disconnect => true, allow_publish => false})};
leave_unacknowledged(false, _Message) ->
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

%% An error gives the exit status 1. The tool prints the error, except cmd_not_found.
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

%% EMQX does not count its own messages.
-spec messages_published() -> non_neg_integer().
messages_published() -> emqx_metrics:val('messages.publish').

%% When EMQX stops, also to join a cluster, it first resets the flag that its configuration is loaded, and then stops plugins.
-spec is_stopping() -> boolean().
is_stopping() -> emq_plugin_kafka_vm:is_stopping() orelse not is_config_loaded().

is_config_loaded() ->
    try emqx_app:init_load_done()
    catch
        error:undef -> true
    end.

-spec opens_listeners_first() -> true.
opens_listeners_first() -> true.

-spec open_listeners_last() -> ok.
open_listeners_last() -> emq_plugin_kafka_emqx5_listeners:open_last().
