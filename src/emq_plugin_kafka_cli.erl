%% `emqttd_ctl kafka ...`: what an operator asks the running plugin on the command line. Runs in a process of EMQ's whose
%% output goes to that terminal.
-module(emq_plugin_kafka_cli).

-export([register/0, unregister/0, kafka/1]).

-define(USAGE, [{"kafka status", "Whether records are forwarded, and the settings"},
                {"kafka stats", "Every counter, at one instant"},
                {"kafka reload", "Read etc/plugins/emq_plugin_kafka.conf again; nothing is missed meanwhile"}]).

-spec register() -> ok.
register() ->
    emqttd_ctl:register_cmd(kafka, {?MODULE, kafka}, []).

-spec unregister() -> ok.
unregister() ->
    emqttd_ctl:unregister_cmd(kafka).

%% The function has the command's name: the general help calls it with `usage`.
-spec kafka([string()] | usage) -> ok.
kafka(["status"]) ->
    status(emq_plugin_kafka:status());
kafka(["stats"]) ->
    stats(emq_plugin_kafka:stats());
kafka(["reload"]) ->
    reloaded(emq_plugin_kafka_producer:reload());
kafka(None) when None =:= usage; None =:= [] ->
    usage();
kafka(_Unknown) ->
    ok = usage(),
    failed(unknown_command).

status(#{state := State, problems := Problems, settings := Settings}) ->
    line("state", atom_to_list(State)),
    lists:foreach(fun(Problem) -> line("problem", Problem) end, Problems),
    lists:foreach(fun({Key, Value}) -> line(Key, Value) end, Settings).

stats({error, not_loaded}) ->
    line("problem", "the native library is not loaded"),
    failed(not_loaded);
stats(Stats) ->
    counters("", Stats).

%% Counters by reason and those of the spool are maps within the map.
counters(Prefix, Stats) ->
    lists:foreach(fun({Name, Value}) -> counter([Prefix, text(Name)], Value) end, lists:sort(maps:to_list(Stats))).

counter(Name, #{} = Several) -> counters([Name, "."], Several);
counter(Name, Value) when is_integer(Value) -> line(Name, integer_to_list(Value));
counter(Name, Value) when is_atom(Value) -> line(Name, atom_to_list(Value)).

text(Name) when is_atom(Name) -> atom_to_list(Name);
text(Name) when is_binary(Name) -> Name.

reloaded(ok) ->
    io:format("reloaded~n");
reloaded({error, Problems}) ->
    io:format("nothing was changed:~n"),
    lists:foreach(fun(Problem) -> io:format("~ts~n", [Problem]) end, Problems),
    failed(not_reloaded).

line(Name, Value) ->
    io:format("~-40ts: ~ts~n", [unicode:characters_to_list(Name), Value]).

usage() ->
    lists:foreach(fun({Command, Purpose}) -> io:format("~-48s# ~s~n", [Command, Purpose]) end, ?USAGE).

%% EMQ's exit status is 0 whatever a command returns; only an exception, which it prints with its stack, gives 1.
-spec failed(atom()) -> no_return().
failed(Reason) ->
    erlang:raise(exit, Reason, []).
