%% How well the schedulers serve a process that has nothing to do with Kafka: it wants to run every millisecond, and notes how
%% late it does.
-module(bench_ticker).

-export([start/0, stop/1]).

-define(EVERY_MS, 1).

-spec start() -> pid().
start() ->
    spawn_link(fun() -> tick(bench_histogram:new()) end).

%% The delays in us.
-spec stop(pid()) -> #{p50 := float(), p99 := float(), p999 := float()}.
stop(Ticker) ->
    Ticker ! {stop, self()},
    receive {Ticker, Delays} -> Delays end.

tick(Histogram) ->
    Due = erlang:monotonic_time(millisecond) + ?EVERY_MS,
    Timer = erlang:start_timer(Due, self(), tick, [{abs, true}]),
    receive
        {timeout, Timer, tick} ->
            Delay = erlang:monotonic_time() - erlang:convert_time_unit(Due, millisecond, native),
            bench_histogram:add(Histogram, max(0, Delay)),
            tick(Histogram);
        {stop, From} ->
            From ! {self(), bench_histogram:percentiles(Histogram)}
    end.
