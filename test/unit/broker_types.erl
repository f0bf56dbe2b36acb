%% Hook calls by the brokers' own types, for the tests of totality: PropEr's generators. The types are those of emqttd.hrl and
%% emqttd_topic of EMQ 2.3.11, of emqx_types and emqx.hrl of EMQX 4.4, and of emqx_hookpoints and emqx_types of EMQX 5.8.
-module(broker_types).

-include_lib("proper/include/proper.hrl").

-export([call/1, payload/0, no_payloads/0]).

%% {Hook, Args}, for EMQ 2.3, EMQX 4 or EMQX 5.
call(2) ->
    oneof([{'message.publish', [mqtt_message()]},
           {'message.delivered', [clientid(), username(), mqtt_message()]},
           {'message.acked', [clientid(), username(), mqtt_message()]},
           {'client.connected', [integer(0, 5), mqtt_client()]},
           {'client.disconnected', [reason(), mqtt_client()]},
           {'client.subscribe', [clientid(), username(), list({text(), options()})]},
           {'client.unsubscribe', [clientid(), username(), list({text(), options()})]},
           {'session.created', [clientid(), username()]},
           {'session.subscribed', [clientid(), username(), {text(), options()}]},
           {'session.unsubscribed', [clientid(), username(), {text(), options()}]},
           {'session.terminated', [clientid(), username(), reason()]}]);
