%% What a plugin calls of EMQ 2.3's main module: hooks, publish and the environment. This broker
%% is a stand-in for tests on machines without an EMQ, never shipped with the plugin.
-module(emqttd).

-export([hook/3, hook/4, unhook/2, run_hooks/2, run_hooks/3, publish/1, env/1, env/2]).

-include("emqttd.hrl").

-spec hook(atom(), emqttd_hooks:callback(), [term()]) -> ok | {error, already_hooked}.
hook(Hook, Callback, InitArgs) ->
    emqttd_hooks:add(Hook, Callback, InitArgs).

-spec hook(atom(), emqttd_hooks:callback(), [term()], integer()) -> ok | {error, already_hooked}.
hook(Hook, Callback, InitArgs, Priority) ->
    emqttd_hooks:add(Hook, Callback, InitArgs, Priority).

-spec unhook(atom(), emqttd_hooks:callback()) -> ok | {error, not_found}.
unhook(Hook, Callback) ->
    emqttd_hooks:delete(Hook, Callback).

-spec run_hooks(atom(), [term()]) -> ok | stop.
run_hooks(Hook, Args) ->
    emqttd_hooks:run(Hook, Args).

-spec run_hooks(atom(), [term()], term()) -> {ok | stop, term()}.
run_hooks(Hook, Args, Acc) ->
    emqttd_hooks:run(Hook, Args, Acc).

-spec publish(#mqtt_message{}) -> {ok, tuple()} | ignore.
publish(Message) ->
    emqttd_server:publish(Message).

-spec env(atom()) -> {ok, term()} | undefined.
env(Key) ->
    application:get_env(emqttd, Key).

-spec env(atom(), term()) -> term().
env(Key, Default) ->
    application:get_env(emqttd, Key, Default).
