%% The fields that events of EMQX 4 and 5 have beyond EMQ 2.3: properties of MQTT 5, attributes of connections and sessions. Each has the
%% same name and unit in both generations. Pure and total: a field that is missing or has another type is left out.
-module(emq_plugin_kafka_emqx_extra).

-export([published/1, received/2, connection/3, disconnection/3, answer/2, session/3, subscription/2, numbers/1, peer/2, field/2]).
-export_type([extra/0]).

-type extra() :: [{Name :: atom(), value()}].
-type value() :: binary() | integer() | boolean() | null | {pairs, [pair()]} | {map, [pair()]}.
-type pair() :: {binary(), binary()}.

%% A message and its publisher.
-spec published(Message :: term()) -> extra().
published(Message) ->
    Headers = headers(Message),
    {Host, Port} = peer(Headers, Headers),
    message(field(properties, Headers)) ++ numbers([{proto_ver, field(proto_ver, Headers)}])
        ++ texts([{peerhost, Host}]) ++ numbers([{peerport, Port}]) ++ attributes(Headers).

%% A message and its receiver.
-spec received(Client :: term(), Message :: term()) -> extra().
received(Client, Message) ->
    {Host, Port} = peer(Client, Client),
    message(field(properties, headers(Message)))
        ++ texts([{peerhost, Host}]) ++ numbers([{peerport, Port}]) ++ attributes(Client).

headers({message, _, _, _, _, Headers, _, _, _}) -> Headers;
headers({message, _, _, _, _, Headers, _, _, _, _}) -> Headers;
headers(_) -> #{}.

message(Properties) ->
    user_properties(Properties)
        ++ texts([{content_type, field('Content-Type', Properties)}, {response_topic, field('Response-Topic', Properties)},
                  {correlation_data, field('Correlation-Data', Properties)}])
        ++ indicator(field('Payload-Format-Indicator', Properties))
        ++ numbers([{message_expiry_interval, field('Message-Expiry-Interval', Properties)},
                    {subscription_identifier, field('Subscription-Identifier', Properties)}]).

indicator(Indicator) when Indicator =:= 0; Indicator =:= 1 -> [{payload_format_indicator, Indicator}];
indicator(_) -> [].

%% A connection, with the properties of its CONNECT. Until the client is accepted, its map is empty.
-spec connection(emq_plugin_kafka_emqx_event:generation(), Client :: term(), Connection :: term()) -> extra().
connection(Generation, Client, Connection) ->
    user_properties(field(conn_props, Connection)) ++ attributes(Generation, Client, Connection).

%% The end of a connection, with the properties of its DISCONNECT.
-spec disconnection(emq_plugin_kafka_emqx_event:generation(), Client :: term(), Connection :: term()) -> extra().
disconnection(Generation, Client, Connection) ->
    Properties = field(disconn_props, Connection),
    user_properties(Properties) ++ texts([{reason_string, field('Reason-String', Properties)}])
        ++ numbers([{disconnected_at, field(disconnected_at, Connection)}]) ++ attributes(Generation, Client, Connection).

attributes(Generation, Client, Connection) ->
    texts([{listener, either(listener, Client, Connection)}, {zone, either(zone, Client, Connection)},
           {mountpoint, field(mountpoint, Client)}, {proto_name, field(proto_name, Connection)},
           {socktype, field(socktype, Connection)}, {cn, field(cn, Client)}, {dn, field(dn, Client)}])
        ++ numbers([{receive_maximum, field(receive_maximum, Connection)},
                    {session_expiry_interval, seconds(Generation, field(expiry_interval, Connection))}])
        ++ attributes(Client).

%% A CONNACK.
-spec answer(Reason :: term(), Properties :: term()) -> extra().
answer(Reason, Properties) ->
    [{reason, emq_plugin_kafka_emqx_event:why(Reason)}, {reason_code, emq_plugin_kafka_emqx_codes:number(Reason)}]
        ++ texts([{assigned_client_id, field('Assigned-Client-Identifier', Properties)}]).

