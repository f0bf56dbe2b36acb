%% The steps of the producer's life: open, change, suspend, close. Holds no state; runs in the producer's process, and blocks it.
%%
%% A start opens the first of these that is possible: the producer with the current settings; with the last ones that worked; the
%% spool alone; a counter of dropped records.
-module(emq_plugin_kafka_producer_lifecycle).

-export([load_library/0, open/0, change/2, are_in_use/1, suspend/0, close/0]).
-export_type([mode/0, opened/0]).

-define(APP, emq_plugin_kafka).
-define(DEFAULT_SHUTDOWN_MS, 10000).

%% running: records are forwarded. spooling: they go to the spool until the settings are corrected. counting: they are dropped and
%% counted until then. unloaded: the library is missing.
-type mode() :: running | spooling | counting | unloaded.
%% Problems of `running`: the current settings are invalid, and the last ones that worked are in use.
-type opened() :: {mode(), Problems :: [binary()], [emq_plugin_kafka_changes:change()]}.

%% Opening.

%% Opens with the settings that the broker has at a start.
-spec open() -> opened().
open() ->
    open(load_library()).

open(ok) ->
    ok = emq_plugin_kafka_nif:name_settings(emq_plugin_kafka_broker:naming()),
    open_with(emq_plugin_kafka_broker:load_environment());
open({error, Problem}) -> {unloaded, [Problem], []}.

open_with(ok) -> open_current(application:get_all_env(?APP));
open_with({error, Problems, Environment}) -> open_last(Problems, Environment).

open_current(Environment) ->
    opened_current(use(Environment, fun open_producer/1), Environment).

opened_current({ok, Changes}, _Environment) -> {running, [], Changes};
opened_current({error, Problems}, Environment) -> open_last(Problems, Environment).

%% Gives the settings of an environment to Open. If that works, remembers them, and returns what has changed.
use(Environment, Open) ->
    Settings = emq_plugin_kafka_settings:readable(Environment),
    Before = emq_plugin_kafka_last_settings:before(Settings),
    used(emq_plugin_kafka_settings:use(Environment, Open), Before, Settings).

used(ok, Before, Settings) ->
    ok = emq_plugin_kafka_last_settings:save(Settings),
    {ok, changes(Before, emq_plugin_kafka_nif:shown())};
used({error, _} = Error, _Before, _Settings) ->
    Error.

open_producer(Settings) ->
    open_producer(emq_plugin_kafka_nif:open(Settings, emq_plugin_kafka_vm:node_name()), Settings).

%% The process before this one crashed and left the producer open, perhaps with the last settings that worked, or the spool alone.
open_producer(already_open, Settings) -> keep_or_reload(are_in_use(Settings), Settings);
open_producer(Result, _Settings) -> Result.

keep_or_reload(true, _Settings) -> ok;
keep_or_reload(false, Settings) -> reload(Settings).

reload(Settings) ->
    emq_plugin_kafka_nif:reload(Settings, emq_plugin_kafka_vm:node_name()).

%% Whether the open producer has these settings.
-spec are_in_use([emq_plugin_kafka_nif:setting()]) -> boolean().
are_in_use(Settings) ->
    are_shown(emq_plugin_kafka_nif:preview(Settings)).

are_shown({ok, Shown}) -> emq_plugin_kafka_changes:between(emq_plugin_kafka_nif:shown(), Shown) =:= [];
are_shown({error, _}) -> false.

