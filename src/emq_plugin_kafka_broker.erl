%% The broker that the plugin runs in, behind one interface. Each generation of EMQ has an adapter; it is found at run time. No module
%% above this one knows the generation. No process: runs in its callers.
-module(emq_plugin_kafka_broker).

%% Which broker it is.
-export([adapter/0,
         name/0,
         control/0,
         naming/0,
         data_dir/0,
         gated/0,
         messages_published/0]).
%% Events and their hooks.
-export([events/0,
         all_events/0,
         hook/1,
         unhook/1]).
%% Settings.
-export([load_environment/0,
         reads_file_at_start/0,
         read_settings/0,
         settings_in_use/1]).
%% The command line, and alarms.
-export([register_command/0,
         unregister_command/0,
         command_result/1,
         raise/1,
         clear/1,
         clear_all/0]).
%% Boot and stop.
-export([is_stopping/0,
         opens_listeners_first/0,
         open_listeners_last/0]).
-export_type([adapter/0, event/0, alarm/0, environment/0, source/0]).

-type adapter() :: emq_plugin_kafka_emq2 | emq_plugin_kafka_emqx4 | emq_plugin_kafka_emqx5.
%% The events of rules: 'message.publish' and so on. Often a hook of the broker has the same name.
-type event() :: atom().
-type alarm() :: #{name := binary(), severity := warning | error | critical, title := binary(), summary := binary()}.
-type environment() :: [{Key :: atom(), Value :: term()}].
%% The settings as the adapter has read them. It gets them back when they are in use.
-type source() :: term().

%% For messages: <<"EMQ 2.3">>.
-callback name() -> binary().
%% The broker's command line tool, for messages: <<"emqttd_ctl">>.
-callback control() -> binary().
%% How operators of this generation name settings.
-callback naming() -> emq_plugin_kafka_nif:naming().
-callback data_dir() -> file:filename().
%% The QoS levels whose acknowledgement this generation can withhold.
-callback gated() -> [1 | 2].
%% How many messages were published since the broker started, without its own. Raises an error where the broker has no counter.
-callback messages_published() -> non_neg_integer().

-callback events() -> [event()].
%% Register and unregister the callbacks that an event needs. They come after the callbacks of all other plugins.
-callback hook(event()) -> ok | {error, Reason :: term()}.
-callback unhook(event()) -> ok | {error, Reason :: term()}.

%% The first step of the application's start: makes the settings the application's environment. An error has the readable part of them.
-callback load_environment() -> ok | {error, [Problem :: binary()], [{atom() | binary(), term()}]}.
%% Whether load_environment/0 reads the file of read_settings/0. Otherwise the broker has read it at boot.
-callback reads_file_at_start() -> boolean().
%% Reads the settings from the file that operators edit.
-callback read_settings() -> {ok, environment(), source()} | {error, [Problem :: binary()]}.
-callback settings_in_use(source()) -> ok.

%% The command `kafka` of the broker's command line tool.
-callback register_command() -> ok.
-callback unregister_command() -> ok.
%% What the command returns or raises, so that its exit status tells whether it succeeded.
-callback command_result(Succeeded :: boolean()) -> term().

%% Alarms. Never call these from a hook: an alarm may be published, and comes back through the hooks. The caller knows which alarms are
%% raised: raised twice, one may be listed twice. clear_all: all alarms of the plugin.
-callback raise(alarm()) -> ok.
-callback clear(Name :: binary()) -> ok.
-callback clear_all() -> ok.

%% Called while the plugin is being stopped: whether the broker stops, too.
-callback is_stopping() -> boolean() | unknown.
%% Whether the broker opens its listeners before it starts plugins, unless `boot_modules` says otherwise.
-callback opens_listeners_first() -> boolean().
%% Called while the broker stops. If it starts again in this VM, it is to open its listeners after it has started plugins.
-callback open_listeners_last() -> ok.

-define(ADAPTER, {?MODULE, adapter}).

%% Looked for once: a node keeps its broker.
-spec adapter() -> adapter().
adapter() ->
    adapter(persistent_term:get(?ADAPTER, unknown)).

adapter(unknown) ->
    Found = find(),
    ok = persistent_term:put(?ADAPTER, Found),
    Found;
adapter(Adapter) ->
    Adapter.

%% By the broker's modules on the code path: a release loads all modules when it boots. Without a broker, in a shell or a test, it is
%% the adapter of EMQ 2.3.
find() ->
    hd([Adapter || {Adapter, Module} <- [{emq_plugin_kafka_emq2, emqttd_hooks}, {emq_plugin_kafka_emqx5, emqx_conf},
                                       {emq_plugin_kafka_emqx5, emqx_hookpoints}, {emq_plugin_kafka_emqx4, emqx_hooks}],
                   code:which(Module) =/= non_existing] ++ [emq_plugin_kafka_emq2]).

-spec name() -> binary().
name() -> (adapter()):name().

-spec control() -> binary().
control() -> (adapter()):control().

-spec naming() -> emq_plugin_kafka_nif:naming().
naming() -> (adapter()):naming().

-spec data_dir() -> file:filename().
data_dir() -> (adapter()):data_dir().

-spec gated() -> [1 | 2].
gated() -> (adapter()):gated().

-spec messages_published() -> non_neg_integer() | unknown.
messages_published() ->
    try (adapter()):messages_published()
    catch
        error:_ -> unknown
    end.

-spec events() -> [event()].
events() -> (adapter()):events().

%% The events of every generation.
-spec all_events() -> [event()].
all_events() ->
    lists:usort(emq_plugin_kafka_emq2:events() ++ emq_plugin_kafka_emqx4:events() ++ emq_plugin_kafka_emqx5:events()).

-spec hook(event()) -> ok | {error, Reason :: term()}.
hook(Event) -> (adapter()):hook(Event).

-spec unhook(event()) -> ok | {error, Reason :: term()}.
unhook(Event) -> (adapter()):unhook(Event).

-spec load_environment() -> ok | {error, [Problem :: binary()], [{atom() | binary(), term()}]}.
load_environment() -> (adapter()):load_environment().

-spec reads_file_at_start() -> boolean().
reads_file_at_start() -> (adapter()):reads_file_at_start().

-spec read_settings() -> {ok, environment(), source()} | {error, [Problem :: binary()]}.
read_settings() -> (adapter()):read_settings().

-spec settings_in_use(source()) -> ok.
settings_in_use(Source) -> (adapter()):settings_in_use(Source).

-spec register_command() -> ok.
register_command() -> (adapter()):register_command().

-spec unregister_command() -> ok.
unregister_command() -> (adapter()):unregister_command().

-spec command_result(Succeeded :: boolean()) -> term().
command_result(Succeeded) -> (adapter()):command_result(Succeeded).

-spec raise(alarm()) -> ok.
raise(Alarm) -> (adapter()):raise(Alarm).

-spec clear(Name :: binary()) -> ok.
clear(Name) -> (adapter()):clear(Name).

-spec clear_all() -> ok.
clear_all() -> (adapter()):clear_all().

-spec is_stopping() -> boolean() | unknown.
is_stopping() -> (adapter()):is_stopping().

-spec opens_listeners_first() -> boolean().
opens_listeners_first() -> (adapter()):opens_listeners_first().

-spec open_listeners_last() -> ok.
open_listeners_last() -> (adapter()):open_listeners_last().
