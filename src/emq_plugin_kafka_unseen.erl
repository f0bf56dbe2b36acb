%% Counts messages that are published while no hook is registered: while the plugin is stopped, and while the broker boots. The broker's own
%% counter is read before and after. Whether a rule would have taken the messages is unknown. The first reading survives the application,
%% not the node. No process: runs in its callers.
-module(emq_plugin_kafka_unseen).

-export([began/0, ended/0]).
-export_type([gap/0]).

%% never: no hook was registered in this VM yet. none: they are registered. Otherwise: when they were unregistered, and the broker's
%% counter then.
-define(GAP, {emq_plugin_kafka, unhooked}).

-type published() :: non_neg_integer() | unknown.
%% How long, and how many messages. boot: since the broker's start.
-type gap() :: none | {boot | Milliseconds :: non_neg_integer(), published()}.

%% Called before the hooks are unregistered. A gap that has begun before goes on.
-spec began() -> ok.
began() ->
    began(persistent_term:get(?GAP, never)).

began(none) -> persistent_term:put(?GAP, {now_ms(), emq_plugin_kafka_broker:messages_published()});
began(_NeverOrBegan) -> ok.

%% Called once the hooks are registered. Messages in flight at either end of the gap may be counted or not.
-spec ended() -> gap().
ended() ->
    Gap = gap(persistent_term:get(?GAP, never), emq_plugin_kafka_broker:messages_published()),
    ok = persistent_term:put(?GAP, none),
    ok = count(Gap),
    Gap.

gap(never, Now) -> first_gap(init:get_status(), Now);
gap(none, _Now) -> none;
gap({At, Before}, Now) -> {now_ms() - At, since(Before, Now)}.

%% Only a plugin that boots with the broker has a gap before its first start.
first_gap({starting, _Progress}, Now) -> {boot, Now};
first_gap(_Status, _Now) -> none.

%% A broker that was restarted in the same VM, to join a cluster, counts from 0.
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
