%% The metrics of a running broker (the stand-in) that forwards to a real Kafka, as a real Prometheus scrapes them: every query of
%% the Grafana dashboard has an answer, and whoever connects to the endpoint holds up nobody.
-module(metrics_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([promtool_has_nothing_to_say/1, every_query_of_the_dashboard_has_an_answer/1, a_scrape_has_what_stats_has/1,
         the_time_in_the_spool_counts/1, rules_topics_and_brokers_are_told/1, a_port_that_is_taken_is_a_problem/1,
         a_thousand_connections_hold_up_nobody/1]).

-import(live_plugin, [home/1, rpc/4, connect/2, conf/3, set_and_restart/2, running/1, logged/2, crashes/1, settled/1]).
-import(polling, [until/1]).

-define(APP, emq_plugin_kafka).
-define(DASHBOARD, "docs/grafana-dashboard.json").

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [promtool_has_nothing_to_say, every_query_of_the_dashboard_has_an_answer, a_scrape_has_what_stats_has,
     the_time_in_the_spool_counts, rules_topics_and_brokers_are_told, a_port_that_is_taken_is_a_problem,
     a_thousand_connections_hold_up_nobody].

init_per_suite(Config) ->
    {ok, _} = application:ensure_all_started(inets),
    live_plugin:start([{"statistics.interval.ms", "1000"}], Config).

end_per_suite(Config) ->
    standin_broker:stop(home(Config)).

%% Each case has an address and a topic of its own.
init_per_testcase(Case, Config) ->
    Topic = kafka_reader:new_topic(Case),
    Address = "127.0.0.1:" ++ integer_to_list(standin_broker:free_port()),
    Settings = [{server, kafka_reader:bootstrap()}, {topic, Topic}, {metrics_listener, Address}, {produce, async},
                {spool, overflow}, {hooks, [{"message.publish.all", "{}"}, {"message.publish.level", "{\"key\":\"${topic[2]}\"}"}]}],
    ok = set_and_restart(Config, Settings),
    [{topic, Topic}, {address, Address} | Config].

end_per_testcase(_Case, Config) ->
    ?assertEqual(<<>>, crashes(Config)).

%% Cases.

promtool_has_nothing_to_say(Config) ->
    publish(Config, 10),
    ok = until(fun() -> string:find(scrape(Config), "emq_plugin_kafka_broker_up") =/= nomatch end),
    ?assertEqual({0, ""}, prometheus_server:check(scrape(Config))),
    %% It has of what is wrong.
    {Status, Words} = prometheus_server:check(<<"# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n">>),
    ?assert(Status =/= 0 andalso string:find(Words, "a_total") =/= nomatch).

every_query_of_the_dashboard_has_an_answer(Config) ->
    Server = prometheus_server:start(filename:join(proplists:get_value(priv_dir, Config), "prometheus"),
                                     proplists:get_value(address, Config)),
    Publishers = live_plugin:publishers(Config, 2),
    try
        ok = until(fun() -> prometheus_server:scrapes(Server) >= 10 end),
        Queries = queries(),
        ?assert(length(Queries) >= 30),
        [ok = answered(Server, Title, Query) || {Title, Query} <- Queries],
        %% One that has none is seen.
        ?assertEqual([], prometheus_server:query(Server, "emq_plugin_kafka_no_such_metric")),
        %% All metrics but those of scrapes themselves are somewhere on the dashboard.
        {ok, Text} = file:read_file(root(?DASHBOARD)),
        Names = [Name || #{<<"metric">> := #{<<"__name__">> := Name}} <-
                             prometheus_server:query(Server, "{__name__=~\"emq_plugin_kafka_.*\"}")],
        ?assertEqual([], [Name || Name <- lists:usort(Names), string:find(Text, Name) =:= nomatch]),
        %% And in docs/metrics.md.
        {ok, Page} = file:read_file(root("docs/metrics.md")),
        ?assertEqual([], [Name || Name <- lists:usort([documented(Name) || Name <- Names]), string:find(Page, Name) =:= nomatch])
    after
        Stopped = live_plugin:stopped(Publishers),
        ?assertMatch([{_, _, ok}, {_, _, ok}], Stopped),
        ok = prometheus_server:stop(Server)
    end.

a_scrape_has_what_stats_has(Config) ->
    publish(Config, 25),
    ok = settled(Config),
    #{accepted := Accepted, success := Success, dropped_by := #{missing_field := Missing}} = stats(Config),
    Text = scrape(Config),
    ?assertEqual(Accepted, value(Text, "records_accepted_total")),
    ?assertEqual(Success, value(Text, "records_success_total")),
    ?assertEqual(Missing, value(Text, "records_dropped_total{reason=\"missing_field\"}")),
    ?assertEqual(1, value(Text, "spool_state{state=\"ok\"}")),
    ?assertEqual(25, value(Text, "topic_success_total{topic=\"" ++ proplists:get_value(topic, Config) ++ "\"}")),
    #{count := Count} = rpc(Config, emq_plugin_kafka_nif, latency, []),
    ?assertEqual(Count, value(Text, "ack_latency_seconds_count")),
    #{config_hash := Hash} = rpc(Config, emq_plugin_kafka_nif, about, []),
    ?assertEqual(1, value(Text, "config_info{hash=\"" ++ binary_to_list(Hash) ++ "\"}")).

%% From the hook, though another producer than the first one sends the record.
the_time_in_the_spool_counts(Config) ->
    ok = set_and_restart(Config, [{server, "127.0.0.1:1"}, {spool, always}]),
    #{count := Before, sum_ms := SumBefore} = rpc(Config, emq_plugin_kafka_nif, latency, []),
    Start = erlang:monotonic_time(millisecond),
    publish(Config, 1),
    %% What is measured is time.
    receive after 1500 -> ok end,
    ok = set_and_restart(Config, [{server, kafka_reader:bootstrap()}]),
    ok = settled(Config),
    Most = erlang:monotonic_time(millisecond) - Start,
    #{count := After, sum_ms := Sum, buckets := Buckets} = rpc(Config, emq_plugin_kafka_nif, latency, []),
    ?assertEqual(1, After - Before),
    ?assert(Sum - SumBefore >= 1500 andalso Sum - SumBefore =< Most + 1),
    ?assertEqual({infinity, After}, lists:last(Buckets)),
    ?assertEqual(Buckets, lists:keysort(2, Buckets)).

%% The functions that the command line uses.
rules_topics_and_brokers_are_told(Config) ->
    publish(Config, 3),
    ok = settled(Config),
    Of = fun(Name) -> [Rule] = [Rule || #{name := N} = Rule <- rpc(Config, emq_plugin_kafka_nif, rules, []), N =:= Name], Rule end,
    #{event := 'message.publish', matched := All, dropped := AllDropped, definition := <<"{}">>} = Of(<<"all">>),
    %% One level only: no key.
    #{matched := Level, dropped := LevelDropped, definition := <<"{\"key\":\"${topic[2]}\"}">>} = Of(<<"level">>),
    ?assert(All >= 3),
    ?assertEqual({All, 0, Level}, {Level, AllDropped, LevelDropped}),
    Topic = list_to_binary(proplists:get_value(topic, Config)),
    ?assert(lists:member(#{name => Topic, success => 3, failed => 0, isolated => false}, rpc(Config, emq_plugin_kafka_nif, topics, []))),
    ok = until(fun() -> has_sent(rpc(Config, emq_plugin_kafka_nif, librdkafka, [])) end),
    #{brokers := Brokers, topics := Topics} = rpc(Config, emq_plugin_kafka_nif, librdkafka, []),
    ?assertMatch([_ | _], [Broker || #{state := <<"UP">>, requests := Requests, rtt_avg_us := _} = Broker <- Brokers, Requests > 0]),
    ?assertMatch([#{partitions := 1}], [T || #{name := Name} = T <- Topics, Name =:= Topic]).

has_sent(#{sent := 3}) -> true;
has_sent(_) -> false.

a_port_that_is_taken_is_a_problem(Config) ->
    {ok, Taken} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Taken),
    Address = "127.0.0.1:" ++ integer_to_list(Port),
    Settings = [{"hook.message.publish.all", "{}"}, {"metrics.listener", Address}],
    ok = set_and_restart(Config, [{metrics_listener, Address}]),
    #{state := running, problems := [Problem]} = rpc(Config, ?APP, status, []),
    ?assertMatch({match, _}, re:run(Problem, ["^emq\\.plugin\\.kafka\\.metrics\\.listener: .*", Address])),
    ok = logged(Config, ["metrics\\.listener: .*", Address]),
    publish(Config, 1),
    ok = settled(Config),
    ok = gen_tcp:close(Taken),
    ok = conf(Config, proplists:get_value(topic, Config), Settings),
    {ok, _} = rpc(Config, emq_plugin_kafka_producer, reload, []),
    ?assertMatch(#{state := running, problems := []}, rpc(Config, ?APP, status, [])),
    ?assert(is_integer(value(scrape([{address, Address} | Config]), "records_accepted_total"))).

%% Neither scrapers nor the broker's clients.
a_thousand_connections_hold_up_nobody(Config) ->
    {Host, Port} = endpoint(Config),
    Idle = [begin
                {ok, Socket} = gen_tcp:connect(Host, Port, [binary, {active, false}], 5000),
                %% One that was among the oldest may be gone already.
                _ = gen_tcp:send(Socket, <<"GET /metrics HTTP/1.1\r\nX-Slow: ">>),
                Socket
            end || _ <- lists:seq(1, 1000)],
    {ok, Client, 0} = connect(Config, #{client_id => <<"unhurt">>}),
    {Took, _} = timer:tc(fun() ->
                                 [begin
                                      ok = mqtt_client:publish(Client, <<"t">>, <<"x">>, 1),
                                      <<_/binary>> = scrape(Config)
                                  end || _ <- lists:seq(1, 20)]
                         end),
    ok = mqtt_client:disconnect(Client),
    ct:pal("20 publishes and 20 scrapes beside 1,000 connections: ~b ms", [Took div 1000]),
    ?assert(Took < 10000000),
    lists:foreach(fun gen_tcp:close/1, Idle).

%% What they share.

publish(Config, Count) ->
    {ok, Client, 0} = connect(Config, #{client_id => <<"metrics">>}),
    [ok = mqtt_client:publish(Client, <<"t">>, integer_to_binary(N), 1) || N <- lists:seq(1, Count)],
    ok = mqtt_client:disconnect(Client).

stats(Config) ->
    rpc(Config, ?APP, stats, []).

scrape(Config) ->
    {ok, {{_, 200, _}, _, Body}} =
        httpc:request(get, {"http://" ++ proplists:get_value(address, Config) ++ "/metrics", []}, [{timeout, 10000}],
                      [{body_format, binary}]),
    Body.

endpoint(Config) ->
    [Host, Port] = string:split(proplists:get_value(address, Config), ":"),
    {Host, list_to_integer(Port)}.

%% Of one series.
value(Text, Series) ->
    Name = "emq_plugin_kafka_" ++ Series ++ " ",
    [Line] = [Line || Line <- string:split(binary_to_list(Text), "\n", all), lists:prefix(Name, Line)],
    list_to_integer(lists:nthtail(length(Name), Line)).

%% A metric as docs/metrics.md names it.
documented(<<"emq_plugin_kafka_", Name/binary>>) ->
    ["`", re:replace(Name, "_(bucket|sum|count)$", "")].

%% The dashboard's panels and variables, each query as Grafana would ask it.
queries() ->
    {ok, Text} = file:read_file(root(?DASHBOARD)),
    #{<<"panels">> := Panels, <<"templating">> := #{<<"list">> := Variables}} = jiffy:decode(Text, [return_maps]),
    Asked = [{Title, Query} || #{<<"title">> := Title, <<"targets">> := Targets} <- Panels, #{<<"expr">> := Query} <- Targets],
    Chosen = [{Name, Metric} || #{<<"name">> := Name, <<"definition">> := Definition} <- Variables,
                                {match, [Metric]} <- [re:run(Definition, "^label_values\\((\\w+), \\w+\\)$",
                                                             [{capture, all_but_first, binary}])]],
    [{Title, filled(Query)} || {Title, Query} <- Asked ++ Chosen].

filled(Query) ->
    Filled = lists:foldl(fun({Variable, Value}, Text) -> string:replace(Text, Variable, Value, all) end, Query,
                         [{"$instance", ".*"}, {"$__rate_interval", "5s"}]),
    Text = lists:flatten(io_lib:format("~ts", [Filled])),
    {nomatch, _} = {string:find(Text, "$"), Text},
    Text.

%% A quantile of nothing is a sample too, which says nothing.
answered(Server, Title, Query) ->
    Result = until(fun() -> [Sample || #{<<"value">> := [_, Value]} = Sample <- prometheus_server:query(Server, Query),
                                       Value =/= <<"NaN">>] =/= [] end),
    {Title, Query, ok} = {Title, Query, Result},
    ok.

root(Path) ->
    filename:join(os:getenv("PROJECT_ROOT"), Path).
