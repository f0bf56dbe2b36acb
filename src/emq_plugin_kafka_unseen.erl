%% Counts what is published while the broker calls no hook of the plugin: while the plugin is stopped, and while the broker boots.
%% The broker's own counter, read before and after, gives the number. Nobody can tell which of these messages a rule wanted.
%% The first reading outlives the application, not the node. No process of its own.
-module(emq_plugin_kafka_unseen).

-export([began/0, ended/0]).
-export_type([gap/0]).

%% never: no hook was registered in this VM yet. none: they are registered. Otherwise when they went, and the broker's counter then.
-define(GAP, {emq_plugin_kafka, unhooked}).

-type published() :: non_neg_integer() | unknown.
%% boot: since the broker's start.
-type gap() :: none | {boot | Milliseconds :: non_neg_integer(), published()}.

%% The hooks are about to go. Where they were not registered since the last stop, that gap goes on.
-spec began() -> ok.
began() ->
    began(persistent_term:get(?GAP, never)).

began(none) -> persistent_term:put(?GAP, {now_ms(), emq_plugin_kafka_broker:messages_published()});
began(_NeverOrGoesOn) -> ok.

%% The hooks are there. Messages that were under way at either end of the gap may be counted or not.
-spec ended() -> gap().
ended() ->
    Gap = gap(persistent_term:get(?GAP, never), emq_plugin_kafka_broker:messages_published()),
    ok = persistent_term:put(?GAP, none),
    ok = count(Gap),
    Gap.

gap(never, Now) -> at_first(init:get_status(), Now);
gap(none, _Now) -> none;
gap({At, Before}, Now) -> {now_ms() - At, since(Before, Now)}.

%% A plugin that an operator starts in a broker that has been up without it has missed nothing.
at_first({starting, _Progress}, Now) -> {boot, Now};
at_first(_Status, _Now) -> none.

%% A broker that was started again in the same VM, as for a cluster, counts from 0.
since(Before, Now) when is_integer(Before), is_integer(Now), Now >= Before -> Now - Before;
since(Before, Now) when is_integer(Before), is_integer(Now) -> Now;
since(_Before, _Now) -> unknown.

count({_Since, Messages}) when is_integer(Messages) ->
    _All = emq_plugin_kafka_nif:unseen(Messages),
    ok;
count(_NoneOrUnknown) ->
    ok.

now_ms() ->
    erlang:monotonic_time(millisecond).
