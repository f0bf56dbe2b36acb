%% Kafka closes connections that were idle, between one publish and the next.
-module(scenario_idle).
-behaviour(faults).

-export([about/0, run/1]).

-define(CLIENT, <<"idle">>).
-define(TIMES, 3).

-spec about() -> faults:about().
about() ->
    #{number => 16, title => "idle connections closed by Kafka", modes => [async_off, async, durable, sync], boot => manual,
      partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Topic = faults_rig:topic(),
    ok = faults_cluster:up([{"NODES", "1"}, {"IDLE_MS", "2000"}]),
    ok = faults_cluster:topic(Topic, 1),
    ok = faults_rig:settings(faults_cluster:server("SASL_SSL", [{"ssl.ca.location", faults_cluster:certificate_file("ca")},
                                                                {"sasl.mechanism", "SCRAM-SHA-256"},
                                                                {"sasl.username", "writer"},
                                                                {"sasl.password", faults_cluster:password("writer")}])),
    ok = faults_rig:boot(),
    {ok, Client, 0} = mqtt_client:connect(#{port => faults_rig:mqtt_port(), client_id => ?CLIENT, keepalive => 0}),
    Closed = [published_and_idle(Client, N) || N <- lists:seq(1, ?TIMES)],
    ok = published(Client, ?TIMES + 1),
    ok = mqtt_client:disconnect(Client),
    Sent = ?TIMES + 1,
    #{ledgers => [#{client => ?CLIENT, sent => Sent, acked => [{1, Sent}], resent => 0, lost => 0}],
      read => fun faults_cluster:read/1,
      evidence => [{lists:all(fun(N) -> N > 0 end, Closed), io_lib:format("~0p connections closed after a publish each", [Closed])},
                   faults_said:crashes()]}.

published(Client, N) ->
    ok = mqtt_client:publish(Client, <<"i">>, faults_payload:make(?CLIENT, N, 100), 1),
    true = faults_wait:until("Kafka has it", fun() -> maps:get(success, faults_rig:stats()) =:= N end, 10000),
    ok.

%% How many connections there were, when none of them is there any more.
published_and_idle(Client, N) ->
    ok = published(Client, N),
    There = connections(),
    true = faults_wait:until("Kafka has closed them", fun() -> There -- connections() =:= There end, 30000),
    length(There).

%% The VM's ends of connections to the listener: the local addresses of /proc/net/tcp that are established.
connections() ->
    Remote = [iolist_to_binary(io_lib:format("0100007F:~4.16.0B", [Port])) || Port <- faults_cluster:ports("SASL_SSL")],
    {ok, Table} = file:read_file("/proc/net/tcp"),
    [Local || Line <- binary:split(Table, <<"\n">>, [global]),
              [_, Local, Address, <<"01">> | _] <- [string:lexemes(Line, " ")], lists:member(Address, Remote)].