call(Generation) ->
    oneof([{'message.publish', [message(Generation)]},
           {'message.dropped', [message(Generation), #{node => node()}, reason()]},
           {'message.delivered', [clientinfo(), message(Generation)]},
           {'message.acked', [clientinfo(), message(Generation)]},
           {'delivery.dropped', [clientinfo(), message(Generation), reason()]},
           {'client.connect', [conninfo(), properties()]},
           {'client.connack', [conninfo(), oneof([success, not_authorized, atom()]), properties()]},
           {'client.connected', [clientinfo(), conninfo()]},
           {'client.disconnected', [clientinfo(), reason(), conninfo()]},
           {'client.subscribe', [clientinfo(), properties(), list({topic_filter(Generation), subopts(Generation)})]},
           {'client.unsubscribe', [clientinfo(), properties(), list({topic_filter(Generation), subopts(Generation)})]},
           {'session.created', [clientinfo(), infos()]},
           {'session.subscribed', [clientinfo(), topic_filter(Generation), subopts(Generation)]},
           {'session.unsubscribed', [clientinfo(), topic_filter(Generation), subopts(Generation)]},
           {'session.resumed', [clientinfo(), infos()]},
           {'session.discarded', [clientinfo(), infos()]},
           {'session.terminated', [clientinfo(), reason(), infos()]}
           | calls_of(Generation)]).

calls_of(4) ->
    [{'delivery.completed', [clientinfo(), message(4), session()]}, {'session.takeovered', [clientinfo(), infos()]}];
calls_of(5) ->
    [{'delivery.completed', [message(5), session()]}, {'session.takenover', [clientinfo(), infos()]},
     {'message.puback', [integer(1, 65535), message(5), [], oneof([undefined, integer(0, 255)])]}].

%% emqx_types:payload() :: binary() | iodata(). Lists that end in a binary and bytes beside binaries are io lists, too.
payload() ->
    oneof([binary(), text(), iolist(), [binary(), [binary()], integer(0, 255) | binary()], [<<>>, [], [[<<"x">>] | <<>>]],
           "a list of characters", [], ?LAZY(exactly(lists:duplicate(3000, $x))), ?LAZY(exactly([binary:copy(<<"y">>, 70000), $z])),
           ?LAZY(exactly(deep(5000)))]).

iolist() -> ?SIZED(Size, iolist(Size)).

iolist(0) ->
    [];
iolist(Size) ->
    oneof([[], list(integer(0, 255)), [integer(0, 255) | binary()],
           ?LAZY([iolist(Size div 2), oneof([integer(0, 255), binary()]) | oneof([iolist(Size div 2), binary()])])]).

%% Terms that are nearly one.
no_payloads() ->
    [undefined, 1, 1.5, #{}, {}, <<1:3>>, [256], [-1], [<<1:3>>], [x], [1 | 2], [1 | x], [<<"x">>, [<<"y">> | 5]],
     [<<"x">>, {a}], [[[[#{}]]]], [$x | undefined], [16#20AC], [1.0]].

deep(0) -> <<"bottom">>;
deep(N) -> [deep(N - 1), $x].

%% EMQ 2.3.

mqtt_message() ->
    {mqtt_message, oneof([undefined, binary(16), binary()]), oneof([undefined, integer(1, 65535)]), from(), text(), integer(0, 2),
     list(oneof([retain, dup, sys])), boolean(), boolean(), boolean(), [], payload(), timestamp()}.

%% mqtt_msg_from(), and a client id alone as the HTTP interface has it.
from() -> oneof([atom(), undefined, binary(), {binary(), username()}]).

mqtt_client() ->
    {mqtt_client, oneof([undefined, binary()]), self(), username(), {address(), integer(0, 65535)}, boolean(), oneof([3, 4]),
     integer(0, 65535), oneof([undefined, text()]), list({oneof([atom(), binary(), "name"]), binary()}), oneof([undefined, binary()]),
     timestamp()}.

timestamp() -> {integer(0, 9999), integer(0, 999999), integer(0, 999999)}.

%% emqttd_topic:option(), each at most once.
options() -> ?LET(Options, [oneof([[], [Option]]) || Option <- [local, {qos, integer(0, 2)}, {share, oneof(['$queue', text()])}]],
                  lists:append(Options)).

%% EMQX.

message(4) ->
    {message, id(), integer(0, 2), clientid(), flags(), headers(), text(), payload(), integer()};
message(5) ->
    {message, id(), integer(0, 2), clientid(), flags(), headers(), text(), payload(), integer(), oneof([[], #{}])}.

id() -> oneof([binary(16), binary()]).

flags() -> map([{dup, boolean()}, {retain, boolean()}, {sys, boolean()}]).

headers() ->
    map([{proto_ver, proto_ver()}, {protocol, oneof([mqtt, coap])}, {username, username()}, {peerhost, address()},
         {properties, properties()}, {allow_publish, true}, {peername, peername()}, {client_attrs, client_attrs()}]).

clientid() -> oneof([binary(), text(), atom(), undefined]).

username() -> oneof([undefined, binary(), text()]).

proto_ver() -> oneof([3, 4, 5, non_neg_integer(), <<"1.2">>]).

address() -> oneof([{byte(), byte(), byte(), byte()}, {0, 0, 0, 0, 0, 0, 0, integer(0, 65535)}]).

peername() -> oneof([{address(), integer(0, 65535)}, {local, binary()}, {unspec, <<>>}, {undefined, any}]).

clientinfo() ->
    with([{clientid, clientid()}, {username, username()}],
         [{zone, oneof([undefined, default])}, {protocol, oneof([mqtt, 'mqtt-sn'])}, {peerhost, address()}, {sockport, integer(0, 65535)},
          {is_bridge, boolean()}, {is_superuser, boolean()}, {mountpoint, oneof([undefined, binary()])},
          {ws_cookie, oneof([undefined, []])}, {password, oneof([undefined, binary()])}, {cn, binary()}, {dn, binary()},
          {client_attrs, client_attrs()}, {listener, 'tcp:default'}]).

client_attrs() -> ?LET(Pairs, list({text(), text()}), maps:from_list(Pairs)).

conninfo() ->
    map([{socktype, oneof([tcp, udp, ssl, quic])}, {sockname, peername()}, {peername, peername()},
         {peercert, oneof([nossl, undefined])}, {conn_mod, emqx_connection}, {proto_name, binary()}, {proto_ver, proto_ver()},
         {clean_start, boolean()}, {clientid, clientid()}, {username, username()}, {conn_props, properties()}, {connected, boolean()},
         {connected_at, non_neg_integer()}, {disconnected_at, non_neg_integer()}, {keepalive, integer(0, 65535)},
         {receive_maximum, non_neg_integer()}, {expiry_interval, non_neg_integer()}, {disconn_props, properties()}]).

%% properties() :: #{atom() => term()}.
properties() ->
    map([{'User-Property', oneof([list({text(), text()}), any()])}, {'Content-Type', oneof([text(), any()])}, {'Response-Topic', text()},
         {'Correlation-Data', binary()}, {'Payload-Format-Indicator', integer(0, 1)}, {'Message-Expiry-Interval', non_neg_integer()},
         {'Subscription-Identifier', oneof([pos_integer(), list(pos_integer())])}, {'Reason-String', text()}]).

topic_filter(4) -> text();
topic_filter(5) -> oneof([text(), {share, text(), text()}]).

subopts(4) -> map([{qos, integer(0, 2)}, {nl, integer(0, 1)}, {rap, integer(0, 1)}, {rh, integer(0, 2)}, {share, text()}, {is_new, boolean()}]);
subopts(5) -> map([{qos, integer(0, 2)}, {nl, integer(0, 1)}, {rap, integer(0, 1)}, {rh, integer(0, 2)}, {sub_props, properties()}]).

%% infos() :: #{atom() => term()}.
infos() ->
    map([{created_at, oneof([non_neg_integer(), any()])}, {is_persistent, boolean()}, {await_rel_timeout, non_neg_integer()},
         {retry_interval, oneof([infinity, non_neg_integer()])}]).

session() -> with([{clientid, clientid()}], [{session_birth_time, non_neg_integer()}]).

reason() -> oneof([atom(), {shutdown, atom()}, #{cause => atom()}]).

text() -> ?LET(Characters, list(oneof([integer($a, $z), $/, 16#E9, 16#1F600])), unicode:characters_to_binary(Characters)).

%% A map with some of these keys.
map(Keys) -> with([], Keys).

%% A map with all of the one, and some of the others.
with(Always, Sometimes) ->
    ?LET({All, Some}, {Always, [oneof([[], [Pair]]) || Pair <- Sometimes]}, maps:from_list(All ++ lists:append(Some))).
