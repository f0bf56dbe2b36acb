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
%%   partitions  of the topic (3), or none: it is not created;  boot: auto (default) or manual, the scenario starts the broker itself
%%   named       true: runs only when it is named (the soak)
%%   limit_s     after so long it has failed (300)
-type about() :: #{number := pos_integer(), title := string(), modes := [faults_rig:mode()], quick => [faults_rig:mode()],
                   settings => fun((faults_rig:mode()) -> [{string(), iodata()}]), partitions => pos_integer() | none,
                   boot => auto | manual, named => boolean(), limit_s => pos_integer()}.
%%   evidence    what shows that the fault happened, and whether it was seen
%%   the rest    what the oracle allows, see faults_oracle:allowed(), and which topics are read, see faults_rig:observe/1
-type outcome() :: #{evidence := [{boolean(), iodata()}], topics => [string()], dead => [string()],
                     ledgers => [faults_publisher:ledger()], read => fun((string()) -> [faults_kafka:record()]), _ => _}.

-callback about() -> about().
-callback run(faults_rig:mode()) -> outcome().

-define(LIMIT_S, 300).

%% The runner's arguments come after -extra.
-spec main() -> no_return().
main() ->
    halt(started(init:get_plain_arguments())).

started(["--list"]) ->
    [io:format("~2b  ~-18s ~s  [~s]~s~n", [N, name(M), Title, modes(Modes), quick(About)])
     || {M, #{number := N, title := Title, modes := Modes} = About} <- scenarios()],
    0;
started(Args) ->
    Runs = chosen(Args),
    judged(eunit:test(faults_oracle_tests), Runs, Args).

judged(error, _Runs, _Args) ->
    io:format(standard_error, "faults: the oracle fails its own tests~n", []),
    1;
judged(ok, Runs, Args) ->
    ok = faults_rig:install(),
    Start = erlang:monotonic_time(second),
    Results = lists:foldl(fun({Module, About, Mode}, Before) ->
                                  SoFar = Before ++ [report(run(Module, About, Mode))],
                                  _ = faults_report:write(SoFar, erlang:monotonic_time(second) - Start, Args),
                                  SoFar
                          end, [], Runs),
    ok = faults_rig:uninstall(),
    faults_report:total(Results, erlang:monotonic_time(second) - Start, Args).

modes(Modes) -> lists:join(" ", [atom_to_list(Mode) || Mode <- Modes]).

quick(#{quick := Modes}) -> [" quick: ", modes(Modes)];
quick(_) -> "".

%% By number; every module of that name in the folder of this one.
scenarios() ->
    Files = filelib:wildcard(filename:join(filename:dirname(code:which(?MODULE)), "scenario_*.beam")),
    Modules = [list_to_atom(filename:basename(File, ".beam")) || File <- Files],
    lists:sort(fun({_, #{number := A}}, {_, #{number := B}}) -> A =< B end, [{M, M:about()} || M <- Modules]).

name(Module) -> "scenario_" ++ Name = atom_to_list(Module), Name.

%% NAME or NAME:MODE or a number; --quick for the subset; nothing for all.
chosen([]) ->
    [{M, About, Mode} || {M, #{modes := Modes} = About} <- scenarios(), not maps:get(named, About, false), Mode <- Modes];
chosen(["--quick"]) ->
    [{M, About, Mode} || {M, About} <- scenarios(), Mode <- maps:get(quick, About, [])];
chosen(Names) ->
    lists:append([named(string:split(Name, ":"), Name) || Name <- Names]).

named([Name | Mode], Asked) ->
    Found = [{M, About, Some} || {M, #{number := N, modes := Modes} = About} <- scenarios(),
                                 Name =:= name(M) orelse Name =:= integer_to_list(N), Some <- Modes,
                                 Mode =:= [] orelse Mode =:= [atom_to_list(Some)]],
    some(Found, Asked).

some([], Asked) ->
    io:format(standard_error, "faults: there is no scenario ~s; dev/faults --list has them~n", [Asked]),
    halt(2);
some(Found, _Asked) ->
    Found.

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
    Ended#{name => name(Module), number => Number, title => Title, mode => Mode,
           seconds => (erlang:monotonic_time(millisecond) - Start) / 1000}.

attempt(Module, About, Mode) ->
    try
        ok = faults_rig:up(name(Module), Mode, About),
        Outcome = Module:run(Mode),
        Verdict = faults_oracle:judge(faults_rig:observe(Outcome), Outcome),
        Verdict#{evidence => [{Seen, iolist_to_binary(Text)} || {Seen, Text} <- maps:get(evidence, Outcome)]}
    catch
        _:Reason:Stack -> broken({Reason, Stack})
    end.

broken(Reason) ->
    #{evidence => [], problems => [iolist_to_binary(io_lib:format("did not come to its end: ~0tP", [Reason, 40]))]}.

%% What a failed run was configured with and had to say is kept.
ended(Result) ->
    Log = faults_rig:log(),
    ok = faults_rig:down(),
    Result#{log => Log}.

report(Result) ->
    Passed = faults_report:passed(Result),
    faults_report:line(Result),
    Result#{passed => Passed}.