-spec session(emq_plugin_kafka_emqx_event:generation(), Client :: term(), Session :: term()) -> extra().
session(Generation, Client, Session) ->
    {Host, _Port} = peer(Client, Client),
    numbers([{created_at, field(created_at, Session)},
             {await_rel_timeout, seconds(Generation, field(await_rel_timeout, Session))}])
        ++ [{is_persistent, Is} || Is <- [field(is_persistent, Session)], is_boolean(Is)]
        ++ retry(Generation, field(retry_interval, Session))
        ++ texts([{peerhost, Host}]) ++ attributes(Client).

%% infinity: unacknowledged messages are not sent again.
retry(_Generation, infinity) -> [{retry_interval, null}];
retry(Generation, Interval) -> numbers([{retry_interval, seconds(Generation, Interval)}]).

%% A SUBSCRIBE or UNSUBSCRIBE.
-spec subscription(Client :: term(), Properties :: term()) -> extra().
subscription(Client, Properties) ->
    {Host, _Port} = peer(Client, Client),
    user_properties(Properties) ++ texts([{peerhost, Host}]) ++ attributes(Client).

%% EMQX 4 has seconds, EMQX 5 milliseconds.
seconds(5, Milliseconds) when is_integer(Milliseconds) -> Milliseconds div 1000;
seconds(4, Seconds) -> Seconds;
seconds(_, _) -> undefined.

%% A client's address and port, from either map. Some releases have no port.
-spec peer(Client :: term(), Connection :: term()) -> {Host :: binary() | undefined, Port :: 0..65535 | undefined}.
peer(Client, Connection) ->
    peer_of(either(peername, Connection, Client), either(peerhost, Client, Connection)).

peer_of({Host, Port}, _Host) when is_integer(Port), Port >= 0, Port =< 65535 -> {host(Host), Port};
peer_of(_, Host) -> {host(Host), undefined}.

%% inet:ntoa/1 alone would also take a text.
host({_, _, _, _} = Address) -> address(inet:ntoa(Address));
host({_, _, _, _, _, _, _, _} = Address) -> address(inet:ntoa(Address));
host(_) -> undefined.

address({error, einval}) -> undefined;
address(Text) -> list_to_binary(Text).

%% In their order. A name may come several times.
user_properties(Properties) ->
    [{user_properties, {pairs, Pairs}} || [_ | _] = Pairs <- [pairs(field('User-Property', Properties))]].

pairs([{Name, Value} | Pairs]) when is_binary(Name), is_binary(Value) -> [{Name, Value} | pairs(Pairs)];
pairs([_ | Pairs]) -> pairs(Pairs);
pairs(_) -> [].

%% Attributes that an authenticator or the configuration of EMQX 5 gives a client.
attributes(Client) ->
    [{client_attrs, {map, Pairs}} || [_ | _] = Pairs <- [attribute_pairs(field(client_attrs, Client))]].

attribute_pairs(#{} = Attributes) ->
    [{Name, Value} || {Name, Value} <- lists:sort(maps:to_list(Attributes)), is_binary(Name), is_binary(Value)];
attribute_pairs(_) ->
    [].

-spec numbers([{Name :: atom(), term()}]) -> extra().
numbers(Fields) ->
    [Field || {_, Number} = Field <- Fields, is_integer(Number), Number >= 0, Number < 1 bsl 63].

texts(Fields) ->
    [{Name, Text} || {Name, Value} <- Fields, Text <- text(Value)].

text(Text) when is_binary(Text) -> [Text];
text(Name) when is_atom(Name), Name =/= undefined, Name =/= nossl -> [atom_to_binary(Name, utf8)];
text(_) -> [].

either(Name, Map, Other) ->
    first(field(Name, Map), Name, Other).

first(undefined, Name, Other) -> field(Name, Other);
first(Value, _Name, _Other) -> Value.

-spec field(Name :: atom(), Map :: term()) -> term().
field(Name, Map) ->
    case Map of
        #{Name := Value} -> Value;
        _ -> undefined
    end.
