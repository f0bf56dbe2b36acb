%% Keeps the last retained message of each topic and sends it to a new subscription, from two
%% hooks as EMQ 2.3's emq_retainer does. An empty payload removes; it is delivered all the same.
-module(emqttd_retainer).

-export([load/0, on_publish/1, on_subscribed/3]).

-include("emqttd.hrl").

-define(TABLE, mqtt_retained).

%% @doc The calling process owns the table.
-spec load() -> ok.
load() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok = emqttd:hook('message.publish', fun ?MODULE:on_publish/1, []),
    ok = emqttd:hook('session.subscribed', fun ?MODULE:on_subscribed/3, []).

-spec on_publish(#mqtt_message{}) -> {ok, #mqtt_message{}}.
on_publish(#mqtt_message{retain = false} = Message) ->
    {ok, Message};
on_publish(#mqtt_message{topic = Topic, payload = <<>>} = Message) ->
    true = ets:delete(?TABLE, Topic),
    {ok, Message};
on_publish(#mqtt_message{topic = Topic, headers = Headers} = Message) ->
    true = ets:insert(?TABLE, {Topic, Message#mqtt_message{headers = [retained | Headers]}}),
    {ok, Message}.

-spec on_subscribed(binary(), binary() | undefined, {binary(), list()}) -> ok.
on_subscribed(_ClientId, _Username, {Filter, _Options}) ->
    Words = emqttd_topic:words(Filter),
    _ = [self() ! {dispatch, Filter, Message}
         || {Topic, Message} <- ets:tab2list(?TABLE),
            emqttd_topic:match(emqttd_topic:words(Topic), Words)],
    ok.
