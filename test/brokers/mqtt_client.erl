%% A small MQTT 3.1 and 3.1.1 client for tests, over gen_tcp, packets built by hand so that a
%% test can also send what a well-behaved client never would. One process per client, linked to
%% the caller; it outlives its connection, so that what arrived before an EOF can still be read.
-module(mqtt_client).

-behaviour(gen_server).

-export([connect/1, publish/4, publish/5, pubrel/2, pipeline/5, subscribe/2, unsubscribe/2,
         recv/1, recv/2, ping/1, send_raw/2, wait_closed/2, disconnect/1, close/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([client/0, options/0, message/0]).

%% Long, for a busy machine: what comes ends the wait.
-define(TIMEOUT, 60000).

-type client() :: pid().
-type qos() :: 0..2.
-type packet_id() :: 1..65535.
-type options() :: #{host => inet:hostname() | inet:ip_address(),
                     port => inet:port_number(),
                     client_id => binary(),
                     username => binary(),
                     password => binary(),
                     clean => boolean(),
                     keepalive => 0..65535,
                     proto_ver => 3..4,
                     will => {binary(), binary(), qos(), boolean()}}.
-type publish_options() :: #{retain => boolean(),
                             dup => boolean(),
                             packet_id => packet_id(),
                             pubrel => boolean()}.
-type message() :: #{topic := binary(), payload := binary(), qos := qos(), retain := boolean(),
                     dup := boolean(), packet_id := packet_id() | undefined}.

%% What a caller waits for: a connection's answer, or the acknowledgement of one packet.
-type wait_key() :: connack | pingresp | eof | recv
                  | {puback | pubrec | pubcomp | suback | unsuback, packet_id()}.

-record(state, {socket :: gen_tcp:socket(),
                buffer = <<>> :: binary(),
                next_id = 1 :: packet_id(),
                waiting = #{} :: #{wait_key() => {gen_server:from(), reference()}},
                inbox = queue:new() :: queue:queue(message()),
                received = #{} :: #{packet_id() => []},
                flow = none :: none | #{from := gen_server:from(), frame := fun((packet_id()) -> iodata()),
                                        left := non_neg_integer(), unacked := non_neg_integer()},
                closed = false :: boolean()}).

%% @doc Connects and waits for the CONNACK. An EOF in its place is `{error, closed}'.
-spec connect(options()) -> {ok, client(), 0..255} | {error, term()}.
connect(Opts) ->
    Host = maps:get(host, Opts, {127, 0, 0, 1}),
    case gen_tcp:connect(Host, maps:get(port, Opts, 1883),
                         [binary, {active, false}, {nodelay, true}], ?TIMEOUT) of
        {ok, Socket} -> handshake(Socket, Opts);
        {error, _} = Error -> Error
    end.

-spec handshake(gen_tcp:socket(), options()) -> {ok, client(), 0..255} | {error, term()}.
handshake(Socket, Opts) ->
    {ok, Client} = gen_server:start_link(?MODULE, Socket, []),
    ok = gen_tcp:controlling_process(Socket, Client),
    ok = inet:setopts(Socket, [{active, true}]),
    case gen_server:call(Client, {send_and_wait, connect_packet(Opts), connack}, infinity) of
        {ok, Code} -> {ok, Client, Code};
        {error, _} = Error -> ok = close(Client), Error
    end.

%% @doc Publishes; returns after the send (QoS 0), the PUBACK (1) or the PUBCOMP (2).
-spec publish(client(), iodata(), iodata(), qos()) -> ok | {error, term()}.
publish(Client, Topic, Payload, Qos) ->
    publish(Client, Topic, Payload, Qos, #{}).

%% @doc As publish/4. `pubrel => false' stops a QoS 2 publish after the PUBREC.
-spec publish(client(), iodata(), iodata(), qos(), publish_options()) -> ok | {error, term()}.
publish(Client, Topic, Payload, 0, Opts) ->
    gen_server:call(Client, {send, publish_packet(Topic, Payload, 0, 0, Opts)}, infinity);
publish(Client, Topic, Payload, 1, Opts) ->
    Id = packet_id(Client, Opts),
    acknowledged(Client, publish_packet(Topic, Payload, 1, Id, Opts), {puback, Id});
publish(Client, Topic, Payload, 2, Opts) ->
    Id = packet_id(Client, Opts),
    case acknowledged(Client, publish_packet(Topic, Payload, 2, Id, Opts), {pubrec, Id}) of
        ok -> released(maps:get(pubrel, Opts, true), Client, Id);
        {error, _} = Error -> Error
    end.

