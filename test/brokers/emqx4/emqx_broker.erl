%% How EMQX 4.4 goes on with what message.publish has made of a message.
-module(emqx_broker).

-export([publish/1]).

publish(Message) ->
    case emqx_hooks:run_fold('message.publish', [], Message) of
        {message, _, _, _, _, #{allow_publish := false}, _, _, _} -> [];
        {message, _, _, _, _, _, Topic, _, _} -> [{node(), Topic, {ok, 1}}]
    end.
