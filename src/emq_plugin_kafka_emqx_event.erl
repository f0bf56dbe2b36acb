%% Turns the arguments of a hook of EMQX 4 or 5 into an event. Pure, and total: whatever is no call of that hook, in any position,
%% gives `bad_event` or an event that the library finds out to be none.
%%
%% Only what is named here and in emq_plugin_kafka_emqx_extra is forwarded; what else is in a broker's maps (passwords, cookies,
%% certificates, sockets) is not looked at. Records of the broker are matched by tag and size.
-module(emq_plugin_kafka_emqx_event).

-export([from_hook/3, why/1]).
-export_type([generation/0, event/0]).

%% The unit of durations differs.
-type generation() :: 4 | 5.
%% Today's events of EMQ 2.3, and what the broker tells beyond them.
-type event() :: {extended, Base :: tuple(), emq_plugin_kafka_emqx_extra:extra()} | bad_event.

-spec from_hook(generation(), emq_plugin_kafka_broker:event() | 'client.refused', Args :: [term()]) -> event().
from_hook(_, 'message.publish', [Message]) ->
    extended(message(Message), emq_plugin_kafka_emqx_extra:published(Message));
from_hook(_, 'message.dropped', [Message, _By, Reason]) ->
    extended({about, 'message.dropped', message(Message)},
             [reason(Reason) | emq_plugin_kafka_emqx_extra:published(Message)]);
from_hook(_, 'message.puback', [PacketId, Message, _Routes, ReasonCode]) ->
    extended({about, 'message.puback', message(Message)},
             emq_plugin_kafka_emqx_extra:numbers([{packet_id, PacketId}, {reason_code, ReasonCode}])
             ++ emq_plugin_kafka_emqx_extra:published(Message));
from_hook(_, 'message.delivered', [Client, Message]) ->
    received('message.delivered', Client, Message, []);
from_hook(_, 'message.acked', [Client, Message]) ->
    received('message.acked', Client, Message, []);
from_hook(_, 'delivery.dropped', [Client, Message, Reason]) ->
    received('delivery.dropped', Client, Message, [reason(Reason)]);
from_hook(4, 'delivery.completed', [Client, Message, Session]) ->
    received('delivery.completed', Client, Message, born(Session));
%% Here the receiver is known by its client id alone.
from_hook(5, 'delivery.completed', [Message, Session]) ->
    received('delivery.completed', Session, Message, born(Session));
