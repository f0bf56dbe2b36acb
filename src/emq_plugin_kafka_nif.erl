%% The functions that live in priv/emq_plugin_kafka_nif.so. No process of its own: they run in their callers.
%%
%% This module, too, may be loaded again at any time: with the same library it goes on with the same producer. With another one,
%% of another version of the plugin, it is refused while a producer is open, and the loaded code goes on.
-module(emq_plugin_kafka_nif).

-export([load/0, library/0, build/0, open/2, reload/2, reopen/0, suspend/0, close/1, check/1, name_settings/1, setting_name/1, produce/2, produce_large/2, produce_rest/3, give_up/3,
         cancel/1, hooks/0, status/0, stats/0, take_notices/0, about/0, test/4, flush/1, to_json/1, rules/0, topics/0, latency/0, librdkafka/0, listening/0,
         degrade/2, shown/0, preview/1, keep/2, kept/2, refused/1, unseen/1]).
-export_type([setting/0, naming/0, build/0, wait/0, waiter/0, outcome/0, answer/0, stats/0, notice/0, about/0, test_report/0, problem/0, rule/0, topic/0,
              latency/0, librdkafka/0]).

-on_load(on_load/0).
-nifs([build/0, open/2, reload/2, reopen/0, suspend/0, close/1, check/1, name_settings/1, setting_name/1, produce/2, produce_large/2, produce_rest/3, give_up/3, cancel/1,
       hooks/0, status/0, stats/0, take_notices/0, about/0, test/4, flush/1, to_json/1, rules/0, topics/0, latency/0, librdkafka/0, listening/0,
       degrade/2, shown/0, preview/1, keep/2, kept/2, refused/1, unseen/1]).

%% A setting by its name in the application environment, as text.
-type setting() :: {Name :: binary(), Value :: binary()}.
%% What a setting is called in texts: by its key in a conf file, or by its field in EMQX 5's configuration.
-type naming() :: conf | hocon.
-type build() :: #{version := binary(), target := binary(), nif_version := binary(), spool_format := pos_integer()}.
-type notice() :: {emq_plugin_kafka_log:level(), Kind :: binary(), Text :: binary(), Count :: pos_integer()}.
%% Whether the caller may be kept waiting, or told to end the connection it serves.
-type wait() :: wait | no_wait.
-type waiter() :: non_neg_integer().
-type on_failure() :: continue | disconnect.
-type outcome() :: ok | ignored | {error, Reason :: atom() | binary()}.
%% refused: end the publisher's connection.
%% wait: a message {emq_plugin_kafka, Waiter, ok | {error, Reason}} comes within so many ms, or on_failure applies.
%% full: a message {emq_plugin_kafka, Waiter, room} tells when to go on with produce_rest/3; after so many ms, with give_up/3.
-type answer() :: outcome()
                | {refused, Reason :: atom() | binary()}
                | {wait, waiter(), Milliseconds :: non_neg_integer(), on_failure()}
                | {full, waiter(), Milliseconds :: non_neg_integer(), From :: non_neg_integer()}.
-type stats() :: #{accepted := non_neg_integer(), success := non_neg_integer(),
                   failed := non_neg_integer(), failed_by := #{binary() => pos_integer()},
                   dropped := non_neg_integer(), dropped_by := #{atom() => non_neg_integer()},
                   spooled := non_neg_integer(), queued := integer(), queued_bytes := integer(),
                   redirected := non_neg_integer(), recovered := non_neg_integer(), dead_lettered := non_neg_integer(),
                   %% Messages, not records: see unseen/1. No part of `accepted`.
                   unseen := non_neg_integer(),
                   wait_timeouts := non_neg_integer(), waiting := non_neg_integer(), disconnected := non_neg_integer(),
                   spool := off | #{records := non_neg_integer(), bytes := non_neg_integer(),
                                    max_bytes := non_neg_integer(), segments := non_neg_integer(),
                                    oldest_ms := non_neg_integer(), state := ok | full | failed}}.

%% modes: the rules that have another mode than the setting `produce`. spool_room: what new records take in the spool, and may.
-type about() :: #{version := binary(), librdkafka := binary(), config_hash := none | binary(),
                   modes := #{Rule :: binary() => Mode :: binary()}, linger_ms := non_neg_integer(),
                   %% Whether some rule, now or at last, disconnects a publisher whose record is not safe.
                   disconnects := boolean(),
                   spool_room := nil | #{dir := binary(), occupied := non_neg_integer(), limit := non_neg_integer()}}.
-type problem() :: #{kind := binary(), error := binary(), text := binary(), advice := binary()}.
%% What a test record met: `delivered` or `problem` is nil. passed: dns, connect, tls, login, kafka.
-type test_report() :: #{topic := binary(),
                         servers := [#{name := binary(), addresses := [binary()], passed := [binary()],
                                       problem := nil | problem()}],
                         brokers := [#{id := integer(), name := binary(), state := binary()}],
                         delivered := nil | #{partition := integer(), offset := integer(), took_ms := non_neg_integer()},
                         problem := nil | problem(),
                         said := [binary()]}.

