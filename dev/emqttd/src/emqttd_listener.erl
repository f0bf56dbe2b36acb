%% One MQTT/TCP listener: owns the listening socket; its acceptors start a connection's process
%% and hand it the socket.
-module(emqttd_listener).

-behaviour(gen_server).

-export([child_spec/3, start_link/3]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(ACCEPTORS, 8).

-spec child_spec(inet:ip_address(), inet:port_number(), [gen_tcp:listen_option()]) -> supervisor:child_spec().
child_spec(Address, Port, Options) ->
    #{id => {?MODULE, Address, Port}, start => {?MODULE, start_link, [Address, Port, Options]}}.

-spec start_link(inet:ip_address(), inet:port_number(), [gen_tcp:listen_option()]) ->
    {ok, pid()} | {error, {listen, inet:port_number(), inet:posix()}}.
start_link(Address, Port, Options) ->
    gen_server:start_link(?MODULE, {Address, Port, Options}, []).

-spec init({inet:ip_address(), inet:port_number(), [gen_tcp:listen_option()]}) ->
    {ok, gen_tcp:socket()} | {stop, {listen, inet:port_number(), inet:posix()}}.
init({Address, Port, Options}) ->
    Fixed = [binary, {active, false}, {ip, Address}, {reuseaddr, true}, {send_timeout_close, true}],
    case gen_tcp:listen(Port, Fixed ++ Options) of
        {ok, Listening} ->
            _ = [spawn_link(fun() -> accept(Listening) end) || _ <- lists:seq(1, ?ACCEPTORS)],
            {ok, Listening};
        {error, Reason} ->
            {stop, {listen, Port, Reason}}
    end.

-spec handle_call(term(), gen_server:from(), gen_tcp:socket()) -> {stop, term(), gen_tcp:socket()}.
handle_call(Unexpected, _From, Listening) ->
    {stop, {unexpected, Unexpected}, Listening}.

-spec handle_cast(term(), gen_tcp:socket()) -> {stop, term(), gen_tcp:socket()}.
handle_cast(Unexpected, Listening) ->
    {stop, {unexpected, Unexpected}, Listening}.

accept(Listening) ->
    case gen_tcp:accept(Listening) of
        {ok, Socket} ->
            {ok, Client} = supervisor:start_child(emqttd_client_sup, [Socket]),
            _ = hand_over(gen_tcp:controlling_process(Socket, Client), Client),
            accept(Listening);
        {error, econnaborted} ->
            accept(Listening);
        {error, closed} ->
            ok
    end.

%% A connection that is gone already ends its process as one that goes later does.
hand_over(ok, Client) -> Client ! socket_ready;
hand_over({error, Reason}, Client) -> Client ! {shutdown, Reason}.
