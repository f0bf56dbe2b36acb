%% What people run says of itself what it is, and without arguments nothing that is not so.
-module(scripts_tests).

-include_lib("eunit/include/eunit.hrl").

%% Every script but those of the stand-in broker, which are as EMQ's own.
every_script_prints_its_usage_test_() ->
    [?_test(prints_usage(Script, Option)) || Script <- scripts(), Option <- ["--help", "-h"]].

prints_usage(Script, Option) ->
    {Status, Output} = standin_broker:run(filename:join(root(), Script), [Option]),
    Name = filename:basename(Script),
    ?assertMatch({Script, 0, {match, _}}, {Script, Status, re:run(Output, "^" ++ Name ++ "[ :]")}),
    ?assertEqual({Script, nomatch}, {Script, re:run(Output, "^#|set -e", [multiline])}).

scripts() ->
    Files = lists:append([filelib:wildcard(Pattern, root()) || Pattern <- ["dev/*", "dev/*/*", ".ci/*", "test/faults/mutants/*"]]),
    Scripts = [File || File <- Files, {ok, Text} <- [file:read_file(filename:join(root(), File))],
                       re:run(Text, "^#!/(usr/bin/env bash|bin/sh)\n", [{capture, none}]) =:= match],
    true = length(Scripts) > 15,
    Scripts.

%% An archive has the scripts of one generation.
an_installer_without_arguments_names_what_it_can_install_into_test_() ->
    [{Generation, fun() ->
                          Bin = archive(Generation),
                          {1, Output} = standin_broker:run(filename:join(Bin, Script), []),
                          [?assertMatch({Generation, Script, Part, {match, _}}, {Generation, Script, Part, re:run(Output, Part)})
                           || Part <- [Example, "--help"]],
                          [?assertEqual({Generation, Script, nomatch}, {Generation, Script, string:find(Output, Other)})
                           || Other <- ["/opt/emqttd", "EMQX 4", "EMQX 5"], string:find(Example, Other) =:= nomatch],
                          {0, _} = standin_broker:run("/bin/rm", ["-r", Bin])
                  end}
     || {Generation, Example} <- [{"emq2", "/opt/emqttd \\(EMQ 2.3\\)"}, {"emqx4", "/opt/emqx \\(EMQX 4\\)"},
                                  {"emqx5", "/opt/emqx \\(EMQX 5\\)"}],
        Script <- ["install", "uninstall"]].

%% What dev/dist/dist puts into bin/.
archive(Generation) ->
    Bin = filename:join([root(), "_build", "scripts_tests", Generation ++ os:getpid()]),
    ok = filelib:ensure_dir(filename:join(Bin, "x")),
    Own = ["install_" ++ Generation, "uninstall_" ++ Generation, Generation ++ ".bash"],
    {0, _} = standin_broker:run("/bin/sh", ["-c", "cd \"$0/dev/install\" && to=$1 && shift && cp \"$@\" \"$to\"", root(), Bin
                                            | Own ++ ["install", "uninstall", "usage.sh", "emq_home.bash", "install_options.bash"]]),
    Bin.

root() -> os:getenv("PROJECT_ROOT", filename:absname("")).
