%% What a scenario works with: the broker with the plugin in it, the proxy, the topic, publishers, and the sampler of the
%% counters. There is one rig at a time; its state is an ETS table, and its functions run in the scenario's process.
-module(faults_rig).

-export([install/1, uninstall/0, up/3, down/0, observe/1, broker/2]).
-export([boot/0, boot/1, boot/2, kill_vm/0, stop_vm/0, vm_pid/0, home/0, mqtt_port/0, topic/0, proxy/0, kafka/0, fitting/1, own_port/0, mode/0, spool_dir/0, rpc/3]).
-export([load/1, finish/1, stats/0, in_flight/0, most/1, backlog/0, samples/0, drained/1, log/0, logged/1, wait_logged/2, ctl/1, settings/1, quick/1]).

-export_type([mode/0]).

%% How the plugin is configured in a run: produce = async with the spool off, as overflow, or always; durable; sync.
-type mode() :: async_off | async | always | durable | sync.

-define(RIG, ?MODULE).
-define(PLUGIN, emq_plugin_kafka).
-define(FINISH_MS, 120000).
-define(DRAIN_MS, 120000).
-define(BOOT_MS, 60000).

%%% Once for all runs

%% @doc Builds the broker (EMQ_HOME: takes a copy of that release), installs the plugin, starts Kafka and the proxy.
-spec install(faults_results:kafka()) -> ok.
install(Kafka) ->
    ?RIG = ets:new(?RIG, [named_table, public]),
    Home = broker("emqttd", os:getenv("EMQ_HOME", "")),
    [_, Port] = string:lexemes(os:getenv("KAFKA_VIA"), ":"),
    true = ets:insert(?RIG, [{home, Home}, {kafka, Kafka}, {proxy, faults_proxy:start(proxied(Kafka, list_to_integer(Port)))}]),
    ok.

proxied(single, Port) -> [Port];
proxied(cluster, Port) -> [Port, Port + 1, Port + 2].

%% @doc A broker in a folder of that name, with the plugin installed and to be loaded at boot: the stand-in, or a copy of a
%% release.
-spec broker(string(), Release :: string()) -> file:filename().
broker(Name, Release) ->
    Home = built(Release, filename:join(os:getenv("FAULTS_DIR"), Name)),
    {0, _} = standin_broker:run(filename:join([os:getenv("PROJECT_ROOT"), "dev", "install", "install"]), [Home]),
    ok = standin_broker:configure(Home, [{"node.name", [Name, "_", os:getpid(), "@127.0.0.1"]},
                                         {"listener.tcp.external", ["127.0.0.1:", integer_to_list(standin_broker:free_port())]},
                                         {"listener.api.mgmt", ["127.0.0.1:", integer_to_list(standin_broker:free_port())]},
                                         {"mqtt.max_packet_size", "2MB"}]),
    ok = file:write_file(filename:join([Home, "data", "loaded_plugins"]), [atom_to_list(?PLUGIN), ".\n"]),
    Home.

built("", Home) ->
    standin_broker:build(Home);
built(Release, Home) ->
    ok = clear(Home),
    {0, _} = standin_broker:run("/bin/cp", ["-a", Release, Home]),
    Home.

%% Kafka is stopped by the runner, which also knows how when this VM has died.
-spec uninstall() -> ok.
uninstall() ->
    ok = faults_proxy:stop(proxy()),
    true = ets:delete(?RIG),
    ok.

%% @doc The first where the quick subset runs, else the second.
-spec quick({Short, Long}) -> Short | Long.
quick({Short, Long}) -> choose(lists:member("--quick", init:get_plain_arguments()), Short, Long).

choose(true, Short, _Long) -> Short;
choose(false, _Short, Long) -> Long.

%%% A run

