%% Each seeded bug of the fault suite (test/faults/mutants) can be put into the sources as they are.
-module(mutants_tests).

-include_lib("eunit/include/eunit.hrl").

every_patch_applies_test_() ->
    Patches = filelib:wildcard("test/faults/mutants/*.patch", root()),
    true = length(Patches) > 5,
    [{Patch, fun() -> ?assertMatch({Patch, {0, _}}, {Patch, applies(filename:join(root(), Patch))}) end} || Patch <- Patches].

applies(Patch) ->
    standin_broker:run(os:find_executable("patch"), ["--dry-run", "-s", "-f", "-p1", "-d", root(), "-i", Patch]).

root() -> os:getenv("PROJECT_ROOT", filename:absname("")).
