%% The judge of a run. Pure: what the publishers remember, what is in Kafka, what the plugin counted and what the scenario
%% allows go in; a verdict comes out.
%%
%%   kept        every acknowledged number of every client is in Kafka, or in the dead-letter topic, or lost as the scenario allows:
%%               never, or counted one for one by the reasons named, or what was at risk in memory or while no hook was called
%%   in order    the first occurrences of a client's numbers ascend, in one partition; a duplicate only repeats an earlier one
%%   not twice   duplicates are those that publishers themselves sent again, and as many more as the scenario states
%%   counted     accepted = success + failed + dropped + spooled + queued at every sample, no counter runs backwards, and what is
%%               counted as delivered or lost is what was delivered or lost
%%   drained     nothing is spooled or queued at the end
%%   whole       no record that nobody sent, none damaged, none without its time
-module(faults_oracle).

-export([judge/2]).

-export_type([observed/0, allowed/0, verdict/0]).

%% `lives': for each life of the broker's VM, its samples, oldest first; the last sample of the last life was taken when
%% everything had drained.
-type observed() :: #{ledgers := [faults_publisher:ledger()], kafka := [faults_kafka:record()],
                      dead := [faults_kafka:record()], lives := [[map()]]}.
%% What a scenario allows; each has a strict default.
%%   losses       none (default) | {counted, [Reason]}, one for one | {memory, Max}: what died with the VM | {gap, Max}: what the
%%                broker did while it called no hook. The latter two nobody can count
%%   duplicates   so many, beside those that publishers sent again (0)
%%   partitions   same (default) | changed: a client's numbers may be in several partitions, each in order
%%   undelivered  none (default) | any: whether records may stay where they are at the end
%%   decode       how a record tells client and number: fun((record()) -> {Client, Number} | damaged | other)
-type allowed() :: #{losses => none | {counted, [atom() | binary()]} | {memory | gap, non_neg_integer()},
                     duplicates => non_neg_integer(), partitions => same | changed, undelivered => none | any,
                     decode => fun((faults_kafka:record()) -> {binary(), pos_integer()} | damaged | other), _ => _}.
-type verdict() :: #{acked := non_neg_integer(), kafka := non_neg_integer(), dead := non_neg_integer(),
                     missing := non_neg_integer(), lost_by := #{binary() => pos_integer()}, duplicates := non_neg_integer(),
                     order_breaks := non_neg_integer(), samples := non_neg_integer(), resent := non_neg_integer(),
                     problems := [binary()]}.

-record(client, {seen = #{} :: #{pos_integer() => []}, last = #{} :: #{non_neg_integer() => pos_integer()},
                 breaks = 0 :: non_neg_integer(), duplicates = 0 :: non_neg_integer(),
                 partitions = [] :: [non_neg_integer()]}).

-spec judge(observed(), allowed()) -> verdict().
judge(#{ledgers := Ledgers, kafka := Kafka, dead := Dead, lives := Lives}, Allowed) ->
    Decode = maps:get(decode, Allowed, fun decoded/1),
    {Clients, Whole} = clients(Kafka, Decode),
    {DeadClients, DeadWhole} = clients(Dead, Decode),
    Acked = lists:sum([To - From + 1 || #{acked := Ranges} <- Ledgers, {From, To} <- Ranges]),
    Resent = lists:sum([N || #{resent := N} <- Ledgers]),
    Missing = lists:append([missing(Ledger, Clients, DeadClients) || Ledger <- Ledgers]),
    Duplicates = sum(#client.duplicates, Clients),
    Breaks = sum(#client.breaks, Clients),
    Last = last_sample(Lives),
    Facts = #{ledgers => Ledgers, clients => Clients, acked => Acked, resent => Resent, missing => Missing,
              records => length(Kafka), dead => length(Dead), duplicates => Duplicates, breaks => Breaks,
              last => Last, lost_by => lost_by(Lives), lives => Lives},
    Problems = lists:append([kept(Facts, Allowed), in_order(Facts), one_partition(Facts, Allowed), not_twice(Facts, Allowed),
                             adds_up(Lives), forward(Lives), drained(Last, Allowed), delivered(Facts, Allowed),
                             timed(Kafka ++ Dead), Whole, DeadWhole, known(Ledgers, Clients), known(Ledgers, DeadClients)]),
    #{acked => Acked, kafka => length(Kafka), dead => length(Dead), missing => length(Missing), lost_by => lost_by(Lives),
      duplicates => Duplicates, order_breaks => Breaks, samples => lists:sum([length(Samples) || Samples <- Lives]),
      resent => Resent, problems => [iolist_to_binary(Problem) || Problem <- Problems]}.

%%% What is in Kafka, by client

-spec decoded(faults_kafka:record()) -> {binary(), pos_integer()} | damaged.
decoded(#{key := Key, value := Value}) ->
    case faults_payload:parse(Value) of
        {Key, Number} -> {Key, Number};
        _ -> damaged
    end.

clients(Records, Decode) ->
    InOrder = lists:sort(fun(A, B) -> place(A) =< place(B) end, Records),
    lists:foldl(fun(Record, {Clients, Problems}) ->
                        case Decode(Record) of
                            {Client, Number} ->
                                One = maps:get(Client, Clients, #client{}),
                                {Clients#{Client => arrived(Number, maps:get(partition, Record), One)}, Problems};
                            other ->
                                {Clients, Problems};
                            damaged ->
                                {Clients, [io_lib:format("damaged, or sent by nobody: ~0P", [Record, 20]) | Problems]}
                        end
                end, {#{}, []}, InOrder).

place(#{partition := Partition, offset := Offset}) -> {Partition, Offset}.

arrived(Number, Partition, #client{seen = Seen, last = Last, partitions = Partitions} = Client) ->
    Here = Client#client{partitions = lists:usort([Partition | Partitions])},
    case {maps:is_key(Number, Seen), maps:get(Partition, Last, 0)} of
        {true, _} -> Here#client{duplicates = Client#client.duplicates + 1};
        {false, Before} when Number > Before -> Here#client{seen = Seen#{Number => []}, last = Last#{Partition => Number}};
        {false, _} -> Here#client{seen = Seen#{Number => []}, breaks = Client#client.breaks + 1}
    end.

sum(Field, Clients) ->
    lists:sum([element(Field, Client) || Client <- maps:values(Clients)]).

%%% Kept

missing(#{client := Name, acked := Ranges}, Clients, Dead) ->
    Seen = seen(Name, Clients),
    Buried = seen(Name, Dead),
    [{Name, Number} || {From, To} <- Ranges, Number <- lists:seq(From, To),
                       not is_map_key(Number, Seen), not is_map_key(Number, Buried)].

seen(Name, Clients) ->
    (maps:get(Name, Clients, #client{}))#client.seen.

kept(#{missing := Missing} = Facts, Allowed) ->
    lost(maps:get(losses, Allowed, none), length(Missing), Facts).

lost(none, 0, Facts) ->
    no_losses_counted(Facts);
lost(none, N, #{missing := Missing}) ->
    [io_lib:format("~b acknowledged records are nowhere: ~0P", [N, Missing, 12])];
lost({Uncounted, Max}, N, _Facts) when Uncounted =:= memory; Uncounted =:= gap ->
    [io_lib:format("~b acknowledged records are nowhere, and only ~b were at risk (~s)", [N, Max, Uncounted]) || N > Max];
lost({counted, Reasons}, N, #{lost_by := LostBy, dead := Dead} = Facts) ->
    Counted = lists:sum(maps:values(LostBy)) - Dead,
    Others = maps:without([text(Reason) || Reason <- Reasons], LostBy),
    [io_lib:format("~b acknowledged records are nowhere, and only ~b are counted as lost", [N, Counted]) || N > Counted]
        ++ [io_lib:format("lost for reasons that this fault does not have: ~0p", [Others]) || map_size(Others) > 0]
        ++ [io_lib:format("~b are counted as lost, but only ~b are missing", [Counted, N])
            || N < Counted, all_acknowledged_once(Facts)].

no_losses_counted(#{lost_by := LostBy, dead := Dead} = Facts) ->
    Counted = lists:sum(maps:values(LostBy)) - Dead,
    [io_lib:format("nothing is missing, but ~0p are counted as lost", [LostBy])
     || Counted > 0, all_acknowledged_once(Facts)].

%% Then what publishers know is exactly what the plugin was given.
all_acknowledged_once(#{resent := Resent, ledgers := Ledgers}) ->
    Resent =:= 0
        andalso lists:all(fun(#{sent := Sent, acked := Ranges}) ->
                                  Sent =:= lists:sum([To - From + 1 || {From, To} <- Ranges])
                          end, Ledgers).

%% By reason, over all lives of the VM: each counted for itself.
lost_by(Lives) ->
    lists:foldl(fun({Reason, N}, Sum) -> Sum#{text(Reason) => N + maps:get(text(Reason), Sum, 0)} end, #{},
                [Lost || [_ | _] = Samples <- Lives, #{dropped_by := Dropped, failed_by := Failed} <- [lists:last(Samples)],
                         {_, N} = Lost <- maps:to_list(Dropped) ++ maps:to_list(Failed), N > 0]).

text(Reason) when is_atom(Reason) -> atom_to_binary(Reason, utf8);
text(Reason) -> Reason.

%%% In order, in one place, once

in_order(#{breaks := 0}) -> [];
in_order(#{breaks := Breaks, clients := Clients}) ->
    Who = [Name || {Name, #client{breaks = N}} <- maps:to_list(Clients), N > 0],
    [io_lib:format("~b order breaks, of the clients ~0P", [Breaks, Who, 8])].

one_partition(_Facts, #{partitions := changed}) ->
    [];
one_partition(#{clients := Clients}, _Allowed) ->
    [io_lib:format("the key ~s is in the partitions ~0p", [Name, Partitions])
     || {Name, #client{partitions = [_, _ | _] = Partitions}} <- maps:to_list(Clients)].

not_twice(#{duplicates := Duplicates, resent := Resent}, Allowed) ->
    Max = maps:get(duplicates, Allowed, 0),
    [io_lib:format("~b duplicates; publishers sent ~b again, and the fault explains ~b more", [Duplicates, Resent, Max])
     || Duplicates > Resent + Max].

%%% Counted

adds_up(Lives) ->
    first([io_lib:format("the counters do not add up: ~0p", [maps:with(counted(), Sample)])
           || Samples <- Lives, #{accepted := Accepted} = Sample <- Samples,
              Accepted =/= lists:sum([maps:get(Counter, Sample) || Counter <- counted() -- [accepted]])]).

counted() -> [accepted, success, failed, dropped, spooled, queued].

forward(Lives) ->
    first([io_lib:format("~s went back from ~b to ~b", [Counter, maps:get(Counter, Earlier), maps:get(Counter, Later)])
           || [_ | Rest] = Samples <- Lives, {Earlier, Later} <- lists:zip(lists:droplast(Samples), Rest),
              Counter <- [accepted, success, failed, dropped], maps:get(Counter, Later) < maps:get(Counter, Earlier)]).

first([]) -> [];
first([Problem | More]) -> [[Problem, io_lib:format(" (and ~b more)", [length(More)])]].

last_sample(Lives) ->
    case [lists:last(Samples) || [_ | _] = Samples <- Lives] of
        [] -> none;
        Lasts -> lists:last(Lasts)
    end.

drained(none, _Allowed) ->
    ["no sample of the counters was taken"];
drained(_Last, #{undelivered := any}) ->
    [];
drained(#{spooled := 0, queued := 0}, _Allowed) ->
    [];
drained(#{spooled := Spooled, queued := Queued}, _Allowed) ->
    [io_lib:format("~b spooled and ~b queued at the end", [Spooled, Queued])].

%% What counts as delivered is in Kafka, once each; what is there beyond that was in flight when it was given up, for good or
%% to be sent again.
delivered(#{lives := [_], last := #{success := Success}, lost_by := LostBy, records := Records}, Allowed) ->
    GivenUp = lists:sum(maps:values(LostBy)),
    Twice = maps:get(duplicates, Allowed, 0),
    [io_lib:format("~b counted as delivered, ~b records in Kafka (~b given up)", [Success, Records, GivenUp])
     || Records < Success orelse Records > Success + GivenUp + Twice];
%% A VM that was killed took its count with it.
delivered(#{last := #{success := Success}, records := Records}, _Allowed) ->
    [io_lib:format("~b counted as delivered, only ~b records in Kafka", [Success, Records]) || Records < Success];
delivered(_Facts, _Allowed) ->
    [].

%%% Whole

%% Each record has the time at which its hook ran.
timed(Records) ->
    first([io_lib:format("a record without its time: ~0P", [Record, 20]) || #{timestamp := Time} = Record <- Records, Time =< 0]).

known(Ledgers, Clients) ->
    Sent = maps:from_list([{Name, N} || #{client := Name, sent := N} <- Ledgers]),
    [io_lib:format("records of ~s that it never sent: ~0P", [Name, Numbers, 8])
     || {Name, #client{seen = Seen}} <- maps:to_list(Clients),
        [_ | _] = Numbers <- [[N || N <- maps:keys(Seen), N > maps:get(Name, Sent, 0)]]].
