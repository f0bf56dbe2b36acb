%% Kafka shows a certificate of another host; then it is given the right one, and restarted.
-module(scenario_wrong_name).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 12, title => "TLS: wrong host name", modes => [async_off, async, durable, sync], boot => manual,
      partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    faults_security:run(Mode, fun fault/0).

fault() ->
    #{listener => "SSL", wrong => faults_security:tls("ca"), certificate => "wrong_name",
      cause => "is for another host than 127.0.0.1, for elsewhere.test",
      mend => fun() -> mended() end}.

mended() ->
    ok = faults_cluster:certificate("good"),
    ok = faults_cluster:stop([]),
    faults_cluster:start([]).
