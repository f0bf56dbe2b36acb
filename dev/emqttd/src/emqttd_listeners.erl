%% Opens the listeners of the configuration.
-module(emqttd_listeners).

-export([start/0]).

%% @doc Raises what keeps one from opening; one that is open already is as wanted.
-spec start() -> ok.
start() ->
    [] = [Failed || Spec <- listeners(), Failed <- [supervisor:start_child(emqttd_sup, Spec)], not is_open(Failed)],
    ok.

is_open({ok, _}) -> true;
is_open({error, {already_started, _}}) -> true;
is_open(_) -> false.

listeners() ->
    [child_spec(Type, address(ListenOn), Options) || {Type, ListenOn, Options} <- emqttd:env(listeners, [])].

address({Address, Port}) ->
    {ok, Parsed} = inet:parse_address(Address),
    {Parsed, Port};
address(Port) when is_integer(Port) ->
    {{0, 0, 0, 0}, Port}.

child_spec(tcp, {Address, Port}, Options) -> emqttd_listener:child_spec(Address, Port, Options);
child_spec(api, {Address, Port}, _Options) -> emqttd_rest:child_spec(Address, Port).
