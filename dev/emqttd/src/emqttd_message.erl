%% Makes messages: from the broker itself, from a PUBLISH and from the will in a CONNECT. The id
%% is 16 bytes as EMQ 2.3's: microseconds, node and process, and a count kept by the process.
-module(emqttd_message).

-export([make/3, make/4, from_publish/3, from_will/1, set_flag/2, process_number/0]).

-include("emqttd.hrl").

-type from() :: atom() | binary() | {binary(), binary() | undefined}.

-spec make(from(), binary(), binary()) -> #mqtt_message{}.
make(From, Topic, Payload) ->
    make(From, 0, Topic, Payload).

-spec make(from(), 0..2, binary(), binary()) -> #mqtt_message{}.
make(From, Qos, Topic, Payload) ->
    #mqtt_message{id = id(), from = From, qos = Qos, topic = Topic, payload = Payload,
                  timestamp = os:timestamp()}.

-spec from_publish(binary(), binary() | undefined, emqttd_frame:publish()) -> #mqtt_message{}.
from_publish(ClientId, Username, {publish, {Qos, Retain, Dup}, Topic, PacketId, Payload}) ->
    #mqtt_message{id = id(), pktid = PacketId, from = {ClientId, Username}, topic = Topic,
                  qos = Qos, retain = Retain, dup = Dup, payload = Payload,
                  timestamp = os:timestamp()}.

-spec from_will(emqttd_frame:connect()) -> #mqtt_message{} | undefined.
from_will({connect, #{will := none}}) ->
    undefined;
from_will({connect, #{will := {Topic, Payload, Qos, Retain}} = Connect}) ->
    #{client_id := ClientId, username := Username} = Connect,
    Message = make({ClientId, Username}, Qos, Topic, Payload),
    Message#mqtt_message{retain = Retain}.

-spec set_flag(sys | retain, #mqtt_message{}) -> #mqtt_message{}.
set_flag(sys, Message) -> Message#mqtt_message{sys = true};
set_flag(retain, Message) -> Message#mqtt_message{retain = true}.

%% @doc A number of 48 bits for this node and process; it names clients that gave no id.
-spec process_number() -> non_neg_integer().
process_number() ->
    Pid = term_to_binary(self()),
    <<Id:32, _SerialAndCreation:64>> = binary:part(Pid, byte_size(Pid), -12),
    (erlang:phash2(node(), 1 bsl 16) bsl 32) bor Id.

id() ->
    {Process, Sequence} = next(get(?MODULE)),
    put(?MODULE, {Process, Sequence}),
    <<(erlang:system_time(microsecond)):64, Process:48, Sequence:16>>.

next(undefined) -> {process_number(), 0};
next({Process, Sequence}) -> {Process, (Sequence + 1) rem (1 bsl 16)}.
