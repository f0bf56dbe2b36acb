%% Puts an application into a release's boot file, or takes it out. EMQ runs in embedded mode and lists as plugins
%% only applications that its boot has loaded; the release needs neither a .rel file nor systools for this.
%%
%%   patch_boot.escript add BOOT_FILE LIB_DIR_NAME APP_FILE    writes the new boot file beside it, as BOOT_FILE.new
%%   patch_boot.escript remove BOOT_FILE APP_NAME              the same
%%   patch_boot.escript same BOOT_FILE OTHER_BOOT_FILE         succeeds where both hold the same script
%%
%% LIB_DIR_NAME is NAME-VSN, the folder in the release's lib. Interpreted, so that a release without the compiler can run
%% it, and plain enough for OTP 19.

main(["add", Boot, LibDirName, AppFile]) ->
    {ok, [{application, App, Keys} = Spec]} = file:consult(AppFile),
    Modules = proplists:get_value(modules, Keys, []),
    Script = without(App, read(Boot)),
    write(Boot, with(Spec, Modules, "$ROOT/lib/" ++ LibDirName ++ "/ebin", Script));
main(["remove", Boot, App]) ->
    write(Boot, without(list_to_atom(App), read(Boot)));
main(["same", Boot, Other]) ->
    case read(Boot) =:= read(Other) of
        true -> ok;
        false -> halt(1)
    end;
main(_) ->
    io:format(standard_error, "usage: see the head of ~s~n", [escript:script_name()]),
    halt(2).

read(Boot) ->
    {ok, Binary} = file:read_file(Boot),
    {script, _Id, _Instructions} = binary_to_term(Binary).

write(Boot, Script) ->
    ok = file:write_file(Boot ++ ".new", term_to_binary(Script)).

%% Modules are loaded and the application specification with them, as for every application of the release; starting
%% it is the broker's business. The order of the instructions is systools': modules, then applications.
with({application, _, _} = Spec, Modules, Ebin, {script, Id, Instructions}) ->
    Longest = lists:max([length(Dirs) || {path, Dirs} <- Instructions]),
    {script, Id, lists:flatmap(fun
        ({path, Dirs}) when length(Dirs) =:= Longest ->
            [{path, Dirs ++ [Ebin]}];
        ({progress, modules_loaded} = Progress) ->
            [{path, [Ebin]}, {primLoad, Modules}, Progress];
        ({progress, applications_loaded} = Progress) ->
            [{apply, {application, load, [Spec]}}, Progress];
        (Instruction) ->
            [Instruction]
    end, Instructions)}.

%% Every trace of App, of whichever version, is removed; the rest is left as it is.
without(App, {script, Id, Instructions}) ->
    {script, Id, strip(App, Instructions)}.

strip(App, [{path, [Ebin]} = Path, {primLoad, _} = Load | Rest]) ->
    case belongs_to(App, Ebin) of
        true -> strip(App, Rest);
        false -> [Path, Load | strip(App, Rest)]
    end;
strip(App, [{path, Dirs} | Rest]) ->
    [{path, [Dir || Dir <- Dirs, not belongs_to(App, Dir)]} | strip(App, Rest)];
strip(App, [{apply, {application, load, [{application, App, _}]}} | Rest]) ->
    strip(App, Rest);
strip(App, [Instruction | Rest]) ->
    [Instruction | strip(App, Rest)];
strip(_App, []) ->
    [].

%% "$ROOT/lib/NAME-VSN/ebin" or "$ROOT/lib/NAME/ebin"
belongs_to(App, Dir) ->
    Name = atom_to_list(App),
    case lists:reverse(filename:split(Dir)) of
        ["ebin", Name | _] -> true;
        ["ebin", NameVsn | _] -> lists:prefix(Name ++ "-", NameVsn);
        _ -> false
    end.
