%% Connections to Kafka are closed in mid-run, and new ones refused, for a while.
-module(scenario_refused).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 2, title => "connection refused mid-run", modes => [async_off, async, durable, sync], quick => [sync]}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{}),
    ok = faults_load:await(Load, acked, 2000),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    Refused = faults_rig:wait_logged("connection refused", 30000),
    ok = felt(Mode, Load),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    Waiting = faults_rig:backlog(),
    ok = faults_load:await(Load, acked, 2000),
    #{evidence => [{Refused > 0, io_lib:format("'connection refused' in ~b lines of the log", [Refused])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])},
                   faults_said:clients(Mode, Load)]}.

%% Publishers have met it: they go on, or their connections end.
felt(sync, Load) -> faults_load:await(Load, lost, 20);
felt(_, Load) -> faults_load:await(Load, acked, 6000).
