%% Twenty minutes (SOAK_MINUTES) of load with an outage every two minutes. After minute five resident memory grows by less than
%% 1 MB a minute; threads, file descriptors, atoms and processes end where they began.
-module(scenario_soak).
-behaviour(faults).

-export([about/0, run/1]).

-define(WARM_UP_MIN, 5).
-define(GROWTH_KB_MIN, 1024).

-spec about() -> faults:about().
about() ->
    #{number => 24, title => "soak", modes => [async, durable], named => true, limit_s => 60 * (minutes() + 15)}.

minutes() -> list_to_integer(os:getenv("SOAK_MINUTES", "20")).

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    %% What a first load makes for good: threads, connections, atoms.
    First = faults_rig:load(#{name => "first"}),
    ok = faults_load:await(First, acked, 2000),
    ok = outage(First),
    _ = faults_rig:finish(First),
    ok = faults_rig:drained(60000),
    Pid = faults_rig:vm_pid(),
    Before = counts(Pid),
    Load = faults_rig:load(#{rate => 25}),
    Memory = [minute(N, Pid, Load) || N <- lists:seq(1, minutes())],
    _ = faults_rig:finish(Load),
    ok = faults_rig:drained(120000),
    After = counts(Pid),
    Growth = slope([Point || {N, _} = Point <- Memory, N > min(?WARM_UP_MIN, minutes() div 2)]),
    #{evidence => [{Growth < ?GROWTH_KB_MIN, io_lib:format("resident memory grew by ~b KB a minute, to ~b KB",
                                                           [Growth, element(2, lists:last(Memory))])}
                   | [{is_close(What, maps:get(What, Before), N), io_lib:format("~s: ~b at the start, ~b at the end",
                                                                                [What, maps:get(What, Before), N])}
                      || {What, N} <- maps:to_list(After)]]}.

minute(N, Pid, Load) ->
    receive after 60000 -> ok end,
    ok = outage_at(N rem 2, Load),
    {N, resident_kb(Pid)}.

outage_at(0, Load) -> outage(Load);
outage_at(1, _Load) -> ok.

outage(Load) ->
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    ok = faults_load:await(Load, acked, 2000),
    faults_proxy:mode(faults_rig:proxy(), pass).

counts(Pid) ->
    {ok, Fds} = file:list_dir("/proc/" ++ Pid ++ "/fd"),
    {ok, Threads} = file:list_dir("/proc/" ++ Pid ++ "/task"),
    #{threads => length(Threads), 'file descriptors' => length(Fds), atoms => faults_rig:rpc(erlang, system_info, [atom_count]),
      processes => faults_rig:rpc(erlang, system_info, [process_count])}.

%% librdkafka may or may not have a connection open beside its first; the broker's own atoms and processes come and go a little.
is_close('file descriptors', Before, After) -> abs(After - Before) =< 4;
is_close(threads, Before, After) -> After =< Before;
is_close(atoms, Before, After) -> After - Before =< 50;
is_close(processes, Before, After) -> abs(After - Before) =< 5.

resident_kb(Pid) ->
    {ok, Status} = file:read_file("/proc/" ++ Pid ++ "/status"),
    {match, [Kb]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, all_but_first, binary}]),
    binary_to_integer(Kb).

%% Least squares, KB a minute.
slope(Points) ->
    Count = length(Points),
    MeanX = lists:sum([X || {X, _} <- Points]) / Count,
    MeanY = lists:sum([Y || {_, Y} <- Points]) / Count,
    round(lists:sum([(X - MeanX) * (Y - MeanY) || {X, Y} <- Points]) / max(1.0e-9, lists:sum([(X - MeanX) * (X - MeanX) || {X, _} <- Points]))).
