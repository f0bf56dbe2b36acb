%% The fault suite: runs scenarios, each in the modes where it means something, and judges every run by one oracle.
%% Started by dev/faults. How to write a scenario: test/faults/README.md.
%%
%% A scenario is a module scenario_NAME in this folder:
%%   about() -> #{number, title, modes, ...}     what it is and how the rig is set up for it
%%   run(Mode) -> #{evidence, ...}               does the fault, with faults_rig and its proxy, Kafka and publishers; says what it saw
%% A run: faults_rig:up, run/1, faults_rig:observe (publishers finish, the plugin drains, Kafka is read), faults_oracle:judge.
%% It passes when the oracle finds nothing and every piece of evidence is there.
-module(faults).

-export([main/0]).

-export_type([about/0, outcome/0]).

%%   modes       in which it runs;  quick: those of them that `--quick' runs (none)
%%   settings    fun(Mode) -> further lines of the plugin's configuration, keys without their prefix
%%   partitions  of the topic (3); own: the scenario creates its topics; none: it starts another Kafka
%%   boot        auto (default), or manual: the scenario starts the broker itself
%%   named       true: runs only when it is named (the soak)
%%   one_node    why it does not run against a cluster
%%   limit_s     after so long it has failed (600)
-type about() :: #{number := pos_integer(), title := string(), modes := [faults_rig:mode()], quick => [faults_rig:mode()],
                   settings => fun((faults_rig:mode()) -> [{string(), iodata()}]), partitions => pos_integer() | own | none,
                   boot => auto | manual, named => boolean(), one_node => string(), limit_s => pos_integer()}.
%%   evidence    what shows that the fault happened, and whether it was seen
%%   the rest    what the oracle allows, see faults_oracle:allowed(), and which topics are read, see faults_rig:observe/1
-type outcome() :: #{evidence := [{boolean(), iodata()}], topics => [string()], dead => [string()],
                     ledgers => [faults_publisher:ledger()], read => fun((string()) -> [faults_kafka:record()]), _ => _}.

-callback about() -> about().
-callback run(faults_rig:mode()) -> outcome().

-define(LIMIT_S, 600).

%% The runner's arguments come after -extra.
-spec main() -> no_return().
main() ->
    halt(started(init:get_plain_arguments())).

started(["--list"]) ->
    [io:format("~2b  ~-18s ~ts  [~s]~s~s~n", [N, faults_choice:name(M), Title, modes(Modes), quick(About), one_node(About)])
     || {M, #{number := N, title := Title, modes := Modes} = About} <- faults_choice:scenarios()],
    0;
started(["--docs"]) ->
    faults_report:docs();
started(Args) ->
    asked(faults_choice:options(Args)).

asked({error, Why}) -> refused(Why);
asked(Options) -> chosen(faults_choice:runs(Options), Options).

chosen({error, Why}, _Options) -> refused(Why);
chosen([], #{resume := true, kafka := Kafka}) -> over(Kafka);
chosen(Runs, Options) -> judged(eunit:test([faults_oracle_tests, faults_table_tests, faults_page_tests, faults_proxy_tests]), Runs, Options).

refused(Why) ->
    io:format(standard_error, "faults: ~ts~n", [Why]),
    2.

over(Kafka) ->
    io:format("everything that was asked for has a result on this commit~n", []),
    faults_report:total(faults_results:all(Kafka), 0, faults_report:write(Kafka)).

judged(error, _Runs, _Options) ->
    io:format(standard_error, "faults: the suite fails its own tests~n", []),
    1;
judged(ok, Runs, #{kafka := Kafka} = Options) ->
    ok = begin_anew(Options),
    ok = faults_rig:install(Kafka),
    Start = erlang:monotonic_time(second),
    Results = [ran(Run, {Index, length(Runs)}, Options) || {Index, Run} <- lists:enumerate(Runs)],
    ok = faults_rig:uninstall(),
    faults_report:total(Results, erlang:monotonic_time(second) - Start, written(Results, Options)).

%% The whole, from the beginning; a part, a name or what is left adds to what there is.
begin_anew(#{what := all, part := {1, 1}, resume := false, kafka := Kafka}) -> faults_results:begin_anew(Kafka);
begin_anew(_) -> ok.

%% Written after each, so that a run that is ended leaves its results and tables.
ran({Module, About, Mode}, Place, Options) ->
    Result = report(Place, run(Module, About, Mode)),
    ok = kept(Result, Options),
    Result.

%% The quick subset is a test of the plugin, and of the suite; its faults are shorter than those of a whole run.
kept(_Result, #{what := quick}) ->
    ok;
kept(Result, #{kafka := Kafka}) ->
    ok = faults_results:add(Kafka, Result),
    _ = faults_report:write(Kafka),
    ok.

written(Results, #{what := quick}) -> faults_report:write_quick(Results);
written(_Results, #{kafka := Kafka}) -> faults_report:write(Kafka).

modes(Modes) -> lists:join(" ", [atom_to_list(Mode) || Mode <- Modes]).

quick(#{quick := Modes}) -> [" quick: ", modes(Modes)];
quick(_) -> "".

one_node(#{one_node := Why}) -> [" one node: ", Why];
one_node(_) -> "".

%% In a process of its own, so that what it leaves behind goes with it.
run(Module, #{number := Number, title := Title} = About, Mode) ->
    Self = self(),
    Start = erlang:monotonic_time(millisecond),
    {Pid, Monitor} = spawn_monitor(fun() -> Self ! {self(), result, attempt(Module, About, Mode)} end),
    Result = receive
                 {Pid, result, Got} -> true = demonitor(Monitor, [flush]), Got;
                 {'DOWN', Monitor, process, Pid, Reason} -> broken(Reason)
             after maps:get(limit_s, About, ?LIMIT_S) * 1000 ->
                     exit(Pid, kill),
                     broken(not_over_in_time)
             end,
    Ended = ended(Result),
    Ended#{name => faults_choice:name(Module), number => Number, title => Title, mode => Mode,
           finished => calendar:system_time_to_rfc3339(erlang:system_time(second), [{offset, "Z"}]),
           seconds => (erlang:monotonic_time(millisecond) - Start) / 1000}.

attempt(Module, About, Mode) ->
    try
        ok = faults_rig:up(faults_choice:name(Module), Mode, About),
        {{Outcome, Observed}, Moved} = meanwhile(faults_rig:kafka(), fun() -> observed(Module:run(Mode)) end),
        Verdict = faults_oracle:judge(Observed, Outcome),
        Verdict#{evidence => [{Seen, iolist_to_binary(Text)} || {Seen, Text} <- maps:get(evidence, Outcome) ++ Moved]}
    catch
        _:Reason:Stack -> broken({Reason, Stack})
    end.

observed(Outcome) -> {Outcome, faults_rig:observe(Outcome)}.

%% In a cluster leadership moves while the scenario runs.
meanwhile(single, Run) ->
    {Run(), []};
meanwhile(cluster, Run) ->
    Mover = faults_mover:start(faults_rig:topic()),
    Outcome = Run(),
    Moves = faults_mover:stop(Mover),
    {Outcome, [{Moves > 0, io_lib:format("partitions changed their leaders ~b times", [Moves])}]}.

broken(Reason) ->
    #{evidence => [], problems => [iolist_to_binary(io_lib:format("did not come to its end: ~0tP", [Reason, 40]))]}.

%% What a failed run was configured with and had to say is kept.
ended(Result) ->
    Log = faults_rig:log(),
    ok = faults_rig:down(),
    Result#{log => Log}.

report(Place, Result) ->
    Passed = faults_report:passed(Result),
    faults_report:line(Place, Result),
    Result#{passed => Passed}.