changes(none, _After) -> [];
changes(Before, After) -> [Change#{key := operators_name(Key)} || #{key := Key} = Change <- emq_plugin_kafka_changes:between(Before, After)].

%% The name that operators of this broker use, without the prefix of a conf file.
operators_name(Key) ->
    Name = emq_plugin_kafka_nif:setting_name(Key),
    without_prefix(string:prefix(Name, "emq.plugin.kafka."), Name).

without_prefix(nomatch, Name) -> Name;
without_prefix(Short, _Name) -> Short.

%% With invalid settings: the last ones that worked, or else the spool or a counter.
open_last(Problems, Environment) ->
    Settings = emq_plugin_kafka_settings:readable(Environment),
    open_last(emq_plugin_kafka_last_settings:for_start(Settings), Problems, Settings).

open_last({ok, Last}, Problems, Settings) ->
    opened_last(emq_plugin_kafka_nif:open(Last, emq_plugin_kafka_vm:node_name()), emq_plugin_kafka_nif:status(), Problems, Settings);
open_last(none, Problems, Settings) ->
    degrade(Problems, Settings);
open_last({error, Why}, Problems, Settings) ->
    degrade(Problems ++ [Why], Settings).

opened_last(already_open, spooling, Problems, Settings) -> degrade(Problems, Settings);
opened_last({error, More}, _Status, Problems, Settings) -> degrade(Problems ++ [problem_of_last(P) || P <- More -- Problems], Settings);
opened_last(_OkOrOpen, _Status, Problems, _Settings) -> {running, Problems, []}.

problem_of_last(Problem) -> <<"the last settings that worked fail now: ", Problem/binary>>.

degrade(Problems, Settings) ->
    degraded(emq_plugin_kafka_nif:degrade(Settings, emq_plugin_kafka_vm:node_name()), Problems).

degraded(spooling, Problems) -> {spooling, Problems, []};
degraded({counting, none}, Problems) -> {counting, Problems, []};
degraded({counting, Why}, Problems) -> {counting, Problems ++ [Why || not lists:member(Why, Problems)], []}.

%% The library is loaded with the module emq_plugin_kafka_nif if possible. Here a failure gets its explanation.
-spec load_library() -> ok | {error, Problem :: binary()}.
load_library() ->
    loaded(emq_plugin_kafka_nif:load()).

loaded(ok) -> check_version();
loaded({error, {reload, _}}) -> check_version();
loaded({error, {_Reason, Text}}) -> {error, emq_plugin_kafka_library:explain(emq_plugin_kafka_nif:library() ++ ".so", Text)}.

check_version() ->
    #{version := Library} = emq_plugin_kafka_nif:build(),
    emq_plugin_kafka_library:check_version(Library, application:get_key(?APP, vsn)).

%% Changing.

%% Uses other settings while the plugin runs. On an error a running plugin keeps its settings.
-spec change(emq_plugin_kafka_broker:environment(), mode()) ->
          {ok, [emq_plugin_kafka_changes:change()]} | {error, [Problem :: binary()], opened()}.
change(Environment, unloaded) ->
    change_unloaded(load_library(), Environment);
change(Environment, counting) ->
    changed(use(Environment, fun open_producer/1), Environment, counting);
change(Environment, Mode) ->
    changed(use(Environment, fun reload/1), Environment, Mode).

change_unloaded(ok, Environment) -> change(Environment, counting);
change_unloaded({error, Problem}, _Environment) -> {error, [Problem], {unloaded, [Problem], []}}.

changed({ok, Changes}, Environment, _Mode) ->
    ok = emq_plugin_kafka_settings:replace(Environment),
    {ok, Changes};
changed({error, Problems}, _Environment, running) ->
    {error, Problems, {running, Problems, []}};
changed({error, Problems}, Environment, _Degraded) ->
    {error, Problems, degrade(Problems, emq_plugin_kafka_settings:readable(Environment))}.

%% Closing.

%% Moves the backlog to the spool, where new records go, too. Without a spool, does nothing: close/0 drains the producer.
-spec suspend() -> ok.
suspend() ->
    suspended(emq_plugin_kafka_nif:suspend()).

%% close/0 logs the final count.
suspended({ok, _Spooled}) -> ok;
suspended({error, Reason}) when Reason =:= closed; Reason =:= no_spool -> ok.

-spec close() -> ok.
close() ->
    closed(emq_plugin_kafka_nif:close(shutdown_ms(application:get_env(?APP, shutdown_timeout)))).

%% This setting, too, may be invalid.
shutdown_ms({ok, Milliseconds}) when is_integer(Milliseconds), Milliseconds >= 0 -> Milliseconds;
shutdown_ms(_MissingOrInvalid) -> ?DEFAULT_SHUTDOWN_MS.

closed({ok, #{given_up := GivenUp, spooled := Spooled}}) ->
    ok = log_given_up(GivenUp),
    log_spooled(Spooled);
closed({error, closed}) ->
    ok.

log_given_up(0) -> ok;
log_given_up(Count) ->
    emq_plugin_kafka_log:error("closed; ~b undelivered records are lost (dropped.purged)", [Count]).

log_spooled(0) -> ok;
log_spooled(Count) ->
    emq_plugin_kafka_log:error("closed; ~b records stay in the spool for the next start", [Count]).
