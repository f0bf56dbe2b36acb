%% Starts sessions, one after the other: a slow session.created hook holds up every new session
%% of the node, as in EMQ 2.3. Knows which session a client id has.
-module(emqttd_sm).

-behaviour(gen_server).

-export([start_link/0, start_session/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(TIMEOUT, 120000).

-type state() :: #{binary() => {pid(), reference()}}.

-spec start_link() -> {ok, pid()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Starts the calling connection's session. An earlier one of the same client id is ended. A
%% session whose start fails, by an exception in session.created, takes the caller with it.
-spec start_session(binary(), binary() | undefined) -> pid().
start_session(ClientId, Username) ->
    gen_server:call(?MODULE, {start_session, ClientId, Username}, ?TIMEOUT).

-spec init([]) -> {ok, state()}.
init([]) ->
    {ok, #{}}.

-spec handle_call(term(), gen_server:from(), state()) -> {reply, pid(), state()} | {noreply, state()}.
handle_call({start_session, ClientId, Username}, {Client, _}, State) ->
    State1 = destroy(ClientId, State),
    case supervisor:start_child(emqttd_session_sup, [ClientId, Username, Client]) of
        {ok, Session} ->
            {reply, Session, State1#{ClientId => {Session, monitor(process, Session)}}};
        {error, _} ->
            %% The caller was linked to it: its end is on the way, and an answer might overtake it.
            {noreply, State1}
    end.

-spec handle_cast(term(), state()) -> {stop, term(), state()}.
handle_cast(Unexpected, State) ->
    {stop, {unexpected, Unexpected}, State}.

-spec handle_info(term(), state()) -> {noreply, state()}.
handle_info({'DOWN', Ref, process, Session, _}, State) ->
    {noreply, maps:filter(fun(_, Value) -> Value =/= {Session, Ref} end, State)}.

destroy(ClientId, State) when is_map_key(ClientId, State) ->
    {{Session, Ref}, Rest} = maps:take(ClientId, State),
    ok = emqttd_session:destroy(Session),
    receive {'DOWN', Ref, process, Session, _} -> Rest end;
destroy(_ClientId, State) ->
    State.
