%% Lets the Erlang that runs this try a built plugin, before anything of a release changes: one module that does not load
%% ends the boot of the whole broker.
%%
%%   check_plugin.escript LIB_DIR APP SOURCES_DIR [SPOOL_DIR]
%%   check_plugin.escript probe                                succeeds where an Erlang can run this
%%
%% Modules that this Erlang cannot load (they were compiled by a newer or a much older one) are compiled anew from
%% SOURCES_DIR, into LIB_DIR, where it brings a compiler. The library must load, and read the files in SPOOL_DIR. Says on
%% standard error what is wrong, or what was done. Plain enough for OTP 19 to say that it is too old.

-define(OLDEST, 22).
%% The magic of the spool's files; a version follows, 4 bytes.
-define(SEGMENT, "EMQKSPL\n").
-define(ACKNOWLEDGED, "EMQKACK\n").

main(["probe"]) ->
    ok;
main([LibDir, App, Sources | Spool]) ->
    %% What does not load is told by us, not by the VM's log.
    error_logger:tty(false),
    Release = list_to_integer(erlang:system_info(otp_release)),
    Release >= ?OLDEST orelse
        fail("it is OTP ~w; the plugin needs OTP ~w or newer (NIF version 2.15)", [Release, ?OLDEST]),
    Ebin = filename:join(LibDir, "ebin"),
    true = code:add_patha(Ebin),
    {ok, [{application, _, Keys}]} = file:consult(filename:join(Ebin, App ++ ".app")),
    Modules = proplists:get_value(modules, Keys, []),
    compile(not_loading(Modules), Modules, Sources, Ebin, Release),
    library(list_to_atom(App ++ "_nif"), list_to_atom(App ++ "_library")),
    lists:foreach(fun(Dir) -> spool(Dir, list_to_atom(App ++ "_nif")) end, Spool);
main(_) ->
    io:format(standard_error, "usage: see the head of ~s~n", [escript:script_name()]),
    halt(2).

not_loading(Modules) ->
    [Module || Module <- Modules, code:load_file(Module) =/= {module, Module}].

compile([], _Modules, _Sources, _Ebin, _Release) ->
    ok;
%% All of them: code of two compilers is nobody's wish.
compile([Module | _] = Bad, Modules, Sources, Ebin, Release) ->
    code:ensure_loaded(compile) =:= {module, compile} orelse
        fail("~s was not compiled for OTP ~w, and this release has no compiler", [Module, Release]),
    Options = [{outdir, Ebin}, debug_info, return_errors],
    case [Error || Name <- Modules,
                   {error, Error, _} <- [compile:file(filename:join(Sources, atom_to_list(Name)), Options)]] of
        [] -> ok;
        Errors -> fail("~s was not compiled for OTP ~w, which does not compile it: ~p", [Module, Release, Errors])
    end,
    not_loading(Bad) =:= [] orelse fail("~s does not load, compiled by OTP ~w itself", [Module, Release]),
    say("compiled its modules for this release's OTP ~w", [Release]).

%% The NIF module loads without its library too; a second load is refused only where the first worked.
library(Nif, Library) ->
    case Nif:load() of
        {error, {reload, _}} -> ok;
        {error, {_Reason, Text}} -> fail("~ts", [Library:explain(Nif:library() ++ ".so", Text)])
    end.

spool(Dir, Nif) ->
    #{spool_format := Known, version := Version} = Nif:build(),
    Files = [File || Pattern <- ["*.seg", "ACK", "*/*.seg", "*/ACK"], File <- filelib:wildcard(filename:join(Dir, Pattern))],
    case lists:sort([{File, Format} || File <- Files, Format <- [format(File)], Format > Known]) of
        [] -> ok;
        [{File, Format} | More] ->
            fail("the spool's file ~ts has format version ~w~ts, and version ~ts of the plugin reads ~w. A newer plugin wrote it: "
                 "let that one send what is in it first, or give this one another spool.dir",
                 [File, Format, [io_lib:format(" (and ~w more)", [length(More)]) || More =/= []], Version, Known])
    end.

%% 0 for what is none: the plugin itself decides what becomes of damage.
format(File) ->
    {ok, Device} = file:open(File, [read, raw, binary]),
    Head = file:read(Device, 12),
    ok = file:close(Device),
    case Head of
        {ok, <<?SEGMENT, Version:32/little>>} -> Version;
        {ok, <<?ACKNOWLEDGED, Version:32/little>>} -> Version;
        _ -> 0
    end.

say(Format, Args) ->
    io:format(standard_error, "install: " ++ Format ++ "~n", Args).

fail(Format, Args) ->
    say(Format, Args),
    halt(1).
