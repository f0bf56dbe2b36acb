%% When EMQX 5 joins a cluster, it stops all applications and starts them again in the same VM, its listeners before its plugins, as
%% at boot. What the line in vm.args does at boot, a process does here that outlives the plugin: it keeps the listeners closed until
%% plugins have started.
-module(emq_plugin_kafka_emqx_listeners).

-export([reopen_late/0]).

%% How long plugins may take to start, once EMQX itself runs: the listeners open all the same.
-define(PLUGINS_MS, 60000).
-define(ASK_MS, 50).

%% Asked for while EMQX stops, by a plugin that the application controller waits for: only another process may change settings.
-spec reopen_late() -> ok.
reopen_late() ->
    _ = emq_plugin_kafka_doors:outlive(fun() -> when_down(whereis(emqx_sup), application:get_env(emqx, boot_modules)) end),
    ok.

%% Whoever has a value of their own there keeps it. Until it is down, EMQX reads the setting to know whether it has listeners to close.
when_down(Supervisor, undefined) when is_pid(Supervisor) ->
    Monitor = monitor(process, Supervisor),
    receive {'DOWN', Monitor, process, Supervisor, _Reason} -> closed() end;
when_down(_Supervisor, _BootModules) ->
    ok.

%% A node that goes down ends this process, too.
closed() ->
    ok = application:set_env(emqx, boot_modules, [broker], [{timeout, infinity}]),
    ok = await(emqx, infinity),
    ok = await(emqx_plugins, deadline(?PLUGINS_MS)),
    ok = application:unset_env(emqx, boot_modules, [{timeout, infinity}]),
    emqx_listeners:start().

await(Application, Deadline) ->
    awaited(lists:keymember(Application, 1, application:which_applications(infinity)), Application, Deadline).

awaited(true, _Application, _Deadline) ->
    ok;
awaited(false, Application, Deadline) ->
    case passed(Deadline) of
        true -> ok;
        false -> receive after ?ASK_MS -> await(Application, Deadline) end
    end.

deadline(Milliseconds) -> erlang:monotonic_time(millisecond) + Milliseconds.

passed(infinity) -> false;
passed(Deadline) -> erlang:monotonic_time(millisecond) >= Deadline.
