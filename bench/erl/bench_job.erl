%% One measurement in this VM: a client (an adapter) is started, called from so many processes for so long, and drained.
%%
%% Arguments are key=value after -extra. The orchestrator (bench/jobs.py) reads the lines `ready`, `sent` and `missing`, and
%% answers `go` and `stop`.
-module(bench_job).

-export([start/0]).

%% Calls between two looks at the clock.
-define(STRIDE, 16).

-spec start() -> no_return().
start() ->
    %% What a client logs while it connects is no part of what the orchestrator reads.
    ok = logger:set_primary_config(level, error),
    Args = maps:from_list([split(Arg) || Arg <- init:get_plain_arguments()]),
    Adapter = binary_to_atom(<<"bench_", (maps:get(<<"adapter">>, Args))/binary>>),
    Status =
        try
            run(Adapter, loaded(Adapter:application()), Args)
        catch
            Class:Reason:Stack ->
                io:format(standard_error, "~p: ~p~n~p~n", [Class, Reason, Stack]),
                1
        end,
    erlang:halt(Status, [{flush, true}]).

split(Arg) ->
    [Key, Value] = binary:split(unicode:characters_to_binary(Arg), <<"=">>),
    {Key, Value}.

loaded(Application) ->
    case application:load(Application) of
        ok -> {ok, Application};
        {error, {already_loaded, Application}} -> {ok, Application};
        {error, _} -> {missing, Application}
    end.

run(_Adapter, {missing, Application}, _Args) ->
    io:format("missing ~s~n", [Application]),
    0;
run(Adapter, {ok, Application}, Args) ->
    Mode = binary_to_atom(argument(mode, Args, <<"async">>)),
    Options = #{servers => servers(argument(servers, Args)), topic => argument(topic, Args),
                partitions => integer(partitions, Args, 4), mode => Mode, window => integer(window, Args, 100000),
                settings => binary_to_atom(argument(settings, Args, <<"default">>)), arguments => Args},
    {ok, State} = Adapter:start(Options),
    Payload = bench_record:payload(integer(payload_bytes, Args, 200)),
    Items = [{Key, item(Adapter, State, Key, Payload)} || Key <- bench_record:keys(integer(keys, Args, 1000))],
    ok = warm(Adapter, State, Items),
    {ok, Version} = application:get_key(Application, vsn),
    io:format("ready {\"version\":\"~s\"}~n", [Version]),
    "go\n" = io:get_line(""),
    Sent = maps:merge(work(Adapter, State, Items, Mode, Args), counters(Adapter, State)),
    io:format("sent ~s~n", [json(Sent)]),
    "stop\n" = io:get_line(""),
    ok = Adapter:stop(State),
    0.

%% What an adapter is called with: the encoded record, but for the plugin, which encodes for itself (item/3).
item(Adapter, State, Key, Payload) ->
    case erlang:function_exported(Adapter, item, 3) of
        true -> Adapter:item(State, Key, Payload);
        false -> bench_record:value(Key, Payload)
    end.

%% Until the connections to all leaders are up.
warm(Adapter, State, Items) ->
    case erlang:function_exported(Adapter, warm, 2) of
        true -> Adapter:warm(State, Items);
        false -> lists:foreach(fun({Key, Item}) -> ok = Adapter:sync(State, Key, Item, erlang:system_time(millisecond)) end,
                               lists:sublist(Items, 50))
    end.

counters(Adapter, State) ->
    case erlang:function_exported(Adapter, counters, 1) of
        true -> Adapter:counters(State);
        false -> #{}
    end.

