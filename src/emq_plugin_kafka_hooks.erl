%% The hooks at start, stop and reload: registers and unregisters them, says which could not be, and measures the gap in
%% which EMQ called none. What clients did in it is in no record, and the operator is to know. When it began outlives the
%% application, not the node.
-module(emq_plugin_kafka_hooks).

-export([register/0, register_all/0, unregister/0, unregister_unneeded/0]).

-define(UNHOOKED_AT, {emq_plugin_kafka, unhooked_at}).

%% Registers what the rules need.
-spec register() -> ok.
register() ->
    ok = registered(emq_plugin_kafka:load([])),
    gap_ended(persistent_term:get(?UNHOOKED_AT, none)).

%% Registers every hook, before a change of the rules.
-spec register_all() -> ok.
register_all() ->
    registered(emq_plugin_kafka:load_all([])).

-spec unregister() -> ok.
unregister() ->
    gap_began(unregistered(emq_plugin_kafka:unload()), persistent_term:get(?UNHOOKED_AT, none)).

%% Unregisters what no rule needs, after a change of the rules.
-spec unregister_unneeded() -> ok.
unregister_unneeded() ->
    _ = unregistered(emq_plugin_kafka:unload_unneeded()),
    ok.

registered(ok) ->
    ok;
registered({error, Failed}) ->
    emq_plugin_kafka_log:error("these hooks could not be registered: ~0tp", [Failed]).

unregistered({ok, Any}) ->
    Any;
unregistered({error, Failed}) ->
    ok = emq_plugin_kafka_log:error("these hooks could not be unregistered: ~0tp", [Failed]),
    false.

%% Where they were not registered since the last stop, that gap goes on.
gap_began(true, none) -> persistent_term:put(?UNHOOKED_AT, now_ms());
gap_began(_, _) -> ok.

gap_ended(none) ->
    ok;
gap_ended(Began) ->
    _ = persistent_term:erase(?UNHOOKED_AT),
    emq_plugin_kafka_log:error("no hook was called for ~b ms, while the plugin was stopped: what happened then is in no record",
                                  [now_ms() - Began]).

now_ms() ->
    erlang:monotonic_time(millisecond).