%% matched: events that the rule wanted. dropped: its records that were given up on their way in.
-type rule() :: #{event := atom(), name := binary(), matched := non_neg_integer(), dropped := non_neg_integer(),
                  definition := binary()}.
%% isolated: Kafka refuses some of its records, so they are sent in small batches.
-type topic() :: #{name := binary(), success := non_neg_integer(), failed := non_neg_integer(), isolated := boolean()}.
%% In each bucket are all records that took so many ms or less.
-type latency() :: #{count := non_neg_integer(), sum_ms := non_neg_integer(),
                     buckets := [{UpperMs :: pos_integer() | infinity, Cumulative :: non_neg_integer()}]}.
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

%% Loads the library. `{error, {reload, _}}` when it is loaded already.
-spec load() -> ok | {error, {Reason :: atom(), Text :: string()}}.
load() ->
    erlang:load_nif(library(), 0).

%% What the library was built as: its version, for which system, the NIF version that it needs, the version of spool files
%% that it reads.
-spec build() -> build().
build() ->
    erlang:nif_error(not_loaded).

%% From now on all texts name settings like this.
-spec name_settings(naming()) -> ok.
name_settings(_Naming) ->
    erlang:nif_error(not_loaded).

%% How the operator wrote a setting, which is given by its conf key without the prefix.
-spec setting_name(Key :: binary()) -> binary().
setting_name(_Key) ->
    erlang:nif_error(not_loaded).

%% Takes the records of an event to where their rules want them. Microseconds; never waits. Any term has an outcome and is
%% counted. `heavy`: nothing was done, because it would hold up a normal scheduler; produce_large/2 is to be called.
-spec produce(emq_plugin_kafka_event:event(), wait()) -> answer() | heavy.
produce(_Event, _Wait) ->
    erlang:nif_error(not_loaded).

%% The same on a dirty scheduler.
-spec produce_large(emq_plugin_kafka_event:event(), wait()) -> answer().
produce_large(_Event, _Wait) ->
    erlang:nif_error(not_loaded).

%% Goes on with an event for whose records there was no room.
-spec produce_rest(emq_plugin_kafka_event:event(), waiter(), From :: non_neg_integer()) -> answer().
produce_rest(_Event, _Waiter, _From) ->
    erlang:nif_error(not_loaded).

%% The last try: what there is no room for now is dropped. Never answers `full`.
-spec give_up(emq_plugin_kafka_event:event(), waiter(), From :: non_neg_integer()) -> answer().
give_up(_Event, _Waiter, _From) ->
    erlang:nif_error(not_loaded).

%% The caller waits no longer. `answered`: its answer was sent already.
-spec cancel(waiter()) -> cancelled | answered.
cancel(_Waiter) ->
    erlang:nif_error(not_loaded).

%% Opens the one producer of this node, and its spool. Does not wait for Kafka.
-spec open([setting()], Node :: binary()) -> ok | already_open | {error, [Problem :: binary()]}.
open(_Settings, _Node) ->
    erlang:nif_error(not_loaded).

%% Changes the settings of the open producer; events that come meanwhile are taken. On an error nothing has changed.
-spec reload([setting()], Node :: binary()) -> ok | {error, [Problem :: binary()]}.
reload(_Settings, _Node) ->
    erlang:nif_error(not_loaded).

%% Replaces a producer that librdkafka gave up, with the same settings.
-spec reopen() -> ok | {error, [Problem :: binary()]}.
reopen() ->
    erlang:nif_error(not_loaded).

%% From now on everything goes to the spool, what the producer holds first.
-spec suspend() -> {ok, Spooled :: non_neg_integer()} | {error, closed | no_spool}.
suspend() ->
    erlang:nif_error(not_loaded).

%% Wrong settings: records go to the spool, or are dropped and counted; Why tells why the spool did not open. A producer that is open
%% stays open.
-spec degrade([setting()], Node :: binary()) -> spooling | {counting, none | Why :: binary()}.
degrade(_Settings, _Node) ->
    erlang:nif_error(not_loaded).

%% Settings in force, rules among them; none while nothing is sent.
-spec shown() -> [emq_plugin_kafka_changes:shown()].
shown() ->
    erlang:nif_error(not_loaded).

%% The same of settings that are not in force.
-spec preview([setting()]) -> {ok, [emq_plugin_kafka_changes:shown()]} | {error, [Problem :: binary()]}.
preview(_Settings) ->
    erlang:nif_error(not_loaded).

%% Writes the settings in force to a file, for its owner alone and without secrets. Waits for the disk: dirty scheduler.
-spec keep(File :: binary(), [setting()]) -> ok | {error, Why :: binary()}.
keep(_File, _Settings) ->
    erlang:nif_error(not_loaded).

%% Reads them: as they are shown, and for use, with the secrets of the settings Now.
-spec kept(File :: binary(), Now :: [setting()]) ->
          none | {ok, [{Key :: binary(), Value :: binary()}], {ok, [setting()]} | {error, Why :: binary()}} | {error, Why :: binary()}.
kept(_File, _Now) ->
    erlang:nif_error(not_loaded).

