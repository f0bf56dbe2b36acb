%% More records than memory may hold, while Kafka is away. Without a spool what is too much is dropped, and counted one
%% for one; with one it goes there.
-module(scenario_memory_full).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 6, title => "memory queue full", modes => [async_off, async, durable, sync], quick => [async_off, async],
      settings => fun(_Mode) -> [{"queue.max_messages", "1000"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{clients => clients(Mode)}),
    ok = faults_load:await(Load, acked, 500),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    ok = felt(Mode, Load),
    Most = faults_rig:most(queued),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 2000),
    Outcome = outcome(Mode),
    Outcome#{evidence => [full(Mode, Most), overflow(Mode), faults_said:clients(Mode, Load)]}.

%% Each publisher waits with one record in sync: more of them than memory holds.
clients(sync) -> 1200;
clients(_) -> 20.

felt(sync, Load) -> faults_load:await(Load, lost, 1200);
felt(_, Load) -> faults_load:await(Load, acked, 5000).

%% What passes through memory in durable counts as the spool's.
full(durable, _Most) ->
    Backlog = faults_rig:backlog(),
    {Backlog > 1000, io_lib:format("up to ~b records waited, 1000 of them in memory too", [Backlog])};
full(_, Most) ->
    {Most > 0 andalso Most =< 1000, io_lib:format("up to ~b records in memory, of 1000", [Most])}.

outcome(async_off) -> #{losses => {counted, [queue_full]}};
outcome(_) -> #{}.

overflow(async_off) ->
    #{dropped_by := #{queue_full := Dropped}} = faults_rig:stats(),
    {Dropped > 0, io_lib:format("~b records dropped because memory was full", [Dropped])};
overflow(_) ->
    faults_said:spooled().