from_hook(Generation, 'client.connect', [Connection, _Properties]) ->
    extended({connection, 'client.connect', client(Connection, Connection)},
             emq_plugin_kafka_emqx_extra:connection(Generation, #{}, Connection));
from_hook(Generation, 'client.connack', [Connection, Reason, Properties]) ->
    extended({connection, 'client.connack', client(Connection, Connection)},
             emq_plugin_kafka_emqx_extra:answer(Reason, Properties)
             ++ emq_plugin_kafka_emqx_extra:connection(Generation, #{}, Connection));
%% A connect that was refused, with the code that MQTT 3.1.1 has for it.
from_hook(Generation, 'client.refused', [Connection, Reason, Properties]) ->
    extended({connected, emq_plugin_kafka_emqx_codes:connack(Reason), client(Connection, Connection)},
             emq_plugin_kafka_emqx_extra:answer(Reason, Properties)
             ++ emq_plugin_kafka_emqx_extra:connection(Generation, #{}, Connection));
from_hook(Generation, 'client.connected', [Client, Connection]) ->
    extended({connected, 0, client(Client, Connection)},
             emq_plugin_kafka_emqx_extra:connection(Generation, Client, Connection));
from_hook(Generation, 'client.disconnected', [Client, Reason, Connection]) ->
    extended({disconnected, why(Reason), client(Client, Connection)},
             emq_plugin_kafka_emqx_extra:disconnection(Generation, Client, Connection));
%% One SUBSCRIBE or UNSUBSCRIBE, several topics.
from_hook(_, Hook, [Client, Properties, Topics]) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' ->
    subscriptions(Hook, Client, Topics, Properties);
from_hook(_, 'session.subscribed', [Client, Topic, Opts]) ->
    subscriptions('session.subscribed', Client, [{Topic, Opts}], emq_plugin_kafka_emqx_extra:field(sub_props, Opts));
from_hook(_, 'session.unsubscribed', [Client, Topic, Opts]) ->
    subscriptions('session.unsubscribed', Client, [{Topic, Opts}], emq_plugin_kafka_emqx_extra:field(unsub_props, Opts));
from_hook(Generation, 'session.terminated', [Client, Reason, Session]) ->
    session(Generation, 'session.terminated', Client, why(Reason), Session);
from_hook(Generation, Hook, [Client, Session])
  when Hook =:= 'session.created'; Hook =:= 'session.resumed'; Hook =:= 'session.discarded'; Hook =:= 'session.takenover' ->
    session(Generation, Hook, Client, undefined, Session);
from_hook(_, _, _) ->
    bad_event.

extended(bad_event, _Extra) -> bad_event;
extended(Base, Extra) -> {extended, Base, Extra}.

received(Hook, Client, Message, Extra) ->
    extended({received, Hook, client_id(Client), username(Client), message(Message)},
             Extra ++ emq_plugin_kafka_emqx_extra:received(Client, Message)).

born(Session) ->
    emq_plugin_kafka_emqx_extra:numbers([{session_created_at, emq_plugin_kafka_emqx_extra:field(session_birth_time, Session)}]).

session(Generation, Hook, Client, Reason, Session) ->
    extended({session, Hook, client_id(Client), username(Client), Reason},
             emq_plugin_kafka_emqx_extra:session(Generation, Client, Session)).

subscriptions(Hook, Client, Topics, Properties) ->
    extended({subscriptions, Hook, client_id(Client), username(Client),
              emq_plugin_kafka_emqx_topics:normal(Topics, Properties)},
             emq_plugin_kafka_emqx_extra:subscription(Client, Properties)).

%% #message{}, that of 5.x with one field more.
message({message, Id, QoS, From, Flags, Headers, Topic, Payload, Timestamp}) ->
    {publish, emq_plugin_kafka_event:name(From), text(emq_plugin_kafka_emqx_extra:field(username, Headers)), Topic, Payload, QoS, flag(dup, Flags),
     flag(retain, Flags), emq_plugin_kafka_event:id(Id), timestamp(Timestamp)};
message({message, Id, QoS, From, Flags, Headers, Topic, Payload, Timestamp, _Extra}) ->
    message({message, Id, QoS, From, Flags, Headers, Topic, Payload, Timestamp});
message(_) ->
    bad_event.

flag(Name, Flags) -> emq_plugin_kafka_emqx_extra:field(Name, Flags) =:= true.

%% What a rule or another plugin has set may lie before 1970.
timestamp(Timestamp) when is_integer(Timestamp), Timestamp >= -(1 bsl 63), Timestamp < 1 bsl 63 -> Timestamp;
timestamp(_) -> undefined.

milliseconds(Timestamp) when is_integer(Timestamp), Timestamp >= 0, Timestamp < 1 bsl 63 -> Timestamp;
milliseconds(_) -> undefined.

%% Whose connection it is, and the connection. Those of gateways, which speak something else than MQTT, may have no version or
%% keepalive; 0 stands for none.
client(Client, Connection) ->
    {Host, Port} = emq_plugin_kafka_emqx_extra:peer(Client, Connection),
    {client, client_id(Client), username(Client), Host, Port,
     number(emq_plugin_kafka_emqx_extra:field(proto_ver, Connection), 255),
     number(emq_plugin_kafka_emqx_extra:field(keepalive, Connection), 65535),
     emq_plugin_kafka_emqx_extra:field(clean_start, Connection) =/= false, undefined,
     milliseconds(emq_plugin_kafka_emqx_extra:field(connected_at, Connection))}.

number(Number, Max) when is_integer(Number), Number >= 0 -> min(Number, Max);
number(_, _Max) -> 0.

client_id(Client) -> emq_plugin_kafka_event:name(emq_plugin_kafka_emqx_extra:field(clientid, Client)).

username(Client) -> text(emq_plugin_kafka_emqx_extra:field(username, Client)).

text(Text) when is_binary(Text) -> Text;
text(_) -> undefined.

reason(Reason) -> {reason, why(Reason)}.

%% Why something ended or was refused, in words that do not depend on the generation. EMQX 5 has maps, in which there may also be what a client has sent.
-spec why(Reason :: term()) -> binary().
why(takeovered) -> <<"takenover">>;
why({shutdown, Reason}) -> why(Reason);
why(#{cause := Reason}) -> why(Reason);
why(#{reason := Reason}) -> why(Reason);
why(#{shutdown_count := Reason}) -> why(Reason);
why(#{}) -> <<"unknown">>;
why(Reason) -> emq_plugin_kafka_event:reason(Reason).