work(Adapter, State, Items, Mode, Args) ->
    Processes = integer(processes, Args, 1),
    Latency = argument(latency, Args, <<"off">>) =:= <<"on">>,
    Histogram = bench_histogram:new(),
    Call = call(Adapter, State, Mode),
    Ticker = bench_ticker:start(),
    Deadline = erlang:monotonic_time() + erlang:convert_time_unit(integer(seconds, Args, 2), second, native),
    %% Messages that came in while a worker waited for its turn are on its own heap: nothing here is shared but the counters.
    Workers = [spawn_monitor(fun() -> exit({sent, worker(Call, mine(Items, Number, Processes), Deadline,
                                                         Latency andalso Histogram)}) end)
               || Number <- lists:seq(1, Processes)],
    {Records, Failed} = lists:foldl(fun({Pid, Monitor}, {Sum, Failures}) ->
                                            receive
                                                {'DOWN', Monitor, process, Pid, {sent, {Sent, Refused}}} ->
                                                    {Sum + Sent, Failures + Refused};
                                                {'DOWN', Monitor, process, Pid, Reason} ->
                                                    error({worker, Reason})
                                            end
                                    end, {0, 0}, Workers),
    maps:merge(#{records => Records, failed => Failed, ticker => bench_ticker:stop(Ticker)},
               percentiles(Latency, Histogram)).

percentiles(false, _Histogram) -> #{};
percentiles(true, Histogram) -> bench_histogram:percentiles(Histogram).

call(Adapter, State, sync) ->
    fun(Key, Item, TsMs) -> Adapter:sync(State, Key, Item, TsMs) end;
call(Adapter, State, _Async) ->
    fun(Key, Item, TsMs) -> Adapter:async(State, Key, Item, TsMs) end.

%% Each process has keys of its own, as each client has its connection.
mine(Items, Number, Processes) ->
    Own = [Item || {Index, Item} <- lists:zip(lists:seq(0, length(Items) - 1), Items),
                   Index rem Processes =:= Number - 1],
    list_to_tuple(Own).

worker(Call, Items, Deadline, Histogram) ->
    worker(Call, Items, 1, Deadline, Histogram, {0, 0}).

worker(Call, Items, Next, Deadline, Histogram, Counts) ->
    case erlang:monotonic_time() >= Deadline of
        true -> Counts;
        false ->
            Stamped = stamped(Call, erlang:system_time(millisecond)),
            {Then, Sums} = stride(Stamped, Items, Next, Histogram, Counts, ?STRIDE),
            worker(Call, Items, Then, Deadline, Histogram, Sums)
    end.

%% The clock is read once for a stride: what it costs is not the client's.
stamped(Call, TsMs) ->
    fun(Key, Item) -> Call(Key, Item, TsMs) end.

stride(_Call, _Items, Next, _Histogram, Counts, 0) ->
    {Next, Counts};
stride(Call, Items, Next, Histogram, Counts, Left) when Next > tuple_size(Items) ->
    stride(Call, Items, 1, Histogram, Counts, Left);
stride(Call, Items, Next, Histogram, Counts, Left) ->
    {Key, Item} = element(Next, Items),
    stride(Call, Items, Next + 1, Histogram, count(timed(Call, Key, Item, Histogram), Counts), Left - 1).

count(ok, {Sent, Failed}) -> {Sent + 1, Failed};
count({error, _}, {Sent, Failed}) -> {Sent, Failed + 1}.

timed(Call, Key, Item, false) ->
    Call(Key, Item);
timed(Call, Key, Item, Histogram) ->
    Start = erlang:monotonic_time(),
    Result = Call(Key, Item),
    bench_histogram:add(Histogram, erlang:monotonic_time() - Start),
    Result.

%% Arguments and results.

argument(Name, Args) -> maps:get(atom_to_binary(Name), Args).
argument(Name, Args, Default) -> maps:get(atom_to_binary(Name), Args, Default).
integer(Name, Args, Default) -> binary_to_integer(argument(Name, Args, integer_to_binary(Default))).

servers(Text) ->
    [begin
         [Host, Port] = binary:split(Server, <<":">>),
         {binary_to_list(Host), binary_to_integer(Port)}
     end || Server <- binary:split(Text, <<",">>, [global])].

json(Map) when is_map(Map) ->
    ["{", lists:join(",", [io_lib:format("\"~s\":~s", [Key, json(Value)]) || {Key, Value} <- maps:to_list(Map)]), "}"];
json(Number) when is_integer(Number) ->
    integer_to_list(Number);
json(Number) when is_float(Number) ->
    float_to_list(Number, [{decimals, 3}, compact]).
