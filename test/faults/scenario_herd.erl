%% A thousand publishers, none of which gets a PUBACK while Kafka is away, come back at once when it returns.
-module(scenario_herd).
-behaviour(faults).

-export([about/0, run/1]).

-define(CLIENTS, 1000).

-spec about() -> faults:about().
about() ->
    #{number => 22, title => "1,000 clients reconnecting when Kafka returns", modes => [sync], quick => [sync],
      settings => fun(_Mode) -> [{"produce.timeout", "2s"}, {"on_failure", "disconnect"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Load = faults_rig:load(#{clients => ?CLIENTS, rate => 2, window => 5}),
    ok = faults_load:await(Load, acked, 1000),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    ok = faults_load:await(Load, lost, ?CLIENTS),
    Resent = faults_load:resent(Load),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 3 * ?CLIENTS),
    Lost = faults_load:lost(Load),
    #{disconnected := Disconnected} = faults_rig:stats(),
    #{evidence => [{Lost >= ?CLIENTS, io_lib:format("~b connections ended without a PUBACK, ~b counted by the plugin", [Lost, Disconnected])},
                   {Disconnected >= ?CLIENTS, io_lib:format("~b messages sent again", [max(Resent, faults_load:resent(Load))])},
                   faults_said:crashes()]}.
