%% The adapter of EMQX 4 (4.3 and 4.4): hooks, command line, alarms, conf file.
-module(emq_plugin_kafka_emqx4).
-behaviour(emq_plugin_kafka_broker).

-export([name/0, control/0, naming/0, data_dir/0, gated/0, messages_published/0]).
-export([events/0, hook/1, unhook/1]).
-export([load_environment/0, reads_file_at_start/0, read_settings/0, settings_in_use/1]).
-export([register_command/0, unregister_command/0, command_result/1, raise/1, clear/1, clear_all/0]).
-export([is_stopping/0, opens_listeners_first/0, open_listeners_last/0]).
-export([on_delivery_completed/3, publish/1, published/1]).

-define(APP, emq_plugin_kafka).
-define(SHARED, emq_plugin_kafka_emqx).

%% The callbacks of each event.
-define(EVENTS, [{'client.connect', [{'client.connect', {?SHARED, on_client_connect, [4]}}]},
                 {'client.connack', [{'client.connack', {?SHARED, on_client_connack, [4]}}]},
                 {'client.connected', [{'client.connected', {?SHARED, on_client_connected, [4]}},
                                       {'client.connack', {?SHARED, on_client_refused, [4]}}]},
                 {'client.disconnected', [{'client.disconnected', {?SHARED, on_client_disconnected, [4]}}]},
                 {'client.subscribe', [{'client.subscribe', {?SHARED, on_client_subscribe, [4]}}]},
                 {'client.unsubscribe', [{'client.unsubscribe', {?SHARED, on_client_unsubscribe, [4]}}]},
                 {'session.created', [{'session.created', {?SHARED, on_session_created, [4]}}]},
                 {'session.resumed', [{'session.resumed', {?SHARED, on_session_resumed, [4]}}]},
                 {'session.discarded', [{'session.discarded', {?SHARED, on_session_discarded, [4]}}]},
                 {'session.takenover', [{'session.takeovered', {?SHARED, on_session_takenover, [4]}}]},
                 {'session.subscribed', [{'session.subscribed', {?SHARED, on_session_subscribed, [4]}}]},
                 {'session.unsubscribed', [{'session.unsubscribed', {?SHARED, on_session_unsubscribed, [4]}}]},
                 {'session.terminated', [{'session.terminated', {?SHARED, on_session_terminated, [4]}}]},
                 {'message.publish', [{'message.publish', {?MODULE, published, []}, {?MODULE, publish, []}}]},
                 {'message.delivered', [{'message.delivered', {?SHARED, on_message_delivered, [4]}}]},
                 {'message.acked', [{'message.acked', {?SHARED, on_message_acked, [4]}}]},
                 {'message.dropped', [{'message.dropped', {?SHARED, on_message_dropped, [4]}}]},
                 {'delivery.dropped', [{'delivery.dropped', {?SHARED, on_delivery_dropped, [4]}}]},
                 {'delivery.completed', [{'delivery.completed', {?MODULE, on_delivery_completed, []}}]}]).

-spec name() -> binary().
name() -> <<"EMQX 4">>.

-spec control() -> binary().
control() -> <<"emqx_ctl">>.

-spec naming() -> emq_plugin_kafka_nif:naming().
naming() -> conf.

-spec data_dir() -> file:filename().
data_dir() -> application:get_env(emqx, data_dir, "data").

%% The hook of a QoS 2 publish runs before PUBREC.
-spec gated() -> [1 | 2].
gated() -> [1, 2].

-spec events() -> [emq_plugin_kafka_broker:event()].
events() -> [Event || {Event, _} <- ?EVENTS].

%% The broker has read the conf file before it starts a plugin.
-spec load_environment() -> ok.
load_environment() -> ok.

-spec reads_file_at_start() -> boolean().
reads_file_at_start() -> false.

-spec hook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
hook(Event) -> ?SHARED:hook(registrations(Event)).

