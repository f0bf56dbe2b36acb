%% `emqttd stop' unloads plugins first and says only then that the node stops, so that a stop of the broker begins like an unload by
%% an operator. Where some rule holds publishers back, the hooks stay until the difference shows: a process that outlives the
%% application unregisters them a second after its end, unless the node stops or the plugin has started again.
-module(emq_plugin_kafka_grace).

-export([grant/0, cancel/0]).

-define(GRACE_MS, 1000).

%% Called while the application stops, when its processes still run.
-spec grant() -> ok.
grant() ->
    ok = cancel(),
    grant(whereis(emq_plugin_kafka_sup)).

grant(undefined) ->
    emq_plugin_kafka_hooks:unregister();
grant(Application) ->
    true = register(?MODULE, emq_plugin_kafka_doors:outlive(fun() -> wait(monitor(process, Application)) end)),
    ok.

wait(Monitor) ->
    receive {'DOWN', Monitor, process, _Application, _Reason} -> ok end,
    receive after ?GRACE_MS -> passed(emq_plugin_kafka_doors:node_stops()) end.

passed(true) -> ok;
passed(false) -> emq_plugin_kafka_hooks:unregister().

%% The plugin starts: its hooks are to stay.
-spec cancel() -> ok.
cancel() -> cancel(whereis(?MODULE)).

cancel(undefined) ->
    ok;
cancel(Process) ->
    Monitor = monitor(process, Process),
    true = exit(Process, kill),
    receive {'DOWN', Monitor, process, Process, _Reason} -> ok end.
