%% What becomes of the hooks after a stop of which nobody knows yet whether it is one of the whole broker. The hooks are the real
%% ones, in the stand-in of EMQX 4's table; the application is a process that has its supervisor's name.
-module(emq_plugin_kafka_hooks_tests).

-include_lib("eunit/include/eunit.hrl").

-define(HOOKS, emq_plugin_kafka_hooks).
%% Longer than any of these tests may take.
-define(LONG, 30000).

%% As the application that a node stops while the second passes.
-export([start/2, prep_stop/1, stop/1, in_a_node_that_stops/0]).

grace_test_() ->
    {foreach, fun open/0, fun close/1,
     [{Name, Test}
      || {Name, Test} <- [{"the hooks go a second after the application's end", fun a_second/0},
                          {"a new start keeps them", fun a_new_start/0},
                          {"of two stops within the second, the last one counts", fun two_stops/0},
                          {"without an application they go at once", fun without_an_application/0},
                          {"a broker that has stopped meanwhile has none", fun without_a_broker/0}]]}.

a_second() ->
    Grace = granted(),
    ?assertEqual({group_leader, whereis(init)}, process_info(Grace, group_leader)),
    Ended = ended(),
    ?assert(are_registered()),
    ?assertEqual(normal, reason(Grace)),
    ?assert(erlang:monotonic_time(millisecond) - Ended >= 1000),
    ?assertNot(are_registered()).

a_new_start() ->
    Grace = granted(),
    _ = ended(),
    ok = emq_plugin_kafka_hooks:register(),
    ?assertEqual(noproc, reason(Grace)),
    ?assert(are_registered()),
    ok = emq_plugin_kafka_hooks:register().

two_stops() ->
    First = granted(),
    _ = ended(),
    Second = granted(),
    ?assertEqual(noproc, reason(First)),
    ?assert(are_registered()),
    Ended = ended(),
    ?assertEqual(normal, reason(Second)),
    ?assert(erlang:monotonic_time(millisecond) - Ended >= 1000),
    ?assertNot(are_registered()).

without_an_application() ->
    ok = ?HOOKS:unregister_later(),
    ?assertNot(are_registered()),
    ?assertEqual(undefined, whereis(?HOOKS)).

%% As when EMQ 2.3 joins a cluster. The processes of the stand-in do not run.
without_a_broker() ->
    Modules = [emqttd, emqttd_hooks],
    Root = os:getenv("PROJECT_ROOT", "."),
    [begin
         {ok, Module, Code} = compile:file(filename:join([Root, "dev", "emqttd", "src", Module]), [binary]),
         {module, Module} = code:load_binary(Module, "", Code)
     end || Module <- Modules],
    Adapter = emq_plugin_kafka_broker:adapter(),
    ok = persistent_term:put({emq_plugin_kafka_broker, adapter}, emq_plugin_kafka_emq2),
    Grace = granted(),
    _ = ended(),
    ?assertEqual(normal, reason(Grace)),
    ok = persistent_term:put({emq_plugin_kafka_broker, adapter}, Adapter),
    [begin true = code:delete(Module), _ = code:purge(Module) end || Module <- Modules].

%% Those of a publisher that comes now: it is refused until the listeners are closed.
where_the_node_stops_they_stay_test_() ->
    {timeout, 60,
     fun() ->
             {0, Said} = standin_broker:run(os:find_executable("erl"), ["-noinput", "-eval", atom_to_list(?MODULE) ++ ":in_a_node_that_stops().",
                                                                        "-pa" | code:get_path()]),
             %% Behind what the log says.
             ?assert(lists:suffix("registered: true", Said), Said)
     end}.

in_a_node_that_stops() ->
    _ = open(),
    ok = application:load({application, ?MODULE, [{mod, {?MODULE, []}}, {applications, [kernel, stdlib]}]}),
    ok = application:start(?MODULE),
    _ = granted(),
    _ = ended(),
    init:stop().

start(_Type, _Args) ->
    {ok, spawn_link(fun() -> receive stop -> ok end end)}.

prep_stop(State) ->
    _ = reason(whereis(?HOOKS)),
    ok = io:format("registered: ~p", [are_registered()]),
    State.

stop(_State) ->
    ok.

%% Nobody listens on port 1.
open() ->
    ok = standin_emqx_hooks:start(4),
    ok = emq_plugin_kafka_nif:open([{<<"server">>, <<"127.0.0.1:1">>}, {<<"spool">>, <<"off">>}], <<"n@h">>),
    emq_plugin_kafka_hooks:register().

close(ok) ->
    ok = emq_plugin_kafka_hooks:unregister(),
    _ = persistent_term:erase({emq_plugin_kafka, unhooked}),
    {ok, _} = emq_plugin_kafka_nif:close(0),
    standin_emqx_hooks:stop().

%% A stop begins.
granted() ->
    Test = self(),
    _ = spawn(fun() -> true = register(emq_plugin_kafka_sup, self()), Test ! runs, receive stop -> ok end end),
    receive runs -> ok end,
    ok = ?HOOKS:unregister_later(),
    whereis(?HOOKS).

%% The application's processes have ended. Gives the time before that.
ended() ->
    Application = whereis(emq_plugin_kafka_sup),
    Now = erlang:monotonic_time(millisecond),
    Application ! stop,
    _ = reason(Application),
    Now.

reason(Process) ->
    Monitor = monitor(process, Process),
    receive {'DOWN', Monitor, process, Process, Reason} -> Reason
    after ?LONG -> error({still_alive, Process})
    end.

are_registered() ->
    emqx_hooks:lookup('message.publish') =/= [].
