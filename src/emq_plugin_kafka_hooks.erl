%% The hooks at start, stop and reload: registers and unregisters them, logs which could not be, and the gap in which EMQ
%% called none, because no record has the events of that gap.
-module(emq_plugin_kafka_hooks).

-export([register/0, register_all/0, unregister/0, unregister_unneeded/0]).

%% Registers what the rules need.
-spec register() -> ok.
register() ->
    ok = emq_plugin_kafka_grace:cancel(),
    ok = registered(emq_plugin_kafka:load([])),
    gap_ended(emq_plugin_kafka_unseen:ended()).

%% Registers every hook, before a change of the rules.
-spec register_all() -> ok.
register_all() ->
    registered(emq_plugin_kafka:load_all([])).

-spec unregister() -> ok.
unregister() ->
    ok = emq_plugin_kafka_unseen:began(),
    _ = unregistered(emq_plugin_kafka:unload()),
    ok.

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

gap_ended(none) ->
    ok;
gap_ended({boot, 0}) ->
    ok;
gap_ended({boot, Published}) ->
    emq_plugin_kafka_log:error("no hook was called while the broker booted: no record has the events of that time; ~ts",
                                  [published(Published)]);
gap_ended({Milliseconds, Published}) ->
    emq_plugin_kafka_log:error("no hook was called for ~b ms, while the plugin was stopped: no record has the events of that time; ~ts",
                                  [Milliseconds, published(Published)]).

published(unknown) -> "how many messages were published is not known";
published(Messages) -> io_lib:format("messages published: ~b", [Messages]).
