%% MQTT 3.1 and 3.1.1 packets from and to bytes. A packet that does not parse raises; its
%% connection ends with parser_error.
-module(emqttd_frame).

-export([parse/2, serialize/1]).

-export_type([packet/0, connect/0, publish/0]).

-type packet_id() :: 1..65535.
-type flags() :: {Qos :: 0..2, Retain :: boolean(), Dup :: boolean()}.
-type publish() :: {publish, flags(), Topic :: binary(), packet_id() | undefined, Payload :: binary()}.
-type connect() :: {connect, #{protocol := {binary(), 0..15}, client_id := binary(),
                               username := binary() | undefined, password := binary() | undefined,
                               clean := boolean(), keepalive := 0..65535,
                               will := none | {binary(), binary(), 0..2, boolean()}}}.
-type packet() :: connect() | publish()
                | {puback | pubrec | pubrel | pubcomp, packet_id()}
                | {subscribe, packet_id(), [{binary(), 0..255}]}
                | {unsubscribe, packet_id(), [binary()]}
                | pingreq | disconnect.

%% @doc The first packet of the buffer, `more' while it is incomplete.
-spec parse(binary(), pos_integer()) ->
    {ok, packet(), Rest :: binary()} | more | {error, invalid_mqtt_frame_len}.
parse(<<Type:4, Flags:4, Rest/binary>>, MaxLength) ->
    case length_field(Rest, 0, 0, MaxLength) of
        {Length, Bytes} when is_integer(Length), byte_size(Bytes) >= Length ->
            <<Body:Length/binary, More/binary>> = Bytes,
            {ok, packet(Type, <<Flags:4>>, Body), More};
        {Length, _Part} when is_integer(Length) -> more;
        NoLength -> NoLength
    end;
parse(<<>>, _MaxLength) ->
    more.

length_field(_, _, Length, Max) when Length > Max -> {error, invalid_mqtt_frame_len};
length_field(<<>>, _, _, _) -> more;
length_field(<<1:1, Low:7, Rest/binary>>, Shift, Length, Max) ->
    length_field(Rest, Shift + 7, Length + (Low bsl Shift), Max);
length_field(<<0:1, Low:7, Rest/binary>>, Shift, Length, Max) ->
    case Length + (Low bsl Shift) of
        Total when Total > Max -> {error, invalid_mqtt_frame_len};
        Total -> {Total, Rest}
    end.

packet(1, _, Body) -> {connect, connect(Body)};
packet(3, <<Dup:1, Qos:2, Retain:1>>, Body) ->
    {Topic, Rest} = text(Body),
    {PacketId, Payload} = packet_id(Qos, Rest),
    {publish, {Qos, Retain =:= 1, Dup =:= 1}, Topic, PacketId, Payload};
packet(4, _, <<Id:16>>) -> {puback, Id};
packet(5, _, <<Id:16>>) -> {pubrec, Id};
packet(6, _, <<Id:16>>) -> {pubrel, Id};
packet(7, _, <<Id:16>>) -> {pubcomp, Id};
packet(8, _, <<Id:16, Filters/binary>>) -> {subscribe, Id, filters_qos(Filters)};
packet(10, _, <<Id:16, Filters/binary>>) -> {unsubscribe, Id, filters(Filters)};
packet(12, _, <<>>) -> pingreq;
packet(14, _, <<>>) -> disconnect.

connect(Body) ->
    {Name, <<_Bridge:4, Version:4, HasUsername:1, HasPassword:1, WillRetain:1, WillQos:2, HasWill:1,
             Clean:1, _Reserved:1, Keepalive:16, Rest/binary>>} = text(Body),
    {ClientId, Rest1} = text(Rest),
    {WillTopic, Rest2} = text(HasWill, Rest1),
    {WillPayload, Rest3} = text(HasWill, Rest2),
    {Username, Rest4} = text(HasUsername, Rest3),
    {Password, <<>>} = text(HasPassword, Rest4),
    #{protocol => {Name, Version}, client_id => ClientId, username => Username,
      password => Password, clean => Clean =:= 1, keepalive => Keepalive,
      will => will(HasWill, {WillTopic, WillPayload, WillQos, WillRetain =:= 1})}.

will(0, _) -> none;
will(1, Will) -> Will.

text(<<Length:16, Text:Length/binary, Rest/binary>>) -> {Text, Rest}.

text(0, Rest) -> {undefined, Rest};
text(1, Bytes) -> text(Bytes).

packet_id(0, Payload) -> {undefined, Payload};
packet_id(_, <<Id:16, Payload/binary>>) -> {Id, Payload}.

filters_qos(<<>>) -> [];
filters_qos(Bytes) ->
    {Filter, <<Qos, Rest/binary>>} = text(Bytes),
    [{Filter, Qos} | filters_qos(Rest)].

filters(<<>>) -> [];
filters(Bytes) ->
    {Filter, Rest} = text(Bytes),
    [Filter | filters(Rest)].

-spec serialize(tuple() | pingresp) -> iodata().
serialize({connack, Code}) -> <<16#20, 2, 0, Code>>;
serialize({puback, Id}) -> <<16#40, 2, Id:16>>;
serialize({pubrec, Id}) -> <<16#50, 2, Id:16>>;
serialize({pubrel, Id}) -> <<16#62, 2, Id:16>>;
serialize({pubcomp, Id}) -> <<16#70, 2, Id:16>>;
serialize({suback, Id, Codes}) -> [16#90, length_bytes(2 + length(Codes)), <<Id:16>>, Codes];
serialize({unsuback, Id}) -> <<16#B0, 2, Id:16>>;
serialize(pingresp) -> <<16#D0, 0>>;
serialize({publish, {Qos, Retain, Dup}, Topic, Id, Payload}) ->
    <<Head>> = <<3:4, (bit(Dup)):1, Qos:2, (bit(Retain)):1>>,
    Body = [<<(byte_size(Topic)):16>>, Topic, [<<Id:16>> || Qos > 0], Payload],
    [Head, length_bytes(iolist_size(Body)), Body].

bit(true) -> 1;
bit(false) -> 0.

length_bytes(Length) when Length < 128 -> [Length];
length_bytes(Length) -> [Length rem 128 + 128 | length_bytes(Length div 128)].
