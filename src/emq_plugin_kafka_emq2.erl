%% The adapter of EMQ 2.3 (emqttd): hooks, command line, alarms, conf file. The callbacks are in emq_plugin_kafka.
-module(emq_plugin_kafka_emq2).
-behaviour(emq_plugin_kafka_broker).

-export([name/0, control/0, naming/0, data_dir/0, gated/0, messages_published/0]).
-export([events/0, hook/1, unhook/1]).
-export([load_environment/0, reads_file_at_start/0, read_settings/0, settings_in_use/1]).
-export([register_command/0, unregister_command/0, command_result/1, raise/1, clear/1, clear_all/0]).
-export([is_stopping/0, opens_listeners_first/0, open_listeners_last/0]).

-define(APP, emq_plugin_kafka).

%% The callback of each hook.
-define(HOOKS, [{'client.connected', fun emq_plugin_kafka:on_client_connected/3},
                {'client.disconnected', fun emq_plugin_kafka:on_client_disconnected/3},
                {'client.subscribe', fun emq_plugin_kafka:on_client_subscribe/4},
                {'client.unsubscribe', fun emq_plugin_kafka:on_client_unsubscribe/4},
                {'session.created', fun emq_plugin_kafka:on_session_created/3},
                {'session.subscribed', fun emq_plugin_kafka:on_session_subscribed/4},
                {'session.unsubscribed', fun emq_plugin_kafka:on_session_unsubscribed/4},
                {'session.terminated', fun emq_plugin_kafka:on_session_terminated/4},
                {'message.publish', fun emq_plugin_kafka:on_message_publish/2},
                {'message.delivered', fun emq_plugin_kafka:on_message_delivered/4},
                {'message.acked', fun emq_plugin_kafka:on_message_acked/4}]).

%% EMQ calls the callbacks of a hook in ascending order of priority; most have 0. Ours come last: they see a message as other plugins have
%% left it, and no message that another plugin has stopped.
-define(PRIORITY, 1000).

%% Of the names of alarms, which are part of the topics that EMQ publishes them to.
-define(ALARM_PREFIX, "emq_plugin_kafka.").

%% How long to wait for the output that is to be discarded.
-define(DISCARD_MS, 1000).

-spec name() -> binary().
name() -> <<"EMQ 2.3">>.

-spec control() -> binary().
control() -> <<"emqttd_ctl">>.

-spec naming() -> emq_plugin_kafka_nif:naming().
naming() -> conf.

%% Below the working directory of the release.
-spec data_dir() -> file:filename().
data_dir() -> "data".

%% Not QoS 2: EMQ sends PUBREC before it calls the hook.
-spec gated() -> [1].
gated() -> [1].

-spec events() -> [emq_plugin_kafka_broker:event()].
events() -> [Hook || {Hook, _Callback} <- ?HOOKS].

%% The broker has read the conf file at boot.
-spec load_environment() -> ok.
load_environment() -> ok.

-spec reads_file_at_start() -> boolean().
reads_file_at_start() -> false.

%% A callback that is registered already is no error.
-spec hook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
hook(Event) ->
    {Event, Callback} = lists:keyfind(Event, 1, ?HOOKS),
    hooked(emqttd:hook(Event, {?APP, Callback}, [[]], ?PRIORITY)).

hooked({error, already_hooked}) -> ok;
hooked(Result) -> Result.

-spec unhook(emq_plugin_kafka_broker:event()) -> ok | {error, Reason :: term()}.
unhook(Event) ->
    {Event, Callback} = lists:keyfind(Event, 1, ?HOOKS),
    try
        emqttd:unhook(Event, {?APP, Callback})
    catch
        %% The broker has stopped, the node has not: it joins a cluster.
        exit:{noproc, _} -> {error, not_found}
    end.

-spec register_command() -> ok.
register_command() ->
    emqttd_ctl:register_cmd(kafka, {emq_plugin_kafka_cli, kafka}, []).

-spec unregister_command() -> ok.
unregister_command() ->
    emqttd_ctl:unregister_cmd(kafka).

%% Only an exception gives the exit status 1. EMQ prints it with its stack, and nodetool prints its reason again, except cmd_not_found. Both
%% would spoil an answer in JSON: so the reason is this one, and the line that EMQ prints is discarded.
-spec command_result(Succeeded :: boolean()) -> ok | no_return().
command_result(true) ->
    ok;
command_result(false) ->
    true = group_leader(spawn(discard(self(), group_leader())), self()),
    erlang:raise(exit, cmd_not_found, []).

%% Takes one request for output, then gives the caller its terminal back.
discard(Caller, Terminal) ->
    fun() ->
            receive {io_request, From, Reply, _Request} -> From ! {io_reply, Reply, ok}
            after ?DISCARD_MS -> ok
            end,
            group_leader(Terminal, Caller)
    end.

%% EMQ publishes alarms below $SYS, and lists them in the dashboard and the REST API. Where it has no alarms, or its alarm process does not
%% run, raising one is no error.

-spec raise(emq_plugin_kafka_broker:alarm()) -> ok.
raise(#{name := Name, severity := Severity, title := Title, summary := Summary}) ->
    %% #mqtt_alarm{} by position: the plugin is built without the broker's headers. Title and summary are lists of bytes: on binaries the
    %% REST API crashes and shows no alarm.
    call(set_alarm, {mqtt_alarm, alarm_id(Name), Severity, binary_to_list(Title), binary_to_list(Summary), undefined}).

-spec clear(Name :: binary()) -> ok.
clear(Name) ->
    call(clear_alarm, alarm_id(Name)).

-spec clear_all() -> ok.
clear_all() ->
    lists:foreach(fun(Id) -> call(clear_alarm, Id) end, our_alarms()).

our_alarms() ->
    try emqttd_alarm:get_alarms() of
        Alarms when is_list(Alarms) -> [Id || {mqtt_alarm, <<?ALARM_PREFIX, _/binary>> = Id, _, _, _, _} <- Alarms];
        _NoHandler -> []
    catch
        error:undef -> [];
        exit:_ -> []
    end.

%% Both functions only send a message. undef: there is no such module. badarg: its process does not run.
call(Function, Arg) ->
    try
        _ = emqttd_alarm:Function(Arg),
        ok
    catch
        error:Reason when Reason =:= undef; Reason =:= badarg -> ok
    end.

alarm_id(Name) ->
    <<?ALARM_PREFIX, Name/binary>>.

-spec read_settings() -> {ok, emq_plugin_kafka_broker:environment(), [emq_plugin_kafka_conf:pair()]}
                       | {error, [Problem :: binary()]}.
read_settings() ->
    emq_plugin_kafka_conf:read(application:get_env(emqttd, plugins_etc_dir)).

%% The dashboard shows the settings that it finds there. Otherwise a save there would bring back the old ones.
-spec settings_in_use([emq_plugin_kafka_conf:pair()]) -> ok.
settings_in_use(Pairs) ->
    _ = emqttd_cli_config:write_config(?APP, Pairs),
    ok.

%% Received PUBLISH packets.
-spec messages_published() -> non_neg_integer().
messages_published() -> emqttd_metrics:value('messages/received').

%% EMQ unloads plugins before the node says that it stops.
-spec is_stopping() -> true | unknown.
is_stopping() -> is_stopping(emq_plugin_kafka_vm:is_stopping()).

is_stopping(true) -> true;
is_stopping(false) -> unknown.

%% EMQ 2.3 opens listeners last, always.
-spec opens_listeners_first() -> false.
opens_listeners_first() -> false.

-spec open_listeners_last() -> ok.
open_listeners_last() -> ok.
