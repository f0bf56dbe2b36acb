%% Which publishes of EMQX 4 and 5 may wait for their record, or be left without an acknowledgement. Pure but for looking at the
%% process that asks.
-module(emq_plugin_kafka_emqx_gate).

-export([allowed/1, refused/1]).

%% A PUBLISH packet of an MQTT client with QoS 1 or 2, in the process of that client's own connection, which EMQX marks with the
%% client id for its log. A will has no address among its headers. What is published on behalf of others (delayed, by a rule, a
%% bridge, a gateway, the HTTP interface) runs elsewhere or is no client's: its process must neither wait nor end. Nothing under
%% $SYS may, whoever writes it.
-spec allowed(Message :: term()) -> emq_plugin_kafka_nif:wait().
allowed({message, _Id, QoS, From, _Flags, Headers, Topic, _Payload, _Timestamp}) when QoS =:= 1; QoS =:= 2 ->
    allowed(From, Headers, Topic);
allowed({message, _Id, QoS, From, _Flags, Headers, Topic, _Payload, _Timestamp, _Extra}) when QoS =:= 1; QoS =:= 2 ->
    allowed(From, Headers, Topic);
allowed(_Message) ->
    no_wait.

allowed(_From, _Headers, <<"$SYS">>) -> no_wait;
allowed(_From, _Headers, <<"$SYS/", _/binary>>) -> no_wait;
allowed(From, #{protocol := mqtt, peerhost := Host}, _Topic) when is_binary(From), is_tuple(Host) ->
    own_process(From, logger:get_process_metadata());
allowed(_From, _Headers, _Topic) -> no_wait.

own_process(ClientId, #{clientid := ClientId}) -> wait;
%% EMQX 4 keeps what unicode:characters_to_list/2 makes of it, also of one that is no UTF-8.
own_process(ClientId, #{clientid := Characters}) when not is_binary(Characters) ->
    own_characters(unicode:characters_to_list(ClientId, utf8), Characters);
own_process(_ClientId, _Metadata) -> no_wait.

own_characters(Characters, Characters) -> wait;
own_characters(_Own, _Others) -> no_wait.

%% Whether somebody before us has decided that the message is not published after all.
-spec refused(Message :: term()) -> boolean().
refused({message, _, _, _, _, #{allow_publish := false}, _, _, _}) -> true;
refused({message, _, _, _, _, #{allow_publish := false}, _, _, _, _}) -> true;
refused(_Message) -> false.
