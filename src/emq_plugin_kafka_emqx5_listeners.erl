%% Opens EMQX 5's listeners after plugins have started, when EMQX starts again in the same VM: to join a cluster, it stops all
%% applications and starts them again, listeners before plugins. At a boot, the installer's line in vm.args sees to the order. Here a
%% process does that survives the plugin's stop.
-module(emq_plugin_kafka_emqx5_listeners).

-export([open_last/0]).

%% How long plugins may take to start once EMQX runs. Then the listeners open all the same.
-define(PLUGINS_MS, 60000).
-define(POLL_MS, 50).

%% Called while EMQX stops, and the application controller waits for this plugin: only another process can change settings.
-spec open_last() -> ok.
open_last() ->
    _ = emq_plugin_kafka_vm:spawn_detached(fun() -> when_down(whereis(emqx_sup), application:get_env(emqx, boot_modules)) end),
    ok.

%% An operator's own value stays. EMQX needs the setting until it is down: by it, it knows whether it has listeners to close.
when_down(Supervisor, undefined) when is_pid(Supervisor) ->
    Monitor = monitor(process, Supervisor),
    receive {'DOWN', Monitor, process, Supervisor, _Reason} -> keep_closed() end;
when_down(_Supervisor, _BootModules) ->
    ok.

%% If the node stops, this process ends with it.
keep_closed() ->
    ok = application:set_env(emqx, boot_modules, [broker], [{timeout, infinity}]),
    ok = await(emqx, infinity),
    ok = await(emqx_plugins, deadline(?PLUGINS_MS)),
    ok = application:unset_env(emqx, boot_modules, [{timeout, infinity}]),
    emqx_listeners:start().

await(Application, Deadline) ->
    await(lists:keymember(Application, 1, application:which_applications(infinity)), Application, Deadline).

await(true, _Application, _Deadline) ->
    ok;
await(false, Application, Deadline) ->
    case has_passed(Deadline) of
        true -> ok;
        false -> receive after ?POLL_MS -> await(Application, Deadline) end
    end.

deadline(Milliseconds) -> erlang:monotonic_time(millisecond) + Milliseconds.

has_passed(infinity) -> false;
has_passed(Deadline) -> erlang:monotonic_time(millisecond) >= Deadline.
