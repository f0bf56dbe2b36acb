%% SIGSTOP: Kafka's connections stay, its kernel takes what is sent, and nobody answers, for a minute.
-module(scenario_stopped).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 3, title => "Kafka hangs: SIGSTOP, up to 60 s", modes => [async_off, async, durable, sync], quick => [durable]}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{rate => 50}),
    ok = faults_load:await(Load, acked, 1000),
    ok = faults_kafka:pause(),
    #{success := Before} = faults_rig:stats(),
    State = state(faults_kafka:pid()),
    %% The fault is its duration.
    Seconds = faults_rig:quick({10, seconds(Mode)}),
    receive after Seconds * 1000 -> ok end,
    #{success := After} = faults_rig:stats(),
    Waiting = faults_rig:backlog(),
    ok = faults_kafka:resume(),
    ok = faults_load:await(Load, acked, 2000),
    #{evidence => [{State =:= "T", io_lib:format("Kafka's process was in state ~s for ~b s", [State, Seconds])},
                   %% What it had answered before it stopped may still arrive.
                   {After - Before < 500, io_lib:format("~b records delivered meanwhile", [After - Before])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])},
                   faults_said:clients(Mode, Load)]}.

seconds(Mode) when Mode =:= async; Mode =:= durable -> 60;
seconds(_) -> 15.

%% Of /proc/PID/stat: T is stopped.
state(Pid) ->
    {ok, Stat} = file:read_file("/proc/" ++ Pid ++ "/stat"),
    [_, <<" ", State, _/binary>>] = string:split(Stat, ")", trailing),
    [State].
