%% Times of calls, counted by many processes at once: exact to 10 ns up to 20 us, to 1 % above.
-module(bench_histogram).

-export([new/0, add/2, percentiles/1]).
-export_type([histogram/0]).

-opaque histogram() :: counters:counters_ref().

-define(FINE_NS, 10).
-define(FINE, 2048).
-define(PER_OCTAVE, 64).
-define(OCTAVES, 32).

-spec new() -> histogram().
new() ->
    counters:new(?FINE + ?PER_OCTAVE * ?OCTAVES, [write_concurrency]).

%% A time in the VM's native unit, which is ns.
-spec add(histogram(), Native :: non_neg_integer()) -> ok.
add(Histogram, Native) ->
    counters:add(Histogram, bucket(Native), 1).

bucket(Ns) when Ns < ?FINE_NS * ?FINE ->
    Ns div ?FINE_NS + 1;
bucket(Ns) ->
    min(?FINE + ?PER_OCTAVE * ?OCTAVES, ?FINE + 1 + trunc(math:log2(Ns / (?FINE_NS * ?FINE)) * ?PER_OCTAVE)).

%% In us.
-spec percentiles(histogram()) -> #{p50 := float(), p99 := float(), p999 := float()}.
percentiles(Histogram) ->
    #{size := Size} = counters:info(Histogram),
    Counts = [counters:get(Histogram, Bucket) || Bucket <- lists:seq(1, Size)],
    Total = lists:sum(Counts),
    maps:map(fun(_Name, Share) -> upper(find(Counts, 1, Total * Share)) / 1000 end,
             #{p50 => 0.5, p99 => 0.99, p999 => 0.999}).

find([Count | Rest], Bucket, Wanted) when Wanted > Count, Rest =/= [] ->
    find(Rest, Bucket + 1, Wanted - Count);
find(_Counts, Bucket, _Wanted) ->
    Bucket.

upper(Bucket) when Bucket =< ?FINE ->
    Bucket * ?FINE_NS;
upper(Bucket) ->
    ?FINE_NS * ?FINE * math:pow(2, (Bucket - ?FINE) / ?PER_OCTAVE).
