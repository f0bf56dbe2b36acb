%% The VM that broker and plugin share. No process: runs in its callers.
-module(emq_plugin_kafka_vm).

-export([node_name/0, is_stopping/0, spawn_detached/1]).

-spec node_name() -> binary().
node_name() ->
    atom_to_binary(node(), utf8).

-spec is_stopping() -> boolean().
is_stopping() ->
    is_stopping(init:get_status()).

is_stopping({stopping, _Progress}) -> true;
is_stopping(_Status) -> false.

%% Runs Do in a process that survives the application's stop, which kills all processes of the application's group leader.
-spec spawn_detached(fun(() -> ok)) -> pid().
spawn_detached(Do) ->
    Detached = spawn(fun() -> receive go -> Do() end end),
    true = group_leader(whereis(init), Detached),
    go = Detached ! go,
    Detached.
