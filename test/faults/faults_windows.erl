%% A stand-in broker that opens its listeners first, as EMQX 4 and 5 do; with the installer's own lines in its vm.args, or without them.
-module(faults_windows).

-export([can_open_first/0, listeners_first/1, as_before/0]).

%% A real EMQ 2.3 always opens its listeners last.
-spec can_open_first() -> boolean().
can_open_first() ->
    os:getenv("EMQ_HOME", "") =:= "".

-spec listeners_first(open | closed) -> ok.
listeners_first(open) ->
    file:write_file(vm_args(), "-emqttd listeners_first true\n");
listeners_first(closed) ->
    %% For the stand-in's names of what EMQX has.
    Script = "plugin=emq_plugin_kafka; source dev/install/listen_late.bash; boot_lines | sed s/emqx/emqttd/g",
    {0, Lines} = standin_broker:run(os:find_executable("bash"), ["-c", "cd " ++ os:getenv("PROJECT_ROOT") ++ " && " ++ Script]),
    file:write_file(vm_args(), ["-emqttd listeners_first true\n", Lines]).

-spec as_before() -> ok.
as_before() ->
    file:delete(vm_args()).

vm_args() ->
    filename:join([faults_rig:home(), "etc", "vm.args"]).