-spec released(boolean(), client(), packet_id()) -> ok | {error, term()}.
released(true, Client, Id) -> pubrel(Client, Id);
released(false, _Client, _Id) -> ok.

%% @doc Second half of a QoS 2 publish: PUBREL, then waits for the PUBCOMP.
-spec pubrel(client(), packet_id()) -> ok | {error, term()}.
pubrel(Client, Id) ->
    acknowledged(Client, <<16#62, 2, Id:16>>, {pubcomp, Id}).

%% @doc Publishes `Count' QoS 1 messages with at most `Window' of them unacknowledged; returns
%% when the last PUBACK has come.
-spec pipeline(client(), iodata(), iodata(), pos_integer(), pos_integer()) -> ok | {error, term()}.
pipeline(Client, Topic, Payload, Count, Window) ->
    Frame = fun(Id) -> publish_packet(Topic, Payload, 1, Id, #{}) end,
    gen_server:call(Client, {pipeline, Frame, Count, Window}, infinity).

%% @doc Subscribes; the codes are the granted QoS values or 128.
-spec subscribe(client(), [{binary(), qos()}]) -> {ok, [0..255]} | {error, term()}.
subscribe(Client, Filters) ->
    Id = packet_id(Client, #{}),
    Body = [<<Id:16>> | [[text(Filter), Qos] || {Filter, Qos} <- Filters]],
    gen_server:call(Client, {send_and_wait, packet(16#82, Body), {suback, Id}}, infinity).

-spec unsubscribe(client(), [binary()]) -> ok | {error, term()}.
unsubscribe(Client, Filters) ->
    Id = packet_id(Client, #{}),
    acknowledged(Client, packet(16#A2, [<<Id:16>> | [text(Filter) || Filter <- Filters]]),
                 {unsuback, Id}).

%% @doc The next message, which is expected to come.
-spec recv(client()) -> {ok, message()} | {error, timeout | closed}.
recv(Client) -> recv(Client, ?TIMEOUT).

%% @doc The next message received, waiting for it up to `Timeout' ms. It is acknowledged on arrival.
-spec recv(client(), non_neg_integer()) -> {ok, message()} | {error, timeout | closed}.
recv(Client, Timeout) ->
    gen_server:call(Client, {recv, Timeout}, infinity).

-spec ping(client()) -> ok | {error, term()}.
ping(Client) ->
    acknowledged(Client, <<16#C0, 0>>, pingresp).

%% @doc Sends bytes as they are.
-spec send_raw(client(), iodata()) -> ok | {error, term()}.
send_raw(Client, Bytes) ->
    gen_server:call(Client, {send, Bytes}, infinity).

%% @doc Waits until the broker has closed the connection.
-spec wait_closed(client(), non_neg_integer()) -> ok | {error, timeout}.
wait_closed(Client, Timeout) ->
    gen_server:call(Client, {wait_closed, Timeout}, infinity).

%% @doc DISCONNECT, then closes the connection and ends the client.
-spec disconnect(client()) -> ok.
disconnect(Client) ->
    _ = gen_server:call(Client, {send, <<16#E0, 0>>}, infinity),
    close(Client).

%% @doc Closes the connection without a DISCONNECT and ends the client.
-spec close(client()) -> ok.
close(Client) ->
    gen_server:stop(Client).

%%% The client's process

-spec init(gen_tcp:socket()) -> {ok, #state{}}.
init(Socket) ->
    {ok, #state{socket = Socket}}.

-spec handle_call(term(), gen_server:from(), #state{}) ->
    {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(next_id, _From, #state{next_id = Id} = State) ->
    {reply, Id, State#state{next_id = Id rem 65535 + 1}};
handle_call({recv, Timeout}, From, State) ->
    case queue:out(State#state.inbox) of
        {{value, Message}, Inbox} -> {reply, {ok, Message}, State#state{inbox = Inbox}};
        {empty, _} -> wait(recv, From, Timeout, State)
    end;
handle_call({wait_closed, _}, _From, #state{closed = true} = State) ->
    {reply, ok, State};
handle_call({wait_closed, Timeout}, From, State) ->
    wait(eof, From, Timeout, State);
handle_call(_Send, _From, #state{closed = true} = State) ->
    {reply, {error, closed}, State};
handle_call({send, Bytes}, _From, State) ->
    case gen_tcp:send(State#state.socket, Bytes) of
        ok -> {reply, ok, State};
        {error, _} -> {reply, {error, closed}, closed(State)}
    end;
handle_call({send_and_wait, Bytes, Key}, From, State) ->
    %% After a failed send Erlang tells nothing more of the connection.
    case gen_tcp:send(State#state.socket, Bytes) of
        ok -> wait(Key, From, ?TIMEOUT, State);
        {error, _} -> {reply, {error, closed}, closed(State)}
    end;
handle_call({pipeline, Frame, Count, Window}, From, State) ->
    Flow = #{from => From, frame => Frame, left => Count, unacked => 0},
    {noreply, fill(min(Window, Count), State#state{flow = Flow})}.

-spec handle_cast(term(), #state{}) -> {stop, {unexpected, term()}, #state{}}.
handle_cast(Unexpected, State) ->
    {stop, {unexpected, Unexpected}, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({tcp, Socket, Data}, #state{socket = Socket, buffer = Buffer} = State) ->
    {noreply, parse(<<Buffer/binary, Data/binary>>, State)};
handle_info({tcp_closed, _}, State) ->
    {noreply, closed(State)};
handle_info({tcp_error, _, _}, State) ->
    {noreply, closed(State)};
handle_info({timeout, Timer, Key}, #state{waiting = Waiting} = State) ->
    case Waiting of
        #{Key := {From, Timer}} ->
            gen_server:reply(From, {error, timeout}),
            {noreply, State#state{waiting = maps:remove(Key, Waiting)}};
        #{} ->
            {noreply, State}
    end.

wait(Key, From, _Timeout, #state{closed = true} = State) when Key =/= eof ->
    gen_server:reply(From, {error, closed}),
    {noreply, State};
wait(Key, From, Timeout, #state{waiting = Waiting} = State) ->
    Timer = erlang:start_timer(Timeout, self(), Key),
    {noreply, State#state{waiting = Waiting#{Key => {From, Timer}}}}.

answer(Key, Reply, #state{waiting = Waiting} = State) ->
    case maps:take(Key, Waiting) of
        {{From, Timer}, Rest} ->
            _ = erlang:cancel_timer(Timer),
            gen_server:reply(From, Reply),
            State#state{waiting = Rest};
        error ->
            State
    end.

closed(#state{waiting = Waiting, flow = Flow} = State) ->
    _ = [gen_server:reply(From, {error, closed}) || #{from := From} <- [Flow]],
    Answer = fun(eof, Acc) -> answer(eof, ok, Acc);
                (Key, Acc) -> answer(Key, {error, closed}, Acc)
             end,
    lists:foldl(Answer, State#state{closed = true, flow = none}, maps:keys(Waiting)).

%%% Packets received

parse(<<Type:4, Flags:4, Rest/binary>> = Buffer, State) ->
    case remaining_length(Rest, 0, 0) of
        {Length, Body} when byte_size(Body) >= Length ->
            <<Packet:Length/binary, More/binary>> = Body,
            parse(More, handle(Type, Flags, Packet, State));
        _Incomplete ->
            State#state{buffer = Buffer}
    end;
parse(<<>>, State) ->
    State#state{buffer = <<>>}.

remaining_length(<<1:1, Low:7, Rest/binary>>, Shift, Acc) ->
    remaining_length(Rest, Shift + 7, Acc bor (Low bsl Shift));
remaining_length(<<0:1, Low:7, Rest/binary>>, Shift, Acc) ->
    {Acc bor (Low bsl Shift), Rest};
remaining_length(<<>>, _Shift, _Acc) ->
    more.

handle(2, _, <<_SessionPresent, Code>>, State) -> answer(connack, {ok, Code}, State);
handle(3, Flags, Packet, State) -> received(<<Flags:4>>, Packet, State);
handle(4, _, <<_Id:16>>, #state{flow = #{} = Flow} = State) -> flowed(Flow, State);
handle(4, _, <<Id:16>>, State) -> answer({puback, Id}, ok, State);
handle(5, _, <<Id:16>>, State) -> answer({pubrec, Id}, ok, State);
handle(6, _, <<Id:16>>, State) ->
    _ = gen_tcp:send(State#state.socket, <<16#70, 2, Id:16>>),
    State#state{received = maps:remove(Id, State#state.received)};
handle(7, _, <<Id:16>>, State) -> answer({pubcomp, Id}, ok, State);
handle(9, _, <<Id:16, Codes/binary>>, State) ->
    answer({suback, Id}, {ok, binary_to_list(Codes)}, State);
handle(11, _, <<Id:16>>, State) -> answer({unsuback, Id}, ok, State);
handle(13, _, <<>>, State) -> answer(pingresp, ok, State).

received(<<Dup:1, Qos:2, Retain:1>>, <<Length:16, Topic:Length/binary, Rest/binary>>, State) ->
    {Id, Payload} = split_id(Qos, Rest),
    acknowledge(Qos, Id, State#state.socket),
    Message = #{topic => Topic, payload => Payload, qos => Qos, retain => Retain =:= 1,
                dup => Dup =:= 1, packet_id => Id},
    case Qos =:= 2 andalso maps:is_key(Id, State#state.received) of
        true -> State;
        false -> arrived(Message, remember(Qos, Id, State))
    end.

split_id(0, Payload) -> {undefined, Payload};
split_id(_, <<Id:16, Payload/binary>>) -> {Id, Payload}.

remember(2, Id, #state{received = Received} = State) -> State#state{received = Received#{Id => []}};
remember(_, _, State) -> State.

acknowledge(0, _, _) -> ok;
acknowledge(1, Id, Socket) -> _ = gen_tcp:send(Socket, <<16#40, 2, Id:16>>), ok;
acknowledge(2, Id, Socket) -> _ = gen_tcp:send(Socket, <<16#50, 2, Id:16>>), ok.

arrived(Message, #state{waiting = #{recv := _}} = State) ->
    answer(recv, {ok, Message}, State);
arrived(Message, #state{inbox = Inbox} = State) ->
    State#state{inbox = queue:in(Message, Inbox)}.

%%% A pipeline of QoS 1 publishes

flowed(#{from := From, left := 0, unacked := 1}, State) ->
    gen_server:reply(From, ok),
    State#state{flow = none};
flowed(#{left := 0, unacked := Unacked} = Flow, State) ->
    State#state{flow = Flow#{unacked := Unacked - 1}};
flowed(#{unacked := Unacked} = Flow, State) ->
    fill(1, State#state{flow = Flow#{unacked := Unacked - 1}}).

fill(More, #state{flow = #{frame := Frame, left := Left, unacked := Unacked} = Flow,
                  next_id = Id} = State) ->
    Ids = [(Id - 1 + N) rem 65535 + 1 || N <- lists:seq(0, More - 1)],
    _ = gen_tcp:send(State#state.socket, [Frame(I) || I <- Ids]),
    State#state{flow = Flow#{left := Left - More, unacked := Unacked + More},
                next_id = lists:last(Ids) rem 65535 + 1}.

%%% Packets to send

acknowledged(Client, Bytes, Key) ->
    gen_server:call(Client, {send_and_wait, Bytes, Key}, infinity).

packet_id(_Client, #{packet_id := Id}) -> Id;
packet_id(Client, #{}) -> gen_server:call(Client, next_id, infinity).

publish_packet(Topic, Payload, Qos, Id, Opts) ->
    Dup = flag(maps:get(dup, Opts, false)),
    Retain = flag(maps:get(retain, Opts, false)),
    <<Head>> = <<3:4, Dup:1, Qos:2, Retain:1>>,
    packet(Head, [text(Topic), [<<Id:16>> || Qos > 0], Payload]).

connect_packet(Opts) ->
    Version = maps:get(proto_ver, Opts, 4),
    Will = maps:get(will, Opts, none),
    {WillFlag, WillQos, WillRetain, WillFields} = will(Will),
    Flags = <<(flag(is_map_key(username, Opts))):1, (flag(is_map_key(password, Opts))):1,
              WillRetain:1, WillQos:2, WillFlag:1, (flag(maps:get(clean, Opts, true))):1, 0:1>>,
    packet(16#10, [text(protocol_name(Version)), Version, Flags,
                   <<(maps:get(keepalive, Opts, 60)):16>>, text(maps:get(client_id, Opts, <<>>)),
                   WillFields, [text(Text) || Key <- [username, password], #{Key := Text} <- [Opts]]]).

protocol_name(3) -> <<"MQIsdp">>;
protocol_name(_) -> <<"MQTT">>.

will(none) -> {0, 0, 0, []};
will({Topic, Payload, Qos, Retain}) -> {1, Qos, flag(Retain), [text(Topic), text(Payload)]}.

flag(true) -> 1;
flag(false) -> 0.

text(Text) ->
    [<<(iolist_size(Text)):16>>, Text].

packet(Head, Body) ->
    [Head, length_bytes(iolist_size(Body)), Body].

length_bytes(Length) when Length < 128 -> [Length];
length_bytes(Length) -> [Length rem 128 + 128 | length_bytes(Length div 128)].
