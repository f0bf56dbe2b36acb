%% What the scenarios share in which Kafka refuses some records of a batch: topics that are compacted, so that a record without a key is
%% refused; publishers whose records have one, and those whose records have none.
-module(faults_culprits).

-export([set_up/2, bad/1, outcome/4]).

-define(REASON, <<"invalid_record">>).

%% @doc Compacted topics, and the plugin's settings: what is published under `Under/CLIENT' goes to its topic with the client's name as
%% its key; to `Under/' alone, with none.
-spec set_up(faults_rig:mode(), [{Under :: string(), Topic :: string()}]) -> ok.
set_up(Mode, Topics) ->
    _ = [ok = faults_kafka:topic(Topic, 3, ["cleanup.policy=compact"]) || {_, Topic} <- Topics],
    %% The first one takes the place of the rig's own rule.
    Rules = [rule(Number, Under, Topic) || {Number, {Under, Topic}} <- lists:zip(lists:seq(1, length(Topics)), Topics)],
    faults_rig:settings(Rules ++ graveyard(buries(Mode))).

rule(Number, Under, Topic) ->
    {"hook.message.publish." ++ integer_to_list(Number),
     ["{\"filter\": \"", Under, "/#\", \"topic\": \"", Topic, "\", \"format\": \"template\", \"value\": \"${payload}\", "
      "\"key\": \"${topic[1]|}\"}"]}.

%% Records that are refused must not hold up their publisher for ever: where it would send them again and again, they have a
%% dead letter topic.
buries(Mode) -> lists:member(Mode, [durable, sync]).

graveyard(false) ->
    [];
graveyard(true) ->
    Dead = faults_dead_letters:topic(),
    ok = faults_kafka:topic(Dead, 1),
    [{"dead_letter.topic", Dead}].

%% @doc A few clients whose records are refused, one now and then.
-spec bad(map()) -> faults_load:load().
bad(Options) -> faults_rig:load(maps:merge(#{clients => 2, rate => 20, name => "bad", keyless => true}, Options)).

%% @doc Ends the publishers. What a scenario says in the end: only the culprits were refused, each under Kafka's own reason.
-spec outcome(faults_rig:mode(), Good :: [faults_load:load()], Bad :: [faults_load:load()], [{boolean(), iodata()}]) -> faults:outcome().
outcome(Mode, Good, Bad, Evidence) ->
    _ = [faults_rig:finish(Load) || Load <- Bad ++ Good],
    ok = faults_rig:drained(60000),
    Sent = lists:sum([faults_load:sent(Load) || Load <- Bad]),
    %% What was sent again may have met the end of its connection.
    Most = Sent + lists:sum([faults_load:resent(Load) || Load <- Bad]),
    #{failed := Failed, failed_by := By} = faults_rig:stats(),
    Refused = [{Sent > 0 andalso Failed >= Sent andalso Failed =< Most,
                io_lib:format("~b records refused, ~b to ~b were sent that Kafka must refuse", [Failed, Sent, Most])},
               {maps:keys(maps:filter(fun(_, N) -> N > 0 end, By)) =:= [?REASON], io_lib:format("reasons: ~0p", [By])},
               faults_said:crashes()],
    buried(buries(Mode), Refused ++ Evidence).

buried(false, Evidence) ->
    #{evidence => Evidence, losses => {counted, [?REASON]}};
buried(true, Evidence) ->
    Dead = faults_dead_letters:topic(),
    #{evidence => Evidence, losses => {counted, [?REASON]}, dead => [Dead], decode => fun decode/1}.

%% Dead letters have no key.
decode(#{value := Value, key := Key}) -> decoded(faults_payload:parse(Value), Key).

decoded({Client, Number}, Key) when Key =:= Client; Key =:= <<"null">> -> {Client, Number};
decoded(_, _) -> damaged.
