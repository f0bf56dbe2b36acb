%% The broker that the plugin runs in, behind one interface: an adapter for each generation of EMQ, found at run time. Nothing
%% above knows which one it is. No process of its own: runs in its callers.
-module(emq_plugin_kafka_broker).

-export([adapter/0, name/0, control/0, data_dir/0, naming/0, gated/0, events/0, all_events/0, prepare/0, starts_from_file/0, hook/1, unhook/1,
         register_command/0, unregister_command/0, finish/1, raise/1, clear/1, clear_all/0, read_settings/0, settings_read/1,
         published/0, stops/0, opens_early/0, reopen_late/0]).
-export_type([adapter/0, event/0, alarm/0, environment/0, keep/0]).

-type adapter() :: emq_plugin_kafka_emq2 | emq_plugin_kafka_emqx4 | emq_plugin_kafka_emqx5.
%% What rules are about: 'message.publish' and so on. A hook of the broker often has the same name.
-type event() :: atom().
-type alarm() :: #{name := binary(), severity := warning | error | critical, title := binary(), summary := binary()}.
-type environment() :: [{Key :: atom(), Value :: term()}].
%% What an adapter wants back once the settings that it has read are in use.
-type keep() :: term().

%% For messages: <<"EMQ 2.3">>.
-callback name() -> binary().
%% The broker's command line tool, for messages: <<"emqttd_ctl">>.
-callback control() -> binary().
%% What settings are called where operators of this generation write them.
-callback naming() -> emq_plugin_kafka_nif:naming().
%% The QoS of publishes that this generation can leave unacknowledged.
-callback gated() -> [1 | 2].
-callback events() -> [event()].
%% The first step of the application's start, before the settings are used. With an error comes what can be read of them.
-callback prepare() -> ok | {error, [Problem :: binary()], [{atom() | binary(), term()}]}.
%% Whether a start uses what read_settings/0 reads.
-callback starts_from_file() -> boolean().
%% Registers and unregisters what an event needs, so that ours are called last.
-callback hook(event()) -> ok | {error, Reason :: term()}.
-callback unhook(event()) -> ok | {error, Reason :: term()}.
%% `kafka`, of the broker's command line tool.
-callback register_command() -> ok.
-callback unregister_command() -> ok.
%% What the command returns, so that its exit status says whether all is well; may raise what the broker takes for that.
-callback finish(Well :: boolean()) -> term().
%% Alarms. Never called from a hook: an alarm may be published, and comes back through the hooks. Raised twice it may be there
%% twice: the caller knows what is raised. clear_all: whatever is raised in the plugin's name.
-callback raise(alarm()) -> ok.
-callback clear(Name :: binary()) -> ok.
-callback clear_all() -> ok.
%% Reads the settings from where an operator writes them.
-callback read_settings() -> {ok, environment(), keep()} | {error, [Problem :: binary()]}.
%% They are in use now.
-callback settings_read(keep()) -> ok.
%% How many messages were published since the broker's start, those of the broker itself left out. Raises where nobody counts.
-callback published() -> non_neg_integer().
%% Asked while the plugin is being stopped: whether the broker itself is.
-callback stops() -> boolean() | perhaps.
%% Whether the broker opens its listeners before it starts plugins, unless `boot_modules` says otherwise.
-callback opens_early() -> boolean().
%% The broker stops. If it starts again in this VM, its listeners are to open after plugins have started.
-callback reopen_late() -> ok.

-define(ADAPTER, {?MODULE, adapter}).

%% Found once: a node does not change its broker.
-spec adapter() -> adapter().
adapter() ->
    adapter(persistent_term:get(?ADAPTER, unknown)).

adapter(unknown) ->
    Found = found(),
    ok = persistent_term:put(?ADAPTER, Found),
    Found;
adapter(Adapter) ->
    Adapter.

%% By what is there, on the code path: a release loads all of it when it boots. Without any broker, in a shell or a test, it is
%% EMQ 2.3, of which nothing is there.
found() ->
    hd([Adapter || {Adapter, Sign} <- [{emq_plugin_kafka_emq2, emqttd_hooks}, {emq_plugin_kafka_emqx5, emqx_conf},
                                       {emq_plugin_kafka_emqx5, emqx_hookpoints}, {emq_plugin_kafka_emqx4, emqx_hooks}],
                   code:which(Sign) =/= non_existing] ++ [emq_plugin_kafka_emq2]).

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

-spec events() -> [event()].
events() -> (adapter()):events().

%% Those of every generation.
-spec all_events() -> [event()].
all_events() ->
    lists:usort(emq_plugin_kafka_emq2:events() ++ emq_plugin_kafka_emqx4:events() ++ emq_plugin_kafka_emqx5:events()).

-spec prepare() -> ok | {error, [Problem :: binary()], [{atom() | binary(), term()}]}.
prepare() -> (adapter()):prepare().

-spec starts_from_file() -> boolean().
starts_from_file() -> (adapter()):starts_from_file().

-spec hook(event()) -> ok | {error, Reason :: term()}.
hook(Event) -> (adapter()):hook(Event).

-spec unhook(event()) -> ok | {error, Reason :: term()}.
unhook(Event) -> (adapter()):unhook(Event).

-spec register_command() -> ok.
register_command() -> (adapter()):register_command().

-spec unregister_command() -> ok.
unregister_command() -> (adapter()):unregister_command().

-spec finish(Well :: boolean()) -> term().
finish(Well) -> (adapter()):finish(Well).

-spec raise(alarm()) -> ok.
raise(Alarm) -> (adapter()):raise(Alarm).

-spec clear(Name :: binary()) -> ok.
clear(Name) -> (adapter()):clear(Name).

-spec clear_all() -> ok.
clear_all() -> (adapter()):clear_all().

-spec read_settings() -> {ok, environment(), keep()} | {error, [Problem :: binary()]}.
read_settings() -> (adapter()):read_settings().

-spec settings_read(keep()) -> ok.
settings_read(Keep) -> (adapter()):settings_read(Keep).

-spec published() -> non_neg_integer() | unknown.
published() ->
    try (adapter()):published()
    catch
        error:_ -> unknown
    end.

-spec stops() -> boolean() | perhaps.
stops() -> (adapter()):stops().

-spec opens_early() -> boolean().
opens_early() -> (adapter()):opens_early().

-spec reopen_late() -> ok.
reopen_late() -> (adapter()):reopen_late().
