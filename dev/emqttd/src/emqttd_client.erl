%% The process of one MQTT connection. It traps no exits: its session is linked, and a session
%% that crashes takes the connection with it, without any hook. An exception in a hook of its own
%% ends it through terminate/2, which knows the protocol state before the bytes in hand.
-module(emqttd_client).

-behaviour(gen_server).

-export([start_link/1, send/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-define(READS, 32). %% packets of TCP data taken from the socket at a time

-record(state, {socket :: gen_tcp:socket(),
                protocol :: emqttd_protocol:state() | undefined,
                max_packet :: pos_integer(),
                buffer = <<>> :: binary(),
                keepalive :: undefined | {Interval :: pos_integer(), Received :: integer(),
                                          Strikes :: 0..1}}).

-spec start_link(gen_tcp:socket()) -> {ok, pid()}.
start_link(Socket) ->
    gen_server:start_link(?MODULE, Socket, []).

%% @doc Sends from the connection's own process; a failure ends the connection afterwards.
-spec send(gen_tcp:socket(), iodata()) -> ok.
send(Socket, Data) ->
    case gen_tcp:send(Socket, Data) of
        ok -> ok;
        {error, Reason} -> self() ! {shutdown, Reason}, ok
    end.

-spec init(gen_tcp:socket()) -> {ok, #state{}}.
init(Socket) ->
    Limits = emqttd:env(protocol, []),
    {ok, #state{socket = Socket, max_packet = proplists:get_value(max_packet_size, Limits, 65536)}}.

-spec handle_call(kick, gen_server:from(), #state{}) -> {stop, {shutdown, kick}, ok, #state{}}.
handle_call(kick, _From, State) ->
    {stop, {shutdown, kick}, ok, State}.

-spec handle_cast(term(), #state{}) -> {stop, term(), #state{}}.
handle_cast(Unexpected, State) ->
    {stop, {unexpected, Unexpected}, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({tcp, _, Data}, #state{buffer = <<>>} = State) ->
    received(Data, State);
handle_info({tcp, _, Data}, #state{buffer = Buffer} = State) ->
    received(<<Buffer/binary, Data/binary>>, State);
handle_info({tcp_passive, Socket}, State) ->
    more(inet:setopts(Socket, [{active, ?READS}]), State);
handle_info({deliver, Message}, #state{protocol = Protocol} = State) ->
    ok = emqttd_protocol:deliver(Message, Protocol),
    {noreply, State};
handle_info({suback, PacketId, Codes}, #state{socket = Socket} = State) ->
    ok = send(Socket, emqttd_frame:serialize({suback, PacketId, Codes})),
    {noreply, State};
handle_info(socket_ready, #state{socket = Socket} = State) ->
    ready(inet:peername(Socket), State);
handle_info({tcp_closed, _}, State) ->
    shutdown(closed, State);
handle_info({tcp_error, _, Reason}, State) ->
    shutdown(Reason, State);
handle_info({shutdown, Reason}, State) ->
    shutdown(Reason, State);
handle_info(idle, #state{protocol = Protocol} = State) ->
    idle(emqttd_protocol:connected(Protocol), State);
handle_info({keepalive, start, Interval}, #state{socket = Socket} = State) ->
    _ = erlang:send_after(Interval, self(), {keepalive, check}),
    {noreply, State#state{keepalive = {Interval, octets(Socket), 0}}};
handle_info({keepalive, check}, #state{socket = Socket, keepalive = Keepalive} = State) ->
    check(Keepalive, octets(Socket), State);
handle_info(Unexpected, State) ->
    %% EMQ logs such a message as an error and goes on; a late answer to a callback is one.
    error_logger:error_msg("Unexpected Info: ~p~n", [Unexpected]),
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(Reason, #state{socket = Socket, protocol = Protocol}) ->
    ok = gen_tcp:close(Socket),
    ended(Reason, Protocol).

ended(_Reason, undefined) -> ok;
ended({shutdown, Reason}, Protocol) -> emqttd_protocol:shutdown(Reason, Protocol);
ended(Reason, Protocol) -> emqttd_protocol:shutdown(Reason, Protocol).

%%% The connection's life

ready({ok, Peername}, #state{socket = Socket} = State) ->
    _ = erlang:send_after(emqttd:env(idle_timeout, 30000), self(), idle),
    more(inet:setopts(Socket, [{active, ?READS}]),
         State#state{protocol = emqttd_protocol:init(Socket, Peername)});
ready({error, _}, State) ->
    {stop, normal, State}.

more(ok, State) -> {noreply, State};
more({error, Reason}, State) -> shutdown(Reason, State).

idle(true, State) -> {noreply, State};
idle(false, State) -> shutdown(idle_timeout, State).

received(Bytes, #state{max_packet = Max, protocol = Protocol} = State) ->
    case parse(Bytes, Max) of
        {ok, Packet, Rest} -> handled(emqttd_protocol:received(Packet, Protocol), Rest, State);
        more -> {noreply, State#state{buffer = Bytes}};
        {error, Reason} -> shutdown(Reason, State)
    end.

parse(Bytes, Max) ->
    try
        emqttd_frame:parse(Bytes, Max)
    catch
        error:_ -> {error, parser_error}
    end.

handled({ok, Protocol}, Rest, State) ->
    received(Rest, State#state{protocol = Protocol});
handled({error, Reason, Protocol}, _Rest, State) ->
    shutdown(Reason, State#state{protocol = Protocol});
handled({stop, Reason, Protocol}, _Rest, State) ->
    {stop, Reason, State#state{protocol = Protocol}}.

shutdown(Reason, State) ->
    {stop, {shutdown, Reason}, State}.

%%% Keepalive: two checks in a row without a byte received

octets(Socket) ->
    case inet:getstat(Socket, [recv_oct]) of
        {ok, [{recv_oct, Octets}]} -> Octets;
        {error, _} -> closed
    end.

check({_, Received, 1}, Received, State) ->
    shutdown(keepalive_timeout, State);
check({Interval, Received, 0}, Received, State) ->
    check_again({Interval, Received, 1}, State);
check({Interval, _, _}, Received, State) ->
    check_again({Interval, Received, 0}, State).

check_again({Interval, _, _} = Keepalive, State) ->
    _ = erlang:send_after(Interval, self(), {keepalive, check}),
    {noreply, State#state{keepalive = Keepalive}}.
