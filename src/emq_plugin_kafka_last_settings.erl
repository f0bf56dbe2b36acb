%% The last settings that worked. A file has them for a start that finds wrong ones; memory has them to find changes. The file's place
%% depends on no setting: spool.dir may be the wrong one.
%% Runs in the producer's process.
-module(emq_plugin_kafka_last_settings).

-export([file/0, save/1, before/1, for_start/1]).

-define(NAME, "kafka_spool.settings").
%% Of this VM, with marks that tell one secret from another.
-define(SHOWN, {emq_plugin_kafka, shown_settings}).

-spec file() -> binary().
file() ->
    unicode:characters_to_binary(filename:join(emq_plugin_kafka_broker:data_dir(), ?NAME)).

%% These are in force now.
-spec save([emq_plugin_kafka_nif:setting()]) -> ok.
save(Settings) ->
    ok = persistent_term:put(?SHOWN, emq_plugin_kafka_nif:shown()),
    kept(emq_plugin_kafka_nif:keep(file(), Settings)).

kept(ok) -> ok;
kept({error, Why}) -> emq_plugin_kafka_log:error("these settings cannot be kept for a start that finds wrong ones: ~ts", [Why]).

%% The settings that were in force before, for comparison; none at the very first start.
-spec before([emq_plugin_kafka_nif:setting()]) -> none | [emq_plugin_kafka_changes:shown()].
before(Settings) ->
    before_of(persistent_term:get(?SHOWN, none), Settings).

before_of(none, Settings) -> shown(emq_plugin_kafka_nif:kept(file(), Settings));
before_of(Shown, _Settings) -> Shown.

shown({ok, Shown, _Settings}) -> [{Key, Value, false, none} || {Key, Value} <- Shown];
shown(none) -> none;
shown({error, _Why}) -> none.

%% The settings for a start that found these wrong ones. The file has no secrets: they come from the wrong settings.
-spec for_start([emq_plugin_kafka_nif:setting()]) -> {ok, [emq_plugin_kafka_nif:setting()]} | none | {error, Why :: binary()}.
for_start(Wrong) ->
    for_start_of(emq_plugin_kafka_nif:kept(file(), Wrong)).

for_start_of({ok, _Shown, Settings}) -> Settings;
for_start_of(NoneOrError) -> NoneOrError.
