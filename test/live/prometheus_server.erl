%% A Prometheus of the test's own that scrapes one endpoint twice a second, and its promtool: Debian's, unpacked, not installed.
-module(prometheus_server).

-export([start/2, stop/1, scrapes/1, query/2, check/1]).
-export_type([server/0]).

-type server() :: #{port := port(), url := string()}.

%% Directory is its own; Target is host:port.
-spec start(file:filename(), string()) -> server().
start(Directory, Target) ->
    {ok, _} = application:ensure_all_started(inets),
    ok = filelib:ensure_dir(filename:join(Directory, "x")),
    Config = filename:join(Directory, "prometheus.yml"),
    ok = file:write_file(Config, ["global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n"
                                  "scrape_configs:\n"
                                  "  - {job_name: emq_plugin_kafka, static_configs: [{targets: ['", Target, "']}]}\n"]),
    Address = "127.0.0.1:" ++ integer_to_list(standin_broker:free_port()),
    %% It ends with this VM, whatever becomes of the test: its shell reads until then.
    Script = "\"$@\" >\"$0\" 2>&1 & read -r _; kill $!; wait",
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", Script, filename:join(Directory, "log"), binary("prometheus"),
                              "--config.file=" ++ Config, "--storage.tsdb.path=" ++ filename:join(Directory, "data"),
                              "--web.listen-address=" ++ Address]},
                      exit_status]),
    Url = "http://" ++ Address,
    Server = #{port => Port, url => Url},
    {ok, _} = polling:until(fun() -> httpc:request(get, {Url ++ "/-/ready", []}, [{timeout, 5000}], []) end, fun is_ready/1),
    Server.

-spec stop(server()) -> ok.
stop(#{port := Port}) ->
    true = port_command(Port, "\n"),
    receive {Port, {exit_status, _}} -> ok after 30000 -> {error, does_not_end} end.

%% How many scrapes have succeeded.
-spec scrapes(server()) -> non_neg_integer().
scrapes(Server) ->
    total(query(Server, "count_over_time((up == 1)[10m:500ms])")).

total([]) -> 0;
total([#{<<"value">> := [_, Value]}]) -> binary_to_integer(Value).

%% The samples that an expression comes to at this moment.
-spec query(server(), string()) -> [map()].
query(#{url := Url}, Expression) ->
    Body = uri_string:compose_query([{"query", Expression}]),
    {ok, {{_, Status, _}, _, Answer}} =
        httpc:request(post, {Url ++ "/api/v1/query", [], "application/x-www-form-urlencoded", Body}, [{timeout, 30000}],
                      [{body_format, binary}]),
    answer(Status, jiffy:decode(Answer, [return_maps]), Expression).

answer(200, #{<<"status">> := <<"success">>, <<"data">> := #{<<"resultType">> := <<"vector">>, <<"result">> := Samples}}, _) ->
    Samples;
answer(Status, Answer, Expression) ->
    error({refused, Expression, Status, Answer}).

%% What promtool has to say of a scrape.
-spec check(binary()) -> {Status :: non_neg_integer(), Words :: string()}.
check(Scrape) ->
    File = filename:join([os:getenv("PROJECT_ROOT"), "_build", "scrape-" ++ os:getpid()]),
    ok = file:write_file(File, Scrape),
    Result = standin_broker:run("/bin/sh", ["-c", "exec \"$0\" check metrics <\"$1\" 2>&1", binary("promtool"), File]),
    ok = file:delete(File),
    Result.

is_ready({ok, {{_, 200, _}, _, _}}) -> true;
is_ready(_) -> false.

binary(Name) ->
    {0, Output} = standin_broker:run(filename:join([os:getenv("PROJECT_ROOT"), "dev", "unpack"]), ["prometheus"]),
    filename:join([lists:last(string:lexemes(Output, "\n")), "usr", "bin", Name]).
