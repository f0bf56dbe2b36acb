%% The network goes silent: connections stay, every byte in either direction is held back; then they are cut.
-module(scenario_silent).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 3, title => "packets held back by a proxy, then connections cut", modes => [async_off, async, durable, sync],
      quick => [async], settings => fun settings/1}.

%% As small as librdkafka lets it be where the outage is to be noticed as one: requests that are not answered are given up.
settings(_Mode) -> [{"rdkafka.socket.timeout.ms", "8000"}, {"compression", "none"}].

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{}),
    ok = faults_load:await(Load, acked, 2000),
    ok = faults_proxy:mode(faults_rig:proxy(), freeze),
    TimedOut = faults_rig:wait_logged("timed out|timedout", 60000),
    Held = faults_proxy:held(faults_rig:proxy()),
    Waiting = faults_rig:backlog(),
    Cut = faults_proxy:cut(faults_rig:proxy()),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    ok = faults_load:await(Load, acked, 2000),
    #{evidence => [{Held > 0, io_lib:format("~b bytes held back by the proxy", [Held])},
                   {TimedOut > 0, io_lib:format("requests timed out in ~b lines of the log", [TimedOut])},
                   {Cut > 0, io_lib:format("~b connections cut", [Cut])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])},
                   faults_said:clients(Mode, Load)]}.
