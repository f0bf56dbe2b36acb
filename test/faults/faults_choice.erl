%% Which scenarios run, in which modes, against which Kafka: what the command line says, and every module scenario_NAME there is.
-module(faults_choice).

-export([options/1, scenarios/0, runs/1, left_out/1, name/1]).

-export_type([options/0, run/0]).

%%   kafka    single, or cluster (--cluster): three nodes, whose partitions change their leaders meanwhile
%%   what     all | quick | names: NAME, NAME:MODE or a number
%%   part     {N, M}: the Nth of M parts
%%   resume   true: only what has no result on this commit
-type options() :: #{kafka := faults_results:kafka(), what := all | quick | [string()], part := {pos_integer(), pos_integer()},
                     resume := boolean()}.
-type run() :: {module(), faults:about(), faults_rig:mode()}.

-spec options([string()]) -> options() | {error, iodata()}.
options(Args) ->
    options(Args, #{kafka => single, what => all, part => {1, 1}, resume => false}).

options([], Options) -> Options;
options(["--cluster" | More], Options) -> options(More, Options#{kafka := cluster});
options(["--resume" | More], Options) -> options(More, Options#{resume := true});
options(["--quick" | More], Options) -> options(More, Options#{what := quick});
options(["--part", Part | More], Options) -> part(string:split(Part, "/"), Part, More, Options);
options(["-" ++ _ = Other | _], _Options) -> {error, ["there is no option ", Other, "; dev/faults --help has them"]};
options([Name | More], #{what := [_ | _] = Names} = Options) -> options(More, Options#{what := Names ++ [Name]});
options([Name | More], Options) -> options(More, Options#{what := [Name]}).

part([N, M], Part, More, Options) -> part(string:to_integer(N), string:to_integer(M), Part, More, Options);
part(_, Part, _, _) -> not_a_part(Part).

part({N, []}, {M, []}, _Part, More, Options) when N >= 1, N =< M -> options(More, Options#{part := {N, M}});
part(_, _, Part, _, _) -> not_a_part(Part).

not_a_part(Part) -> {error, ["--part wants N/M, as in 1/3, not ", Part]}.

%% @doc By number and name; every module of that name in the folder of this one.
-spec scenarios() -> [{module(), faults:about()}].
scenarios() ->
    Files = filelib:wildcard(filename:join(filename:dirname(code:which(?MODULE)), "scenario_*.beam")),
    Modules = [list_to_atom(filename:basename(File, ".beam")) || File <- Files],
    lists:sort(fun({A, #{number := M}}, {B, #{number := N}}) -> {M, A} =< {N, B} end, [{M, M:about()} || M <- Modules]).

-spec name(module()) -> string().
name(Module) -> "scenario_" ++ Name = atom_to_list(Module), Name.

%% @doc In the order in which they run; the scenarios of a part are every Mth, with all of their modes.
-spec runs(options()) -> [run()] | {error, iodata()}.
runs(#{what := Names} = Options) when is_list(Names) ->
    named([{Name, [Run || Run <- every_run(Options), is_named(Run, Name)]} || Name <- Names], Options);
runs(#{what := quick}) ->
    [{M, About, Mode} || {M, About} <- scenarios(), Mode <- maps:get(quick, About, [])];
runs(#{what := all, part := Part} = Options) ->
    Unasked = [Run || {_, About, _} = Run <- every_run(Options), not maps:get(named, About, false)],
    fresh(of_part(Part, Unasked), Options).

named(Found, Options) ->
    case [Name || {Name, []} <- Found] of
        [] -> fresh(lists:append([Runs || {_, Runs} <- Found]), Options);
        [Name | _] -> {error, ["there is no scenario ", Name, "; dev/faults --list has them"]}
    end.

every_run(Options) ->
    [{M, About, Mode} || {M, #{modes := Modes} = About} <- scenarios(), fits(Options, About), Mode <- Modes].

fits(#{kafka := single}, _About) -> true;
fits(#{kafka := cluster}, About) -> not is_map_key(one_node, About).

%% @doc Those that need a Kafka of one node, and why.
-spec left_out(faults_results:kafka()) -> [{module(), faults:about(), Why :: iodata()}].
left_out(single) -> [];
left_out(cluster) -> [{M, About, Why} || {M, #{one_node := Why} = About} <- scenarios()].

is_named({Module, #{number := Number}, Mode}, Asked) ->
    [Name | Of] = string:split(Asked, ":"),
    lists:member(Name, [name(Module), integer_to_list(Number)]) andalso (Of =:= [] orelse Of =:= [atom_to_list(Mode)]).

of_part({N, M}, Runs) ->
    Modules = lists:uniq([Module || {Module, _, _} <- Runs]),
    Mine = [Module || {Index, Module} <- lists:enumerate(Modules), Index rem M =:= N rem M],
    [Run || {Module, _, _} = Run <- Runs, lists:member(Module, Mine)].

fresh(Runs, #{resume := false}) -> Runs;
fresh(Runs, #{kafka := Kafka}) -> [Run || {M, _, Mode} = Run <- Runs, faults_results:attempts(Kafka, name(M), Mode) =:= []].
