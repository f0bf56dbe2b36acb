%% A setting is saved in the dashboard, under load and with a backlog: EMQ stops the plugin, waits half a second and starts it.
-module(scenario_dashboard).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 18, title => "a save in the dashboard, with a backlog", modes => [async, durable], quick => [durable],
      settings => fun(_Mode) -> [{"linger", "5ms"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{}),
    ok = faults_load:await(Load, acked, 500),
    InFlight = faults_rig:in_flight(),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    ok = faults_load:await(Load, acked, 2000),
    Before = faults_load:acked(Load),
    Shown = faults_rest:get_config(),
    ok = faults_rest:put_config(lists:keystore(<<"emq.plugin.kafka.linger">>, 1, Shown, {<<"emq.plugin.kafka.linger">>, <<"17ms">>})),
    _ = faults_wait:until("the plugin runs with the new setting", fun changed/0, 30000),
    Gap = faults_load:acked(Load) - Before + 20 * 20,
    Most = faults_rig:backlog(),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 2000),
    #{losses => {gap, Gap}, duplicates => InFlight,
      evidence => [{Most >= 2000, io_lib:format("saved with a backlog of up to ~b records; the new setting is in force", [Most])},
                   faults_said:crashes() | ended(Mode, faults_load:lost(Load))]}.

%% A publisher whose record was under way when the plugin stopped may be told to send it again. In durable each is refused until
%% the plugin runs again, however often it connects.
ended(durable, _Lost) -> [];
ended(_Mode, Lost) -> [{Lost =< 20, io_lib:format("~b of 20 connections ended", [Lost])}].

changed() ->
    case faults_rig:rpc(emq_plugin_kafka, status, []) of
        #{state := running, settings := Settings} -> [] =/= [Value || {<<"linger">>, <<"17", _/binary>> = Value} <- Settings];
        _ -> false
    end.
