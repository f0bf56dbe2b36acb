%% Alarms, which EMQ 2.3 publishes as $SYS messages from its own process: an alarm raised inside
%% a message.publish hook would come back to it.
-module(emqttd_alarm).

-behaviour(gen_event).

-export([start_link/0, set_alarm/1, clear_alarm/1, get_alarms/0]).
-export([init/1, handle_event/2, handle_call/2]).

-include("emqttd.hrl").

-spec start_link() -> {ok, pid()}.
start_link() ->
    {ok, Pid} = gen_event:start_link({local, ?MODULE}),
    ok = gen_event:add_handler(Pid, ?MODULE, []),
    {ok, Pid}.

-spec set_alarm(#mqtt_alarm{}) -> ok.
set_alarm(#mqtt_alarm{} = Alarm) ->
    gen_event:notify(?MODULE, {set_alarm, Alarm}).

-spec clear_alarm(binary()) -> ok.
clear_alarm(Id) when is_binary(Id) ->
    gen_event:notify(?MODULE, {clear_alarm, Id}).

%% @doc The alarms that are set; one set twice is there twice.
-spec get_alarms() -> [#mqtt_alarm{}].
get_alarms() ->
    gen_event:call(?MODULE, ?MODULE, get_alarms).

-spec init([]) -> {ok, [#mqtt_alarm{}]}.
init([]) ->
    {ok, []}.

-spec handle_event(term(), [#mqtt_alarm{}]) -> {ok, [#mqtt_alarm{}]}.
handle_event({set_alarm, #mqtt_alarm{id = Id} = Alarm}, Alarms) ->
    ok = publish(Id, "/alert", [{id, Id},
                              {severity, Alarm#mqtt_alarm.severity},
                              {title, iolist_to_binary(Alarm#mqtt_alarm.title)},
                              {summary, iolist_to_binary(Alarm#mqtt_alarm.summary)},
                              {ts, erlang:system_time(second)}]),
    {ok, [Alarm#mqtt_alarm{timestamp = os:timestamp()} | Alarms]};
handle_event({clear_alarm, Id}, Alarms) ->
    ok = publish(Id, "/clear", [{id, Id}, {ts, erlang:system_time(second)}]),
    {ok, lists:keydelete(Id, #mqtt_alarm.id, Alarms)}.

-spec handle_call(get_alarms, [#mqtt_alarm{}]) -> {ok, [#mqtt_alarm{}], [#mqtt_alarm{}]}.
handle_call(get_alarms, Alarms) ->
    {ok, Alarms, Alarms}.

publish(Id, Event, Fields) ->
    Topic = emqttd_topic:system(["alarms/", Id, Event]),
    Message = emqttd_message:make(alarm, Topic, emqttd_json:encode(Fields)),
    _ = emqttd:publish(emqttd_message:set_flag(sys, Message)),
    ok.
