%% Nodes that are one broker: a message published on one goes to the subscribers on all, as in EMQ 2.3, where the hooks of
%% its publication run on the publisher's node, and those of its delivery on the subscriber's. Who has joined is known
%% after a restart too. Less than EMQ's: a $share group is each node's own, and so is a client id's session. No process.
-module(emqttd_cluster).

-export([join/1, rejoin/0, remember/1, status/0, forward/1]).

-include("emqttd.hrl").

-define(KNOWN, "data/cluster_nodes").

%% @doc Each remembers the other. Visible nodes are the cluster: whoever only asks a node is hidden.
-spec join(node()) -> ok | {error, term()}.
join(Node) when Node =:= node() ->
    {error, {cannot_join_itself, Node}};
join(Node) ->
    joined(meet(Node), Node).

joined(true, Node) ->
    ok = erpc:call(Node, ?MODULE, remember, [node()]),
    remember(Node);
joined(false, Node) ->
    {error, {node_down, Node}}.

-spec remember(node()) -> ok.
remember(Node) ->
    file:write_file(?KNOWN, [io_lib:format("~p.~n", [Known]) || Known <- lists:usort([Node | known()])]).

known() ->
    known(file:consult(?KNOWN)).

known({ok, Nodes}) -> Nodes;
known({error, enoent}) -> [].

%% @doc Meets again those that it knows and that run.
-spec rejoin() -> ok.
rejoin() ->
    lists:foreach(fun meet/1, known()).

%% With it all those that it has met; Erlang itself would do that a moment later.
meet(Node) ->
    net_kernel:connect_node(Node) =:= true andalso
        lists:all(fun net_kernel:connect_node/1, erpc:call(Node, ?MODULE, status, []) -- [node()]).

-spec status() -> [node()].
status() ->
    [node() | nodes()].

%% @doc Messages of one process arrive in its order.
-spec forward(#mqtt_message{}) -> ok.
forward(Message) ->
    lists:foreach(fun(Node) -> {emqttd_server, Node} ! {forwarded, Message} end, nodes()).
