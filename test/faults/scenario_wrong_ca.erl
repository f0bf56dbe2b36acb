%% The plugin trusts another authority than the one that signed Kafka's certificate; then the right one, by a reload.
-module(scenario_wrong_ca).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 12, title => "TLS: wrong CA", modes => [async, durable, sync], boot => manual, partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    faults_security:run(Mode, fun fault/0).

fault() ->
    #{listener => "SSL", wrong => faults_security:tls("other-ca"), cause => "its certificate was signed by CN=ca of a test, which emq.plugin.kafka.ssl.ca.location does not hold",
      mend => fun() -> faults_security:reload(faults_cluster:server("SSL", faults_security:tls("ca"))) end}.
