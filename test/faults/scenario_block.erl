%% Memory full, no spool, and overflow = block: publishers are held up until there is room, and nothing is dropped as long as
%% the outage is shorter than produce.timeout.
-module(scenario_block).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 6, title => "memory full, overflow = block", modes => [async_off], quick => [async_off],
      settings => fun(_Mode) -> [{"queue.max_messages", "1000"}, {"overflow", "block"}, {"produce.timeout", "30s"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Load = faults_rig:load(#{}),
    ok = faults_load:await(Load, acked, 500),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    true = faults_wait:until("memory is full", fun() -> faults_rig:most(queued) =:= 1000 end, 30000),
    %% Every publisher is held up, its window used up.
    true = faults_wait:until("publishers are held up",
                             fun() -> faults_load:sent(Load) - faults_load:acked(Load) >= 20 * 20 end, 30000),
    #{waiting := Waiting} = faults_rig:stats(),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 2000),
    #{evidence => [{Waiting > 0, io_lib:format("~b hook calls waited for room in a full memory of 1000 records", [Waiting])},
                   faults_said:clients(async, Load)]}.
