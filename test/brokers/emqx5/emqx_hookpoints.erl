%% The hooks of EMQX 5.8 that the tests use.
-module(emqx_hookpoints).

-export([verify_hookpoint/1]).

-define(HOOKPOINTS, ['client.authenticate', 'client.authorize', 'client.check_authn_complete', 'client.check_authz_complete',
                     'client.connect', 'client.connack', 'client.connected', 'client.disconnected', 'client.subscribe',
                     'client.unsubscribe', 'session.created', 'session.subscribed', 'session.unsubscribed', 'session.resumed',
                     'session.discarded', 'session.takenover', 'session.terminated', 'message.publish', 'message.puback',
                     'message.dropped', 'message.delivered', 'message.acked', 'delivery.dropped', 'delivery.completed', 'cm.channel.unregistered']).

verify_hookpoint(Hook) ->
    case lists:member(Hook, ?HOOKPOINTS) of
        true -> ok;
        false -> error({invalid_hookpoint, Hook})
    end.
