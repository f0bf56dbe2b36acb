%% Kafka's certificate has expired; then it is given a new one, and restarted.
-module(scenario_expired).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 12, title => "TLS: certificate expired", modes => [async_off, async, durable, sync], boot => manual,
      partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    faults_security:run(Mode, fun fault/0).

fault() ->
    #{listener => "SSL", wrong => faults_security:tls("ca"), certificate => "expired",
      cause => "its certificate .CN=expired. expired on",
      mend => fun() -> mended() end}.

mended() ->
    ok = faults_cluster:certificate("good"),
    ok = faults_cluster:stop([]),
    faults_cluster:start([]).
