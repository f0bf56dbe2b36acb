%% `kafka ...` of the broker's command line tool: what an operator asks the running plugin. Runs in a process of EMQ's whose
%% output goes to that terminal. What is answered is made in emq_plugin_kafka_info, how it is printed in emq_plugin_kafka_cli_text.
-module(emq_plugin_kafka_cli).

-export([register/0, unregister/0, kafka/1]).

-define(USAGE, [{"kafka status [--json]", "Whether records are forwarded, brokers, backlog, settings"},
                {"kafka stats [--json]", "Every counter, at one instant, and librdkafka's own numbers"},
                {"kafka rules [--json]", "Each rule, what it matched and what was dropped"},
                {"kafka spool [--json]", "What waits on disk, and how much room is left"},
                {"kafka test [TOPIC] [--timeout S] [--json]", "Send one record and wait for Kafka, told step by step (10 s)"},
                {"kafka flush [--timeout S] [--json]", "Wait until Kafka has all that waits now (30 s)"},
                {"kafka reload [--json]", "Read the configuration file again, without a gap"}]).

-define(TEST_S, 10).
-define(FLUSH_S, 30).
%% EMQ's tool itself waits for 60 s.
-define(MAX_S, 55).
%% How often a flush tells how far it is.
-define(PROGRESS_MS, 2000).

-type options() :: #{json := boolean(), timeout => pos_integer()}.

-spec register() -> ok.
register() ->
    emq_plugin_kafka_broker:register_command().

-spec unregister() -> ok.
unregister() ->
    emq_plugin_kafka_broker:unregister_command().

%% The function has the command's name: the general help calls it with `usage`.
-spec kafka([string()] | usage) -> term().
kafka(None) when None =:= usage; None =:= [] ->
    usage();
kafka(Args) ->
    emq_plugin_kafka_broker:command_result(command(options(Args, [], #{json => false}))).

%% Each answers whether all is well, once it has printed its answer.
command({ok, ["status"], Options}) ->
    Status = emq_plugin_kafka_info:status(),
    print(status, Status, Options) andalso maps:get(state, Status) =:= running andalso maps:get(problems, Status) =:= [];
command({ok, ["stats"], Options}) ->
    known(stats, emq_plugin_kafka_info:stats(), Options);
command({ok, ["rules"], Options}) ->
    known(rules, emq_plugin_kafka_info:rules(), Options);
command({ok, ["spool"], Options}) ->
    known(spool, emq_plugin_kafka_info:spool(), Options);
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
    wrong(["there is no command: kafka ", lists:join(" ", Words)]);
command({error, Problem}) ->
    wrong(Problem).

known(_Command, {error, Problem}, Options) ->
    print(problem, #{problem => Problem}, Options) andalso false;
known(Command, Answer, Options) ->
    print(Command, Answer, Options).

test(Topic, Options) ->
    Report = emq_plugin_kafka_info:test(Topic, milliseconds(Options, ?TEST_S)),
    print(test, Report, Options) andalso maps:get(ok, Report).

%% In a process of its own, so that this one can tell how far it is.
flush(#{json := Json} = Options) ->
    Milliseconds = milliseconds(Options, ?FLUSH_S),
    Teller = self(),
    {Flusher, Monitor} = spawn_monitor(fun() -> Teller ! {flushed, self(), emq_plugin_kafka_info:flush(Milliseconds)} end),
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
    %% Kafka's own words are in it, and names that clients chose: nothing that a terminal obeys.
    Lines = string:split(unicode:characters_to_list(emq_plugin_kafka_cli_text:format(Command, Answer)), "\n", all),
    io:format("~ts", [lists:join("\n", [emq_plugin_kafka_text:printable(Line) || Line <- Lines])]),
    true;
print(Command, Answer, #{json := true}) ->
    json(Command, Answer, emq_plugin_kafka_info:json(Answer)).

json(_Command, _Answer, {ok, Json}) ->
    io:format("~ts~n", [Json]),
    true;
%% Without the library nobody here makes JSON.
json(Command, Answer, {error, not_loaded}) ->
    print(Command, Answer, #{json => false}) andalso false.

usage() ->
    lists:foreach(fun({Command, Purpose}) -> io:format("~-48s# ~s~n", [Command, Purpose]) end, ?USAGE).

wrong(Problem) ->
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
