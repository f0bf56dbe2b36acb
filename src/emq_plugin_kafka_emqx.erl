%% What the adapters of EMQX 4 and 5 share: the callbacks, except message.publish, and their registration.
%%
%% A callback runs in the process of its client, a few run in a process of the broker. It is total, takes microseconds and never blocks. Its
%% result leaves the hook's accumulator unchanged. Its last argument, the generation, comes from the registration.
-module(emq_plugin_kafka_emqx).

-export([on_client_connect/3, on_client_connack/4, on_client_refused/4, on_client_connected/3, on_client_disconnected/4,
         on_client_subscribe/4, on_client_unsubscribe/4, on_session_created/3, on_session_resumed/3, on_session_discarded/3,
         on_session_takenover/3, on_session_subscribed/4, on_session_unsubscribed/4, on_session_terminated/4,
         on_message_delivered/3, on_message_acked/3, on_message_dropped/4, on_delivery_dropped/4]).
-export([hook/1, unhook/1, register_command/0, unregister_command/0]).
-export_type([registration/0]).

-type mfargs() :: {module(), Function :: atom(), ExtraArgs :: [term()]}.
%% A callback of a hook, with or without a filter, which the broker calls first.
-type registration() :: {Hook :: atom(), mfargs()} | {Hook :: atom(), mfargs(), Filter :: mfargs()}.

%% EMQX calls the callbacks of a hook in descending order of priority; most have 0, none less than -1. Ours come last: they see a message
%% as other plugins have left it, and no message that another plugin has stopped.
-define(PRIORITY, -1000).

%% How long the broker may take to unregister a callback, and how often that is checked.
-define(UNHOOK_MS, 5000).
-define(POLL_MS, 1).

%% Of a connect: the client ID may be empty.

