%% `emqttd_ctl kafka reload' under load and with a backlog: other settings, and no gap.
-module(scenario_reload).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 18, title => "kafka reload, with a backlog", modes => [async, durable, sync], quick => [async],
      settings => fun(_Mode) -> [{"compression", "none"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{clients => clients(Mode)}),
    ok = faults_load:await(Load, acked, 500),
    InFlight = faults_rig:in_flight(),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    true = faults_wait:until("a backlog", fun() -> faults_rig:backlog() >= backlog(Mode) end, 60000),
    ok = faults_rig:settings([{"compression", "gzip"}]),
    {Status, Said} = faults_rig:ctl(["kafka", "reload"]),
    _ = faults_wait:until("the new setting is in force", fun changed/0, 30000),
    Most = faults_rig:backlog(),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 2000),
    #{duplicates => InFlight,
      evidence => [{Status =:= 0, ["reload said: ", string:trim(Said)]},
                   {Most >= backlog(Mode), io_lib:format("with a backlog of up to ~b records", [Most])},
                   faults_said:crashes()]}.

clients(sync) -> 200;
clients(_) -> 20.

backlog(sync) -> 100;
backlog(_) -> 2000.

changed() ->
    #{settings := Settings} = faults_rig:rpc(emq_plugin_kafka, status, []),
    lists:member({<<"compression">>, <<"gzip">>}, Settings).
