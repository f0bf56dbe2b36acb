%% The registration of EMQX 4.4: the filter comes before the priority.
-module(emqx_hooks).

-export([add/3, add/4, del/2, lookup/1, run/2, run_fold/3]).

add(Hook, Action, Priority) when is_integer(Priority) -> standin_emqx_hooks:add(Hook, Action, undefined, Priority).

add(Hook, Action, Filter, Priority) when is_integer(Priority) -> standin_emqx_hooks:add(Hook, Action, Filter, Priority).

del(Hook, Action) -> standin_emqx_hooks:del(Hook, Action).

lookup(Hook) -> standin_emqx_hooks:lookup(Hook).

run(Hook, Args) -> standin_emqx_hooks:run(Hook, Args).

run_fold(Hook, Args, Acc) -> standin_emqx_hooks:run_fold(Hook, Args, Acc).
