%% kill -9 of the broker's VM, again and again, at random moments, in good times and with a backlog. In durable nothing that
%% was acknowledged is lost; in async only what was in memory.
-module(scenario_kill9).
-behaviour(faults).

-export([about/0, run/1]).

-define(MEMORY, 1000).

-spec about() -> faults:about().
about() ->
    #{number => 19, title => "kill -9 of the VM, 20 times", modes => [async, durable, sync], quick => [durable], limit_s => 1200,
      settings => fun(_Mode) -> [{"queue.max_messages", integer_to_list(?MEMORY)}, {"spool.segment_size", "1MB"}, {"spool.max_size", "256MB"},
                                 {"produce.timeout", "2s"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Seed = list_to_integer(os:getenv("FAULTS_SEED", integer_to_list(erlang:system_time(second)))),
    _ = rand:seed(exsss, Seed),
    Times = times(Mode),
    Load = faults_rig:load(#{rate => 50}),
    ok = faults_load:await(Load, acked, 200),
    Killed = [killed() || _ <- lists:seq(1, Times)],
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 1000),
    Pids = length(lists:usort([Pid || {Pid, _, _} <- Killed])),
    Recovered = [Recovered || {_, _, Recovered} <- Killed],
    Backlogs = [Backlog || {_, Backlog, _} <- Killed, Backlog > 0],
    #{losses => losses(Mode, Times),
      %% What was under way to Kafka, and whose acknowledgement nobody was there to take: never more than memory holds.
      duplicates => lists:sum([min(N, ?MEMORY) || N <- Recovered]),
      evidence => [{Pids =:= Times, io_lib:format("~b VMs killed, seed ~b", [Pids, Seed])},
                   {Backlogs =/= [], io_lib:format("~b of them with records under way or spooled, up to ~b", [length(Backlogs), lists:max([0 | Backlogs])])},
                   {lists:sum(Recovered) > 0 orelse Mode =:= sync,
                    io_lib:format("~b records recovered from the spool", [lists:sum(Recovered)])}]}.

%% In sync a publisher trusts Kafka alone.
times(sync) -> 5;
times(_) -> faults_rig:quick({5, 20}).

losses(async, Times) -> {memory, Times * ?MEMORY};
losses(_, _) -> none.

%% Random moments, in random circumstances.
killed() ->
    Circumstances = [pass, {delay, 30}, {rate, 30000}, refuse],
    ok = faults_proxy:mode(faults_rig:proxy(), lists:nth(rand:uniform(4), Circumstances)),
    receive after 200 + rand:uniform(1500) -> ok end,
    Pid = faults_rig:vm_pid(),
    #{queued := Queued, spooled := Spooled} = faults_rig:stats(),
    ok = faults_rig:kill_vm(),
    false = filelib:is_dir("/proc/" ++ Pid),
    ok = faults_rig:boot(),
    {Pid, Queued + Spooled, maps:get(recovered, faults_rig:stats())}.
