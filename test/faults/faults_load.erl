%% A crowd of publishers, and what they remember in the end.
-module(faults_load).

-export([start/2, sent/1, acked/1, lost/1, resent/1, await/3, finish/2, abandon/1]).

-export_type([load/0, options/0]).

-define(AWAIT_MS, 90000).

-opaque load() :: #{publishers := #{pid() => reference()}, counters := counters:counters_ref()}.
%% `rate' is that of one client in messages a second; `limit' how many it sends at most.
-type options() :: #{clients => pos_integer(), name => string(), rate => pos_integer() | max, size => non_neg_integer(),
                     window => pos_integer(), limit => pos_integer() | infinity, under => binary(), keyless => boolean()}.

-spec start(inet:port_number(), options()) -> load().
start(Port, Options) ->
    #{clients := Clients, name := Name} = All =
        maps:merge(#{clients => 20, name => "c", rate => 100, size => 200, window => 20, limit => infinity,
                     under => <<"f/">>, keyless => false}, Options),
    Counters = counters:new(4, [write_concurrency]),
    Each = maps:with([window, rate, size, limit, under, keyless], All),
    Publishers = [faults_publisher:start(Each#{port => Port, client => iolist_to_binary([Name, integer_to_list(N)]),
                                               counters => Counters})
                  || N <- lists:seq(1, Clients)],
    #{publishers => maps:from_list(Publishers), counters => Counters}.

%% @doc So many messages so far: sent once or more, acknowledged; connections lost; messages sent again.
-spec sent(load()) -> non_neg_integer().
sent(#{counters := Counters}) -> counters:get(Counters, 1).
-spec acked(load()) -> non_neg_integer().
acked(#{counters := Counters}) -> counters:get(Counters, 2).
-spec lost(load()) -> non_neg_integer().
lost(#{counters := Counters}) -> counters:get(Counters, 3).
-spec resent(load()) -> non_neg_integer().
resent(#{counters := Counters}) -> counters:get(Counters, 4).

%% @doc Waits until so many more were sent, acknowledged or sent again, or connections lost, than there are now.
-spec await(load(), sent | acked | lost | resent, pos_integer()) -> ok.
await(Load, What, More) ->
    Until = count(What, Load) + More,
    true = faults_wait:until(io_lib:format("~b more ~s", [More, What]), fun() -> count(What, Load) >= Until end, ?AWAIT_MS),
    ok.

count(sent, Load) -> sent(Load);
count(acked, Load) -> acked(Load);
count(lost, Load) -> lost(Load);
count(resent, Load) -> resent(Load).

%% @doc No new messages; waits until all that were sent are acknowledged.
-spec finish(load(), timeout()) -> [faults_publisher:ledger()].
finish(#{publishers := Publishers}, Timeout) ->
    Ref = make_ref(),
    _ = [Pid ! {finish, self(), Ref} || Pid <- maps:keys(Publishers)],
    Deadline = erlang:monotonic_time(millisecond) + Timeout,
    [ledger(Ref, Pid, Monitor, Deadline) || {Pid, Monitor} <- maps:to_list(Publishers)].

%% @doc The same, without waiting for what is unacknowledged.
-spec abandon(load()) -> [faults_publisher:ledger()].
abandon(#{publishers := Publishers}) ->
    Ref = make_ref(),
    _ = [Pid ! {abandon, self(), Ref} || Pid <- maps:keys(Publishers)],
    Deadline = erlang:monotonic_time(millisecond) + 60000,
    [ledger(Ref, Pid, Monitor, Deadline) || {Pid, Monitor} <- maps:to_list(Publishers)].

ledger(Ref, Pid, Monitor, Deadline) ->
    receive
        {ledger, Ref, Pid, Ledger} ->
            true = demonitor(Monitor, [flush]),
            Ledger;
        {'DOWN', Monitor, process, Pid, Reason} ->
            error({publisher_ended, Reason})
    after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
            error(not_all_was_acknowledged_in_time)
    end.
