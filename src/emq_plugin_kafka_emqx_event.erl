%% Turns the arguments of a hook of EMQX 4 or 5 into an event. Pure and total: arguments of any other shape give `bad_event`, or an event
%% that the library counts as bad.
%%
%% Only fields named here and in emq_plugin_kafka_emqx_extra are forwarded. The broker's maps have more (passwords, cookies,
%% certificates, sockets), which is never read. Records of the broker are matched by tag and size.
-module(emq_plugin_kafka_emqx_event).

-export([from_hook/3, why/1]).
-export_type([generation/0, event/0]).

%% EMQX 4 has durations in seconds, EMQX 5 in milliseconds.
-type generation() :: 4 | 5.
%% An event as of EMQ 2.3, and the further fields of EMQX.
-type event() :: {extended, Base :: tuple(), emq_plugin_kafka_emqx_extra:extra()} | bad_event.

%% The options of a subscription that are numbers, in the order of a record.
-define(OPTIONS, [qos, nl, rap, rh]).

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
    received('delivery.completed', Client, Message, session_created(Session));
%% EMQX 5 gives only the receiver's client ID.
from_hook(5, 'delivery.completed', [Message, Session]) ->
    received('delivery.completed', Session, Message, session_created(Session));
from_hook(Generation, 'client.connect', [Connection, _Properties]) ->
    extended({connection, 'client.connect', client(Connection, Connection)},
             emq_plugin_kafka_emqx_extra:connection(Generation, #{}, Connection));
from_hook(Generation, 'client.connack', [Connection, Reason, Properties]) ->
    extended({connection, 'client.connack', client(Connection, Connection)},
             emq_plugin_kafka_emqx_extra:answer(Reason, Properties)
             ++ emq_plugin_kafka_emqx_extra:connection(Generation, #{}, Connection));
%% A refused connect, with the code of MQTT 3.1.1.
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

session_created(Session) ->
    emq_plugin_kafka_emqx_extra:numbers([{session_created_at, emq_plugin_kafka_emqx_extra:field(session_birth_time, Session)}]).

session(Generation, Hook, Client, Reason, Session) ->
    extended({session, Hook, client_id(Client), username(Client), Reason},
             emq_plugin_kafka_emqx_extra:session(Generation, Client, Session)).

subscriptions(Hook, Client, Topics, Properties) ->
    extended({subscriptions, Hook, client_id(Client), username(Client),
              topics(Topics, Properties)},
             emq_plugin_kafka_emqx_extra:subscription(Client, Properties)).

%% Topics and options as EMQ 2.3 has them: the topic without its prefix, the group of a shared subscription among the options. The
%% packet's properties have the subscription identifier. A term that is no list of topics stays for the library to refuse.
topics([{Topic, Opts} | Topics], Properties) -> [topic(Topic, Opts, Properties) | topics(Topics, Properties)];
topics(Other, _Properties) -> Other.

topic({share, Group, Topic}, Opts, Properties) when is_binary(Group) -> {Topic, options(Opts, Properties, Group)};
topic(Topic, Opts, Properties) -> {Topic, options(Opts, Properties, group(emq_plugin_kafka_emqx_extra:field(share, Opts)))}.

group(Group) when is_binary(Group) -> Group;
group(Group) when is_atom(Group), Group =/= undefined -> atom_to_binary(Group, utf8);
group(_) -> none.

options(Opts, Properties, Group) ->
    [{Name, Number} || Name <- ?OPTIONS, Number <- option(emq_plugin_kafka_emqx_extra:field(Name, Opts))]
        ++ [{subid, Number} || Number <- subscription_id(Opts, Properties)]
        ++ [{share, Group} || Group =/= none]
        ++ [{is_new, New} || New <- [emq_plugin_kafka_emqx_extra:field(is_new, Opts)], is_boolean(New)].

subscription_id(Opts, Properties) ->
    first(option(emq_plugin_kafka_emqx_extra:field(subid, Opts)),
          option(emq_plugin_kafka_emqx_extra:field('Subscription-Identifier', Properties))).

first([], Numbers) -> Numbers;
first(Numbers, _) -> Numbers.

option(Number) when is_integer(Number), Number >= 0, Number < 1 bsl 32 -> [Number];
option(_) -> [].

%% #message{}. That of 5.x can have one field more.
message({message, Id, QoS, From, Flags, Headers, Topic, Payload, Timestamp}) ->
    {publish, emq_plugin_kafka_event:name(From), text(emq_plugin_kafka_emqx_extra:field(username, Headers)), Topic, Payload, QoS, flag(dup, Flags),
     flag(retain, Flags), emq_plugin_kafka_event:id(Id), timestamp(Timestamp)};
message({message, Id, QoS, From, Flags, Headers, Topic, Payload, Timestamp, _Extra}) ->
    message({message, Id, QoS, From, Flags, Headers, Topic, Payload, Timestamp});
message(_) ->
    bad_event.

flag(Name, Flags) -> emq_plugin_kafka_emqx_extra:field(Name, Flags) =:= true.

%% Rules and other plugins may set a time before 1970.
timestamp(Timestamp) when is_integer(Timestamp), Timestamp >= -(1 bsl 63), Timestamp < 1 bsl 63 -> Timestamp;
timestamp(_) -> undefined.

milliseconds(Timestamp) when is_integer(Timestamp), Timestamp >= 0, Timestamp < 1 bsl 63 -> Timestamp;
milliseconds(_) -> undefined.

%% A client and its connection. Connections of gateways, which are not MQTT, may have no version or keepalive: 0.
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

%% The reason of an end or a refusal, the same for both generations. Of EMQX 5's maps only the cause is taken: the rest may have a client's
%% data.
-spec why(Reason :: term()) -> binary().
why(takeovered) -> <<"takenover">>;
why({shutdown, Reason}) -> why(Reason);
why(#{cause := Reason}) -> why(Reason);
why(#{reason := Reason}) -> why(Reason);
why(#{shutdown_count := Reason}) -> why(Reason);
why(#{}) -> <<"unknown">>;
why(Reason) -> emq_plugin_kafka_event:reason(Reason).
