%% The last settings that worked: in a file, for a start with invalid settings; in memory, to tell what a change changes. The file's place
%% depends on no setting, because any setting may be the invalid one. Runs in the producer's process; blocks it for the disk.
-module(emq_plugin_kafka_last_settings).

-export([file/0, save/1, before/1, for_start/1]).

-define(NAME, "kafka_spool.settings").
%% In memory, as shown, with marks that tell one secret from another.
-define(SHOWN, {emq_plugin_kafka, shown_settings}).

-spec file() -> binary().
file() ->
    unicode:characters_to_binary(filename:join(emq_plugin_kafka_broker:data_dir(), ?NAME)).

%% Remembers settings that are in use now.
-spec save([emq_plugin_kafka_nif:setting()]) -> ok.
save(Settings) ->
    ok = persistent_term:put(?SHOWN, emq_plugin_kafka_nif:shown()),
    saved(emq_plugin_kafka_nif:keep(file(), Settings)).

saved(ok) -> ok;
saved({error, Why}) -> emq_plugin_kafka_log:error("cannot save these settings as the last that worked: ~ts", [Why]).

%% The settings in use before, for comparison. none: this is the first start.
-spec before([emq_plugin_kafka_nif:setting()]) -> none | [emq_plugin_kafka_changes:shown()].
before(Settings) ->
    before(persistent_term:get(?SHOWN, none), Settings).

before(none, Settings) -> shown(emq_plugin_kafka_nif:kept(file(), Settings));
before(Shown, _Settings) -> Shown.

shown({ok, Shown, _Settings}) -> [{Key, Value, false, none} || {Key, Value} <- Shown];
shown(none) -> none;
shown({error, _Why}) -> none.

%% The settings for a start whose own are invalid. The file has no secrets: those of the invalid settings are used.
-spec for_start([emq_plugin_kafka_nif:setting()]) -> {ok, [emq_plugin_kafka_nif:setting()]} | none | {error, Why :: binary()}.
for_start(Invalid) ->
    read(emq_plugin_kafka_nif:kept(file(), Invalid)).

read({ok, _Shown, Settings}) -> Settings;
read(NoneOrError) -> NoneOrError.
