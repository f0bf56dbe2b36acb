%% Turns the arguments of a broker's hook into an event. Pure, and total: whatever is no call of that hook, in any
%% position, gives `bad_event` or an event that the NIF finds out to be none.
%%
%% Records of the broker are matched by tag and size, without its header files, so that one build runs in any broker.
%% The generation told apart here is EMQ 2.3; the others are in emq_plugin_kafka_emqx_event.
-module(emq_plugin_kafka_event).

-export([from_hook/2, reason/1, name/1, id/1]).
-export_type([event/0]).

%% What is written `term()` here comes from the broker as it is; the NIF checks it. A payload is a binary or an io list.
-type event() :: publish()
               | {received, Hook :: atom(), ClientId :: term(), Username :: term(), publish()}
               | {connected, ConnAck :: term(), client()}
               | {disconnected, Reason :: binary(), client()}
               | {subscriptions, Hook :: atom(), ClientId :: term(), Username :: term(), [{Topic :: term(), Opts :: term()}]
                                                                                         | term()}
               | {session, Hook :: atom(), ClientId :: term(), Username :: term(), Reason :: binary() | undefined}
               | emq_plugin_kafka_emqx_event:event()
               | bad_event.
-type publish() :: {publish, ClientId :: term(), Username :: term(), Topic :: term(), Payload :: term(), QoS :: term(),
                    Dup :: term(), Retain :: term(), Id :: term(), Milliseconds :: integer() | undefined}
                 | bad_event.
-type client() :: {client, ClientId :: term(), Username :: term(), Host :: binary() | undefined, Port :: term(),
                   ProtoVer :: term(), KeepAlive :: term(), CleanSession :: term(), WillTopic :: term(),
                   ConnectedAt :: integer() | undefined}
                | bad_event.

%% A reason longer than this is cut: it may hold anything that a crashed connection had in its hands.
-define(REASON_CHARS, 256).
-define(REASON_DEPTH, 12).

-spec from_hook(Hook :: atom(), Args :: [term()]) -> event().
from_hook('message.publish', [Message]) ->
    message(Message);
from_hook('message.delivered', [ClientId, Username, Message]) ->
    {received, 'message.delivered', name(ClientId), Username, message(Message)};
from_hook('message.acked', [ClientId, Username, Message]) ->
    {received, 'message.acked', name(ClientId), Username, message(Message)};
from_hook('client.connected', [ConnAck, Client]) ->
    {connected, ConnAck, client(Client)};
from_hook('client.disconnected', [Reason, Client]) ->
    {disconnected, reason(Reason), client(Client)};
%% One SUBSCRIBE or UNSUBSCRIBE, several topics.
from_hook(Hook, [ClientId, Username, TopicTable]) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' ->
    {subscriptions, Hook, name(ClientId), Username, TopicTable};
from_hook(Hook, [ClientId, Username, TopicOpts]) when Hook =:= 'session.subscribed'; Hook =:= 'session.unsubscribed' ->
    {subscriptions, Hook, name(ClientId), Username, [TopicOpts]};
from_hook('session.created', [ClientId, Username]) ->
    {session, 'session.created', name(ClientId), Username, undefined};
from_hook('session.terminated', [ClientId, Username, Reason]) ->
    {session, 'session.terminated', name(ClientId), Username, reason(Reason)};
from_hook(_Hook, _Args) ->
    bad_event.

message({mqtt_message, Id, _PacketId, From, Topic, QoS, _Flags, Retain, Dup, _Sys, _Headers, Payload, Timestamp}) ->
    {ClientId, Username} = publisher(From),
    {publish, ClientId, Username, Topic, Payload, QoS, flag(Dup), flag(Retain), id(Id), milliseconds(Timestamp)};
message(_) ->
    bad_event.

%% A client's message, one of a part of the broker (an atom), or one of its HTTP interface (a client id alone).
publisher({ClientId, Username}) ->
    {name(ClientId), Username};
publisher(Name) ->
    {name(Name), undefined}.

%% A part of a broker has an atom for its name, a client a binary; empty where there is none.
-spec name(Name :: term()) -> term().
name(undefined) -> <<>>;
name(Name) when is_atom(Name) -> atom_to_binary(Name, utf8);
name(Name) -> Name.

%% What another plugin gave for the id of a message need not be one of the broker's.
-spec id(Id :: term()) -> <<_:128>> | undefined.
id(<<_:128>> = Id) -> Id;
id(_) -> undefined.

%% The HTTP interface lets through whatever its JSON had, and many write 0 and 1 there.
flag(0) -> false;
flag(1) -> true;
flag(Flag) -> Flag.

client({mqtt_client, ClientId, _Pid, Username, {Host, Port}, CleanSession, ProtoVer, KeepAlive, WillTopic, _WsHeaders,
        _Mountpoint, ConnectedAt}) ->
    {client, name(ClientId), Username, host(inet:ntoa(Host)), Port, ProtoVer, KeepAlive, CleanSession, WillTopic,
     milliseconds(ConnectedAt)};
client(_) ->
    bad_event.

host({error, einval}) ->
    undefined;
host(Text) ->
    list_to_binary(Text).

%% erlang:timestamp() in ms since 1970.
milliseconds({Mega, Seconds, Micro}) when is_integer(Mega), is_integer(Seconds), is_integer(Micro) ->
    (Mega * 1000000 + Seconds) * 1000 + Micro div 1000;
milliseconds(_) ->
    undefined.

%% Why a connection or session ended, as text without stack traces.
-spec reason(Reason :: term()) -> binary().
reason(Reason) when is_atom(Reason) ->
    atom_to_binary(Reason, utf8);
reason({shutdown, Reason}) ->
    reason(Reason);
reason({Error, [{_Module, _Function, _Args, _Location} | _Stack]}) ->
    reason(Error);
reason(Reason) ->
    utf8(unicode:characters_to_binary(
           io_lib:format("~0tP", [Reason, ?REASON_DEPTH], [{chars_limit, ?REASON_CHARS}]))).

utf8(Text) when is_binary(Text) ->
    Text;
utf8(_) ->
    <<"unprintable">>.
