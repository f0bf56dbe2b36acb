%% The operator stops and starts the broker, under publishers that connect again at once: nothing that was acknowledged is missing, though
%% the broker unloads its plugins before it closes its listeners.
-module(scenario_shutdown).
-behaviour(faults).

-export([about/0, run/1]).

-define(TIMES, 3).

-spec about() -> faults:about().
about() ->
    #{number => 26, title => "emqttd stop under load", modes => [durable, sync], quick => [durable], limit_s => 300}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Load = faults_rig:load(#{rate => 50}),
    ok = faults_load:await(Load, acked, 200),
    Recovered = [stopped(Load) || _ <- lists:seq(1, ?TIMES)],
    Pids = length(lists:usort([Pid || {Pid, _} <- Recovered])),
    #{losses => {gap, 0}, duplicates => lists:sum([N || {_, N} <- Recovered]),
      evidence => [{Pids =:= ?TIMES, io_lib:format("stopped ~b times; ~b connections ended", [Pids, faults_load:lost(Load)])}]}.

stopped(Load) ->
    Pid = faults_rig:vm_pid(),
    ok = faults_rig:stop_vm(),
    ok = faults_rig:boot(),
    #{recovered := Recovered, unseen := 0} = faults_rig:stats(),
    ok = faults_load:await(Load, acked, 200),
    {Pid, Recovered}.
