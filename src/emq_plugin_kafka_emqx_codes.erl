%% The names of reasons in EMQX 4 and 5 as numbers of MQTT 5 and MQTT 3.1.1. Pure and total.
-module(emq_plugin_kafka_emqx_codes).

-export([number/1, connack/1]).

-define(UNSPECIFIED, 16#80).

%% The reason code of a CONNACK in MQTT 5.
-spec number(Reason :: term()) -> 0..255.
number(success) -> 0;
number(unspecified_error) -> ?UNSPECIFIED;
number(malformed_packet) -> 16#81;
number(protocol_error) -> 16#82;
number(implementation_specific_error) -> 16#83;
number(unsupported_protocol_version) -> 16#84;
number(client_identifier_not_valid) -> 16#85;
number(bad_username_or_password) -> 16#86;
number(not_authorized) -> 16#87;
number(server_unavailable) -> 16#88;
number(server_busy) -> 16#89;
number(banned) -> 16#8A;
number(bad_authentication_method) -> 16#8C;
number(topic_name_invalid) -> 16#90;
number(packet_too_large) -> 16#95;
number(quota_exceeded) -> 16#97;
number(payload_format_invalid) -> 16#99;
number(retain_not_supported) -> 16#9A;
number(qos_not_supported) -> 16#9B;
number(use_another_server) -> 16#9C;
number(server_moved) -> 16#9D;
number(connection_rate_exceeded) -> 16#9F;
number(_) -> ?UNSPECIFIED.

%% The return code of a refusing CONNACK in MQTT 3.1.1. Reasons without a code of their own become 3, server unavailable.
-spec connack(Reason :: term()) -> 1..5.
connack(unsupported_protocol_version) -> 1;
connack(client_identifier_not_valid) -> 2;
connack(bad_username_or_password) -> 4;
connack(Reason) when Reason =:= not_authorized; Reason =:= banned; Reason =:= bad_authentication_method -> 5;
connack(_) -> 3.
