%% A wrong SASL password, then the right one, by an edit of the configuration and a reload.
-module(scenario_password).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 12, title => "SASL password wrong", modes => [async, durable, sync], boot => manual, partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    faults_security:run(Mode, fun() -> fault(mechanism(Mode)) end).

fault(Mechanism) ->
    Tls = faults_security:tls("ca"),
    Right = faults_security:login(Mechanism, "writer", faults_cluster:password("writer")),
    #{listener => "SASL_SSL", wrong => Tls ++ faults_security:login(Mechanism, "writer", "guessed"),
      cause => "refuses the login of .writer. by " ++ Mechanism,
      mend => fun() -> faults_security:reload(faults_cluster:server("SASL_SSL", Tls ++ Right)) end}.

%% Each of them once.
mechanism(async) -> "PLAIN";
mechanism(durable) -> "SCRAM-SHA-256";
mechanism(sync) -> "SCRAM-SHA-512".
