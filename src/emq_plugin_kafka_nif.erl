%% The functions of the native library, priv/emq_plugin_kafka_nif.so. No process: each runs in its caller.
%%
%% One file, because it is one interface; its groups are those of the export list. Each function raises `not_loaded` where the library
%% is not loaded, and `badarg` for an argument of a wrong type. Times are milliseconds unless a name says otherwise.
%%
%% "Dirty" functions run on a dirty scheduler. Of these, some block their caller: the comment says for how long at most.
%% All others take microseconds on a normal scheduler and never block.
%%
%% This module can be loaded again at any time. With the same library the producer stays open. A library of another version is
%% refused while a producer is open, and the loaded code stays.
-module(emq_plugin_kafka_nif).

%% The library.
-export([load/0,
         library/0,
         build/0,
         about/0]).
%% Settings.
-export([name_settings/1,
         setting_name/1,
         check/1,
         shown/0,
         preview/1,
         keep/2,
         kept/2]).
%% The life of the producer.
-export([open/2,
         degrade/2,
         reload/2,
         reopen/0,
         suspend/0,
         close/1,
         status/0]).
%% Records.
-export([hooks/0,
         produce/2,
         produce_large/2,
         produce_rest/3,
         give_up/3,
         cancel/1]).
%% What people see.
-export([stats/0,
         latency/0,
         rules/0,
         topics/0,
         librdkafka/0,
         listening/0,
         take_notices/0,
         refused/1,
         unseen/1,
         to_json/1]).
%% Operation.
-export([flush/1,
         test/4]).

-export_type([build/0, about/0]).
-export_type([setting/0, naming/0]).
-export_type([wait/0, waiter/0, outcome/0, answer/0]).
-export_type([stats/0, latency/0, rule/0, topic/0, librdkafka/0, notice/0]).
-export_type([test_report/0, problem/0]).

-on_load(on_load/0).
-nifs([build/0, about/0,
       name_settings/1, setting_name/1, check/1, shown/0, preview/1, keep/2, kept/2,
       open/2, degrade/2, reload/2, reopen/0, suspend/0, close/1, status/0,
       hooks/0, produce/2, produce_large/2, produce_rest/3, give_up/3, cancel/1,
       stats/0, latency/0, rules/0, topics/0, librdkafka/0, listening/0, take_notices/0, refused/1, unseen/1, to_json/1,
       flush/1, test/4]).

%% The library.

%% target: the system it was compiled for. spool_format: the version of the spool's files.
-type build() :: #{version := binary(), target := binary(), nif_version := binary(), spool_format := pos_integer()}.
-type about() :: #{version := binary(), librdkafka := binary(),
                   %% Of the settings in force.
                   config_hash := none | binary(),
                   %% Rules whose mode differs from the setting `produce`.
                   modes := #{Rule :: binary() => Mode :: binary()},
                   linger_ms := non_neg_integer(),
                   %% Whether some rule disconnects a publisher whose record is not safe. Once closed: whether one did.
                   disconnects := boolean(),
                   %% Bytes on disk that new records occupy and may occupy at most.
                   spool_room := nil | #{dir := binary(), occupied := non_neg_integer(), limit := non_neg_integer()}}.

%% Loads the library. `{error, {reload, _}}`: it is loaded already.
-spec load() -> ok | {error, {Reason :: atom(), Text :: string()}}.
load() ->
    erlang:load_nif(library(), 0).

%% The library's file without its extension, as load_nif/2 expects it.
-spec library() -> file:filename().
library() ->
    filename:join(priv_dir(code:priv_dir(emq_plugin_kafka)), "emq_plugin_kafka_nif").

-spec build() -> build().
build() ->
    erlang:nif_error(not_loaded).

-spec about() -> about().
about() ->
    erlang:nif_error(not_loaded).

%% Settings.

%% The name in the application environment, and the value as text.
-type setting() :: {Name :: binary(), Value :: binary()}.
%% How messages name a setting: by its key in a conf file, or by its field in EMQX 5's configuration.
-type naming() :: conf | hocon.

%% Sets how all later messages name settings.
-spec name_settings(naming()) -> ok.
name_settings(_Naming) ->
    erlang:nif_error(not_loaded).

%% The name that the operator knows for a conf key. The key comes without its prefix.
-spec setting_name(Key :: binary()) -> binary().
setting_name(_Key) ->
    erlang:nif_error(not_loaded).

