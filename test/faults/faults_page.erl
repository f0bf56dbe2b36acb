%% docs/faults.md: a row for each family, which is the scenarios with the same number, of the runs against both Kafkas. Pure.
-module(faults_page).

-export([markdown/2, family/1]).

%% Of the rows that faults_table:csv/1 takes. `commit' and `broker': what ran.
-spec markdown(#{commit := string(), broker := string()}, [map()]) -> unicode:chardata().
markdown(Run, Rows) ->
    Numbers = lists:usort([Number || #{number := Number} <- Rows]),
    [opening(Run, Rows), table(Numbers, Rows), named("Failed", failed, Rows), named("Without a result", missing, in_what_ran(Rows)), again(Rows)].

opening(#{commit := Commit, broker := Broker}, Rows) ->
    ["# Faults\n\n"
     "This page answers: what does the plugin do under real faults? These are the results of one run of the fault suite.\n\n"
     "- Commit `", Commit, "`, with ", Broker, period(lists:sort([Finished || #{finished := [_ | _] = Finished} <- Rows])), ".\n"
     "- ", against(kafkas(Rows)), ".\n"
     "- [faults.csv](faults.csv) has a row for each scenario, mode and Kafka, with counters and evidence.\n"
     "- [test/faults](../test/faults/README.md) explains the suite. `dev/faults --docs` wrote this page.\n\n"
     "A run passes if the fault was seen, and if the oracle finds each acknowledged message: in Kafka, in the dead letter topic, or lost as the\n"
     "fault and the mode allow. In all runs together, ", integer_to_list(faults_summary:sum(order_breaks, ran(Rows))), " records were out of order.\n\n"
     "- Modes: `async_off` (`async` without a spool), `async`, `always` (`spool = always`), `durable`, `sync`.\n"
     "- Acknowledged: messages with a PUBACK.\n"
     "- Lost: of these, in no Kafka topic. The plugin counted them, or they died in memory (`async`), or no hook was registered.\n"
     "- Twice: records beyond one a message, except messages that publishers sent again.\n\n"].

against(Kafkas) ->
    lists:join(", and ", [of_kafka(Kafka) || Kafka <- [single, cluster], lists:member(Kafka, Kafkas)]).

of_kafka(single) -> "One Kafka node behind a proxy";
of_kafka(cluster) -> "three nodes whose partitions change leaders all the time".

period([]) -> "";
period(Times) -> [", ", lists:join(" to ", lists:uniq([date(hd(Times)), date(lists:last(Times))]))].

date(Time) -> lists:sublist(Time, 10).

table(Numbers, Rows) ->
    ["| | fault | modes | one node | three nodes | acknowledged | lost | twice |\n"
     "|--:|---|---|--:|--:|--:|--:|--:|\n",
     [row(Number, [Row || #{number := N} = Row <- Rows, N =:= Number], kafkas(Rows)) || Number <- Numbers]].

row(Number, Rows, Kafkas) ->
    Cells = [integer_to_list(Number), name(family(Number), Rows), modes(lists:usort([Mode || #{mode := Mode} <- Rows]))]
        ++ [passed(lists:member(Kafka, Kafkas), [Row || #{kafka := K} = Row <- Rows, K =:= Kafka]) || Kafka <- [single, cluster]]
        ++ [integer_to_list(Sum) || Sum <- [faults_summary:sum(acknowledged, ran(Rows)), faults_summary:sum(missing, ran(Rows)),
                                            faults_summary:unexplained(ran(Rows))]],
    ["| ", lists:join(" | ", Cells), " |\n"].

%% Each family; a test compares them with the scenarios.
-spec family(pos_integer()) -> string() | unknown.
family(1) -> "Kafka down at start";
family(2) -> "connection refused";
family(3) -> "Kafka hangs";
family(4) -> "rolling restart of Kafka";
family(5) -> "Kafka or a partition is slow";
family(6) -> "memory full";
family(7) -> "spool full";
family(8) -> "disk full, disk errors";
family(9) -> "message too large";
family(10) -> "topic missing or deleted";
family(11) -> "partitions added";
family(12) -> "wrong password or certificate";
family(13) -> "topic not authorised";
family(14) -> "too few replicas";
family(15) -> "quota";
family(16) -> "idle connections closed";
family(17) -> "DNS fails";
family(18) -> "unload, reload, save";
family(19) -> "kill -9, many times";
family(20) -> "spool files damaged";
family(21) -> "two nodes, one spool";
family(22) -> "1,000 clients reconnect";
family(23) -> "odd payloads";
family(24) -> "soak";
family(25) -> "Kafka refuses records";
family(26) -> "windows without hooks";
family(_) -> unknown.

name(unknown, Rows) -> lists:join(", ", lists:usort([Name || #{scenario := Name} <- Rows]));
name(Family, _Rows) -> Family.

modes([always, async, async_off, durable, sync]) -> "all";
modes([async, async_off, durable, sync]) -> "all except `always`";
modes(Modes) -> lists:join(", ", [["`", atom_to_list(Mode), "`"] || Mode <- Modes]).

%% Against a Kafka with results. A scenario that is for one node only is not missed with three.
passed(false, _Rows) -> "not run";
passed(true, Rows) -> passed([Row || #{result := Result} = Row <- Rows, Result =/= not_run]).

passed([]) -> "-";
passed(Rows) -> io_lib:format("~b of ~b", [length([Row || #{result := passed} = Row <- Rows]), length(Rows)]).

ran(Rows) -> [Row || #{result := Result} = Row <- Rows, Result =:= passed orelse Result =:= failed].

kafkas(Rows) -> lists:usort([Kafka || #{kafka := Kafka} <- ran(Rows)]).

in_what_ran(Rows) -> [Row || #{kafka := Kafka} = Row <- Rows, lists:member(Kafka, kafkas(Rows))].

%% What failed, or has not run, is named: it must not look as if it had passed.
named(Title, Result, Rows) -> listed(Title, [Row || #{result := R} = Row <- Rows, R =:= Result]).

again(Rows) -> listed("Passed after a failed attempt", [Row || #{result := passed, failed_attempts := Failed} = Row <- Rows, Failed > 0]).

listed(_Title, []) -> "";
listed(Title, Rows) -> ["\n", Title, ": ", lists:join(", ", lists:uniq([faults_summary:one(Row) || Row <- Rows])), ".\n"].
