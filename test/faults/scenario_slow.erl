%% A slow way to Kafka: everything arrives 300 ms late, and slower than publishers publish.
-module(scenario_slow).
-behaviour(faults).

-export([about/0, run/1]).

-define(BYTES_PER_S, 100000).

-spec about() -> faults:about().
about() ->
    #{number => 5, title => "slow broker", modes => [async_off, async, durable, sync], quick => [],
      settings => fun settings/1}.

settings(async) -> [{"queue.max_messages", "2000"} | settings(all)];
settings(_Mode) -> [{"compression", "none"}].

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{}),
    ok = faults_load:await(Load, acked, 1000),
    Proxy = faults_rig:proxy(),
    ok = faults_proxy:mode(Proxy, {rate, ?BYTES_PER_S div length(faults_kafka:via())}),
    {Start, Passed} = {erlang:monotonic_time(millisecond), faults_proxy:passed(Proxy)},
    ok = faults_load:await(Load, acked, more(Mode)),
    Rate = (faults_proxy:passed(Proxy) - Passed) * 1000 div (erlang:monotonic_time(millisecond) - Start),
    Waiting = faults_rig:backlog(),
    ok = faults_proxy:mode(Proxy, {delay, 300}),
    ok = faults_load:await(Load, acked, more(Mode) div 2),
    ok = faults_proxy:mode(Proxy, pass),
    #{evidence => [{Rate < 2 * ?BYTES_PER_S, io_lib:format("~b bytes/s reached Kafka", [Rate])},
                   {Waiting > backlog(Mode), io_lib:format("up to ~b records waited", [Waiting])}]}.

%% A publisher that waits for Kafka is as slow as Kafka.
more(sync) -> 800;
more(_) -> 10000.

backlog(sync) -> 5;
backlog(_) -> 2000.