%% Checks settings, opens nothing. The answer has no secrets. Dirty.
-spec check([setting()]) -> {ok, [{Key :: binary(), Value :: binary()}]} | {error, [Problem :: binary()]}.
check(_Settings) ->
    erlang:nif_error(not_loaded).

%% The settings in force, rules included, secrets replaced. Empty while no producer is open. Dirty.
-spec shown() -> [emq_plugin_kafka_changes:shown()].
shown() ->
    erlang:nif_error(not_loaded).

%% The same for settings that are not in force. Dirty.
-spec preview([setting()]) -> {ok, [emq_plugin_kafka_changes:shown()]} | {error, [Problem :: binary()]}.
preview(_Settings) ->
    erlang:nif_error(not_loaded).

%% Writes the settings in force to a file without secrets, readable by its owner alone. Dirty; blocks for the disk.
-spec keep(File :: binary(), [setting()]) -> ok | {error, Why :: binary()}.
keep(_File, _Settings) ->
    erlang:nif_error(not_loaded).

%% Reads that file: its settings as shown, and as they can be opened. Secrets are taken from the settings Now. `none`: no file.
%% Dirty; blocks for the disk.
-spec kept(File :: binary(), Now :: [setting()]) ->
          none | {ok, [{Key :: binary(), Value :: binary()}], {ok, [setting()]} | {error, Why :: binary()}} | {error, Why :: binary()}.
kept(_File, _Now) ->
    erlang:nif_error(not_loaded).

%% The life of the producer. A node has one. Each call that changes it is dirty and blocks: until the change is made, and until
%% another change is.

%% Opens the producer and its spool. Recovery of a large spool takes long; Kafka is not waited for.
-spec open([setting()], Node :: binary()) -> ok | already_open | {error, [Problem :: binary()]}.
open(_Settings, _Node) ->
    erlang:nif_error(not_loaded).

%% With invalid settings: records go to the spool, or are dropped and counted. Why: the spool could not be opened. A producer that is
%% open stays open.
-spec degrade([setting()], Node :: binary()) -> spooling | {counting, none | Why :: binary()}.
degrade(_Settings, _Node) ->
    erlang:nif_error(not_loaded).

%% Replaces producer and settings without a gap: events that come meanwhile are held. On an error nothing has changed.
-spec reload([setting()], Node :: binary()) -> ok | {error, [Problem :: binary()]}.
reload(_Settings, _Node) ->
    erlang:nif_error(not_loaded).

%% Replaces a failed producer. The settings stay. On an error nothing has changed.
-spec reopen() -> ok | {error, [Problem :: binary()]}.
reopen() ->
    erlang:nif_error(not_loaded).

%% Ends the producer: its backlog moves to the spool, and new records go there, too.
-spec suspend() -> {ok, Spooled :: non_neg_integer()} | {error, closed | no_spool}.
suspend() ->
    erlang:nif_error(not_loaded).

