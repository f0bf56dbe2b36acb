%% A second node is pointed to the spool of the first: it starts degraded and says why; the first goes on.
-module(scenario_shared_spool).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 21, title => "a second node on the same spool", modes => [durable], quick => [durable]}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(_Mode) ->
    Load = faults_rig:load(#{}),
    ok = faults_load:await(Load, acked, 500),
    Second = faults_rig:broker("second", ""),
    ok = standin_broker:plugin_conf(Second, emq_plugin_kafka,
                                    [["emq.plugin.kafka.server = ", faults_proxy:address(faults_rig:proxy()), "\n"],
                                     "emq.plugin.kafka.produce = durable\n",
                                     ["emq.plugin.kafka.spool.dir = ", faults_rig:spool_dir(), "\n"]]),
    ok = standin_broker:start(Second),
    try
        ok = standin_broker:connect(Second),
        Problems = faults_wait:until("the second node is degraded", fun() -> degraded(Second) end, 30000),
        Text = lists:join("; ", Problems),
        ok = faults_load:await(Load, acked, 1000),
        #{evidence => [{re:run(Text, "spool") =/= nomatch, ["the second node is degraded: ", Text]},
                       faults_said:clients(durable, Load)]}
    after
        standin_broker:kill(Second)
    end.

degraded(Home) ->
    case standin_broker:rpc(Home, emq_plugin_kafka, status, []) of
        #{state := degraded, problems := [_ | _] = Problems} -> Problems;
        _ -> false
    end.
