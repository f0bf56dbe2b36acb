%% Recorded hook calls for the tests: read, and made again through the plugin's callbacks.
-module(hook_calls).

-export([recorded/0, old_plugin/0, ours/1, replay/1]).

%% Every call of every recording of EMQ 2.3.11 that the plugin has a callback for, without the registered Env.
recorded() ->
    Files = filelib:wildcard(filename:join([dir("emq-2.3.11"), "*.term"])),
    true = Files =/= [],
    [{Hook, lists:droplast(Args)} || File <- Files, {Hook, Args} <- consult(File), ours(Hook)].

%% The calls behind the old plugin's JSON: {Call, JSON | none}, none where its encoder crashed.
old_plugin() ->
    [{Call, json(File)} || {File, Call} <- consult(filename:join(dir("old-plugin-json"), "calls.term"))].

json(none) ->
    none;
json(File) ->
    {ok, Text} = file:read_file(filename:join(dir("old-plugin-json"), File)),
    {File, jiffy:decode(Text, [return_maps])}.

ours(Hook) ->
    lists:member(Hook, ['client.connected', 'client.disconnected', 'client.subscribe', 'client.unsubscribe',
                        'session.created', 'session.subscribed', 'session.unsubscribed', 'session.terminated',
                        'message.publish', 'message.delivered', 'message.acked']).

%% Calls the callback; returns what it gave and what the hook's contract wants.
replay({'client.connected', [ConnAck, Client]}) ->
    {emq_plugin_kafka:on_client_connected(ConnAck, Client, []), {ok, Client}};
replay({'client.disconnected', [Reason, Client]}) ->
    {emq_plugin_kafka:on_client_disconnected(Reason, Client, []), ok};
replay({'client.subscribe', [ClientId, Username, TopicTable]}) ->
    {emq_plugin_kafka:on_client_subscribe(ClientId, Username, TopicTable, []), {ok, TopicTable}};
replay({'client.unsubscribe', [ClientId, Username, TopicTable]}) ->
    {emq_plugin_kafka:on_client_unsubscribe(ClientId, Username, TopicTable, []), {ok, TopicTable}};
replay({'session.created', [ClientId, Username]}) ->
    {emq_plugin_kafka:on_session_created(ClientId, Username, []), ok};
replay({'session.terminated', [ClientId, Username, Reason]}) ->
    {emq_plugin_kafka:on_session_terminated(ClientId, Username, Reason, []), ok};
replay({'message.delivered', [ClientId, Username, Message]}) ->
    {emq_plugin_kafka:on_message_delivered(ClientId, Username, Message, []), {ok, Message}};
replay({'message.acked', [ClientId, Username, Message]}) ->
    {emq_plugin_kafka:on_message_acked(ClientId, Username, Message, []), {ok, Message}};
replay({'session.subscribed', [ClientId, Username, TopicOpts]}) ->
    {emq_plugin_kafka:on_session_subscribed(ClientId, Username, TopicOpts, []), {ok, TopicOpts}};
replay({'session.unsubscribed', [ClientId, Username, TopicOpts]}) ->
    {emq_plugin_kafka:on_session_unsubscribed(ClientId, Username, TopicOpts, []), {ok, TopicOpts}};
replay({'message.publish', [Message]}) ->
    {emq_plugin_kafka:on_message_publish(Message, []), {ok, Message}}.

consult(File) ->
    {ok, Terms} = file:consult(File),
    Terms.

dir(Name) ->
    filename:join([os:getenv("PROJECT_ROOT", "."), "test", "recordings", Name]).