%% @doc A topic, a configuration, an empty spool, and, unless `boot' is `manual', the broker with the plugin running.
-spec up(string(), mode(), map()) -> ok.
up(Name, Mode, About) ->
    Topic = lists:flatten(io_lib:format("~s-~s-~s-~b", [Name, Mode, os:getpid(), erlang:unique_integer([positive])])),
    true = ets:insert(?RIG, [{topic, Topic}, {mode, Mode}, {loads, []}, {lives, []}, {sampler, none}, {vm, none},
                             {about, About}]),
    ok = faults_proxy:mode(proxy(), pass),
    ok = kafka_up(kafka(), maps:get(partitions, About, 3)),
    Created = spawn_monitor(fun() -> ok = create(Topic, maps:get(partitions, About, 3)) end),
    ok = clear(spool_dir()),
    ok = clear(filename:join(home(), "log")),
    ok = filelib:ensure_dir(filename:join([home(), "log", "x"])),
    ok = settings(own(About, Mode)),
    start(maps:get(boot, About, auto), Created).

%% A scenario without a topic of the rig's starts another Kafka: one cluster at a time.
kafka_up(cluster, none) ->
    ok;
kafka_up(_, _) ->
    ok = faults_kafka:start(),
    faults_proxy:upstream(proxy(), faults_kafka:via()).

create(_Topic, Partitions) when Partitions =:= own; Partitions =:= none -> ok;
create(Topic, Partitions) -> faults_kafka:topic(Topic, Partitions).

clear(Directory) ->
    case file:del_dir_r(Directory) of
        ok -> ok;
        {error, enoent} -> ok
    end.

