%% Which publishes of EMQX 4 and 5 wait for their record, and which are left without an acknowledgement when it is not safe: a
%% client's own with QoS 1 and 2, in the process of its connection, and no other. What the broker makes of what the hook gives back is
%% in test/brokers/emqx4 and emqx5.
-module(emqx_gate_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, groups/0, init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
-export([a_publish_whose_record_is_not_safe_is_not_acknowledged/1, with_continue_every_publish_is_acknowledged/1,
         with_async_nobody_waits/1, nobody_else_is_held_up/1, recorded_publishes_wait_in_their_own_process_only/1,
         acknowledged_means_that_kafka_has_it/1, durable_means_that_the_spool_has_it/1,
         a_broker_that_cannot_disconnect_is_told_of/1, several_messages_of_one_are_forwarded/1]).
%% A handler of logger.
-export([log/2]).

suite() -> [{timetrap, {seconds, 600}}].

all() -> [{group, emqx4}, {group, emqx5}].

groups() ->
    Cases = [a_publish_whose_record_is_not_safe_is_not_acknowledged, with_continue_every_publish_is_acknowledged,
             with_async_nobody_waits, nobody_else_is_held_up, recorded_publishes_wait_in_their_own_process_only,
             acknowledged_means_that_kafka_has_it, durable_means_that_the_spool_has_it],
    [{emqx4, [], Cases}, {emqx5, [], Cases ++ [a_broker_that_cannot_disconnect_is_told_of, several_messages_of_one_are_forwarded]}].

init_per_group(emqx4, Config) -> [{generation, 4} | Config];
init_per_group(emqx5, Config) -> [{generation, 5} | Config].

end_per_group(_Group, _Config) -> ok.

init_per_testcase(_Case, Config) ->
    ok = standin_emqx_hooks:start(generation(Config)),
    [{before, emq_plugin_kafka:stats()} | Config].

end_per_testcase(_Case, _Config) ->
    {ok, _} = emq_plugin_kafka:unload(),
    _ = emq_plugin_kafka_nif:close(0),
    standin_emqx_hooks:stop().

generation(Config) -> proplists:get_value(generation, Config).

%% What was counted since the case began: counters live as long as the VM.
counted(Counter, Config) ->
    maps:get(Counter, emq_plugin_kafka:stats()) - maps:get(Counter, proplists:get_value(before, Config)).

%% Cases.

%% Each of them comes again after the reconnect: the hook is called again.
a_publish_whose_record_is_not_safe_is_not_acknowledged(Config) ->
    ok = open([{<<"produce">>, <<"sync">>} | never_reached()]),
    [?assertEqual({QoS, Again, not_acknowledged}, {QoS, Again, publish(Config, QoS)}) || QoS <- [1, 2], Again <- [1, 2]],
    ?assertEqual(acknowledged, publish(Config, 0)),
    ?assertEqual([], standin_emqx_hooks:failures()).

with_continue_every_publish_is_acknowledged(Config) ->
    ok = open([{<<"produce">>, <<"sync">>}, {<<"on_failure">>, <<"continue">>} | never_reached()]),
    [?assertEqual({QoS, acknowledged}, {QoS, publish(Config, QoS)}) || QoS <- [0, 1, 2]],
    ?assertEqual(2, counted(wait_timeouts, Config)).

with_async_nobody_waits(Config) ->
    ok = open([{<<"produce">>, <<"async">>} | never_reached()]),
    [?assertEqual({QoS, acknowledged}, {QoS, publish(Config, QoS)}) || QoS <- [0, 1, 2]],
    ?assertMatch(#{queued := 3}, emq_plugin_kafka:stats()).

%% All with QoS 1, of the same client: a will, which has no address; what the client writes under $SYS; what is published on its
%% behalf by another process, as delayed messages are; a bridge's or a rule's, which runs in the client's process; those of the
%% HTTP interface, of the broker and of a gateway.
nobody_else_is_held_up(Config) ->
    ok = open([{<<"produce">>, <<"sync">>} | never_reached()]),
    Message = message(Config, 1),
    Headers = element(6, Message),
    Others = [{will, setelement(6, Message, maps:with([properties, username], Headers)), own},
              {sys, setelement(7, Message, <<"$SYS/x">>), own},
              {sys_itself, setelement(7, Message, <<"$SYS">>), own},
              {delayed, Message, other},
              {rule, setelement(6, setelement(4, Message, <<"rule1">>), #{republish_by => <<"rule1">>, properties => #{}}), own},
              {rule_with_headers, setelement(4, Message, <<"rule1">>), own},
              {another_client, setelement(4, Message, <<255, "other">>), own},
              {http, setelement(6, setelement(4, Message, http_api), #{properties => #{}}), other},
              {http_as_client, setelement(6, Message, #{properties => #{}}), other},
              {broker, setelement(6, setelement(4, Message, emqx_sys), #{}), other},
              {gateway, setelement(6, Message, Headers#{protocol => 'mqtt-sn'}), own},
              {no_headers, setelement(6, Message, undefined), own}],
    [?assertEqual({Who, acknowledged}, {Who, publish_in(Process, {generation(Config), element(4, Message)}, Other)}) || {Who, Other, Process} <- Others],
    ?assertEqual({0, 0}, {counted(wait_timeouts, Config), counted(disconnected, Config)}),
    ?assertMatch(#{waiting := 0}, emq_plugin_kafka:stats()).

recorded_publishes_wait_in_their_own_process_only(Config) ->
    Messages = [Message || {_, [Message]} <- emqx_calls:calls(generation(Config), 'message.publish')],
    Waits = [Message || Message <- Messages, allowed(Config, own, Message) =:= wait],
    ?assert(length(Waits) > 20),
    [?assert(element(3, Message) > 0 andalso is_map_key(peerhost, element(6, Message))) || Message <- Waits],
    ?assertEqual([], [Message || Message <- Messages -- Waits, element(3, Message) > 0, is_binary(element(4, Message)),
                                 is_map_key(proto_ver, element(6, Message))]),
    ?assertEqual([], [Message || Message <- Messages, allowed(Config, other, Message) =:= wait]).

acknowledged_means_that_kafka_has_it(Config) ->
    Topic = kafka_reader:new_topic("gate"),
    ok = open([{<<"produce">>, <<"sync">>}, {<<"topic">>, list_to_binary(Topic)},
               {<<"server">>, list_to_binary(kafka_reader:bootstrap())}, {<<"produce_timeout">>, <<"30000">>}]),
    #{success := Before} = emq_plugin_kafka:stats(),
    [begin
         ?assertEqual(acknowledged, publish(Config, QoS)),
         ?assertMatch(#{success := Success} when Success =:= Before + N, emq_plugin_kafka:stats())
     end || {N, QoS} <- [{1, 1}, {2, 2}, {3, 1}]],
    ?assertEqual(3, length(kafka_reader:records(Topic, 3))).

durable_means_that_the_spool_has_it(Config) ->
    Dir = filename:join(proplists:get_value(priv_dir, Config), "spool" ++ integer_to_list(generation(Config))),
    ok = open([{<<"produce">>, <<"durable">>}, {<<"server">>, <<"127.0.0.1:1">>}, {<<"spool">>, <<"always">>},
               {<<"spool_dir">>, list_to_binary(Dir)}, {<<"produce_timeout">>, <<"30000">>}]),
    [?assertEqual(acknowledged, publish(Config, QoS)) || QoS <- [1, 2]],
    ?assertMatch(#{spooled := 2}, emq_plugin_kafka:stats()),
    ?assertEqual(0, counted(wait_timeouts, Config)).

%% EMQX before 5.7. It must not get {stop, _}: it would acknowledge the message and deliver it to nobody.
a_broker_that_cannot_disconnect_is_told_of(Config) ->
    Forms = [{attribute, 1, module, emqx_broker}, {attribute, 1, export, [{publish, 1}]},
             {function, 1, publish, 1, [{clause, 1, [{var, 1, 'M'}], [],
                                         [{call, 1, {remote, 1, {atom, 1, emqx_hooks}, {atom, 1, run_fold}},
                                           [{atom, 1, 'message.publish'}, {nil, 1}, {var, 1, 'M'}]}]}]}],
    {ok, emqx_broker, Beam} = compile:forms(Forms),
    File = filename:join(proplists:get_value(priv_dir, Config), "emqx_broker.beam"),
    ok = file:write_file(File, Beam),
    _ = code:purge(emqx_broker),
    {module, emqx_broker} = code:load_abs(filename:rootname(File)),
    _ = persistent_term:erase({emq_plugin_kafka_emqx5, disconnects}),
    ?assertEqual([], emq_plugin_kafka_broker:gated()),
    Logged = log_of(fun() -> ok = open([{<<"produce">>, <<"sync">>} | never_reached()]) end),
    ?assertMatch([_], [Line || Line <- Logged, string:find(Line, "on_failure = disconnect has no effect: this EMQX") =/= nomatch]),
    Message = message(Config, 1),
    ?assertEqual(Message, in_process(own, {5, element(4, Message)}, fun() -> emqx_broker:publish(Message) end)),
    {ok, _} = emq_plugin_kafka:unload(),
    {ok, _} = emq_plugin_kafka_nif:close(0),
    ?assertEqual([], log_of(fun() -> ok = open([{<<"produce">>, <<"async">>} | never_reached()]) end)).

%% Lines that are logged meanwhile.
log_of(Do) ->
    Self = self(),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => Self}),
    try
        Do(),
        Self ! end_of_log,
        lines()
    after
        ok = logger:remove_handler(?MODULE)
    end.

log(#{msg := Message}, #{config := Pid}) ->
    Pid ! {line, case Message of
                     {Format, Args} when is_list(Args) -> lists:flatten(io_lib:format(Format, Args));
                     Other -> lists:flatten(io_lib:format("~0tp", [Other]))
                 end},
    ok.

lines() ->
    receive
        {line, Line} -> [Line | lines()];
        end_of_log -> []
    end.

several_messages_of_one_are_forwarded(Config) ->
    ok = open([{<<"produce">>, <<"sync">>} | never_reached()]),
    Messages = [message(Config, QoS) || QoS <- [0, 1, 2]],
    ?assertEqual(Messages, in_process(own, {5, element(4, hd(Messages))}, fun() -> emqx_hooks:run_fold('message.publish', [], Messages) end)),
    ?assertEqual({3, 0}, {counted(accepted, Config), counted(disconnected, Config)}).

%% Clients.

publish(Config, QoS) ->
    Message = message(Config, QoS),
    publish_in(own, {generation(Config), element(4, Message)}, Message).

%% What becomes of a PUBLISH, in the process of this client's connection or in another. Nothing is left in its mailbox.
publish_in(Process, Mark, Message) ->
    outcome(in_process(Process, Mark, fun() -> emqx_broker:publish(Message) end)).

outcome([{_Node, _Topic, {ok, 1}}]) -> acknowledged;
outcome(disconnect) -> not_acknowledged;
outcome({exit, {shutdown, kafka_unavailable}}) -> not_acknowledged.

in_process(Process, Mark, Do) ->
    {_, Monitor} = spawn_monitor(
                     fun() ->
                             ok = mark(Process, Mark),
                             Result = Do(),
                             {message_queue_len, 0} = process_info(self(), message_queue_len),
                             exit({result, Result})
                     end),
    receive
        {'DOWN', Monitor, process, _, {result, Result}} -> Result;
        {'DOWN', Monitor, process, _, Reason} -> {exit, Reason}
    end.

%% EMQX marks the process of a connection so, for its log; EMQX 4 with characters.
mark(own, {4, ClientId}) -> mark(own, unicode:characters_to_list(ClientId, utf8));
mark(own, {5, ClientId}) -> mark(own, ClientId);
mark(own, ClientId) -> logger:update_process_metadata(#{clientid => ClientId, peername => "127.0.0.1:50000"});
mark(other, _ClientId) -> ok.

allowed(Config, Process, Message) ->
    in_process(Process, {generation(Config), element(4, Message)}, fun() -> emq_plugin_kafka_emqx_gate:allowed(Message) end).

%% One that was recorded, with this QoS.
message(Config, QoS) ->
    hd([Message || {_, [Message]} <- emqx_calls:calls(generation(Config), 'message.publish'), element(3, Message) =:= QoS,
                   is_map_key(proto_ver, element(6, Message))]).

open(Settings) ->
    ok = emq_plugin_kafka_nif:open([{<<"hook.message.publish.1">>, <<"{}">>}
                                    | [{<<"spool">>, <<"off">>} || not lists:keymember(<<"spool">>, 1, Settings)] ++ Settings],
                                   <<"emqx@127.0.0.1">>),
    emq_plugin_kafka:load([]).

never_reached() ->
    [{<<"server">>, <<"127.0.0.1:1">>}, {<<"produce_timeout">>, <<"50">>}].
