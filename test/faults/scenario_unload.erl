%% The plugin is unloaded and loaded by an operator, under load and with a backlog. In the gap EMQ calls no hook; whatever
%% was accepted before and after it is kept.
-module(scenario_unload).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 18, title => "plugins unload, load, with a backlog", modes => [async_off, async, durable, sync], quick => [async],
      settings => fun settings/1}.

%% So long that a stop which waits for Kafka is told from one that is slow on a busy machine.
settings(async_off) -> [{"compression", "none"}];
settings(_) -> [{"compression", "none"}, {"shutdown_timeout", "1m"}].

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{clients => clients(Mode)}),
    ok = faults_load:await(Load, acked, 500),
    InFlight = faults_rig:in_flight(),
    ok = faults_proxy:mode(faults_rig:proxy(), outage(Mode)),
    true = faults_wait:until("a backlog", fun() -> faults_rig:backlog() >= backlog(Mode) end, 60000),
    Before = faults_load:acked(Load),
    Start = erlang:monotonic_time(millisecond),
    {0, _} = faults_rig:ctl(["plugins", "unload", "emq_plugin_kafka"]),
    Stop = erlang:monotonic_time(millisecond) - Start,
    {0, _} = faults_rig:ctl(["plugins", "load", "emq_plugin_kafka"]),
    _ = faults_wait:until("the plugin runs", fun() -> maps:get(state, faults_rig:rpc(emq_plugin_kafka, status, [])) =:= running end, 30000),
    Gap = faults_load:acked(Load) - Before + 20 * clients(Mode),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 2000),
    #{losses => {gap, Gap}, duplicates => InFlight,
      evidence => [{true, io_lib:format("stopped in ~b ms, with a backlog of up to ~b records",
                                        [Stop, faults_rig:backlog()])},
                   faults_said:crashes() | quick(Mode, Stop)]}.

clients(sync) -> 200;
clients(_) -> 20.

%% Without a spool the stop drains, so Kafka is slow and not away.
outage(async_off) -> {rate, 200000};
outage(_) -> refuse.

backlog(sync) -> 100;
backlog(_) -> 2000.

quick(async_off, _Stop) -> [];
quick(_, Stop) -> [{Stop < 45000, "a stop with a spool does not wait for Kafka"}].