%% Closes the producer. Its backlog moves to the spool. Without a spool, Kafka has this time to take it; the rest is lost and
%% counted (given_up).
-spec close(Milliseconds :: non_neg_integer()) ->
          {ok, #{given_up := non_neg_integer(), spooled := non_neg_integer()}} | {error, closed}.
close(_Timeout) ->
    erlang:nif_error(not_loaded).

%% The producer's state and settings, secrets replaced. Does not block.
%%   spooling  the settings are invalid, records go to the spool
%%   fatal     librdkafka has given the producer up: reopen/0 is needed
%%   spoiled   Kafka refused a batch because of some of its records: reopen/0 isolates their topic. The process that called
%%             open/2 or degrade/2 got a message {emq_plugin_kafka, spoiled}
-spec status() -> closed | spooling | {open | fatal | spoiled, [{Key :: binary(), Value :: binary()}]}.
status() ->
    erlang:nif_error(not_loaded).

%% Records. Called by hook callbacks, in the process of the client or session.

%% wait: the caller may block, or be told to end the connection that it serves.
-type wait() :: wait | no_wait.
%% A caller that waits, as long as it does.
-type waiter() :: non_neg_integer().
-type on_failure() :: continue | disconnect.
-type outcome() :: ok | ignored | {error, Reason :: atom() | binary()}.
%% refused: end the publisher's connection.
%% wait: a message {emq_plugin_kafka, Waiter, ok | {error, Reason}} comes within Milliseconds. Otherwise call cancel/1: on_failure
%%   applies.
%% full: a message {emq_plugin_kafka, Waiter, room} comes within Milliseconds: call produce_rest/3. Otherwise call give_up/3.
-type answer() :: outcome()
                | {refused, Reason :: atom() | binary()}
                | {wait, waiter(), Milliseconds :: non_neg_integer(), on_failure()}
                | {full, waiter(), Milliseconds :: non_neg_integer(), From :: non_neg_integer()}.

%% The hooks that the rules need. Empty while the producer is closed.
-spec hooks() -> [atom()].
hooks() ->
    erlang:nif_error(not_loaded).

%% Queues or spools the records of an event. Total: any term has an outcome and is counted. `heavy`: nothing was done, because it
%% takes too long for a normal scheduler; call produce_large/2.
-spec produce(emq_plugin_kafka_event:event(), wait()) -> answer() | heavy.
produce(_Event, _Wait) ->
    erlang:nif_error(not_loaded).

%% The same. Dirty, some milliseconds.
-spec produce_large(emq_plugin_kafka_event:event(), wait()) -> answer().
produce_large(_Event, _Wait) ->
    erlang:nif_error(not_loaded).

%% After `full` and `room`: the same event again, from its record number From. Dirty, some milliseconds.
-spec produce_rest(emq_plugin_kafka_event:event(), waiter(), From :: non_neg_integer()) -> answer().
produce_rest(_Event, _Waiter, _From) ->
    erlang:nif_error(not_loaded).

%% After `full` and the timeout: the last try. Records without room are dropped. Never answers `full`. Dirty, some milliseconds.
-spec give_up(emq_plugin_kafka_event:event(), waiter(), From :: non_neg_integer()) -> answer().
give_up(_Event, _Waiter, _From) ->
    erlang:nif_error(not_loaded).

%% The caller stops waiting. `answered`: the answer was sent before.
-spec cancel(waiter()) -> cancelled | answered.
cancel(_Waiter) ->
    erlang:nif_error(not_loaded).

%% What people see.

-type stats() :: #{accepted := non_neg_integer(), success := non_neg_integer(),
                   failed := non_neg_integer(), failed_by := #{binary() => pos_integer()},
                   dropped := non_neg_integer(), dropped_by := #{atom() => non_neg_integer()},
                   spooled := non_neg_integer(), queued := integer(), queued_bytes := integer(),
                   redirected := non_neg_integer(), recovered := non_neg_integer(), dead_lettered := non_neg_integer(),
                   %% Messages, not records: see unseen/1. Not part of `accepted`.
                   unseen := non_neg_integer(),
                   wait_timeouts := non_neg_integer(), waiting := non_neg_integer(), disconnected := non_neg_integer(),
                   spool := off | #{records := non_neg_integer(), bytes := non_neg_integer(),
                                    max_bytes := non_neg_integer(), segments := non_neg_integer(),
                                    oldest_ms := non_neg_integer(), state := ok | full | failed}}.
%% A histogram: each bucket counts all records that took UpperMs or less.
-type latency() :: #{count := non_neg_integer(), sum_ms := non_neg_integer(),
                     buckets := [{UpperMs :: pos_integer() | infinity, Cumulative :: non_neg_integer()}]}.
%% matched: events that the rule took. dropped: its records that were lost before Kafka had them.
-type rule() :: #{event := atom(), name := binary(), matched := non_neg_integer(), dropped := non_neg_integer(),
                  definition := binary()}.
%% isolated: Kafka refuses some records of the topic, so they are sent in small batches.
-type topic() :: #{name := binary(), success := non_neg_integer(), failed := non_neg_integer(), isolated := boolean()}.
%% librdkafka's own statistics. rtt and batch: within the last interval. state: UP, DOWN, CONNECT, INIT and so on.
-type librdkafka() :: #{age_ms := non_neg_integer(),
                        brokers := [#{name := binary(), id := integer(), state := binary(),
                                      rtt_avg_us := non_neg_integer(), rtt_p99_us := non_neg_integer(),
                                      requests := non_neg_integer(), retries := non_neg_integer(),
                                      errors := non_neg_integer(), timeouts := non_neg_integer(),
                                      waiting := non_neg_integer()}],
                        topics := [#{name := binary(), partitions := non_neg_integer(),
                                     batch_records_avg := non_neg_integer(), batch_bytes_avg := non_neg_integer()}],
                        sent := non_neg_integer(), sent_bytes := non_neg_integer(),
                        retries := non_neg_integer(), queued := non_neg_integer()}.
