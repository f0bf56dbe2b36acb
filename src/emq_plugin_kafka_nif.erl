%% The functions that live in priv/emq_plugin_kafka_nif.so. No process of its own: they run in their callers.
%%
%% Kept tiny, because this module cannot be upgraded while the VM runs: a second load is refused and the loaded
%% code goes on. Every other module may be reloaded at any time.
-module(emq_plugin_kafka_nif).

-export([load/0, open/2, close/1, check/1, produce/1, produce_large/1, hooks/0, status/0, stats/0, take_notices/0]).
-export_type([setting/0, outcome/0, stats/0, notice/0]).

-on_load(on_load/0).
-nifs([open/2, close/1, check/1, produce/1, produce_large/1, hooks/0, status/0, stats/0, take_notices/0]).

%% A setting by its name in the application environment, as text.
-type setting() :: {Name :: binary(), Value :: binary()}.
-type notice() :: {Kind :: binary(), Text :: binary(), Count :: pos_integer()}.
-type outcome() :: ok | ignored | {error, DropReason :: atom()}.
-type stats() :: #{accepted := non_neg_integer(), success := non_neg_integer(),
                   failed := non_neg_integer(), failed_by := #{binary() => pos_integer()},
                   dropped := non_neg_integer(), dropped_by := #{atom() => non_neg_integer()},
                   spooled := non_neg_integer(), queued := integer(), queued_bytes := integer(),
                   redirected := non_neg_integer()}.

%% Loads the library. `{error, {reload, _}}` when it is loaded already.
-spec load() -> ok | {error, {Reason :: atom(), Text :: string()}}.
load() ->
    erlang:load_nif(library(), 0).

%% Queues the records of an event. Microseconds; never waits. Any term has an outcome and is counted. `heavy`: nothing was done,
%% because it would hold up a normal scheduler; produce_large/1 is to be called.
-spec produce(emq_plugin_kafka_event:event()) -> outcome() | heavy.
produce(_Event) ->
    erlang:nif_error(not_loaded).

%% The same on a dirty scheduler.
-spec produce_large(emq_plugin_kafka_event:event()) -> outcome().
produce_large(_Event) ->
    erlang:nif_error(not_loaded).

%% Opens the one producer of this node. Does not wait for Kafka.
-spec open([setting()], Node :: binary()) -> ok | already_open | {error, [Problem :: binary()]}.
open(_Settings, _Node) ->
    erlang:nif_error(not_loaded).

%% Checks settings without opening anything. What it shows has no secrets.
-spec check([setting()]) -> {ok, [{Key :: binary(), Value :: binary()}]} | {error, [Problem :: binary()]}.
check(_Settings) ->
    erlang:nif_error(not_loaded).

%% Drains and closes the producer. Waits up to the timeout, on a dirty scheduler.
-spec close(Milliseconds :: non_neg_integer()) -> {ok, GivenUp :: non_neg_integer()} | {error, closed}.
close(_Timeout) ->
    erlang:nif_error(not_loaded).

%% The hooks that the settings need; none while no producer is open.
-spec hooks() -> [atom()].
hooks() ->
    erlang:nif_error(not_loaded).

%% The producer's state and settings, secrets replaced.
-spec status() -> closed | {open | fatal, [{Key :: binary(), Value :: binary()}]}.
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

%% A release loads this module while it boots, and a boot ends with the first module whose on_load fails. A library that
%% does not load here (another glibc, another processor) must not cost the broker its boot: the plugin says so when it
%% is started. A second load of the module is refused, and what is loaded goes on.
on_load() ->
    keep(load()).

keep(ok) ->
    ok;
keep({error, {Reason, _Text}}) when Reason =:= load_failed; Reason =:= bad_lib; Reason =:= load ->
    ok;
keep({error, _} = Refused) ->
    Refused.

library() ->
    filename:join(priv_dir(code:priv_dir(emq_plugin_kafka)), "emq_plugin_kafka_nif").

%% The application is not on the code path by its name when the folder has another one.
priv_dir({error, bad_name}) ->
    filename:join([filename:dirname(code:which(?MODULE)), "..", "priv"]);
priv_dir(Dir) ->
    Dir.
