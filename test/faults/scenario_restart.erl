%% The plugin is stopped for longer than its hooks outlive it, and started again, under load: just as many acknowledged messages may be
%% missing as are counted as unseen.
-module(scenario_restart).
-behaviour(faults).

-export([about/0, run/1]).

-define(TIMES, 2).

-spec about() -> faults:about().
about() ->
    #{number => 26, title => "the plugin stops and starts under load", modes => [async, durable], quick => [durable], limit_s => 300}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Load = faults_rig:load(#{rate => 50}),
    ok = faults_load:await(Load, acked, 200),
    {InFlight, Passed} = lists:unzip([restarted(Load) || _ <- lists:seq(1, ?TIMES)]),
    Most = lists:sum(Passed),
    #{unseen := Unseen} = faults_rig:stats(),
    Alarm = faults_wait:until("the alarm", fun() -> lists:member(<<"records_lost">>, alarms()) end, 10000),
    #{losses => {gap, Unseen}, duplicates => lists:sum(InFlight),
      evidence => [{Unseen > 0 andalso Unseen =< Most, io_lib:format("~b messages counted as unseen, of ~b at most", [Unseen, Most])},
                   {Alarm, "the alarm records_lost"},
                   {faults_rig:logged("messages published: [1-9]") > 0, "the log says how many"}]}.

%% Acknowledged while the plugin is away: then no hook is there any more. What was in flight, and how many messages came meanwhile at
%% most.
restarted(Load) ->
    InFlight = faults_rig:in_flight(),
    Before = faults_load:acked(Load) + faults_load:resent(Load),
    {0, _} = faults_rig:ctl(["plugins", "unload", "emq_plugin_kafka"]),
    ok = faults_load:await(Load, acked, 200),
    {0, _} = faults_rig:ctl(["plugins", "load", "emq_plugin_kafka"]),
    After = faults_load:sent(Load) + faults_load:resent(Load),
    ok = faults_load:await(Load, acked, 200),
    {InFlight, After - Before}.

alarms() ->
    #{alarms := Alarms} = faults_rig:rpc(emq_plugin_kafka, status, []),
    Alarms.
