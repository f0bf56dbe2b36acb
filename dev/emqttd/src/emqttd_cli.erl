%% The broker's own commands, printed as EMQ 2.3 prints them: status, broker, plugins, cluster.
-module(emqttd_cli).

-export([load/0, status/1, broker/1, plugins/1, cluster/1]).

-include("emqttd.hrl").

-spec load() -> ok.
load() ->
    lists:foreach(fun(Command) -> ok = emqttd_ctl:register_cmd(Command, {?MODULE, Command}) end,
                  [status, broker, plugins, cluster]).

-spec status([string()] | usage) -> ok.
status([]) ->
    {Status, _} = init:get_status(),
    io:format("Node ~p is ~p~nemqttd ~s is running~n", [node(), Status, emqttd_broker:version()]);
status(_) ->
    usage([{"status", "Show broker status"}]).

-spec broker([string()] | usage) -> ok.
broker([]) ->
    lists:foreach(fun(Name) -> io:format("~-10s: ~s~n", [Name, emqttd_broker:Name()]) end,
                  [sysdescr, version, uptime, datetime]);
broker(_) ->
    usage([{"broker", "Show broker version, uptime and description"}]).

-spec plugins([string()] | usage) -> ok.
plugins(["list"]) ->
    lists:foreach(fun(#mqtt_plugin{name = Name, version = Version, descr = Description, active = Active}) ->
                          io:format("Plugin(~s, version=~s, description=~s, active=~s)~n",
                                    [Name, Version, Description, Active])
                  end, emqttd_plugins:list());
plugins(["load", Name]) ->
    case emqttd_plugins:load(list_to_atom(Name)) of
        {ok, Started} ->
            io:format("Start apps: ~p~nPlugin ~s loaded successfully.~n", [Started, Name]);
        {error, Reason} ->
            io:format("load plugin error: ~p~n", [Reason])
    end;
plugins(["unload", Name]) ->
    case emqttd_plugins:unload(list_to_atom(Name)) of
        ok -> io:format("Plugin ~s unloaded successfully.~n", [Name]);
        {error, Reason} -> io:format("unload plugin error: ~p~n", [Reason])
    end;
plugins(_) ->
    usage([{"plugins list", "Show loaded plugins"},
           {"plugins load <Plugin>", "Load plugin"},
           {"plugins unload <Plugin>", "Unload plugin"}]).

-spec cluster([string()] | usage) -> ok.
cluster(["join", Name]) ->
    case emqttd_cluster:join(list_to_atom(Name)) of
        ok ->
            io:format("Join the cluster successfully.~n"),
            cluster(["status"]);
        {error, Error} ->
            io:format("Failed to join the cluster: ~p~n", [Error])
    end;
cluster(["status"]) ->
    io:format("Cluster status: ~p~n", [[{running_nodes, emqttd_cluster:status()}]]);
cluster(_) ->
    usage([{"cluster join <Node>", "Join the cluster"},
           {"cluster status", "Cluster status"}]).

usage(Commands) ->
    lists:foreach(fun({Command, Description}) ->
                          io:format("~-48s# ~s~n", [Command, Description])
                  end, Commands).
