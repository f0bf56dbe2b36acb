%% Publish and subscribe. publish/1 runs in the publisher's process: the message.publish hooks,
%% then one message to each subscribed session, here and on the other nodes of a cluster. The server owns and changes the
%% tables, and hands out what other nodes' publishers send.
-module(emqttd_server).

-behaviour(gen_server).

-export([start_link/0, publish/1, subscribe/3, unsubscribe/3]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("emqttd.hrl").

-define(SUBSCRIBERS, mqtt_subscriber). %% {Filter, Group | none, Session}
-define(WILDCARDS, mqtt_wildcard).     %% {Filter, Words}

-type options() :: [emqttd_topic:option() | {qos, 0..2}].

-spec start_link() -> {ok, pid()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec publish(#mqtt_message{}) -> {ok, tuple()} | ignore.
publish(Message) ->
    case emqttd_hooks:run('message.publish', [], Message) of
        {ok, #mqtt_message{topic = Topic} = Routed} ->
            ok = emqttd_cluster:forward(Routed),
            route(filters(Topic), Routed);
        {stop, _} -> ignore
    end.

%% @doc Subscribes a session, from its own process.
-spec subscribe(binary(), pid(), options()) -> ok.
subscribe(Filter, Session, Options) ->
    gen_server:call(?MODULE, {subscribe, Filter, Session, group(Options)}, infinity).

-spec unsubscribe(binary(), pid(), options()) -> ok.
unsubscribe(Filter, Session, Options) ->
    gen_server:call(?MODULE, {unsubscribe, Filter, Session, group(Options)}, infinity).

group(Options) -> proplists:get_value(share, Options, none).

%%% Routing

filters(Topic) ->
    TopicWords = emqttd_topic:words(Topic),
    [Topic | [Filter || {Filter, Words} <- ets:tab2list(?WILDCARDS),
                        emqttd_topic:match(TopicWords, Words)]].

route(Filters, Message) ->
    Flows = [{dispatch, Filter, dispatch(Filter, Message)} || Filter <- Filters],
    case [Flow || {dispatch, _, Count} = Flow <- Flows, Count > 0] of
        [] -> ignore;
        Reached -> {ok, {mqtt_delivery, self(), Message, Reached}}
    end.

dispatch(Filter, Message) ->
    Found = ets:lookup(?SUBSCRIBERS, Filter),
    Alone = [Session || {_, none, Session} <- Found],
    Groups = lists:usort([Group || {_, Group, _} <- Found, Group =/= none]),
    Picked = [pick([Session || {_, G, Session} <- Found, G =:= Group]) || Group <- Groups],
    _ = [Session ! {dispatch, Filter, Message} || Session <- Alone ++ Picked],
    length(Alone) + length(Picked).

pick(Sessions) ->
    lists:nth(rand:uniform(length(Sessions)), Sessions).

%%% The tables' owner; its state counts nothing but which sessions it watches

-spec init([]) -> {ok, #{pid() => reference()}}.
init([]) ->
    Options = [named_table, protected, {read_concurrency, true}],
    ?SUBSCRIBERS = ets:new(?SUBSCRIBERS, [bag | Options]),
    ?WILDCARDS = ets:new(?WILDCARDS, [set | Options]),
    {ok, #{}}.

-spec handle_call(term(), gen_server:from(), map()) -> {reply, ok, map()}.
handle_call({subscribe, Filter, Session, Group}, _From, Watched) ->
    true = ets:insert(?SUBSCRIBERS, {Filter, Group, Session}),
    _ = [ets:insert(?WILDCARDS, {Filter, emqttd_topic:words(Filter)})
         || emqttd_topic:wildcard(Filter)],
    {reply, ok, watch(Session, Watched)};
handle_call({unsubscribe, Filter, Session, Group}, _From, Watched) ->
    remove({Filter, Group, Session}),
    {reply, ok, Watched}.

-spec handle_cast(term(), map()) -> {stop, term(), map()}.
handle_cast(Unexpected, Watched) ->
    {stop, {unexpected, Unexpected}, Watched}.

-spec handle_info(term(), map()) -> {noreply, map()}.
handle_info({forwarded, #mqtt_message{topic = Topic} = Message}, Watched) ->
    _ = route(filters(Topic), Message),
    {noreply, Watched};
handle_info({'DOWN', _, process, Session, _}, Watched) ->
    lists:foreach(fun remove/1, ets:match_object(?SUBSCRIBERS, {'_', '_', Session})),
    {noreply, maps:remove(Session, Watched)}.

watch(Session, Watched) when is_map_key(Session, Watched) -> Watched;
watch(Session, Watched) -> Watched#{Session => monitor(process, Session)}.

%% An unsubscription names no group: it means every subscription of the session to the filter.
remove({Filter, none, Session}) ->
    true = ets:match_delete(?SUBSCRIBERS, {Filter, '_', Session}),
    forget(Filter);
remove(Subscription) ->
    true = ets:delete_object(?SUBSCRIBERS, Subscription),
    forget(element(1, Subscription)).

forget(Filter) ->
    _ = [ets:delete(?WILDCARDS, Filter) || not ets:member(?SUBSCRIBERS, Filter)],
    ok.