-spec unhook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
unhook(Event) -> ?SHARED:unhook(registrations(Event)).

registrations(Event) ->
    {Event, Registrations} = lists:keyfind(Event, 1, ?EVENTS),
    Registrations.

%% The filter of message.publish, which returns false: the callback is never called. An exception of a filter ends the client's connection.
%% One of a callback does not: the broker catches it, and acknowledges the message.
-spec publish(Message :: term()) -> false | no_return().
publish(Message) ->
    published(forward(Message, emq_plugin_kafka_emqx_gate:refused(Message)), Message).

%% A message that another plugin has refused is not published, and becomes no record.
forward(_Message, true) ->
    ignored;
forward(Message, false) ->
    emq_plugin_kafka:take(fun() -> emq_plugin_kafka_emqx_event:from_hook(4, 'message.publish', [Message]) end,
                          emq_plugin_kafka_emqx_gate:allowed(Message)).

%% EMQX takes this reason for an orderly end: no PUBACK or PUBREC, no log line, and the client sends the message again.
published(disconnect, _Message) -> exit({shutdown, kafka_unavailable});
published(_Outcome, _Message) -> false.

%% The callback behind the filter.
-spec published(Message :: term()) -> ok.
published(_Message) -> ok.

-spec on_delivery_completed(term(), term(), term()) -> ok.
on_delivery_completed(Client, Message, Session) ->
    _ = emq_plugin_kafka:take(fun() -> emq_plugin_kafka_emqx_event:from_hook(4, 'delivery.completed', [Client, Message, Session]) end,
                              no_wait),
    ok.

-spec register_command() -> ok.
register_command() -> ?SHARED:register_command().

-spec unregister_command() -> ok.
unregister_command() -> ?SHARED:unregister_command().

%% Only an exception gives the exit status 1. The broker logs it; its tool prints the reason, except cmd_not_found.
-spec command_result(Succeeded :: boolean()) -> ok | no_return().
command_result(true) -> ok;
command_result(false) -> erlang:raise(exit, cmd_not_found, []).

-spec raise(emq_plugin_kafka_broker:alarm()) -> ok.
raise(Alarm) -> emq_plugin_kafka_emqx_alarm:raise(Alarm, []).

-spec clear(Name :: binary()) -> ok.
clear(Name) -> emq_plugin_kafka_emqx_alarm:clear(Name).

-spec clear_all() -> ok.
clear_all() -> emq_plugin_kafka_emqx_alarm:clear_all().

%% As the broker does: from the directory of all plugins' conf files, or else from the plugin's own etc.
-spec read_settings() -> {ok, emq_plugin_kafka_broker:environment(), none} | {error, [Problem :: binary()]}.
read_settings() ->
    read(emq_plugin_kafka_conf:read(directory(application:get_env(emqx, plugins_etc_dir)))).

read({ok, Environment, _Pairs}) -> {ok, Environment, none};
read({error, _} = Error) -> Error.

directory(Shared) ->
    Own = filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "etc"),
    first([Directory || {ok, Directory} <- [Shared, {ok, Own}], filelib:is_regular(filename:join(Directory, "emq_plugin_kafka.conf"))],
          Shared).

first([Directory | _], _Shared) -> {ok, Directory};
first([], Shared) -> Shared.

-spec settings_in_use(none) -> ok.
settings_in_use(none) -> ok.

%% EMQX does not count its own messages.
-spec messages_published() -> non_neg_integer().
messages_published() -> emqx_metrics:val('messages.publish').

-spec is_stopping() -> boolean().
is_stopping() -> emq_plugin_kafka_vm:is_stopping().

%% Since 4.3.10.
-spec opens_listeners_first() -> true.
opens_listeners_first() -> true.

%% Never needed: to join a cluster, EMQX 4 stops plugins as an operator does.
-spec open_listeners_last() -> ok.
open_listeners_last() -> ok.