-spec on_client_connect(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_client_connect(Connection, Properties, Generation) ->
    forward(Generation, 'client.connect', [Connection, Properties]).

-spec on_client_connack(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_client_connack(Connection, Reason, Properties, Generation) ->
    forward(Generation, 'client.connack', [Connection, Reason, Properties]).

%% For the event client.connected: as on EMQ 2.3, it includes refused connects.
-spec on_client_refused(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_client_refused(_Connection, success, _Properties, _Generation) ->
    ok;
on_client_refused(Connection, Reason, Properties, Generation) ->
    forward(Generation, 'client.refused', [Connection, Reason, Properties]).

-spec on_client_connected(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_client_connected(Client, Connection, Generation) ->
    forward(Generation, 'client.connected', [Client, Connection]).

-spec on_client_disconnected(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_client_disconnected(Client, Reason, Connection, Generation) ->
    forward(Generation, 'client.disconnected', [Client, Reason, Connection]).

-spec on_client_subscribe(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_client_subscribe(Client, Properties, Topics, Generation) ->
    forward(Generation, 'client.subscribe', [Client, Properties, Topics]).

-spec on_client_unsubscribe(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_client_unsubscribe(Client, Properties, Topics, Generation) ->
    forward(Generation, 'client.unsubscribe', [Client, Properties, Topics]).

-spec on_session_created(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_session_created(Client, Session, Generation) ->
    forward(Generation, 'session.created', [Client, Session]).

-spec on_session_resumed(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_session_resumed(Client, Session, Generation) ->
    forward(Generation, 'session.resumed', [Client, Session]).

-spec on_session_discarded(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_session_discarded(Client, Session, Generation) ->
    forward(Generation, 'session.discarded', [Client, Session]).

-spec on_session_takenover(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_session_takenover(Client, Session, Generation) ->
    forward(Generation, 'session.takenover', [Client, Session]).

-spec on_session_subscribed(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_session_subscribed(Client, Topic, Opts, Generation) ->
    forward(Generation, 'session.subscribed', [Client, Topic, Opts]).

-spec on_session_unsubscribed(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_session_unsubscribed(Client, Topic, Opts, Generation) ->
    forward(Generation, 'session.unsubscribed', [Client, Topic, Opts]).

-spec on_session_terminated(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_session_terminated(Client, Reason, Session, Generation) ->
    forward(Generation, 'session.terminated', [Client, Reason, Session]).

-spec on_message_delivered(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_message_delivered(Client, Message, Generation) ->
    forward(Generation, 'message.delivered', [Client, Message]).

-spec on_message_acked(term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_message_acked(Client, Message, Generation) ->
    forward(Generation, 'message.acked', [Client, Message]).

-spec on_message_dropped(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_message_dropped(Message, By, Reason, Generation) ->
    forward(Generation, 'message.dropped', [Message, By, Reason]).

-spec on_delivery_dropped(term(), term(), term(), emq_plugin_kafka_emqx_event:generation()) -> ok.
on_delivery_dropped(Client, Message, Reason, Generation) ->
    forward(Generation, 'delivery.dropped', [Client, Message, Reason]).

forward(Generation, Hook, Args) ->
    _ = emq_plugin_kafka:take(fun() -> emq_plugin_kafka_emqx_event:from_hook(Generation, Hook, Args) end, no_wait),
    ok.

%% A callback that is registered already, as after a crash, is no error.
-spec hook([registration()]) -> ok | {error, Reason :: term()}.
hook(Registrations) ->
    first_error([add(Registration) || Registration <- Registrations]).

add(Registration) ->
    try
        added(added_by(Registration))
    catch
        %% This release has no such hook.
        error:Reason -> {error, Reason};
        exit:{_, {gen_server, call, _}} -> {error, no_hooks}
    end.

added_by({Hook, Callback}) -> emqx_hooks:add(Hook, Callback, ?PRIORITY);
added_by({Hook, Callback, Filter}) -> emqx_hooks:add(Hook, Callback, Filter, ?PRIORITY).

added(ok) -> ok;
added({error, already_exists}) -> ok;
added(Other) -> Other.

%% Blocks until the callbacks are gone, up to 5 s: the broker unregisters them asynchronously. not_found: none was registered.
-spec unhook([registration()]) -> ok | {error, Reason :: term()}.
unhook(Registrations) ->
    Callbacks = [{element(1, Registration), element(2, Registration)} || Registration <- Registrations],
    Ours = [Registered || {Hook, Callback} = Registered <- Callbacks, is_registered(Hook, Callback)],
    lists:foreach(fun({Hook, Callback}) -> emqx_hooks:del(Hook, Callback) end, Ours),
    gone(Ours, erlang:monotonic_time(millisecond) + ?UNHOOK_MS).

gone([], _Deadline) -> {error, not_found};
gone(Ours, Deadline) -> wait_until_gone(Ours, Deadline).

wait_until_gone(Ours, Deadline) ->
    case {lists:any(fun({Hook, Callback}) -> is_registered(Hook, Callback) end, Ours), erlang:monotonic_time(millisecond) > Deadline} of
        {false, _} -> ok;
        {true, true} -> {error, still_registered};
        {true, false} -> receive after ?POLL_MS -> wait_until_gone(Ours, Deadline) end
    end.

%% #callback{} by position. A broker that has stopped has no table of hooks.
is_registered(Hook, Callback) ->
    try emqx_hooks:lookup(Hook) of
        Callbacks -> lists:any(fun(Registered) -> element(2, Registered) =:= Callback end, Callbacks)
    catch
        error:badarg -> false
    end.

first_error(Results) ->
    first([Error || {error, _} = Error <- Results]).

first([]) -> ok;
first([Error | _]) -> Error.

-spec register_command() -> ok.
register_command() ->
    emqx_ctl:register_command(kafka, {emq_plugin_kafka_cli, kafka}, []).

-spec unregister_command() -> ok.
unregister_command() ->
    emqx_ctl:unregister_command(kafka).
