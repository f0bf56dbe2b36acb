%% MQTT in a connection's process: what each packet does, and which hook it runs when. Pure of
%% processes but for calls to the session; the order of hooks and answers is EMQ 2.3's.
-module(emqttd_protocol).

-export([init/2, connected/1, received/2, deliver/2, shutdown/2]).

-export_type([state/0]).

-include("emqttd.hrl").

-define(ACCEPTED, 0).
-define(INVALID_ID, 2).
-define(CREDENTIALS, 4).

-record(state, {socket :: gen_tcp:socket(),
                peername :: {inet:ip_address(), inet:port_number()},
                connected = false :: boolean(),
                client_id :: binary() | undefined,
                username :: binary() | undefined,
                clean :: boolean() | undefined,
                version :: 3..4 | undefined,
                keepalive :: 0..65535 | undefined,
                will :: #mqtt_message{} | undefined,
                session :: pid() | undefined,
                connected_at :: erlang:timestamp() | undefined}).

-opaque state() :: #state{}.
-type result() :: {ok, state()} | {error, term(), state()} | {stop, term(), state()}.

-spec init(gen_tcp:socket(), {inet:ip_address(), inet:port_number()}) -> state().
init(Socket, Peername) ->
    #state{socket = Socket, peername = Peername}.

-spec connected(state()) -> boolean().
connected(#state{connected = Connected}) ->
    Connected.

-spec received(emqttd_frame:packet(), state()) -> result().
received({connect, Fields} = Connect, #state{connected = false} = State) ->
    protocol(maps:get(protocol, Fields), Connect, State);
received({connect, _}, State) ->
    {error, protocol_bad_connect, State};
received(_Packet, #state{connected = false} = State) ->
    {error, protocol_not_connected, State};
received(Packet, State) ->
    case valid(Packet) of
        true -> process(Packet, State);
        false -> {error, badtopic, State}
    end.

valid({publish, _, Topic, _, _}) ->
    emqttd_topic:valid_name(Topic);
valid({subscribe, _, Filters}) ->
    Filters =/= [] andalso
        lists:all(fun({Filter, Qos}) -> emqttd_topic:valid_filter(Filter) andalso Qos =< 2 end, Filters);
valid({unsubscribe, _, Filters}) ->
    Filters =/= [] andalso lists:all(fun emqttd_topic:valid_filter/1, Filters);
valid(_Packet) ->
    true.

%%% CONNECT

protocol({<<"MQIsdp">>, 3}, Connect, State) -> connect(3, Connect, State);
protocol({<<"MQTT">>, 4}, Connect, State) -> connect(4, Connect, State);
protocol(_Unknown, _Connect, State) -> {error, protocol_header_corrupt, State}.

connect(Version, {connect, Fields} = Connect, State) ->
    #{client_id := ClientId, username := Username, password := Password, clean := Clean,
      keepalive := Keepalive} = Fields,
    State1 = State#state{connected = true, version = Version, client_id = ClientId,
                         username = Username, clean = Clean, keepalive = Keepalive,
                         will = emqttd_message:from_will(Connect), connected_at = os:timestamp()},
    {Code, State2} = admit(acceptable(State1), Password, State1),
    _ = emqttd_hooks:run('client.connected', [Code], client(State2)),
    ok = send({connack, Code}, State2),
    answered(Code, State2).

%% An id may be empty in MQTT 3.1.1 with a clean session only.
acceptable(#state{client_id = <<>>, version = 4, clean = true}) -> true;
acceptable(#state{client_id = <<>>}) -> false;
acceptable(#state{client_id = ClientId}) ->
    byte_size(ClientId) =< proplists:get_value(max_clientid_len, emqttd:env(protocol, []), 1024).

admit(false, _Password, State) ->
    {?INVALID_ID, State};
admit(true, Password, #state{username = Username} = State) ->
    case emqttd_access:allowed(Username, Password) of
        true -> start_session(named(State));
        false -> {?CREDENTIALS, State}
    end.

named(#state{client_id = <<>>} = State) ->
    Number = integer_to_binary(emqttd_message:process_number()),
    State#state{client_id = <<"emqttd_", Number/binary>>};
named(State) ->
    State.

start_session(#state{client_id = ClientId, username = Username, keepalive = Keepalive} = State) ->
    Session = emqttd_sm:start_session(ClientId, Username),
    ok = start_keepalive(Keepalive),
    {?ACCEPTED, State#state{session = Session}}.

start_keepalive(0) ->
    ok;
start_keepalive(Seconds) ->
    Backoff = proplists:get_value(keepalive_backoff, emqttd:env(protocol, []), 0.75),
    self() ! {keepalive, start, round(Seconds * Backoff * 1000)},
    ok.

answered(?CREDENTIALS, State) -> {stop, {shutdown, auth_failure}, State};
answered(_Code, State) -> {ok, State}.

%%% Everything after it

process({publish, {0, _, _}, _, _, _} = Publish, State) ->
    _ = emqttd_server:publish(message(Publish, State)),
    {ok, State};
process({publish, {1, _, _}, _, PacketId, _} = Publish, State) ->
    _ = emqttd_server:publish(message(Publish, State)),
    sent({puback, PacketId}, State);
process({publish, {2, _, _}, _, PacketId, _} = Publish, #state{session = Session} = State) ->
    ok = emqttd_session:publish(Session, message(Publish, State)),
    sent({pubrec, PacketId}, State);
process({pubrel, PacketId}, #state{session = Session} = State) ->
    ok = emqttd_session:cast(Session, {pubrel, PacketId}),
    sent({pubcomp, PacketId}, State);
process({pubrec, PacketId}, #state{session = Session} = State) ->
    ok = emqttd_session:cast(Session, {pubrec, PacketId}),
    sent({pubrel, PacketId}, State);
process({Ack, _} = Packet, #state{session = Session} = State) when Ack =:= puback; Ack =:= pubcomp ->
    ok = emqttd_session:cast(Session, Packet),
    {ok, State};
process({subscribe, PacketId, Filters}, State) ->
    Table = [{Topic, [{qos, Qos} | Options]}
             || {Filter, Qos} <- Filters, {Topic, Options} <- [emqttd_topic:parse(Filter)]],
    case run('client.subscribe', Table, State) of
        {ok, Allowed} -> emqttd_session:cast(State#state.session, {subscribe, PacketId, Allowed});
        {stop, _} -> ok
    end,
    {ok, State};
process({unsubscribe, PacketId, Filters}, State) ->
    case run('client.unsubscribe', [emqttd_topic:parse(Filter) || Filter <- Filters], State) of
        {ok, Allowed} -> emqttd_session:cast(State#state.session, {unsubscribe, Allowed});
        {stop, _} -> ok
    end,
    sent({unsuback, PacketId}, State);
process(pingreq, State) ->
    sent(pingresp, State);
process(disconnect, State) ->
    {stop, normal, State#state{will = undefined}}.

message(Publish, #state{client_id = ClientId, username = Username}) ->
    ok = emqttd_metrics:received(),
    emqttd_message:from_publish(ClientId, Username, Publish).

run(Hook, Table, #state{client_id = ClientId, username = Username}) ->
    emqttd_hooks:run(Hook, [ClientId, Username], Table).

%% @doc Sends a session's message to its subscriber.
-spec deliver(#mqtt_message{}, state()) -> ok.
deliver(Message, State) ->
    _ = run('message.delivered', Message, State),
    #mqtt_message{qos = Qos, dup = Dup, topic = Topic, pktid = PacketId, payload = Payload} = Message,
    send({publish, {Qos, retained(Message), Dup}, Topic, PacketId, Payload}, State).

%% A live message loses its retain flag on the way to a subscriber, a stored one keeps it.
retained(#mqtt_message{retain = Retain, headers = Headers}) ->
    Retain andalso lists:member(retained, Headers).

%% @doc The connection has ended: the will, then the hook. A client that never got as far as a
%% session of its own has no id here, and no hook.
-spec shutdown(term(), state()) -> ok.
shutdown(_Reason, #state{client_id = undefined}) ->
    ok;
shutdown(Reason, State) ->
    ok = publish_will(Reason, State),
    _ = emqttd_hooks:run('client.disconnected', [Reason], client(State)),
    ok.

publish_will(auth_failure, _State) -> ok;
publish_will(_Reason, #state{will = undefined}) -> ok;
publish_will(_Reason, #state{will = Will, client_id = ClientId, username = Username}) ->
    _ = emqttd_server:publish(Will#mqtt_message{from = {ClientId, Username}}),
    ok.

client(#state{} = S) ->
    #mqtt_client{client_id = S#state.client_id, client_pid = self(), username = S#state.username,
                 peername = S#state.peername, clean_sess = S#state.clean,
                 proto_ver = S#state.version, keepalive = S#state.keepalive,
                 will_topic = will_topic(S#state.will), connected_at = S#state.connected_at}.

will_topic(undefined) -> undefined;
will_topic(#mqtt_message{topic = Topic}) -> Topic.

sent(Packet, State) ->
    ok = send(Packet, State),
    {ok, State}.

send(Packet, #state{socket = Socket}) ->
    emqttd_client:send(Socket, emqttd_frame:serialize(Packet)).
