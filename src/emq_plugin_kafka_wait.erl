%% Waits, in the process of the client that published, until the library knows what became of its message.
%%
%% A selective receive with a deadline: the answers come from a native thread, so there is no process to monitor, and a
%% library that stops answers everybody. When it is over no message of ours is left in the mailbox, nor will one come:
%% EMQ would log it as an unexpected one.
-module(emq_plugin_kafka_wait).

-export([allowed/1, outcome/2, settle/2]).
-export_type([library/0]).

%% How long an answer that is on its way may take to arrive. It is in the mailbox when the library says so.
-define(ON_ITS_WAY_MS, 1000).

%% What is asked of the library meanwhile; a test has its own.
-type library() :: #{rest := fun((Id :: term(), From :: term()) -> emq_plugin_kafka_nif:answer()),
                     give_up := fun((Id :: term(), From :: term()) -> emq_plugin_kafka_nif:answer()),
                     cancel := fun((Id :: term()) -> cancelled | answered)}.

%% Whether a published message may wait for its record, or end its client's connection instead of being acknowledged. Only a
%% QoS 1 PUBLISH packet of a client may, told by its packet id: a will has none, and what the broker or its HTTP interface
%% publishes has no client. Nothing under $SYS may, whoever writes it.
-spec allowed(Message :: term()) -> emq_plugin_kafka_nif:wait().
allowed({mqtt_message, _, PacketId, {_ClientId, _Username}, Topic, 1, _, _, _, _, _, _, _}) when is_integer(PacketId) ->
    of_topic(Topic);
allowed(_Message) ->
    no_wait.

of_topic(<<"$SYS">>) -> no_wait;
of_topic(<<"$SYS/", _/binary>>) -> no_wait;
of_topic(_Topic) -> wait.

%% What became of an event whose production gave this answer. `disconnect`: its publisher is to go without a PUBACK.
-spec outcome(emq_plugin_kafka_nif:answer(), emq_plugin_kafka_event:event()) ->
          emq_plugin_kafka_nif:outcome() | disconnect.
outcome({refused, _Reason}, _Event) ->
    disconnect;
outcome({Wait, _, _, _} = Answer, Event) when Wait =:= wait; Wait =:= full ->
    settle(Answer, #{rest => fun(Id, From) -> emq_plugin_kafka_nif:produce_rest(Event, Id, From) end,
                     give_up => fun(Id, From) -> emq_plugin_kafka_nif:give_up(Event, Id, From) end,
                     cancel => fun emq_plugin_kafka_nif:cancel/1});
outcome(Outcome, _Event) ->
    Outcome.

-spec settle(emq_plugin_kafka_nif:answer(), library()) -> emq_plugin_kafka_nif:outcome() | disconnect.
settle({_Wait, _Id, Milliseconds, _} = Answer, Library) ->
    settle(Answer, now_ms() + Milliseconds, Library).

%% There is one deadline for all of it, that of the first answer.
settle({wait, Id, _Milliseconds, OnFailure}, Deadline, #{cancel := Cancel}) ->
    receive
        {emq_plugin_kafka, Id, Answer} -> answered(Answer, OnFailure)
    after left(Deadline) ->
            late(Cancel(Id), Id, OnFailure)
    end;
settle({full, Id, _Milliseconds, From}, Deadline, #{rest := Rest} = Library) ->
    receive
        {emq_plugin_kafka, Id, _Room} -> settle(Rest(Id, From), Deadline, Library)
    after left(Deadline) ->
            given_up(Id, From, Deadline, Library)
    end;
settle({refused, _Reason}, _Deadline, _Library) ->
    disconnect;
settle(Outcome, _Deadline, _Library) ->
    Outcome.

%% The room that it was told of at that very moment is of no use any more.
given_up(Id, From, Deadline, #{give_up := GiveUp} = Library) ->
    Answer = GiveUp(Id, From),
    receive
        {emq_plugin_kafka, Id, room} -> settle(Answer, Deadline, Library)
    after 0 ->
            settle(Answer, Deadline, Library)
    end.

late(cancelled, _Id, OnFailure) ->
    failed({error, timeout}, OnFailure);
late(answered, Id, OnFailure) ->
    receive
        {emq_plugin_kafka, Id, Answer} -> answered(Answer, OnFailure)
    after ?ON_ITS_WAY_MS ->
            failed({error, timeout}, OnFailure)
    end.

answered(ok, _OnFailure) -> ok;
answered({error, _} = Error, OnFailure) -> failed(Error, OnFailure).

failed(_Error, disconnect) -> disconnect;
failed(Error, continue) -> Error.

left(Deadline) ->
    max(0, Deadline - now_ms()).

now_ms() ->
    erlang:monotonic_time(millisecond).
