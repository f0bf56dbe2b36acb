%% The registration of EMQX 5.8: the filter comes last, and a hook that the broker does not have is refused.
-module(emqx_hooks).

-export([add/3, add/4, del/2, lookup/1, run/2, run_fold/3]).

add(Hook, {_, _, _} = Action, Priority) when is_integer(Priority) ->
    ok = emqx_hookpoints:verify_hookpoint(Hook),
    standin_emqx_hooks:add(Hook, Action, undefined, Priority).

add(Hook, {_, _, _} = Action, Priority, Filter) when is_integer(Priority) ->
    ok = emqx_hookpoints:verify_hookpoint(Hook),
    standin_emqx_hooks:add(Hook, Action, Filter, Priority).

del(Hook, Action) -> standin_emqx_hooks:del(Hook, Action).

lookup(Hook) -> standin_emqx_hooks:lookup(Hook).

run(Hook, Args) ->
    ok = emqx_hookpoints:verify_hookpoint(Hook),
    standin_emqx_hooks:run(Hook, Args).

run_fold(Hook, Args, Acc) ->
    ok = emqx_hookpoints:verify_hookpoint(Hook),
    standin_emqx_hooks:run_fold(Hook, Args, Acc).
