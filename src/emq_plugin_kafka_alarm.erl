%% The broker's alarms: EMQ 2.3's emqttd_alarm, which publishes them below $SYS and lists them in its dashboard and REST interface.
%%
%% A broker without it, or whose alarm process does not run, has no alarms, and that is no error. Never called from a hook: an
%% alarm is published, and comes back through the hooks.
-module(emq_plugin_kafka_alarm).

-export([raise/1, clear/1, clear_all/0]).
-export_type([alarm/0]).

-type alarm() :: #{name := binary(), severity := warning | error | critical, title := binary(), summary := binary()}.

%% A part of the topic that it is published to.
-define(PREFIX, "emq_plugin_kafka.").

%% Set twice it would be there twice: the caller knows what is raised.
-spec raise(alarm()) -> ok.
raise(#{name := Name, severity := Severity, title := Title, summary := Summary}) ->
    %% #mqtt_alarm{} of EMQ 2.3, by position: the plugin is built without the broker's headers. Title and summary as lists of bytes:
    %% its REST interface crashes on binaries, and then shows no alarm at all.
    call(set_alarm, {mqtt_alarm, id(Name), Severity, binary_to_list(Title), binary_to_list(Summary), undefined}).

-spec clear(Name :: binary()) -> ok.
clear(Name) ->
    call(clear_alarm, id(Name)).

%% Clears what is raised in the plugin's name.
-spec clear_all() -> ok.
clear_all() ->
    lists:foreach(fun(Id) -> call(clear_alarm, Id) end, ours()).

ours() ->
    try emqttd_alarm:get_alarms() of
        Alarms when is_list(Alarms) -> [Id || {mqtt_alarm, <<?PREFIX, _/binary>> = Id, _, _, _, _} <- Alarms];
        _NoHandler -> []
    catch
        error:undef -> [];
        exit:_ -> []
    end.

%% Both only send a message. `undef`: there is no such module; `badarg`: its process does not run.
call(Function, Arg) ->
    try
        _ = emqttd_alarm:Function(Arg),
        ok
    catch
        error:Reason when Reason =:= undef; Reason =:= badarg -> ok
    end.

id(Name) ->
    <<?PREFIX, Name/binary>>.