-type notice() :: {emq_plugin_kafka_log:level(), Kind :: binary(), Text :: binary(), Count :: pos_integer()}.

%% All counters at one instant.
-spec stats() -> stats().
stats() ->
    erlang:nif_error(not_loaded).

%% From the hook to Kafka's acknowledgement, time in the spool included.
-spec latency() -> latency().
latency() ->
    erlang:nif_error(not_loaded).

%% The rules in the order of evaluation. Empty while the producer is closed.
-spec rules() -> [rule()].
rules() ->
    erlang:nif_error(not_loaded).

%% Acknowledged and refused records by topic: topics of the settings, up to topic.max_dynamic others, and `other`.
-spec topics() -> [topic()].
topics() ->
    erlang:nif_error(not_loaded).

%% `none`: the producer is closed, its first statistics have not come yet, or statistics.interval.ms is 0. Dirty.
-spec librdkafka() -> none | librdkafka().
librdkafka() ->
    erlang:nif_error(not_loaded).

%% The endpoint for Prometheus (metrics.listener).
-spec listening() -> off | {at, Address :: binary()} | {error, Problem :: binary()}.
listening() ->
    erlang:nif_error(not_loaded).

%% The messages of the library for the operator since the last call. Of each kind: the latest, and how many there were.
-spec take_notices() -> [notice()].
take_notices() ->
    erlang:nif_error(not_loaded).

%% Sets a metric: whether invalid settings were refused.
-spec refused(boolean()) -> ok.
refused(_Are) ->
    erlang:nif_error(not_loaded).

%% Counts messages that were published while no hook was registered. Returns the total since the library was loaded.
-spec unseen(Messages :: non_neg_integer()) -> non_neg_integer().
unseen(_Messages) ->
    erlang:nif_error(not_loaded).

%% A term as JSON: maps, lists, numbers, UTF-8 binaries. Atoms become strings, except true, false and nil (null). Dirty.
-spec to_json(term()) -> {ok, binary()} | {error, Why :: binary()}.
to_json(_Term) ->
    erlang:nif_error(not_loaded).

%% Operation.

-type problem() :: #{kind := binary(), error := binary(), text := binary(), advice := binary()}.
%% Either `delivered` or `problem` is nil. passed: the steps dns, connect, tls, login, kafka.
-type test_report() :: #{topic := binary(),
                         servers := [#{name := binary(), addresses := [binary()], passed := [binary()],
                                       problem := nil | problem()}],
                         brokers := [#{id := integer(), name := binary(), state := binary()}],
                         delivered := nil | #{partition := integer(), offset := integer(), took_ms := non_neg_integer()},
                         problem := nil | problem(),
                         %% librdkafka's log lines.
                         said := [binary()]}.

%% Waits until Kafka has all records that are queued or spooled now. `replaced`: a reload, a stop or a failure ended the producer
%% meanwhile. Dirty; blocks up to Milliseconds.
-spec flush(Milliseconds :: non_neg_integer()) ->
          ok | {error, {timeout, Left :: non_neg_integer()} | closed | replaced}.
flush(_Timeout) ->
    erlang:nif_error(not_loaded).

%% Sends one record by a client of its own, and waits for Kafka's acknowledgement. An empty topic means the setting's. Needs no open
%% producer. Dirty; blocks up to Milliseconds.
-spec test([setting()], Node :: binary(), Topic :: binary(), Milliseconds :: non_neg_integer()) ->
          {ok, test_report()} | {error, [Problem :: binary()]}.
test(_Settings, _Node, _Topic, _Timeout) ->
    erlang:nif_error(not_loaded).

%% Loading the module.

%% A release loads this module while it boots, and one failed on_load ends the boot. A library that cannot be loaded (another glibc,
%% another processor) must not end it: the plugin reports the reason when it starts. A library that refuses to replace the loaded
%% one leaves that one in place.
on_load() ->
    module_loads(load()).

module_loads(ok) ->
    ok;
module_loads({error, {Reason, _Text}}) when Reason =:= load_failed; Reason =:= bad_lib; Reason =:= load ->
    ok;
module_loads({error, _} = Refused) ->
    Refused.

%% The code path does not find an application whose folder has another name.
priv_dir({error, bad_name}) ->
    filename:join([filename:dirname(code:which(?MODULE)), "..", "priv"]);
priv_dir(Dir) ->
    Dir.
