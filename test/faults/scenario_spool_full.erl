%% Kafka is away until memory and the spool are both full. In async what is too much is dropped and counted one for one; with
%% durable and sync nothing is acknowledged that is not kept.
-module(scenario_spool_full).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 7, title => "spool full", modes => [async, durable, sync], quick => [durable],
      settings => fun(_Mode) -> [{"queue.max_messages", "1000"}, {"spool.max_size", "4MB"}, {"spool.segment_size", "1MB"},
                                 {"produce.timeout", "1s"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{clients => clients(Mode), rate => rate(Mode), size => 800}),
    ok = faults_load:await(Load, acked, 500),
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    true = faults_wait:until("the spool is full", fun() -> spool(state) =:= full end, 90000),
    ok = faults_full:felt(Mode, Load),
    {Bytes, Max} = {spool(bytes), spool(max_bytes)},
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    true = faults_wait:until("the spool has room", fun() -> spool(state) =:= ok end, 90000),
    ok = faults_load:await(Load, acked, 2000),
    #{dropped_by := #{spool_full := Dropped}} = faults_rig:stats(),
    #{losses => faults_full:losses(Mode),
      evidence => [%% A part is kept for what a stop or reload hands over.
                   {Bytes >= Max div 2 andalso Bytes =< Max, io_lib:format("the spool was full: ~b of ~b bytes", [Bytes, Max])},
                   {Dropped > 0, io_lib:format("~b records refused because it was full", [Dropped])},
                   faults_full:refused(Mode, Load)]}.

%% In sync a publisher puts one record a second into the spool, then its connection ends.
clients(sync) -> 1000;
clients(_) -> 20.

rate(sync) -> 10;
rate(_) -> 200.

spool(Key) ->
    #{spool := #{Key := Value}} = faults_rig:stats(),
    Value.