%% For the metrics: whether wrong settings are refused.
-spec refused(boolean()) -> ok.
refused(_Are) ->
    erlang:nif_error(not_loaded).

%% Checks settings without opening anything. What it shows has no secrets.
-spec check([setting()]) -> {ok, [{Key :: binary(), Value :: binary()}]} | {error, [Problem :: binary()]}.
check(_Settings) ->
    erlang:nif_error(not_loaded).

%% Closes the producer. What it holds goes to the spool; without one, Kafka has so many ms to take it. Dirty scheduler.
-spec close(Milliseconds :: non_neg_integer()) ->
          {ok, #{given_up := non_neg_integer(), spooled := non_neg_integer()}} | {error, closed}.
close(_Timeout) ->
    erlang:nif_error(not_loaded).

%% The hooks that the settings need; none while no producer is open.
-spec hooks() -> [atom()].
hooks() ->
    erlang:nif_error(not_loaded).

%% The producer's state and settings, secrets replaced. spooling: settings are wrong, records go to the spool.
-spec status() -> closed | spooling | {open | fatal | spoiled, [{Key :: binary(), Value :: binary()}]}.
status() ->
    erlang:nif_error(not_loaded).

%% All counters at one instant.
-spec stats() -> stats().
stats() ->
    erlang:nif_error(not_loaded).

%% What librdkafka has to say to the operator since the last call: of each kind the latest, and how many there were.
-spec take_notices() -> [notice()].
take_notices() ->
    erlang:nif_error(not_loaded).

%% Versions, the hash of the settings in force (none while nothing is open), the modes of rules.
-spec about() -> about().
about() ->
    erlang:nif_error(not_loaded).

%% Sends one record, by a client of its own, to a topic (empty: the setting's) and waits for Kafka's acknowledgement, so many ms at
%% most. Works whether or not a producer is open. Dirty scheduler.
-spec test([setting()], Node :: binary(), Topic :: binary(), Milliseconds :: non_neg_integer()) ->
          {ok, test_report()} | {error, [Problem :: binary()]}.
test(_Settings, _Node, _Topic, _Timeout) ->
    erlang:nif_error(not_loaded).

%% Waits until Kafka has all that is queued and spooled now, so many ms at most. New records are not waited for. `replaced`: a
%% reload, a stop or a failure came between. Dirty scheduler.
-spec flush(Milliseconds :: non_neg_integer()) ->
          ok | {error, {timeout, Left :: non_neg_integer()} | closed | replaced}.
flush(_Timeout) ->
    erlang:nif_error(not_loaded).

%% A term as JSON: maps, lists, numbers, UTF-8 binaries; atoms are strings, but for true, false and nil, which is null.
-spec to_json(term()) -> {ok, binary()} | {error, Why :: binary()}.
to_json(_Term) ->
    erlang:nif_error(not_loaded).

%% The rules in the order in which they are tried, and what each has done since it is there; none while no producer is open.
-spec rules() -> [rule()].
rules() ->
    erlang:nif_error(not_loaded).

%% What Kafka has taken and refused, by topic: those of the settings, and as many others as topic.max_dynamic; the rest is `other`.
-spec topics() -> [topic()].
topics() ->
    erlang:nif_error(not_loaded).

%% How long records took from the hook to Kafka's acknowledgement, those that waited in the spool included.
-spec latency() -> latency().
latency() ->
    erlang:nif_error(not_loaded).

%% librdkafka's own numbers; none while no producer is open, in its first seconds, and with statistics.interval.ms = 0.
-spec librdkafka() -> none | librdkafka().
librdkafka() ->
    erlang:nif_error(not_loaded).

%% Whether Prometheus finds the metrics (metrics.listener), and where.
-spec listening() -> off | {at, Address :: binary()} | {error, Problem :: binary()}.
listening() ->
    erlang:nif_error(not_loaded).

%% Counts messages that were published while the broker called no hook of the plugin. Gives all of them since the library was loaded.
-spec unseen(Messages :: non_neg_integer()) -> non_neg_integer().
unseen(_Messages) ->
    erlang:nif_error(not_loaded).

%% A release loads this module while it boots, and a boot ends with the first module whose on_load fails. A library that
%% does not load here (another glibc, another processor) must not cost the broker its boot: the plugin says so when it
%% is started. A library that refuses to take over from the one before it leaves that one as it is.
on_load() ->
    keep(load()).

keep(ok) ->
    ok;
keep({error, {Reason, _Text}}) when Reason =:= load_failed; Reason =:= bad_lib; Reason =:= load ->
    ok;
keep({error, _} = Refused) ->
    Refused.

%% The file, without its extension, as load_nif/2 wants it.
-spec library() -> file:filename().
library() ->
    filename:join(priv_dir(code:priv_dir(emq_plugin_kafka)), "emq_plugin_kafka_nif").

%% The application is not on the code path by its name when the folder has another one.
priv_dir({error, bad_name}) ->
    filename:join([filename:dirname(code:which(?MODULE)), "..", "priv"]);
priv_dir(Dir) ->
    Dir.
