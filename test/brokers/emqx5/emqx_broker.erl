%% How EMQX 5.8 goes on with what message.publish has made of a message.
-module(emqx_broker).

-export([publish/1]).

publish(Message) ->
    case emqx_hooks:run_fold('message.publish', [], Message) of
        {message, _, _, _, _, #{should_disconnect := true}, _, _, _, _} -> disconnect;
        {message, _, _, _, _, #{allow_publish := false}, _, _, _, _} -> [];
        {message, _, _, _, _, _, Topic, _, _, _} -> [{node(), Topic, {ok, 1}}]
    end.
