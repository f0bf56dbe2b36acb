%% The plugin inside a stand-in broker, for the live tests: installed as an operator would, set up, published to, and changed
%% from the dashboard.
-module(live_plugin).

-include_lib("stdlib/include/assert.hrl").

-export([start/2, home/1, rpc/4, connect/2, conf/3, set_and_restart/2, running/1, degraded/1, forget/1, logged/2, crashes/1, env/1,
         publishers/2, stopped/1, settled/1, get_config/1, put_config/2, http/4]).

-define(APP, emq_plugin_kafka).

%% Starts a broker with the plugin running, whose conf names Kafka and these properties of librdkafka.
start(Properties, Config) ->
    Home = standin_broker:build(filename:join(proplists:get_value(priv_dir, Config), "emqttd")),
    {0, _} = standin_broker:run(filename:join([os:getenv("PROJECT_ROOT"), "dev", "install", "install"]), [Home]),
    ok = standin_broker:configure(Home, [{"auth.user.1.username", "mallory"}, {"auth.user.1.password", "right"},
                                         {"mqtt.max_packet_size", "1MB"}]),
    Started = [{home, Home}, {port, standin_broker:port(Home, mqtt)} | Config],
    ok = conf(Started, "unused", [{"rdkafka." ++ Name, Value} || {Name, Value} <- Properties]),
    ok = standin_broker:start(Home),
    ok = standin_broker:connect(Home),
    {0, _} = standin_broker:ctl(Home, ["plugins", "load", "emq_plugin_kafka"]),
    {Module, Beam, File} = code:get_object_code(hook_calls),
    {module, Module} = standin_broker:rpc(Home, code, load_binary, [Module, File, Beam]),
    Started.

%% Writes the plugin's conf file.
conf(Config, Topic, Settings) ->
    Lines = [{"server", kafka_reader:bootstrap()}, {"topic", Topic}, {"linger", "1ms"} | Settings],
    standin_broker:plugin_conf(home(Config), ?APP, [["emq.plugin.kafka.", Key, " = ", Value, "\n"] || {Key, Value} <- Lines]).

home(Config) -> proplists:get_value(home, Config).
rpc(Config, Module, Function, Args) ->
    standin_broker:rpc(home(Config), Module, Function, Args).

connect(Config, Options) ->
    mqtt_client:connect(Options#{host => {127, 0, 0, 1}, port => proplists:get_value(port, Config)}).

%% Sets the environment as EMQ's boot does, between a stop and a start.
set_and_restart(Config, Settings) ->
    _ = rpc(Config, application, stop, [?APP]),
    [ok = rpc(Config, application, set_env, [?APP, Name, Value]) || {Name, Value} <- Settings],
    ok = rpc(Config, application, start, [?APP]),
    running(Config).

%% As if the plugin had never worked here: a start with wrong settings has none to go on with.
forget(Config) ->
    case file:delete(filename:join([home(Config), "data", "kafka_spool.settings"])) of
        ok -> ok;
        {error, enoent} -> ok
    end.

running(Config) -> state(Config, running).
degraded(Config) -> state(Config, degraded).

%% The dashboard's save starts the plugin half a second later: ask until it has.
state(Config, Wanted) ->
    ended(polling:until(fun() -> rpc(Config, ?APP, status, []) end, fun(Status) -> is_in(Wanted, Status) end)).

is_in(State, #{state := State}) -> true;
is_in(_State, _Status) -> false.

ended({ok, _}) -> ok;
ended({error, _} = Error) -> Error.

%% Kafka has all that the plugin has taken in.
settled(Config) ->
    ended(polling:until(fun() -> maps:with([queued, spooled], rpc(Config, ?APP, stats, [])) end,
                        fun(Left) -> Left =:= #{queued => 0, spooled => 0} end)).

%% The log is written by a process of its own.
logged(Config, Pattern) ->
    case polling:until(fun() -> re:run(standin_broker:log(home(Config), "error.log"), Pattern) =/= nomatch end) of
        ok -> ok;
        {error, timeout} -> {error, {not_logged, Pattern}}
    end.

env(Config) ->
    lists:keydelete(included_applications, 1, rpc(Config, application, get_all_env, [?APP])).

%% Lines of the broker's log that tell of something that broke.
crashes(Config) ->
    Log = standin_broker:log(home(Config), "error.log"),
    iolist_to_binary([Line || Line <- binary:split(Log, <<"\n">>, [global]),
                              %% Names of topics are in it.
                              re:run(Line, "settings changed") =:= nomatch,
                              re:run(Line, "crash|badarg|noproc|undef|function_clause|nif_panicked|bad_event") =/= nomatch]).

%% The dashboard's page: it shows the required fields, which are those of the conf file, and sends them back.
get_config(Config) ->
    {200, Body} = http(Config, get, "plugin_configs/emq_plugin_kafka", <<>>),
    #{<<"code">> := 0, <<"result">> := Fields} = jiffy:decode(Body, [return_maps]),
    [{Key, Value} || #{<<"key">> := Key, <<"value">> := Value, <<"required">> := true} <- Fields].

put_config(Config, Fields) ->
    {200, Body} = http(Config, put, "plugin_configs/emq_plugin_kafka", jiffy:encode({Fields})),
    ?assertMatch(#{<<"code">> := 0}, jiffy:decode(Body, [return_maps])),
    ok.

http(Config, Method, Path, Body) ->
    {ok, _} = application:ensure_all_started(inets),
    Url = lists:flatten(io_lib:format("http://127.0.0.1:~b/api/v2/nodes/~s/~s",
                                      [standin_broker:port(home(Config), rest),
                                       standin_broker:node_name(home(Config)), Path])),
    Headers = [{"authorization", "Basic " ++ base64:encode_to_string("admin:public")}],
    Request = case Method of
                  get -> {Url, Headers};
                  put -> {Url, Headers, "application/json", Body}
              end,
    {ok, {{_, Status, _}, _, Answer}} = httpc:request(Method, Request, [{timeout, 30000}], [{body_format, binary}]),
    {Status, Answer}.

%% Publishers: each a process with a connection that publishes QoS 1, numbered from 1, one after the other, until it is told to stop.

publishers(Config, Count) ->
    [spawn_monitor(fun() ->
                           Id = list_to_binary(["load", integer_to_list(N)]),
                           {ok, Client, 0} = connect(Config, #{client_id => Id}),
                           exit({Id, publish_until_told(Client, 1)})
                   end) || N <- lists:seq(1, Count)].

publish_until_told(Client, N) ->
    receive stop -> {N - 1, mqtt_client:disconnect(Client)}
    after 0 ->
            case mqtt_client:publish(Client, <<"load/t">>, integer_to_binary(N), 1) of
                ok -> publish_until_told(Client, N + 1);
                {error, _} = Error -> {N - 1, Error}
            end
    end.

stopped(Clients) ->
    [Pid ! stop || {Pid, _} <- Clients],
    [receive {'DOWN', Monitor, process, _, {Id, {Count, Result}}} -> {Id, Count, Result};
             {'DOWN', Monitor, process, _, Other} -> {unknown, 0, {error, Other}}
     end || {_, Monitor} <- Clients].
