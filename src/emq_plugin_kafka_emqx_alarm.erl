%% The alarms of EMQX 4 and 5. A call to a process of the broker: where that does not answer there is no alarm, and that is no
%% error of ours.
-module(emq_plugin_kafka_emqx_alarm).

-export([raise/2, clear/1, clear_all/0]).

-define(PREFIX, "emq_plugin_kafka.").

%% The arguments after name and details differ.
-spec raise(emq_plugin_kafka_broker:alarm(), More :: [binary()]) -> ok.
raise(#{name := Name, severity := Severity, title := Title, summary := Summary}, More) ->
    Details = #{severity => Severity, title => Title, summary => Summary},
    told(fun() -> apply(emqx_alarm, activate, [id(Name), Details | More]) end).

-spec clear(Name :: binary()) -> ok.
clear(Name) ->
    told(fun() -> emqx_alarm:ensure_deactivated(id(Name)) end).

-spec clear_all() -> ok.
clear_all() ->
    told(fun() -> [emqx_alarm:ensure_deactivated(Id) || #{name := <<?PREFIX, _/binary>> = Id} <- emqx_alarm:get_alarms(activated)] end).

%% `undef`: there is no such module. An exit: its process, or its database, does not run or has too much to do.
told(Tell) ->
    try
        _ = Tell(),
        ok
    catch
        error:undef -> ok;
        exit:_ -> ok
    end.

id(Name) ->
    <<?PREFIX, Name/binary>>.
