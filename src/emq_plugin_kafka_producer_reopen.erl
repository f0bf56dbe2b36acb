%% Replaces a producer that has failed for good, and retries until a new one is open. Runs in the producer's process, which gets a message
%% `reopen` for each retry.
-module(emq_plugin_kafka_producer_reopen).

-export([replace_failed/1, retry/0]).
-export_type([state/0]).

%% Between a failure and the next try.
-define(RETRY_MS, 5000).

%% scheduled: a message `reopen` will come. Until then nobody else replaces the producer, so that there is one try at a time.
-type state() :: idle | scheduled.

%% Replaces the producer if it has failed.
-spec replace_failed(state()) -> state().
replace_failed(scheduled) -> scheduled;
replace_failed(idle) -> replace(emq_plugin_kafka_nif:status()).

%% A spoiled producer is replaced at once: the next one isolates the topic whose records Kafka refused.
replace({spoiled, _Settings}) ->
    isolated(emq_plugin_kafka_nif:reopen());
replace({fatal, _Settings}) ->
    emq_plugin_kafka_log:error("the producer has failed for good (see above); a new one opens in ~b s", [?RETRY_MS div 1000]),
    schedule();
replace(_Status) ->
    idle.

isolated(ok) -> idle;
isolated({error, _} = Failed) -> reopened(Failed).

schedule() ->
    _ = erlang:send_after(?RETRY_MS, self(), reopen),
    scheduled.

%% On the message `reopen`. A reload may have replaced the producer meanwhile.
-spec retry() -> state().
retry() -> retry(emq_plugin_kafka_nif:status()).

retry({Failed, _Settings}) when Failed =:= fatal; Failed =:= spoiled -> reopened(emq_plugin_kafka_nif:reopen());
retry(_Status) -> idle.

reopened(ok) ->
    ok = emq_plugin_kafka_log:error("a new producer is open", []),
    idle;
reopened({error, Problems}) ->
    lists:foreach(fun(Problem) -> emq_plugin_kafka_log:error("no new producer: ~ts", [Problem]) end, Problems),
    schedule().
