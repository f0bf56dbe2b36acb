%% Who may connect: a user listed under auth.user.$id must give its password; anybody else may
%% connect when mqtt.allow_anonymous is true. In EMQ 2.3 that is the plugin emq_auth_username.
-module(emqttd_access).

-export([allowed/2]).

-spec allowed(binary() | undefined, binary() | undefined) -> boolean().
allowed(Username, Password) ->
    case lists:keyfind(Username, 1, emqttd:env(users, [])) of
        {Username, Expected} -> Password =:= Expected;
        false -> emqttd:env(allow_anonymous, true)
    end.
