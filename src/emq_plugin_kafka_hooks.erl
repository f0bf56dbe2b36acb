%% The hooks at start, reload and stop: registers and unregisters them. Logs which hooks failed, and how long none was registered: no
%% record has the events of that gap. Runs in its callers: the application, and the producer's process.
-module(emq_plugin_kafka_hooks).

-export([register/0, register_all/0, unregister/0, unregister_unneeded/0, unregister_later/0]).

%% How long it takes until a stop of the plugin can be told from a stop of the broker.
-define(LATER_MS, 1000).

%% Registers the hooks that the rules need. They stay, even if a stop before this start was to unregister them later.
-spec register() -> ok.
register() ->
    ok = cancel_later(whereis(?MODULE)),
    ok = log_not_registered(emq_plugin_kafka:load([])),
    log_gap(emq_plugin_kafka_unseen:ended()).

%% Registers every hook, before a change of the rules.
-spec register_all() -> ok.
register_all() ->
    log_not_registered(emq_plugin_kafka:load_all([])).

-spec unregister() -> ok.
unregister() ->
    ok = emq_plugin_kafka_unseen:began(),
    log_not_unregistered(emq_plugin_kafka:unload()).

%% Unregisters the hooks that no rule needs, after a change of the rules.
-spec unregister_unneeded() -> ok.
unregister_unneeded() ->
    log_not_unregistered(emq_plugin_kafka:unload_unneeded()).

%% Unregisters the hooks one second after the application has ended, unless the node stops or the plugin starts again.
%%
%% `emqttd stop' unloads plugins first and stops the node then, so that a stop of the broker begins like an unload of the plugin.
%% Called while the application stops and its processes still run.
-spec unregister_later() -> ok.
unregister_later() ->
    ok = cancel_later(whereis(?MODULE)),
    unregister_after(whereis(emq_plugin_kafka_sup)).

unregister_after(undefined) ->
    unregister();
unregister_after(Application) ->
    true = register(?MODULE, emq_plugin_kafka_vm:spawn_detached(fun() -> wait(monitor(process, Application)) end)),
    ok.

wait(Monitor) ->
    receive {'DOWN', Monitor, process, _Application, _Reason} -> ok end,
    receive after ?LATER_MS -> unregister_unless(emq_plugin_kafka_vm:is_stopping()) end.

unregister_unless(true) -> ok;
unregister_unless(false) -> unregister().

cancel_later(undefined) ->
    ok;
cancel_later(Process) ->
    Monitor = monitor(process, Process),
    true = exit(Process, kill),
    receive {'DOWN', Monitor, process, Process, _Reason} -> ok end.

log_not_registered(ok) ->
    ok;
log_not_registered({error, Failed}) ->
    emq_plugin_kafka_log:error("cannot register these hooks: ~0tp", [Failed]).

log_not_unregistered({ok, _Unregistered}) ->
    ok;
log_not_unregistered({error, Failed}) ->
    emq_plugin_kafka_log:error("cannot unregister these hooks: ~0tp", [Failed]).

log_gap(none) ->
    ok;
log_gap({boot, 0}) ->
    ok;
log_gap({boot, Published}) ->
    emq_plugin_kafka_log:error("no hook was registered while the broker booted: the events of that time have no record; ~ts",
                               [published(Published)]);
log_gap({Milliseconds, Published}) ->
    emq_plugin_kafka_log:error("no hook was registered for ~b ms, while the plugin was stopped: the events of that time have no record; ~ts",
                               [Milliseconds, published(Published)]).

published(unknown) -> "messages published: unknown";
published(Messages) -> io_lib:format("messages published: ~b", [Messages]).
