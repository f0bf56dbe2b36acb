%% The command `kafka` of the broker's command line tool. Runs in a process of the broker whose output goes to the operator's terminal.
%% emq_plugin_kafka_info makes the answers, emq_plugin_kafka_cli_text and emq_plugin_kafka_cli_probe format them.
-module(emq_plugin_kafka_cli).

-export([register/0, unregister/0, kafka/1]).

-define(USAGE, [{"kafka status [--json]", "Show state, brokers, backlog and settings"},
                {"kafka stats [--json]", "Show all counters, and librdkafka's numbers"},
                {"kafka rules [--json]", "Show each rule, its matched events and dropped records"},
                {"kafka spool [--json]", "Show the records on disk, and the free space"},
                {"kafka test [TOPIC] [--timeout S] [--json]", "Send one record to Kafka, and report each step (default: 10 s)"},
                {"kafka flush [--timeout S] [--json]", "Wait until Kafka has all records that wait now (default: 30 s)"},
                {"kafka reload [--json]", "Apply the configuration file without a gap"}]).

-define(TEST_S, 10).
-define(FLUSH_S, 30).
%% EMQ's tool itself waits for 60 s.
-define(MAX_S, 55).
%% How often a flush prints its progress.
-define(PROGRESS_MS, 2000).

-type options() :: #{json := boolean(), timeout => pos_integer()}.

-spec register() -> ok.
register() ->
    emq_plugin_kafka_broker:register_command().

-spec unregister() -> ok.
unregister() ->
    emq_plugin_kafka_broker:unregister_command().

%% The function must have the command's name. The broker's general help calls it with `usage`.
-spec kafka([string()] | usage) -> term().
kafka(None) when None =:= usage; None =:= [] ->
    usage();
kafka(Args) ->
    emq_plugin_kafka_broker:command_result(command(options(Args, [], #{json => false}))).

%% Each prints its answer and returns whether it succeeded.
command({ok, ["status"], Options}) ->
    Status = emq_plugin_kafka_info:status(),
    print(status, Status, Options) andalso maps:get(state, Status) =:= running andalso maps:get(problems, Status) =:= [];
command({ok, ["stats"], Options}) ->
    answer(stats, emq_plugin_kafka_info:stats(), Options);
command({ok, ["rules"], Options}) ->
    answer(rules, emq_plugin_kafka_info:rules(), Options);
command({ok, ["spool"], Options}) ->
    answer(spool, emq_plugin_kafka_info:spool(), Options);
command({ok, ["test"], Options}) ->
    test(<<>>, Options);
command({ok, ["test", Topic], Options}) ->
    test(unicode:characters_to_binary(Topic), Options);
command({ok, ["flush"], Options}) ->
    flush(Options);
command({ok, ["reload"], Options}) ->
    Reloaded = emq_plugin_kafka_info:reload(),
    print(reload, Reloaded, Options) andalso maps:get(ok, Reloaded);
command({ok, Words, _Options}) ->
    usage_error(["unknown command: kafka ", lists:join(" ", Words)]);
command({error, Problem}) ->
    usage_error(Problem).

answer(_Command, {error, Problem}, Options) ->
    print(problem, #{problem => Problem}, Options) andalso false;
answer(Command, Answer, Options) ->
    print(Command, Answer, Options).

test(Topic, Options) ->
    Report = emq_plugin_kafka_info:test(Topic, milliseconds(Options, ?TEST_S)),
    print(test, Report, Options) andalso maps:get(ok, Report).

%% The flush runs in a process of its own, so that this one can print the progress.
flush(#{json := Json} = Options) ->
    Milliseconds = milliseconds(Options, ?FLUSH_S),
    Caller = self(),
    {Flusher, Monitor} = spawn_monitor(fun() -> Caller ! {flushed, self(), emq_plugin_kafka_info:flush(Milliseconds)} end),
    Result = flushed(Flusher, Monitor, Json),
    print(flush, Result, Options) andalso maps:get(ok, Result).

flushed(Flusher, Monitor, Json) ->
    receive
        {flushed, Flusher, Result} -> true = erlang:demonitor(Monitor, [flush]), Result;
        {'DOWN', Monitor, process, Flusher, Reason} -> error(Reason)
    after ?PROGRESS_MS ->
        ok = progress(Json, emq_plugin_kafka_info:waiting()),
        flushed(Flusher, Monitor, Json)
    end.

progress(false, Waiting) when is_integer(Waiting) -> io:format("records waiting: ~b~n", [Waiting]);
progress(_Json, _Waiting) -> ok.

%% Output.

-spec print(atom(), map(), options()) -> boolean().
print(Command, Answer, #{json := false}) ->
    %% It may contain Kafka's texts and clients' names: control characters are escaped.
    Lines = string:split(unicode:characters_to_list(emq_plugin_kafka_cli_text:format(Command, Answer)), "\n", all),
    io:format("~ts", [lists:join("\n", [emq_plugin_kafka_text:printable(Line) || Line <- Lines])]),
    true;
print(Command, Answer, #{json := true}) ->
    json(Command, Answer, emq_plugin_kafka_info:json(Answer)).

json(_Command, _Answer, {ok, Json}) ->
    io:format("~ts~n", [Json]),
    true;
%% The library makes JSON. Without it, the answer is text.
json(Command, Answer, {error, not_loaded}) ->
    print(Command, Answer, #{json => false}) andalso false.

usage() ->
    lists:foreach(fun({Command, Purpose}) -> io:format("~-48s# ~s~n", [Command, Purpose]) end, ?USAGE).

usage_error(Problem) ->
    io:format("~ts~n", [emq_plugin_kafka_text:printable(Problem)]),
    ok = usage(),
    false.

%% Options.

options(["--json" | Args], Words, Options) -> options(Args, Words, Options#{json => true});
options(["--timeout", Seconds | Args], Words, Options) -> timeout(string:to_integer(Seconds), Args, Words, Options);
options(["--timeout=" ++ Seconds | Args], Words, Options) -> timeout(string:to_integer(Seconds), Args, Words, Options);
options(["--" ++ _ = Unknown | _Args], _Words, _Options) -> {error, ["unknown option: ", Unknown]};
options([Word | Args], Words, Options) -> options(Args, [Word | Words], Options);
options([], Words, Options) -> {ok, lists:reverse(Words), Options}.

timeout({Seconds, []}, Args, Words, Options) when is_integer(Seconds), Seconds >= 1, Seconds =< ?MAX_S ->
    options(Args, Words, Options#{timeout => Seconds});
timeout(_Other, _Args, _Words, _Options) ->
    {error, io_lib:format("expected --timeout with a number of seconds from 1 to ~b", [?MAX_S])}.

milliseconds(Options, Default) ->
    1000 * maps:get(timeout, Options, Default).
