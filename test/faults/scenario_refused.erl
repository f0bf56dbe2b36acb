%% Connections to Kafka are closed in mid-run, and new ones refused, for a while.
-module(scenario_refused).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 2, title => "connection refused mid-run", modes => [async_off, async, durable, sync], quick => [async, sync]}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{clients => 20, rate => 100}),
    %% Records flow first.
    true = faults_wait:until("2000 acknowledged", fun() -> faults_load:acked(Load) >= 2000 end, 30000),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    Before = faults_load:sent(Load),
    Refused = faults_rig:wait_logged("connection refused", 30000),
    true = away(Mode, Load, Before),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    Waiting = faults_rig:most(queued) + faults_rig:most(spooled),
    Acked = faults_load:acked(Load),
    true = faults_wait:until("acknowledged again", fun() -> faults_load:acked(Load) >= Acked + 2000 end, 60000),
    #{evidence => [{Refused > 0, io_lib:format("'connection refused' ~b times in the log", [Refused])},
                   {Waiting > 0, io_lib:format("at most ~b records waited", [Waiting])} | dropped_clients(Mode, Load)]}.

%% The outage lasts until publishers have met it: they go on, or their connections end.
away(sync, Load, _Before) ->
    faults_wait:until("connections ended", fun() -> faults_load:lost(Load) >= 20 end, 60000);
away(_, Load, Before) ->
    faults_wait:until("6000 more sent", fun() -> faults_load:sent(Load) >= Before + 6000 end, 60000).

dropped_clients(sync, Load) ->
    Lost = faults_load:lost(Load),
    [{Lost > 0, io_lib:format("~b connections of publishers ended without PUBACK", [Lost])}];
dropped_clients(_, Load) ->
    Lost = faults_load:lost(Load),
    [{Lost =:= 0, io_lib:format("~b connections of publishers ended", [Lost])}].
