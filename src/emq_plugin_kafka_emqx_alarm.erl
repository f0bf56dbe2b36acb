%% The alarms of EMQX 4 and 5. Calls a process of the broker and waits for it. Where it does not answer, no alarm is raised, which is no
%% error.
-module(emq_plugin_kafka_emqx_alarm).

-export([raise/2, clear/1, clear_all/0]).

-define(PREFIX, "emq_plugin_kafka.").

%% More: the arguments after name and details, which differ between the generations.
-spec raise(emq_plugin_kafka_broker:alarm(), More :: [binary()]) -> ok.
raise(#{name := Name, severity := Severity, title := Title, summary := Summary}, More) ->
    Details = #{severity => Severity, title => Title, summary => Summary},
    ignore_missing(fun() -> apply(emqx_alarm, activate, [id(Name), Details | More]) end).

-spec clear(Name :: binary()) -> ok.
clear(Name) ->
    ignore_missing(fun() -> emqx_alarm:ensure_deactivated(id(Name)) end).

-spec clear_all() -> ok.
clear_all() ->
    ignore_missing(fun() -> [emqx_alarm:ensure_deactivated(Id) || #{name := <<?PREFIX, _/binary>> = Id} <- emqx_alarm:get_alarms(activated)] end).

%% undef: there is no such module. An exit: its process or database does not run, or is overloaded.
ignore_missing(Call) ->
    try
        _ = Call(),
        ok
    catch
        error:undef -> ok;
        exit:_ -> ok
    end.

id(Name) ->
    <<?PREFIX, Name/binary>>.
