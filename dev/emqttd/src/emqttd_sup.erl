%% The tree. One crash of a part of the broker ends it all, and, since the boot file starts the
%% application as permanent, the node too: that is how EMQ 2.3 behaves.
-module(emqttd_sup).

-behaviour(supervisor).

-export([start_link/0, start_link/1, init/1]).

-spec start_link() -> {ok, pid()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, broker).

%% @doc A supervisor for processes of one module, started on demand.
-spec start_link(module()) -> {ok, pid()}.
start_link(Module) ->
    supervisor:start_link({local, name(Module)}, ?MODULE, Module).

-spec init(broker | module()) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(broker) ->
    Workers = [#{id => Module, start => {Module, start_link, []}}
               || Module <- [emqttd_ctl, emqttd_hooks, emqttd_server, emqttd_sm]],
    Supervisors = [#{id => name(Module), start => {?MODULE, start_link, [Module]}, type => supervisor}
                   || Module <- [emqttd_session, emqttd_client]],
    Last = [#{id => Module, start => {Module, start_link, []}}
            || Module <- [emqttd_alarm, emqttd_broker]],
    {ok, {#{strategy => one_for_all, intensity => 0, period => 1}, Workers ++ Supervisors ++ Last}};
init(Module) ->
    {ok, {#{strategy => simple_one_for_one, intensity => 0, period => 1},
          [#{id => Module, start => {Module, start_link, []}, restart => temporary}]}}.

name(emqttd_session) -> emqttd_session_sup;
name(emqttd_client) -> emqttd_client_sup.
