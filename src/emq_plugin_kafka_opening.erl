%% Opens the first of these that is possible: the producer with the current settings; with the last that worked; the spool alone; a
%% counter of dropped records. Runs in the producer's process.
-module(emq_plugin_kafka_opening).

-export([start/0, change/2, are_in_force/1, loaded/0]).
-export_type([mode/0, opened/0]).

-define(APP, emq_plugin_kafka).

%% running: records are forwarded. spooling: they go to the spool until the settings are corrected. counting: they are dropped
%% and counted. unloaded: the library is missing.
-type mode() :: running | spooling | counting | unloaded.
%% Problems of running: the current settings are wrong, and the last that worked are in force.
-type opened() :: {mode(), Problems :: [binary()], [emq_plugin_kafka_changes:change()]}.

%% With the settings that the broker has at a start.
-spec start() -> opened().
start() ->
    start(loaded()).

start(ok) ->
    ok = emq_plugin_kafka_nif:name_settings(emq_plugin_kafka_broker:naming()),
    found(emq_plugin_kafka_broker:load_environment());
start({error, Problem}) -> {unloaded, [Problem], []}.

%% Not every broker has set the environment by now.
found(ok) -> configured(application:get_all_env(?APP));
found({error, Problems, Environment}) -> wrong(Problems, Environment).

configured(Environment) ->
    opened(used(Environment, fun open/1), Environment).

opened({ok, Changes}, _Environment) -> {running, [], Changes};
opened({error, Problems}, Environment) -> wrong(Problems, Environment).

%% Tells what has changed.
used(Environment, Open) ->
    Settings = emq_plugin_kafka_settings:readable(Environment),
    Before = emq_plugin_kafka_last_settings:before(Settings),
    used(emq_plugin_kafka_settings:use(Environment, Open), Before, Settings).

used(ok, Before, Settings) ->
    ok = emq_plugin_kafka_last_settings:worked(Settings),
    {ok, changes(Before, emq_plugin_kafka_nif:shown())};
used({error, _} = Error, _Before, _Settings) ->
    Error.

open(Settings) ->
    open(emq_plugin_kafka_nif:open(Settings, emq_plugin_kafka_vm:node_name()), Settings).

%% An earlier process of this one's place crashed. What it opened lives on, perhaps with the last settings, or the spool alone.
open(already_open, Settings) ->
    goes_on(are_in_force(Settings), Settings);
open(Result, _Settings) ->
    Result.

goes_on(true, _Settings) -> ok;
goes_on(false, Settings) -> reload(Settings).

reload(Settings) ->
    emq_plugin_kafka_nif:reload(Settings, emq_plugin_kafka_vm:node_name()).

-spec are_in_force([emq_plugin_kafka_nif:setting()]) -> boolean().
are_in_force(Settings) ->
    are_shown(emq_plugin_kafka_nif:preview(Settings)).

are_shown({ok, Shown}) -> emq_plugin_kafka_changes:between(emq_plugin_kafka_nif:shown(), Shown) =:= [];
are_shown({error, _}) -> false.

changes(none, _After) -> [];
changes(Before, After) -> [Change#{key := written(Key)} || #{key := Key} = Change <- emq_plugin_kafka_changes:between(Before, After)].

%% As operators of this broker write it; without what all keys of a conf file begin with.
written(Key) ->
    Name = emq_plugin_kafka_nif:setting_name(Key),
    without(string:prefix(Name, "emq.plugin.kafka."), Name).

without(nomatch, Name) -> Name;
without(Written, _Name) -> Written.

%% Wrong settings at a start.
wrong(Problems, Environment) ->
    Settings = emq_plugin_kafka_settings:readable(Environment),
    with_last(emq_plugin_kafka_last_settings:for_start(Settings), Problems, Settings).

with_last({ok, Last}, Problems, Settings) -> last(emq_plugin_kafka_nif:open(Last, emq_plugin_kafka_vm:node_name()), emq_plugin_kafka_nif:status(), Problems, Settings);
with_last(none, Problems, Settings) -> degrade(Problems, Settings);
with_last({error, Why}, Problems, Settings) -> degrade(Problems ++ [Why], Settings).

last(already_open, spooling, Problems, Settings) -> degrade(Problems, Settings);
last({error, More}, _Status, Problems, Settings) -> degrade(Problems ++ [of_last(Problem) || Problem <- More -- Problems], Settings);
last(_OkOrOpen, _Status, Problems, _Settings) -> {running, Problems, []}.

of_last(Problem) -> <<"the last settings that worked do not work any more: ", Problem/binary>>.

degrade(Problems, Settings) ->
    degraded(emq_plugin_kafka_nif:degrade(Settings, emq_plugin_kafka_vm:node_name()), Problems).

degraded(spooling, Problems) -> {spooling, Problems, []};
degraded({counting, none}, Problems) -> {counting, Problems, []};
degraded({counting, Why}, Problems) -> {counting, Problems ++ [Why || not lists:member(Why, Problems)], []}.

%% With other settings, while the plugin runs. On an error a running plugin keeps its settings.
-spec change(emq_plugin_kafka_broker:environment(), mode()) ->
          {ok, [emq_plugin_kafka_changes:change()]} | {error, [Problem :: binary()], opened()}.
change(Environment, unloaded) ->
    loaded_now(loaded(), Environment);
change(Environment, Mode) ->
    changed(used(Environment, changer(Mode)), Environment, Mode).

loaded_now(ok, Environment) -> change(Environment, counting);
loaded_now({error, Problem}, _Environment) -> {error, [Problem], {unloaded, [Problem], []}}.

changer(counting) -> fun open/1;
changer(_Open) -> fun reload/1.

changed({ok, Changes}, Environment, _Mode) ->
    ok = emq_plugin_kafka_settings:replace(Environment),
    {ok, Changes};
changed({error, Problems}, _Environment, running) ->
    {error, Problems, {running, Problems, []}};
changed({error, Problems}, Environment, _Degraded) ->
    {error, Problems, degrade(Problems, emq_plugin_kafka_settings:readable(Environment))}.

%% The library is loaded with the module where that is possible; here its failure gets its words.
-spec loaded() -> ok | {error, Problem :: binary()}.
loaded() ->
    loaded(emq_plugin_kafka_nif:load()).

loaded(ok) -> of_this_version();
loaded({error, {reload, _}}) -> of_this_version();
loaded({error, {_Reason, Text}}) -> {error, emq_plugin_kafka_library:explain(emq_plugin_kafka_nif:library() ++ ".so", Text)}.

of_this_version() ->
    #{version := Library} = emq_plugin_kafka_nif:build(),
    emq_plugin_kafka_library:of_version(Library, application:get_key(?APP, vsn)).
