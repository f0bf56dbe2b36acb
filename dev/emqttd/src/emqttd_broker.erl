%% The broker's own $SYS messages: uptime and date each second, what it is each sys_interval. An
%% exception in a message.publish hook ends this process, and with it the whole broker, as in EMQ.
-module(emqttd_broker).

-behaviour(gen_server).

-export([start_link/0, version/0, sysdescr/0, uptime/0, datetime/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-spec start_link() -> {ok, pid()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec version() -> string().
version() -> key(vsn).

-spec sysdescr() -> string().
sysdescr() -> key(description).

key(Key) ->
    {ok, Value} = application:get_key(emqttd, Key),
    Value.

-spec uptime() -> string().
uptime() -> gen_server:call(?MODULE, uptime).

-spec datetime() -> string().
datetime() ->
    {{Year, Month, Day}, {Hour, Minute, Second}} = calendar:local_time(),
    lists:flatten(io_lib:format("~4..0w-~2..0w-~2..0w ~2..0w:~2..0w:~2..0w",
                                [Year, Month, Day, Hour, Minute, Second])).

-spec init([]) -> {ok, StartedAt :: integer()}.
init([]) ->
    {ok, _} = timer:send_interval(1000, heartbeat),
    {ok, _} = timer:send_interval(emqttd:env(broker_sys_interval, 60000), tick),
    {ok, erlang:monotonic_time(second)}.

-spec handle_call(uptime, gen_server:from(), integer()) -> {reply, string(), integer()}.
handle_call(uptime, _From, StartedAt) ->
    {reply, uptime(StartedAt), StartedAt}.

-spec handle_cast(term(), integer()) -> {stop, term(), integer()}.
handle_cast(Unexpected, StartedAt) ->
    {stop, {unexpected, Unexpected}, StartedAt}.

-spec handle_info(heartbeat | tick, integer()) -> {noreply, integer()}.
handle_info(heartbeat, StartedAt) ->
    _ = emqttd:publish(message("uptime", uptime(StartedAt))),
    _ = emqttd:publish(message("datetime", datetime())),
    {noreply, StartedAt};
handle_info(tick, StartedAt) ->
    Brokers = emqttd_message:make(broker, <<"$SYS/brokers">>, atom_to_binary(node())),
    Messages = [emqttd_message:set_flag(sys, Brokers),
                message("version", version()), message("sysdescr", sysdescr())],
    _ = [emqttd:publish(emqttd_message:set_flag(retain, Message)) || Message <- Messages],
    {noreply, StartedAt}.

message(Name, Payload) ->
    Message = emqttd_message:make(broker, emqttd_topic:system(Name), list_to_binary(Payload)),
    emqttd_message:set_flag(sys, Message).

uptime(StartedAt) ->
    Seconds = erlang:monotonic_time(second) - StartedAt,
    {Days, {Hours, Minutes, Rest}} = calendar:seconds_to_daystime(Seconds),
    Units = [{Days, " days, "}, {Hours, " hours, "}, {Minutes, " minutes, "}],
    Greater = lists:dropwhile(fun({Count, _}) -> Count =:= 0 end, Units),
    lists:append([integer_to_list(Count) ++ Unit || {Count, Unit} <- Greater])
        ++ integer_to_list(Rest) ++ " seconds".
