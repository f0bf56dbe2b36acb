%% Which publishes of EMQX 4 and 5 may wait for their record, or stay unacknowledged. Runs in the process that publishes, and reads its
%% logger metadata.
-module(emq_plugin_kafka_emqx_gate).

-export([allowed/1, refused/1]).

%% May wait: a PUBLISH packet of QoS 1 or 2 from an MQTT client, in the process of its own connection. EMQX marks that process with the
%% client ID for its log. All others run in processes that must neither block nor end: wills, which have no address among their headers;
%% delayed publish, rules, bridges, gateways, the HTTP API. $SYS never waits.
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
%% EMQX 4 keeps the result of unicode:characters_to_list/2, even if that is an error.
own_process(ClientId, #{clientid := Characters}) when not is_binary(Characters) ->
    own_characters(unicode:characters_to_list(ClientId, utf8), Characters);
own_process(_ClientId, _Metadata) -> no_wait.

own_characters(Characters, Characters) -> wait;
own_characters(_Own, _Others) -> no_wait.

%% Whether another plugin has refused the message.
-spec refused(Message :: term()) -> boolean().
refused({message, _, _, _, _, #{allow_publish := false}, _, _, _}) -> true;
refused({message, _, _, _, _, #{allow_publish := false}, _, _, _, _}) -> true;
refused(_Message) -> false.
