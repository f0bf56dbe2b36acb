%% The session of one client: its subscriptions, its QoS 2 publishes that wait for PUBREL, and
%% what it was sent and has not acknowledged. It lives as long as its connection; sessions that
%% outlive one are not part of this stand-in.
-module(emqttd_session).

-behaviour(gen_server).

-export([start_link/3, publish/2, cast/2, destroy/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("emqttd.hrl").

-define(PUBLISH_TIMEOUT, 60000).

-record(state, {client_id :: binary(),
                username :: binary() | undefined,
                client :: pid(),
                subscriptions = #{} :: #{binary() => 0..2},
                awaiting_rel = #{} :: #{1..65535 => #mqtt_message{}},
                next_id = 1 :: 1..65535,
                inflight = #{} :: #{1..65535 => #mqtt_message{} | pubrel},
                max_inflight :: pos_integer(),
                queue = queue:new() :: queue:queue(#mqtt_message{})}).

-spec start_link(binary(), binary() | undefined, pid()) -> {ok, pid()} | {error, term()}.
start_link(ClientId, Username, Client) ->
    gen_server:start_link(?MODULE, {ClientId, Username, Client}, []).

%% @doc Keeps a QoS 2 message until its PUBREL.
-spec publish(pid(), #mqtt_message{}) -> ok.
publish(Session, Message) ->
    gen_server:call(Session, {publish, Message}, ?PUBLISH_TIMEOUT).

%% @doc Hands over what the client sent: a subscription, an acknowledgement.
-spec cast(pid(), tuple()) -> ok.
cast(Session, Request) ->
    gen_server:cast(Session, Request).

%% @doc Ends the session, and its client with it, because the client id connected anew.
-spec destroy(pid()) -> ok.
destroy(Session) ->
    gen_server:cast(Session, destroy).

-spec init({binary(), binary() | undefined, pid()}) -> {ok, #state{}}.
init({ClientId, Username, Client}) ->
    false = process_flag(trap_exit, true),
    true = link(Client),
    _ = emqttd_hooks:run('session.created', [ClientId, Username]),
    {ok, #state{client_id = ClientId, username = Username, client = Client,
                max_inflight = emqttd:env(max_inflight, 32)}}.

-spec handle_call({publish, #mqtt_message{}}, gen_server:from(), #state{}) -> {reply, ok, #state{}}.
handle_call({publish, #mqtt_message{pktid = Id} = Message}, _From, #state{awaiting_rel = Awaiting} = State) ->
    {reply, ok, State#state{awaiting_rel = Awaiting#{Id => Message}}}.

-spec handle_cast(tuple() | destroy, #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_cast({subscribe, PacketId, Table}, #state{client = Client} = State) ->
    State1 = lists:foldl(fun subscribe/2, State, Table),
    Client ! {suback, PacketId, [proplists:get_value(qos, Options) || {_, Options} <- Table]},
    {noreply, State1};
handle_cast({unsubscribe, Table}, State) ->
    {noreply, lists:foldl(fun unsubscribe/2, State, Table)};
handle_cast({pubrel, Id}, #state{awaiting_rel = Awaiting} = State) ->
    case maps:take(Id, Awaiting) of
        {Message, Rest} ->
            %% A process of its own, tied to nobody: what it does reaches no client.
            _ = spawn(emqttd_server, publish, [Message]),
            {noreply, State#state{awaiting_rel = Rest}};
        error ->
            {noreply, State}
    end;
handle_cast({Ack, Id}, #state{inflight = Inflight} = State) ->
    {noreply, acknowledged(Ack, Id, maps:get(Id, Inflight, none), State)};
handle_cast(destroy, State) ->
    {stop, {shutdown, conflict}, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({dispatch, Filter, Message}, State) ->
    {noreply, dispatch(tune(Filter, Message, State), State)};
handle_info({'EXIT', Client, _}, #state{client = Client} = State) ->
    {stop, normal, State};
handle_info(Unexpected, State) ->
    error_logger:error_msg("Unexpected Info: ~p~n", [Unexpected]),
    {noreply, State}.

-spec terminate(term(), #state{}) -> term().
terminate(Reason, #state{client_id = ClientId, username = Username}) ->
    emqttd_hooks:run('session.terminated', [ClientId, Username, Reason]).

%%% Subscriptions

subscribe({Topic, Options}, #state{subscriptions = Subscriptions} = State) ->
    ok = enter(is_map_key(Topic, Subscriptions), Topic, Options),
    _ = run('session.subscribed', {Topic, Options}, State),
    State#state{subscriptions = Subscriptions#{Topic => proplists:get_value(qos, Options)}}.

enter(true, _Topic, _Options) -> ok;
enter(false, Topic, Options) -> emqttd_server:subscribe(Topic, self(), Options).

unsubscribe({Topic, Options}, #state{subscriptions = Subscriptions} = State)
  when is_map_key(Topic, Subscriptions) ->
    ok = emqttd_server:unsubscribe(Topic, self(), Options),
    _ = run('session.unsubscribed', {Topic, Options}, State),
    State#state{subscriptions = maps:remove(Topic, Subscriptions)};
unsubscribe(_NeverSubscribed, State) ->
    State.

run(Hook, Argument, #state{client_id = ClientId, username = Username}) ->
    emqttd_hooks:run(Hook, [ClientId, Username], Argument).

%%% Delivery

tune(Filter, #mqtt_message{qos = Qos} = Message, #state{subscriptions = Subscriptions}) ->
    Message#mqtt_message{qos = min(Qos, maps:get(Filter, Subscriptions, Qos)), dup = false}.

dispatch(#mqtt_message{qos = 0} = Message, #state{client = Client} = State) ->
    Client ! {deliver, Message},
    State;
dispatch(Message, #state{inflight = Inflight, max_inflight = Max, queue = Queue} = State)
  when map_size(Inflight) >= Max ->
    State#state{queue = queue:in(Message, Queue)};
dispatch(Message, #state{client = Client, inflight = Inflight, next_id = Id} = State) ->
    Numbered = Message#mqtt_message{pktid = Id},
    Client ! {deliver, Numbered},
    State#state{inflight = Inflight#{Id => Numbered}, next_id = Id rem 65535 + 1}.

acknowledged(puback, Id, #mqtt_message{} = Message, State) ->
    _ = run('message.acked', Message, State),
    done(Id, State);
acknowledged(pubrec, Id, #mqtt_message{} = Message, #state{inflight = Inflight} = State) ->
    _ = run('message.acked', Message, State),
    State#state{inflight = Inflight#{Id => pubrel}};
acknowledged(pubcomp, Id, pubrel, State) ->
    done(Id, State);
acknowledged(_Ack, _Id, _NotInflight, State) ->
    State.

done(Id, #state{inflight = Inflight, queue = Queue} = State) ->
    State1 = State#state{inflight = maps:remove(Id, Inflight)},
    case queue:out(Queue) of
        {{value, Message}, Rest} -> dispatch(Message, State1#state{queue = Rest});
        {empty, _} -> State1
    end.