own(#{settings := Settings}, Mode) -> Settings(Mode);
own(_About, _Mode) -> [].

%% Both take a second or more.
start(auto, Created) ->
    ok = boot(),
    created(Created);
start(manual, Created) ->
    created(Created).

created({Pid, Monitor}) ->
    receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason, ok end.

%% @doc Writes the plugin's configuration: the rig's own settings, the mode's, and these, which win.
-spec settings([{Key :: string(), Value :: iodata()}]) -> ok.
settings(Settings) ->
    Basic = [{"server", faults_proxy:address(proxy())}, {"topic", topic()},
             {"hook.message.publish.1", "{\"format\": \"template\", \"value\": \"${payload}\"}"},
             %% Soon back after an outage; the default, 10 s, would make every scenario longer.
             {"rdkafka.reconnect.backoff.max.ms", "1000"}],
    standin_broker:plugin_conf(home(), ?PLUGIN,
                               [["emq.plugin.kafka.", Key, " = ", Value, "\n"]
                                || {Key, Value} <- Basic ++ of_mode(mode()) ++ Settings]).

of_mode(async_off) -> [{"produce", "async"}, {"spool", "off"}];
of_mode(async) -> [{"produce", "async"}, {"spool", "overflow"}];
of_mode(always) -> [{"produce", "async"}, {"spool", "always"}];
of_mode(durable) -> [{"produce", "durable"}];
of_mode(sync) -> [{"produce", "sync"}].

%% @doc Starts the broker and waits until the plugin runs and clients can connect.
-spec boot() -> ok.
boot() -> boot(running).

%% @doc The same, with the state that the plugin is to be in.
-spec boot(running | degraded) -> ok.
boot(State) -> boot(State, fun standin_broker:start/1).

%% @doc The same, started in another way.
-spec boot(running | degraded, fun((file:filename()) -> ok)) -> ok.
boot(State, Start) ->
    ok = Start(home()),
    ok = standin_broker:connect(home()),
    Node = standin_broker:node_name(home()),
    true = ets:insert(?RIG, [{sampler, faults_sampler:start(Node)}, {vm, rpc(os, getpid, [])}]),
    _ = faults_wait:until(["the plugin is ", atom_to_list(State)],
                          fun() -> is_state(State, rpc(?PLUGIN, status, [])) andalso listening() end, ?BOOT_MS),
    ok.

is_state(State, #{state := State}) -> true;
is_state(running, #{state := degraded, problems := Problems}) -> error({degraded, Problems});
is_state(_, _) -> false.

listening() ->
    case gen_tcp:connect({127, 0, 0, 1}, mqtt_port(), []) of
        {ok, Socket} -> ok =:= gen_tcp:close(Socket);
        {error, _} -> false
    end.

%% @doc kill -9 of the broker's VM.
-spec kill_vm() -> ok.
kill_vm() ->
    ok = end_life(),
    kill(vm_pid()).

kill(Pid) ->
    {0, _} = faults_kafka:shell(["kill -KILL ", Pid, " && exec tail -f /dev/null --pid=", Pid, " -s 0.05"]),
    true = ets:insert(?RIG, {vm, none}),
    ok.

%% @doc The operator's `emqttd stop'.
-spec stop_vm() -> ok.
stop_vm() ->
    ok = end_life(),
    ok = standin_broker:stop(home()),
    true = ets:insert(?RIG, {vm, none}),
    ok.

end_life() ->
    Samples = faults_sampler:stop(the(sampler)),
    true = ets:insert(?RIG, [{lives, the(lives) ++ [Samples]}, {sampler, none}]),
    ok.

%% @doc Everything at rest: publishers finished, the plugin drained, the topic read. `topics' and `dead' of what the
%% scenario said name the topics, `read' how one is read; `ledgers' are of publishers that the rig does not know; `undelivered => any' does not wait for the plugin.
-spec observe(map()) -> faults_oracle:observed().
observe(Said) ->
    _ = [finish(Load) || {_, Load, running} <- the(loads)],
    Ledgers = maps:get(ledgers, Said, []) ++ lists:append([Ledgers || {_, _, Ledgers} <- the(loads)]),
    ok = settle(maps:get(undelivered, Said, none)),
    ok = end_life(),
    Read = maps:get(read, Said, fun faults_kafka:read/1),
    #{ledgers => Ledgers, lives => the(lives),
      kafka => lists:append([Read(Topic) || Topic <- maps:get(topics, Said, [topic()])]),
      dead => lists:append([Read(Topic) || Topic <- maps:get(dead, Said, [])])}.

settle(any) -> ok;
settle(none) -> drained(?DRAIN_MS).

%% @doc Whatever a scenario did: no broker, no faults.
-spec down() -> ok.
down() ->
    _ = [faults_load:abandon(Load) || {_, Load, running} <- the(loads)],
    _ = [faults_sampler:stop(Sampler) || Sampler <- [the(sampler)], Sampler =/= none],
    _ = [kill(Pid) || Pid <- [vm_pid()], Pid =/= none, filelib:is_dir("/proc/" ++ Pid)],
    ok = faults_proxy:mode(proxy(), pass).

%%% What is there

the(Key) -> ets:lookup_element(?RIG, Key, 2).

-spec home() -> file:filename().
home() -> the(home).
-spec topic() -> string().
topic() -> the(topic).
-spec proxy() -> faults_proxy:proxy().
proxy() -> the(proxy).
%% @doc The first of three ports for a scenario's own proxy: the same in each of its modes.
-spec own_port() -> inet:port_number().
own_port() -> list_to_integer(os:getenv("FAULTS_PORTS")).

-spec kafka() -> faults_results:kafka().
kafka() -> the(kafka).

%% @doc What a cluster must be for this run: as the scenario has it, or, where the suite runs against a cluster, three nodes behind
%% the rig's proxy, unless the scenario has a proxy of its own.
-spec fitting(faults_cluster:kind()) -> faults_cluster:kind().
fitting(Kind) -> fitting(kafka(), Kind).

fitting(single, Kind) ->
    Kind;
fitting(cluster, Kind) ->
    Three = lists:keystore("NODES", 1, Kind, {"NODES", "3"}),
    [{"HOST_NAME", faults_proxy:address(proxy())} || not lists:keymember("HOST_NAME", 1, Kind)] ++ Three.

-spec mode() -> mode().
mode() -> the(mode).
-spec mqtt_port() -> inet:port_number().
mqtt_port() -> standin_broker:port(home(), mqtt).
-spec spool_dir() -> file:filename().
spool_dir() -> filename:join([home(), "data", "kafka_spool"]).

-spec rpc(module(), atom(), [term()]) -> term().
rpc(Module, Function, Args) -> standin_broker:rpc(home(), Module, Function, Args).

%% @doc bin/emqttd_ctl.
-spec ctl([string()]) -> {non_neg_integer(), string()}.
ctl(Args) -> standin_broker:ctl(home(), Args).

%% @doc Of the VM that was started last; `none' when it was stopped or killed.
-spec vm_pid() -> string() | none.
vm_pid() -> the(vm).

%%% Publishers

%% @doc Starts publishers; the rig remembers them.
-spec load(faults_load:options()) -> faults_load:load().
load(Options) ->
    Load = faults_load:start(mqtt_port(), Options),
    true = ets:insert(?RIG, {loads, the(loads) ++ [{maps:get(name, Options, "c"), Load, running}]}),
    Load.

%% @doc No new messages of these; waits until all that they sent are acknowledged. observe/1 does it for the rest.
-spec finish(faults_load:load()) -> [faults_publisher:ledger()].
finish(Load) ->
    Ledgers = faults_load:finish(Load, ?FINISH_MS),
    true = ets:insert(?RIG, {loads, [case L of Load -> {Name, L, Ledgers}; _ -> {Name, L, State} end
                                     || {Name, L, State} <- the(loads)]}),
    Ledgers.

%%% Counters and logs

-spec stats() -> map().
stats() -> rpc(?PLUGIN, stats, []).

%% @doc What may be on its way to Kafka, asked right before connections are cut: Kafka may have some of it, and nobody knows.
%% A producer that is replaced then sends it again. A tenth of a second's worth may come between the question and the cut.
-spec in_flight() -> non_neg_integer().
in_flight() ->
    #{queued := Queued, spooled := Spooled} = stats(),
    Queued + Spooled + 200.

%% @doc What the sampler saw in this life of the VM.
-spec samples() -> [map()].
samples() -> faults_sampler:samples(the(sampler)).

%% @doc The most that a counter came to in any sample of this run.
-spec most(atom()) -> non_neg_integer().
most(Counter) ->
    lists:max([0 | [maps:get(Counter, Sample, 0) || Sample <- all_samples()]]).

%% @doc The most records that waited in memory and spool together.
-spec backlog() -> non_neg_integer().
backlog() ->
    lists:max([0 | [Queued + Spooled || #{queued := Queued, spooled := Spooled} <- all_samples()]]).

all_samples() ->
    lists:append(the(lives) ++ [samples() || the(sampler) =/= none]).

%% @doc Waits until nothing is queued and nothing spooled.
-spec drained(timeout()) -> ok.
drained(Timeout) ->
    _ = faults_wait:until("the plugin has delivered everything", fun() -> is_drained(stats()) end, Timeout),
    %% The sampler's last sample must be younger.
    Seen = length(samples()),
    true = faults_wait:until("one more sample", fun() -> length(samples()) > Seen end, 15000),
    ok.

is_drained(#{queued := 0, spooled := 0}) -> true;
is_drained(_) -> false.

%% @doc The broker's error log of this run.
-spec log() -> binary().
log() ->
    case file:read_file(filename:join([home(), "log", "error.log"])) of
        {ok, Text} -> Text;
        {error, enoent} -> <<>>
    end.

%% @doc How many lines of the log match.
-spec logged(iodata()) -> non_neg_integer().
logged(Pattern) ->
    length([Line || Line <- binary:split(log(), <<"\n">>, [global]), re:run(Line, Pattern, [caseless]) =/= nomatch]).

-spec wait_logged(iodata(), timeout()) -> pos_integer().
wait_logged(Pattern, Timeout) ->
    faults_wait:until(["the log says ", Pattern], fun() -> positive(logged(Pattern)) end, Timeout).

positive(0) -> false;
positive(N) -> N.
