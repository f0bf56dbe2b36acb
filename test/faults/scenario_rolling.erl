%% A rolling restart of three nodes under load, as an upgrade does it, then the preferred leaders are elected again.
-module(scenario_rolling).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 4, title => "rolling restart of three nodes, leader change", modes => [async_off, async, durable, sync],
      boot => manual, partitions => none,
      %% Ten starts and stops of a JVM, or more.
      limit_s => 1200}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_cluster:up([{"NODES", "3"}, {"MIN_ISR", "2"}]),
    ok = faults_cluster:topic(Topic, 6),
    ok = faults_rig:settings(faults_cluster:server("PLAINTEXT", [])),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{rate => 20}),
    Before = pids(),
    Led = lists:usort(lists:append([restarted(Node, Topic, Load) || Node <- ["1", "2", "3"]])),
    After = pids(),
    Scattered = faults_cluster:leaders(Topic),
    _ = faults_cluster:tool("elect --election-type preferred --all-topic-partitions"),
    Preferred = faults_cluster:leaders(Topic),
    ok = faults_load:await(Load, acked, 1000),
    #{read => fun faults_cluster:read/1,
      evidence => [{Before -- After =:= Before, io_lib:format("the nodes' pids were ~0p and are ~0p", [Before, After])},
                   {length(Led) > 1, io_lib:format("partition 0 was led by ~0p in turn", [Led])},
                   {Scattered =/= Preferred, io_lib:format("an election changed the leaders from ~0p to ~0p", [Scattered, Preferred])},
                   faults_said:crashes()]}.

pids() -> [faults_cluster:pid(Node) || Node <- ["1", "2", "3"]].

%% Not before the one that was restarted has caught up, as an administrator would; who led partition 0 meanwhile.
restarted(Node, Topic, Load) ->
    ok = faults_cluster:stop([Node]),
    {"0", Leader} = lists:keyfind("0", 1, faults_cluster:leaders(Topic)),
    ok = faults_load:await(Load, acked, 500),
    ok = faults_cluster:start([Node]),
    true = faults_wait:until("every replica in sync", fun() -> faults_cluster:in_sync(Topic) end, 60000),
    [Leader].
