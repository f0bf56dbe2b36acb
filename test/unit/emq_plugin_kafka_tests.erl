%% The plan of src/ in the header of emq_plugin_kafka.erl.
-module(emq_plugin_kafka_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PREFIX, "emq_plugin_kafka_").

%% A name that ends with `*` stands for all modules that begin with it.
the_plan_names_each_module_and_no_other_test() ->
    Modules = [string:prefix(filename:basename(File, ".erl"), ?PREFIX) || File <- filelib:wildcard(filename:join(source(), ?PREFIX "*.erl"))],
    ?assertMatch([_ | _], Modules),
    Plan = plan(),
    ?assertEqual([], [Module || Module <- Modules, not lists:any(fun(Name) -> names(Name, Module) end, Plan)]),
    ?assertEqual([], [Name || Name <- Plan, not lists:any(fun(Module) -> names(Name, Module) end, Modules)]).

names(Name, Module) -> names(lists:last(Name), Name, Module).

names($*, Name, Module) -> lists:prefix(lists:droplast(Name), Module);
names(_, Name, Module) -> Name =:= Module.

%% The second column of the table. Columns are two blanks apart.
plan() ->
    {ok, Text} = file:read_file(filename:join(source(), "emq_plugin_kafka.erl")),
    {match, Rows} = re:run(Text, "^%%   (?:\\S.*?)? {2,}([a-z0-9_*]+(?:, [a-z0-9_*]+)*) {2,}\\S", [global, multiline, {capture, all_but_first, list}]),
    lists:append([string:lexemes(Row, ", ") || [Row] <- Rows]).

source() -> filename:join(os:getenv("PROJECT_ROOT", "."), "src").
