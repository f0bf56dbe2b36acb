%% Prints release.json, which EMQX 5 demands of a plugin's package. The .app file says who made the plugin and where its sources are:
%%
%%   emqx5_release.escript APP_FILE COMMIT DATE

-include("json.hrl").

main([File, Commit, Date]) ->
    {ok, [{application, Plugin, App}]} = file:consult(File),
    Name = atom_to_list(Plugin),
    Vsn = proplists:get_value(vsn, App),
    Authors = [Author | _] = proplists:get_value(maintainers, App),
    Links = proplists:get_value(links, App),
    Repository = proplists:get_value("Repository", Links, ""),
    io:put_chars(json({[{"hidden", false},
                        {"name", Name},
                        {"description", proplists:get_value(description, App)},
                        {"authors", Authors},
                        {"builder", {[{"name", Author}, {"contact", proplists:get_value("Contact", Links, Author)},
                                      {"website", proplists:get_value("Website", Links, Repository)}]}},
                        {"repo", Repository},
                        {"functionality", ["Data integration"]},
                        {"compatibility", {[{"emqx", "~> 5.7"}]}},
                        {"git_ref", Commit},
                        {"git_commit_or_build_date", Date},
                        {"built_on_otp_release", erlang:system_info(otp_release)},
                        {"metadata_vsn", "0.2.0"},
                        {"rel_vsn", Vsn},
                        {"rel_apps", [Name ++ "-" ++ Vsn]},
                        {"with_config_schema", true}]}));
main(_) ->
    io:format(standard_error, "usage: see the head of ~s~n", [escript:script_name()]),
    halt(2).
