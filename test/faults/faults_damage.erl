%% What the scenarios of a damaged spool share: a backlog of several segments, all of it acknowledged, a VM that is dead,
%% damage, and a boot.
-module(faults_damage).

-export([settings/1, run/1, segments/0]).

%% How the plugin tells of damage.
-define(DAMAGE, "spool: .*(lost|skipped|corrupt|damaged|torn|cut)").

%% @doc A spool has about a thousand segments at most: small ones want a small spool.
-spec settings(faults_rig:mode()) -> [{string(), iodata()}].
settings(_Mode) -> [{"spool.segment_size", "1MB"}, {"spool.max_size", "256MB"}].

%% @doc Runs a scenario; the fun does the damage and says what it did.
-spec run(fun(() -> {Losses :: term(), What :: iodata()})) -> faults:outcome().
run(Damage) ->
    ok = faults_proxy:mode(faults_rig:proxy(), refuse),
    Load = faults_rig:load(#{size => 1000, name => "before"}),
    ok = faults_load:await(Load, acked, 6000),
    _ = faults_rig:finish(Load),
    Spooled = maps:get(spooled, faults_rig:stats()),
    ok = faults_rig:kill_vm(),
    Segments = length(segments()),
    {Losses, What} = Damage(),
    ok = faults_rig:boot(),
    #{recovered := Recovered} = faults_rig:stats(),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    After = faults_rig:load(#{name => "after"}),
    ok = faults_load:await(After, acked, 500),
    _ = faults_rig:finish(After),
    ok = faults_rig:drained(60000),
    _ = faults_rig:wait_logged(?DAMAGE, 15000),
    #{losses => Losses,
      evidence => [{true, What},
                   {Segments > 3, io_lib:format("~b records in ~b segments before", [Spooled, Segments])},
                   {true, ["the log: ", hd(told())]},
                   {Recovered > 0, io_lib:format("~b recovered", [Recovered])}]}.

told() ->
    [Line || Line <- binary:split(faults_rig:log(), <<"\n">>, [global]), re:run(Line, ?DAMAGE) =/= nomatch].

%% @doc The segment files, oldest first.
-spec segments() -> [file:filename()].
segments() ->
    lists:sort(filelib:wildcard(filename:join(faults_rig:spool_dir(), "*.seg"))).
