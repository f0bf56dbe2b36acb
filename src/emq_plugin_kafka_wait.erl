%% Blocks the publisher's process until its record is safe, or until the timeout of its rule.
%%
%% A selective receive with a deadline. A native thread sends the answer, so that there is no process to monitor; a producer that closes
%% answers all waiters. Afterwards no message of the plugin is in the mailbox, nor on its way: EMQ would log it as unexpected.
-module(emq_plugin_kafka_wait).

-export([allowed/1, outcome/2, settle/2]).
-export_type([library/0]).

%% How long an answer that was sent may take to arrive. The library sends it before it says so.
-define(SENT_MS, 1000).

%% The library's functions; a test has its own.
-type library() :: #{rest := fun((Id :: term(), From :: term()) -> emq_plugin_kafka_nif:answer()),
                     give_up := fun((Id :: term(), From :: term()) -> emq_plugin_kafka_nif:answer()),
                     cancel := fun((Id :: term()) -> cancelled | answered)}.

%% Whether the publisher of a message may wait, or lose its connection instead of getting a PUBACK. Only a client's PUBLISH packet of QoS 1
%% may: wills have no packet ID, and messages of the broker or its HTTP API have no client. $SYS never waits.
-spec allowed(Message :: term()) -> emq_plugin_kafka_nif:wait().
allowed({mqtt_message, _, PacketId, {_ClientId, _Username}, Topic, 1, _, _, _, _, _, _, _}) when is_integer(PacketId) ->
    of_topic(Topic);
allowed(_Message) ->
    no_wait.

of_topic(<<"$SYS">>) -> no_wait;
of_topic(<<"$SYS/", _/binary>>) -> no_wait;
of_topic(_Topic) -> wait.

%% Waits where the library's answer says so. `disconnect`: end the publisher's connection without a PUBACK.
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

%% The first answer sets the deadline for all further steps.
settle({wait, Id, _Milliseconds, OnFailure}, Deadline, #{cancel := Cancel}) ->
    receive
        {emq_plugin_kafka, Id, Answer} -> answered(Answer, OnFailure)
    after remaining(Deadline) ->
            cancelled(Cancel(Id), Id, OnFailure)
    end;
settle({full, Id, _Milliseconds, From}, Deadline, #{rest := Rest} = Library) ->
    receive
        {emq_plugin_kafka, Id, _Room} -> settle(Rest(Id, From), Deadline, Library)
    after remaining(Deadline) ->
            give_up(Id, From, Deadline, Library)
    end;
settle({refused, _Reason}, _Deadline, _Library) ->
    disconnect;
settle(Outcome, _Deadline, _Library) ->
    Outcome.

%% A message about room may have come at the same moment. It is dropped.
give_up(Id, From, Deadline, #{give_up := GiveUp} = Library) ->
    Answer = GiveUp(Id, From),
    receive
        {emq_plugin_kafka, Id, room} -> settle(Answer, Deadline, Library)
    after 0 ->
            settle(Answer, Deadline, Library)
    end.

cancelled(cancelled, _Id, OnFailure) ->
    failed({error, timeout}, OnFailure);
cancelled(answered, Id, OnFailure) ->
    receive
        {emq_plugin_kafka, Id, Answer} -> answered(Answer, OnFailure)
    after ?SENT_MS ->
            failed({error, timeout}, OnFailure)
    end.

answered(ok, _OnFailure) -> ok;
answered({error, _} = Error, OnFailure) -> failed(Error, OnFailure).

failed(_Error, disconnect) -> disconnect;
failed(Error, continue) -> Error.

remaining(Deadline) ->
    max(0, Deadline - now_ms()).

now_ms() ->
    erlang:monotonic_time(millisecond).
