%% The application. When it runs, its plugins are started and its listeners opened, by a process
%% of their own as in EMQ 2.3: a plugin may depend on this application.
-module(emqttd_app).

-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()}.
start(_Type, _Args) ->
    {ok, Supervisor} = emqttd_sup:start_link(),
    ok = emqttd_config:load(),
    ok = emqttd_cli:load(),
    ok = emqttd_presence:load(),
    ok = emqttd_retainer:load(),
    ok = emqttd_cluster:rejoin(),
    _ = spawn(fun boot/0),
    {ok, Supervisor}.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.

boot() ->
    {ok, _} = application:ensure_all_started(emqttd),
    ok = emqttd_plugins:load(),
    case lists:usort([supervisor:start_child(emqttd_sup, Spec) || Spec <- listeners()]) of
        [{error, Reason} | _] ->
            error_logger:error_msg("Cannot open a listener: ~p~n", [Reason]),
            init:stop(1);
        Started ->
            [] = [Failed || Failed <- Started, element(1, Failed) =/= ok],
            io:format("~s ~s is running now~n", [emqttd, emqttd_broker:version()]),
            emqttd_nodetool:booted()
    end.

listeners() ->
    [child_spec(Type, address(ListenOn), Options) || {Type, ListenOn, Options} <- emqttd:env(listeners, [])].

address({Address, Port}) ->
    {ok, Parsed} = inet:parse_address(Address),
    {Parsed, Port};
address(Port) when is_integer(Port) ->
    {{0, 0, 0, 0}, Port}.

child_spec(tcp, {Address, Port}, Options) -> emqttd_listener:child_spec(Address, Port, Options);
child_spec(api, {Address, Port}, _Options) -> emqttd_rest:child_spec(Address, Port).
