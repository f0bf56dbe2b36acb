%% Turns the arguments of a hook of EMQ 2.3 into an event (EMQX: emq_plugin_kafka_emqx_event). Pure and total: arguments of any other
%% shape give `bad_event`, or an event that the library counts as bad.
%%
%% Records of the broker are matched by tag and size, without its header files, so that one build runs in any broker.
-module(emq_plugin_kafka_event).

-export([from_hook/2, reason/1, name/1, id/1]).
-export_type([event/0]).

%% A `term()` comes from the broker unchecked; the library checks it. A payload is a binary or an iolist.
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

%% A longer reason is cut: that of a crash may contain any data of the connection.
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

%% The publisher: a client, a part of the broker (an atom), or the HTTP API (a client ID alone).
publisher({ClientId, Username}) ->
    {name(ClientId), Username};
publisher(Name) ->
    {name(Name), undefined}.

%% The client ID of a message. Parts of the broker have atoms. None is empty.
-spec name(Name :: term()) -> term().
name(undefined) -> <<>>;
name(Name) when is_atom(Name) -> atom_to_binary(Name, utf8);
name(Name) -> Name.

%% Other plugins may give a message any term as its ID.
-spec id(Id :: term()) -> <<_:128>> | undefined.
id(<<_:128>> = Id) -> Id;
id(_) -> undefined.

%% The HTTP API takes any JSON value as a flag; many clients write 0 and 1.
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

%% Why a connection or session ended, without stack traces.
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
