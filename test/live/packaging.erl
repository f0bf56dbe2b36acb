%% What packaging_SUITE and packages_SUITE share: a copy of the built plugin, a release to install it into, and the scripts. A case's
%% Config has both as `source` and `home`.
-module(packaging).

-include_lib("stdlib/include/assert.hrl").

-export([cases/1, root/0, copy/2, install/1, install/2, uninstall/1, uninstall/2, script/2, package/2, new_version/2, source/2, home/2, files/2,
         append/2, succeed/2, run/2, run/3]).

-define(PLUGIN, "emq_plugin_kafka").

%% All cases of a suite: what it exports with one argument.
cases(Suite) ->
    [Name || {Name, 1} <- Suite:module_info(exports), is_case(atom_to_list(Name))].

is_case(Name) ->
    not lists:any(fun(Other) -> lists:prefix(Other, Name) end, ["init_per_", "end_per_", "module_info"]).

root() ->
    Root = os:getenv("PROJECT_ROOT"),
    ?assertNotEqual(false, Root),
    Root.

%% The plugin as it is built, with what installs it.
copy(Root, Source) ->
    ok = filelib:ensure_dir(filename:join(Source, "x")),
    succeed("cp", ["-aL"] ++ [filename:join(Root, Name) || Name <- ["ebin", "priv", "etc", "src", "dev"]] ++ [Source]).

install(Config) -> install(Config, []).

install(Config, Options) -> succeed(script(Config, "install"), Options ++ [home(Config, "")]).

uninstall(Config) -> uninstall(Config, []).

uninstall(Config, Options) -> succeed(script(Config, "uninstall"), Options ++ [home(Config, "")]).

%% An installer of the copy.
script(Config, Name) -> source(Config, "dev/install/" ++ Name).

%% Writes the package of EMQX 5.
package(Config, Archive) ->
    succeed(source(Config, "dev/dist/emqx5_package"), [source(Config, ""), Archive]).

%% The next version of the plugin, with the same code.
new_version(Config, Vsn) ->
    App = source(Config, "ebin/" ?PLUGIN ".app"),
    {ok, [{application, Name, Keys}]} = file:consult(App),
    file:write_file(App, io_lib:format("~p.~n", [{application, Name, lists:keystore(vsn, 1, Keys, {vsn, Vsn})}])).

source(Config, Name) -> filename:join(proplists:get_value(source, Config), Name).

home(Config, Name) -> filename:join(proplists:get_value(home, Config), Name).

%% Every file of the release with its contents' hash, except those below some folders.
files(Config, Except) ->
    Names = filelib:fold_files(home(Config, ""), "", true, fun(Name, Acc) -> [Name | Acc] end, []),
    lists:sort([{Name, digest(Name)} || Name <- Names,
                                        not lists:any(fun(Folder) -> lists:prefix(home(Config, Folder), Name) end, Except)]).

digest(Name) ->
    {ok, Contents} = file:read_file(Name),
    erlang:md5(Contents).

append(File, Text) ->
    file:write_file(File, Text, [append]).

succeed(Command, Args) ->
    {Status, Output} = run(Command, Args),
    ?assertEqual({Command, Args, 0, Output}, {Command, Args, Status, Output}),
    ok.

run(Command, Args) ->
    run(Command, Args, []).

run(Command, Args, Env) ->
    Port = open_port({spawn_executable, executable(Command)},
                     [{args, Args}, {env, shell_env() ++ Env}, exit_status, stderr_to_stdout, binary, hide]),
    collect(Port, []).

%% The environment of a user's shell: what erl has set for this VM would reach the Erlangs that the scripts start.
shell_env() ->
    Own = os:getenv("BINDIR"),
    Path = [Dir || Dir <- string:lexemes(os:getenv("PATH"), ":"), Dir =/= Own],
    [{"PATH", lists:flatten(lists:join(":", Path))} | [{Name, false} || Name <- ["BINDIR", "ROOTDIR", "EMU", "PROGNAME"]]].

executable(Command) ->
    case os:find_executable(Command) of
        false -> Command;
        Path -> Path
    end.

collect(Port, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, [Output | Data]);
        {Port, {exit_status, Status}} -> {Status, unicode:characters_to_list(iolist_to_binary(Output))}
    after 300000 ->
        ct:fail({no_end, unicode:characters_to_list(iolist_to_binary(Output))})
    end.
