%% Writes emqttd.app, links Erlang's own applications into lib/ and makes the boot file, all of it
%% relative to $ROOT, so that the finished directory can be moved.
%% Arguments: the .app.src, the release's directory, its version.
-mode(compile).

%% What a plugin finds running, and what is only loaded; EMQ 2.3.11's release has these and more.
-define(STARTED, [kernel, stdlib, sasl, crypto, asn1, public_key, ssl, inets, syntax_tools,
                  compiler, runtime_tools]).
-define(LOADED, [getopt, cuttlefish]).

main([AppSrc, Root, Vsn]) ->
    ok = app_file(AppSrc, filename:join([Root, "lib", "emqttd-" ++ Vsn, "ebin"])),
    Applications = [{Name, version(Name), permanent} || Name <- ?STARTED]
        ++ [{Name, version(Name), load} || Name <- ?LOADED]
        ++ [{emqttd, Vsn, permanent}],
    lists:foreach(fun(Name) -> link(Name, Root) end, ?STARTED ++ ?LOADED),
    Release = filename:join([Root, "releases", Vsn, "emqttd"]),
    Rel = {release, {"emqttd", Vsn}, {erts, erlang:system_info(version)}, Applications},
    ok = file:write_file(Release ++ ".rel", io_lib:format("~p.~n", [Rel])),
    ok = file:write_file(filename:join([Root, "releases", "start_erl.data"]),
                         [erlang:system_info(version), " ", Vsn, "\n"]),
    case systools:make_script(Release, [silent, no_warn_sasl, {variables, [{"ROOT", Root}]},
                                        {path, [filename:join([Root, "lib", "*", "ebin"])]}]) of
        {ok, _, []} -> ok;
        {ok, Module, Warnings} -> failed(Module:format_warning(Warnings));
        {error, Module, Error} -> failed(Module:format_error(Error))
    end.

failed(Message) ->
    io:format(standard_error, "~ts", [Message]),
    halt(1).

app_file(AppSrc, Ebin) ->
    {ok, [{application, Name, Keys}]} = file:consult(AppSrc),
    Modules = [list_to_atom(filename:basename(Beam, ".beam")) || Beam <- filelib:wildcard("*.beam", Ebin)],
    App = {application, Name, lists:keystore(modules, 1, Keys, {modules, Modules})},
    file:write_file(filename:join(Ebin, "emqttd.app"), io_lib:format("~p.~n", [App])).

version(Name) ->
    ok = case application:load(Name) of
             {error, {already_loaded, Name}} -> ok;
             Loaded -> Loaded
         end,
    {ok, Version} = application:get_key(Name, vsn),
    Version.

link(Name, Root) ->
    Directory = code:lib_dir(Name),
    ok = file:make_symlink(Directory, filename:join([Root, "lib", filename:basename(Directory)])).
