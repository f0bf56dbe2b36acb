%% Counts what clients publish, as EMQ 2.3 does; of its many counters, those that plugins ask for. No process: the broker makes the
%% counter when it starts.
-module(emqttd_metrics).

-export([new/0, received/0, value/1]).

-define(RECEIVED, {?MODULE, received}).

-spec new() -> ok.
new() ->
    persistent_term:put(?RECEIVED, counters:new(1, [write_concurrency])).

%% @doc A PUBLISH packet was received.
-spec received() -> ok.
received() ->
    counters:add(persistent_term:get(?RECEIVED), 1, 1).

-spec value('messages/received') -> non_neg_integer().
value('messages/received') ->
    counters:get(persistent_term:get(?RECEIVED), 1).
