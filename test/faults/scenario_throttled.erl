%% A quota of the plugin's Kafka user is below what its clients publish: Kafka delays its answers. Then the quota is lifted.
-module(scenario_throttled).
-behaviour(faults).

-export([about/0, run/1]).

-define(QUOTA, 50000).
-define(MEASURED_MS, 8000).
%% Bytes of a message.
-define(PAYLOAD, 200).

-spec about() -> faults:about().
about() ->
    #{number => 15, title => "throttling quota", modes => [async_off, async, durable, sync], boot => manual, partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_cluster:up([{"NODES", "1"}]),
    ok = faults_cluster:topic(Topic, 3),
    %% A quota is that of each node.
    _ = faults_cluster:tool(["configs --alter --entity-type users --entity-name limited --add-config producer_byte_rate=",
                             integer_to_list(?QUOTA div faults_cluster:node_count())]),
    ok = faults_rig:settings(
           faults_cluster:server("SASL_PLAINTEXT", [{"sasl.mechanism", "SCRAM-SHA-512"}, {"sasl.username", "limited"},
                                                    {"sasl.password", faults_cluster:password("limited")},
                                                    {"compression", "none"}])),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{clients => 200, rate => 10, window => 5}),
    %% Kafka's quota is an average of 11 s, so that it lets a burst of that much through before it slows its answers down.
    Burst = faults_wait:until("more than the first burst", fun() -> above(11 * ?QUOTA div ?PAYLOAD) end, 60000),
    Start = erlang:monotonic_time(millisecond),
    {Slow, Ms} = faults_wait:until("what passes in 8 s", fun() -> later(Start, Burst) end, 60000),
    Bytes = Slow * ?PAYLOAD * 1000 div Ms,
    _ = faults_cluster:tool("configs --alter --entity-type users --entity-name limited --delete-config producer_byte_rate"),
    ok = faults_load:await(Load, acked, 4000),
    Waiting = faults_rig:backlog(),
    #{read => fun faults_cluster:read/1,
      evidence => [{Bytes < ?QUOTA * 3 div 2, io_lib:format("~b bytes of payload a second with a quota of ~b", [Bytes, ?QUOTA])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])}, faults_said:crashes()]}.

above(Least) ->
    case faults_rig:stats() of
        #{success := Success} when Success > Least -> Success;
        _ -> false
    end.

%% How many more were delivered since, and in how many ms, once the time is over. On a busy machine it is more.
later(Start, Burst) ->
    case erlang:monotonic_time(millisecond) - Start >= ?MEASURED_MS of
        true ->
            #{success := Success} = faults_rig:stats(),
            {Success - Burst, erlang:monotonic_time(millisecond) - Start};
        false ->
            false
    end.
