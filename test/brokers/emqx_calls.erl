%% Hook calls recorded on EMQX 4.4.19 and 5.8.9, for the tests: read, and made again through the registered callbacks.
-module(emqx_calls).

-export([recorded/1, run/1, events/1, planted/1, calls/2]).

%% {Hook, Args} of every call of every recording; of a hook that folds, the last argument is what it folds.
recorded(Generation) ->
    Files = filelib:wildcard(filename:join([os:getenv("PROJECT_ROOT", "."), "test", "recordings", folder(Generation), "*.term"])),
    true = Files =/= [],
    lists:append([calls_of(File) || File <- Files]).

calls_of(File) ->
    {ok, Terms} = file:consult(File),
    [{Hook, Args} || {_Seq, Hook, Arity, _Process, Args} <- Terms, Arity =:= length(Args)].

calls(Generation, Hook) ->
    [Call || {Name, _} = Call <- recorded(Generation), Name =:= Hook].

folder(4) -> "emqx-4.4.19";
folder(5) -> "emqx-5.8.9".

%% Calls the hook; tells whether what came of it is what there was.
run({Hook, Args}) ->
    case folds(Hook) of
        true ->
            Acc = lists:last(Args),
            emqx_hooks:run_fold(Hook, lists:droplast(Args), Acc) =:= Acc;
        false ->
            emqx_hooks:run(Hook, Args) =:= ok
    end.

folds(Hook) ->
    lists:member(Hook, ['client.authenticate', 'client.check_acl', 'client.authorize', 'client.connect', 'client.connack',
                        'client.subscribe', 'client.unsubscribe', 'message.publish', 'message.puback', 'message.delivered']).

%% The events that a call is to become, one for each record.
events({Hook, [_, _, Topics]}) when Hook =:= 'client.subscribe'; Hook =:= 'client.unsubscribe' -> [Hook || _ <- Topics];
events({'client.connack', [_, success, _]}) -> ['client.connack'];
events({'client.connack', [_, _Refused, _]}) -> ['client.connack', 'client.connected'];
events({'session.takeovered', _}) -> ['session.takenover'];
events({Hook, _}) -> [Hook || lists:member(Hook, emq_plugin_kafka_broker:all_events())].

%% The call with things in it that no record may have, where a broker has such things.
planted({Hook, Args}) ->
    {Hook, [plant(Arg) || Arg <- Args]}.

plant(#{clientid := _} = Map) ->
    Map#{password => <<"planted-password">>, ws_cookie => [{<<"session">>, <<"planted-cookie">>}],
         peercert => <<"planted-certificate">>, sock => list_to_atom("planted-sock"), anything_else => <<"planted-else">>};
plant(Message) when element(1, Message) =:= message ->
    setelement(6, Message, (element(6, Message))#{password => <<"planted-password">>, anything_else => <<"planted-else">>});
plant(Other) ->
    Other.
