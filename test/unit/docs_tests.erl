%% The documents: what is made is as it is made; links lead somewhere; no page is longer than a reader takes.
-module(docs_tests).

-include_lib("eunit/include/eunit.hrl").

the_made_pages_are_as_they_are_made_test_() ->
    {timeout, 60, ?_assertMatch({0, _}, standin_broker:run(filename:join(root(), "dev/docs"), ["--check"]))}.

root() -> os:getenv("PROJECT_ROOT", filename:absname("")).
