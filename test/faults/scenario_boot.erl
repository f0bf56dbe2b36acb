%% kill -9 of a broker that opens its listeners before it starts plugins, as EMQX 4 and 5 do, under publishers that connect again at once.
%% With the installer's lines in vm.args nothing that was acknowledged is missing. Without them, just as many are missing as are counted.
-module(scenario_boot).
-behaviour(faults).

-export([about/0, run/1]).

-define(TIMES, 3).

-spec about() -> faults:about().
about() ->
    #{number => 26, title => "listeners open before plugins, kill -9", modes => [durable], quick => [durable], boot => manual, limit_s => 300}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    ok = faults_windows:listeners_first(open),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{rate => 50}),
    ok = faults_load:await(Load, acked, 200),
    Open = [killed(Load) || _ <- lists:seq(1, ?TIMES)],
    ok = faults_windows:listeners_first(closed),
    Closed = [killed(Load) || _ <- lists:seq(1, ?TIMES)],
    ok = faults_windows:as_before(),
    ok = faults_load:await(Load, acked, 1000),
    Unseen = lists:sum([N || {N, _} <- Open]),
    #{losses => {gap, Unseen},
      duplicates => lists:sum([Recovered || {_, Recovered} <- Open ++ Closed]),
      evidence => [opened_first(faults_windows:can_open_first(), Unseen),
                   {[N || {N, _} <- Closed, N > 0] =:= [], "none where they opened after plugins"}]}.

opened_first(true, Unseen) ->
    {Unseen > 0, io_lib:format("~b messages counted as unseen while the listeners opened first", [Unseen])};
opened_first(false, Unseen) ->
    {Unseen =:= 0, "this release opens its listeners last: none counted as unseen"}.

%% What the next life has not seen, and what it has found in the spool.
killed(Load) ->
    ok = faults_rig:kill_vm(),
    ok = faults_rig:boot(),
    #{unseen := Unseen, recovered := Recovered} = faults_rig:stats(),
    ok = faults_load:await(Load, acked, 200),
    {Unseen, Recovered}.
