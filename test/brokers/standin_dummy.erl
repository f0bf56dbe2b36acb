%% A plugin for the stand-in's tests: an application with a schema, a setting that a command
%% prints, and a start that can be made to fail. install/1 puts it into a broker's directory.
-module(standin_dummy).

-behaviour(application).
-behaviour(supervisor).

-export([install/1, start/2, stop/1, init/1, dummy/1]).

-define(APP, ?MODULE).
-define(DIRECTORY, "standin_dummy-1.0.0").

%% @doc Library, schema, conf and boot file; the broker must not run.
-spec install(standin_broker:home()) -> ok.
install(Home) ->
    Ebin = filename:join([Home, "lib", ?DIRECTORY, "ebin"]),
    Priv = filename:join([Home, "lib", ?DIRECTORY, "priv"]),
    Schemas = filename:join([Home, "releases", "2.3.11", "schema"]),
    App = filename:join(Ebin, "standin_dummy.app"),
    lists:foreach(fun(File) -> ok = filelib:ensure_dir(File) end, [App, filename:join(Priv, "x")]),
    {ok, _} = file:copy(code:which(?MODULE), filename:join(Ebin, "standin_dummy.beam")),
    ok = file:write_file(App, io_lib:format("~p.~n", [specification()])),
    [ok = file:write_file(filename:join(Directory, "standin_dummy.schema"), schema()) || Directory <- [Priv, Schemas]],
    ok = standin_broker:plugin_conf(Home, ?APP, conf()),
    patch_boot(filename:join([Home, "releases", "2.3.11", "emqttd.boot"]), App).

%% The way `make install' does it.
patch_boot(Boot, App) ->
    Patcher = filename:join([os:getenv("PROJECT_ROOT"), "dev", "install", "patch_boot.escript"]),
    {0, _} = standin_broker:run(os:find_executable("escript"), [Patcher, "add", Boot, ?DIRECTORY, App]),
    file:rename(Boot ++ ".new", Boot).

specification() ->
    {application, ?APP,
     [{description, "A plugin for tests"}, {vsn, "1.0.0"}, {modules, [?MODULE]}, {registered, []},
      {applications, [kernel, stdlib, emqttd]}, {mod, {?MODULE, []}}]}.

conf() ->
    "dummy.greeting = good # day\n"
    "dummy.rule.1 = {\"filter\": \"sensors/#\"}\n".

schema() ->
    "%% @doc What it says\n"
    "{mapping, \"dummy.greeting\", \"standin_dummy.greeting\", [{default, \"hello\"}, {datatype, string}]}.\n"
    "%% @doc How often\n"
    "{mapping, \"dummy.limit\", \"standin_dummy.limit\", [{datatype, integer}]}.\n"
    "{mapping, \"dummy.fail\", \"standin_dummy.fail\", [{default, false}, {datatype, {enum, [true, false]}}]}.\n"
    "{mapping, \"dummy.foreign\", \"standin_other.foreign\", [{datatype, string}]}.\n"
    "{mapping, \"dummy.rule.$name\", \"standin_dummy.rules\", [{datatype, string}]}.\n"
    "{translation, \"standin_dummy.rules\", fun(Conf) ->\n"
    "  [V || {_, V} <- cuttlefish_variable:filter_by_prefix(\"dummy.rule\", Conf)] end}.\n".

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, told_to_fail}.
start(_Type, _Args) ->
    case application:get_env(?APP, fail, false) of
        false ->
            ok = emqttd_ctl:register_cmd(dummy, {?MODULE, dummy}, []),
            supervisor:start_link(?MODULE, []);
        true ->
            {error, told_to_fail}
    end.

-spec stop(term()) -> ok.
stop(_State) ->
    emqttd_ctl:unregister_cmd(dummy).

-spec init([]) -> {ok, {supervisor:sup_flags(), []}}.
init([]) ->
    {ok, {#{}, []}}.

-spec dummy([string()] | usage) -> ok.
dummy(["crash"]) -> error(told_to_crash);
dummy(usage) -> io:format("dummy crash~n");
dummy(Args) -> io:format("~s ~p~n", [element(2, application:get_env(?APP, greeting)), Args]).
