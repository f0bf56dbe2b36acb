%% Three brokers (the stand-in) in a cluster, each with the plugin and a spool of its own, and one real Kafka: what each node's
%% records are, and what the death of one costs the others.
-module(cluster_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([every_event_is_one_record_of_the_node_that_had_it/1, a_killed_node_costs_the_others_nothing/1,
         a_second_node_with_the_same_spool_starts_degraded/1]).

-import(live_plugin, [home/1, rpc/4, connect/2, conf/3, set_and_restart/2, running/1, degraded/1, crashes/1, publishers/2,
                      stopped/1, settled/1]).

-define(APP, emq_plugin_kafka).
-define(COUNT, 100).

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [every_event_is_one_record_of_the_node_that_had_it, a_killed_node_costs_the_others_nothing,
     a_second_node_with_the_same_spool_starts_degraded].

init_per_suite(Config) ->
    Nodes = [live_plugin:start([], [{priv_dir, filename:join(proplists:get_value(priv_dir, Config), Name)}])
             || Name <- ["one", "two", "three"]],
    [First | Others] = Nodes,
    [{0, _} = standin_broker:ctl(home(Node), ["cluster", "join", atom_to_list(node_of(First))]) || Node <- Others],
    Names = lists:sort([node_of(Node) || Node <- Nodes]),
    [?assertEqual(Names, lists:sort(rpc(Node, emqttd_cluster, status, []))) || Node <- Nodes],
    [{nodes, Nodes} | Config].

end_per_suite(Config) ->
    [ok = standin_broker:stop(home(Node)) || Node <- nodes_of(Config)].

init_per_testcase(Case, Config) ->
    Topic = kafka_reader:new_topic(Case),
    Rules = [{Event ++ ".1", "{}"} || Event <- ["client.connected", "message.publish", "message.delivered", "message.acked"]],
    Settings = [{"spool.dir", "data/" ++ atom_to_list(Case)} | [{"hook." ++ Name, Rule} || {Name, Rule} <- Rules]],
    [begin
         ok = conf(Node, Topic, Settings),
         ok = set_and_restart(Node, [{server, kafka_reader:bootstrap()}, {topic, Topic}, {hooks, Rules}, {produce, async},
                                     {spool_dir, "data/" ++ atom_to_list(Case)}])
     end || Node <- nodes_of(Config)],
    [{topic, Topic} | Config].

end_per_testcase(_Case, Config) ->
    [?assertEqual(<<>>, crashes(Node)) || Node <- nodes_of(Config)].

%% A publication is an event of the publisher's node, a delivery and its acknowledgement are events of the subscriber's.
every_event_is_one_record_of_the_node_that_had_it(Config) ->
    [_, Second, _] = Nodes = nodes_of(Config),
    {ok, Subscriber, 0} = connect(Second, #{client_id => <<"subscriber">>}),
    {ok, [1]} = mqtt_client:subscribe(Subscriber, [{<<"from/#">>, 1}]),
    Sent = [begin
                Name = name(Node),
                {ok, Client, 0} = connect(Node, #{client_id => Name}),
                Payloads = [<<Name/binary, " ", (integer_to_binary(N))/binary>> || N <- lists:seq(1, ?COUNT)],
                [ok = mqtt_client:publish(Client, <<"from/", Name/binary>>, Payload, 1) || Payload <- Payloads],
                ok = mqtt_client:disconnect(Client),
                {Name, Payloads}
            end || Node <- Nodes],
    All = lists:append([Payloads || {_, Payloads} <- Sent]),
    ?assertEqual(lists:sort(All), lists:sort([received(Subscriber) || _ <- All])),
    ok = mqtt_client:disconnect(Subscriber),
    Records = [Value || #{value := Value} <- kafka_reader:records(topic(Config), 4 + 3 * length(All))],
    [?assertEqual({Name, Payloads}, {Name, payloads(<<"public">>, Name, Records)}) || {Name, Payloads} <- Sent],
    [?assertEqual({Type, lists:sort(All)}, {Type, lists:sort(payloads(Type, name(Second), Records))})
     || Type <- [<<"delivered">>, <<"acked">>]],
    ?assertEqual(lists:sort([{<<"subscriber">>, name(Second)} | [{Name, Name} || {Name, _} <- Sent]]),
                 lists:sort([{Id, Name} || #{<<"type">> := <<"connected">>, <<"client_id">> := Id, <<"cluster_node">> := Name} <- Records])),
    [?assertMatch(#{accepted := N, dropped := 0, failed := 0} when N > 0, rpc(Node, ?APP, stats, [])) || Node <- Nodes].

%% Its own acknowledged messages are in its spool, and reach Kafka when it is back: once, or, of those that were being sent when
%% it died, twice.
a_killed_node_costs_the_others_nothing(Config) ->
    [First, Second, Third] = Nodes = nodes_of(Config),
    [ok = set_and_restart(Node, [{produce, durable}, {hooks, [{"message.publish.1", "{}"}]}]) || Node <- Nodes],
    Publishers = [{Node, publishers(Node, 1)} || Node <- Nodes],
    #{accepted := Before} = rpc(Third, ?APP, stats, []),
    ok = polling:until(fun() -> maps:get(accepted, rpc(Third, ?APP, stats, [])) > Before + ?COUNT end),
    ok = standin_broker:kill(home(Third)),
    #{accepted := Then} = rpc(First, ?APP, stats, []),
    ok = polling:until(fun() -> maps:get(accepted, rpc(First, ?APP, stats, [])) > Then + ?COUNT end),
    Acknowledged = [{Node, acknowledged(stopped(Clients))} || {Node, Clients} <- Publishers],
    [ok = settled(Node) || Node <- [First, Second]],
    ?assertEqual(lists:sort([node_of(First), node_of(Second)]), lists:sort(rpc(First, emqttd_cluster, status, []))),
    %% What the conf file says: the spool is the one that it had.
    ok = standin_broker:start(home(Third)),
    ok = standin_broker:connect(home(Third)),
    ok = running(Third),
    ok = settled(Third),
    ?assertEqual(lists:sort([node_of(Node) || Node <- Nodes]), lists:sort(rpc(Second, emqttd_cluster, status, []))),
    Records = [jiffy:decode(Value, [return_maps]) || #{value := Value} <- kafka_reader:all_records(topic(Config))],
    [?assertEqual({name(Node), lists:seq(1, Count)}, {name(Node), numbers(Node, Records)})
     || {Node, Count} <- Acknowledged, Node =/= Third],
    {Third, Last} = lists:keyfind(Third, 1, Acknowledged),
    ?assert(Last >= ?COUNT),
    ?assertEqual([], lists:seq(1, Last) -- lists:usort(numbers(Third, Records))).

a_second_node_with_the_same_spool_starts_degraded(Config) ->
    [First, Second, _] = nodes_of(Config),
    Spool = filename:join(home(First), "data/" ++ atom_to_list(?FUNCTION_NAME)),
    ok = rpc(Second, application, stop, [?APP]),
    ok = live_plugin:forget(Second),
    ok = rpc(Second, application, set_env, [?APP, spool_dir, Spool]),
    ok = rpc(Second, application, start, [?APP]),
    ok = degraded(Second),
    #{problems := [Problem]} = rpc(Second, ?APP, status, []),
    ?assertMatch({Problem, {match, _}},
                 {Problem, re:run(Problem, "emq.plugin.kafka.spool.dir: .*each node needs a spool directory of its own")}),
    ok = running(First).

%% Helpers.

nodes_of(Config) -> proplists:get_value(nodes, Config).
topic(Config) -> proplists:get_value(topic, Config).
node_of(Node) -> standin_broker:node_name(home(Node)).
name(Node) -> atom_to_binary(node_of(Node), utf8).

received(Subscriber) ->
    {ok, #{payload := Payload}} = mqtt_client:recv(Subscriber),
    Payload.

payloads(Type, Name, Records) ->
    [Payload || #{<<"type">> := T, <<"cluster_node">> := N, <<"message">> := #{<<"payload">> := Payload}} <- Records,
                T =:= Type, N =:= Name].

numbers(Node, Records) ->
    [binary_to_integer(Payload) || Payload <- payloads(<<"public">>, name(Node), Records)].

%% How many messages the one publisher of a node had acknowledged.
acknowledged([{_Id, Count, _End}]) -> Count.
