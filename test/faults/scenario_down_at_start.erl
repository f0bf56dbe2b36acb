%% Kafka is down when the broker starts, and comes up later.
-module(scenario_down_at_start).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 1, title => "Kafka down at start, up later", modes => [async_off, async, durable, sync], quick => [async],
      boot => manual}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Pid = faults_kafka:pid(),
    ok = faults_kafka:stop(),
    Gone = not filelib:is_dir("/proc/" ++ Pid),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{rate => 50}),
    ok = felt(Mode, Load),
    #{success := Delivered} = faults_rig:stats(),
    Waited = faults_rig:backlog(),
    ok = faults_kafka:start(),
    ok = faults_load:await(Load, acked, 2000),
    #{evidence => [{Gone, io_lib:format("Kafka (pid ~s) had ended before the broker's boot", [Pid])},
                   {Delivered =:= 0, io_lib:format("~b records delivered before Kafka came", [Delivered])},
                   {Waited > 0, io_lib:format("up to ~b records waited", [Waited])},
                   faults_said:clients(Mode, Load)]}.

felt(sync, Load) -> faults_load:await(Load, lost, 20);
felt(_, Load) -> faults_load:await(Load, acked, 2000).
