%% Publishes a $SYS message for each client that comes or goes: EMQ 2.3's module emq_mod_presence,
%% which a default install loads before any plugin.
-module(emqttd_presence).

-export([load/0, on_connected/2, on_disconnected/2]).

-include("emqttd.hrl").

-spec load() -> ok.
load() ->
    ok = emqttd:hook('client.connected', fun ?MODULE:on_connected/2, []),
    ok = emqttd:hook('client.disconnected', fun ?MODULE:on_disconnected/2, []).

-spec on_connected(0..255, #mqtt_client{}) -> ok.
on_connected(Code, #mqtt_client{client_id = ClientId, peername = {Address, _}} = Client) ->
    publish(ClientId, "/connected",
            [{clientid, ClientId},
             {username, Client#mqtt_client.username},
             {ipaddress, list_to_binary(inet:ntoa(Address))},
             {clean_sess, Client#mqtt_client.clean_sess},
             {protocol, Client#mqtt_client.proto_ver},
             {connack, Code},
             {ts, erlang:system_time(second)}]).

-spec on_disconnected(term(), #mqtt_client{}) -> ok.
on_disconnected(Reason, #mqtt_client{client_id = ClientId, username = Username}) ->
    publish(ClientId, "/disconnected",
            [{clientid, ClientId},
             {username, Username},
             {reason, reason(Reason)},
             {ts, erlang:system_time(second)}]).

reason(Reason) when is_atom(Reason) -> Reason;
reason({Reason, _}) when is_atom(Reason) -> Reason;
reason(_) -> internal_error.

publish(ClientId, Event, Fields) ->
    Topic = emqttd_topic:system(["clients/", ClientId, Event]),
    Message = emqttd_message:make(presence, 1, Topic, emqttd_json:encode(Fields)),
    _ = emqttd:publish(emqttd_message:set_flag(sys, Message)),
    ok.
