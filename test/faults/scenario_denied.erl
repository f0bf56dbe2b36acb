%% Kafka does not let the plugin's user write to the topic; then it does. What was refused is counted, and dead-lettered where
%% there is a dead-letter topic.
-module(scenario_denied).
-behaviour(faults).

-export([about/0, run/1]).

-define(REASON, <<"topic_authorization_failed">>).

-spec about() -> faults:about().
about() ->
    #{number => 13, title => "topic authorisation denied", modes => [async_off, async, always, durable, sync], boot => manual,
      partitions => none}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Topic = faults_rig:topic(),
    Dead = faults_dead_letters:topic(),
    ok = faults_cluster:up([{"NODES", "1"}]),
    ok = faults_cluster:topic(Topic, 3),
    ok = faults_cluster:topic(Dead, 1),
    Denial = [" --force --deny-principal User:writer --operation ", denied(Mode), " --topic ", Topic],
    _ = faults_cluster:tool(["acls --add --allow-principal 'User:*' --operation All --topic ", Topic]),
    _ = faults_cluster:tool(["acls --add" | Denial]),
    Login = faults_security:login("PLAIN", "writer", faults_cluster:password("writer")),
    ok = faults_rig:settings(faults_cluster:server("SASL_PLAINTEXT", Login ++ buried(Mode, Dead))),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{clients => 5, limit => 200, name => "refused"}),
    ok = faults_load:await(Load, acked, 1000),
    _ = faults_rig:finish(Load),
    Refused = faults_wait:until("Kafka has refused all of them", fun() -> refused(1000) end, 60000),
    _ = faults_cluster:tool(["acls --remove" | Denial]),
    ok = served(1),
    #{failed := Then} = faults_rig:stats(),
    After = faults_rig:load(#{}),
    ok = faults_load:await(After, acked, 1000),
    ok = faults_rig:drained(60000),
    Late = maps:get(failed, faults_rig:stats()) - Then,
    Letters = letters(Mode, Dead),
    #{read => fun faults_cluster:read/1, dead => [Dead || Mode =/= async_off, Mode =/= always],
      losses => {counted, [?REASON]},
      evidence => [{Refused >= 1000, io_lib:format("~b counted as topic_authorization_failed", [Refused])},
                   {Late =:= 0, io_lib:format("~b refused after the user was let in", [Late])},
                   faults_said:crashes() | Letters]}.

%% With Describe denied as well, the topic's metadata tells it; else Kafka's answer to a record does.
denied(durable) -> "All";
denied(_) -> "Write".

buried(async_off, _) -> [];
buried(always, _) -> [];
buried(_, Dead) -> [{"dead_letter.topic", Dead}].

letters(async_off, _) -> [];
letters(always, _) -> [];
letters(_, Dead) -> faults_dead_letters:check(faults_cluster:read(Dead), [?REASON]).

refused(Least) ->
    case faults_rig:stats() of
        #{failed_by := #{?REASON := N}} when N >= Least -> N;
        _ -> false
    end.

%% A message at a time until one arrives: the plugin learns of the change when it asks again. Those before count as refused.
served(N) ->
    #{success := Before, failed := Failed} = faults_rig:stats(),
    Load = faults_rig:load(#{clients => 1, limit => 1, name => "probe" ++ integer_to_list(N) ++ "_"}),
    ok = faults_load:await(Load, acked, 1),
    _ = faults_rig:finish(Load),
    Came = faults_wait:until("an outcome", fun() -> outcome(Before, Failed) end, 60000),
    again(Came, N).

again(came, _N) -> ok;
again(refused, N) when N < 1000 -> served(N + 1).

outcome(Before, Failed) ->
    case faults_rig:stats() of
        #{success := Success} when Success > Before -> came;
        #{failed := Now} when Now > Failed -> refused;
        _ -> false
    end.
