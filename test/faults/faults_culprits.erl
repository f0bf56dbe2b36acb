%% What the scenarios share in which Kafka refuses some records of a batch: topics that are compacted, so that a record without a key is
%% refused; publishers whose records have one, and those whose records have none.
-module(faults_culprits).

-export([settings/2, topic/1, rule/3, good/1, bad/1, buries/1, outcome/3]).

-define(REASON, <<"invalid_record">>).

%% @doc Records that are refused must not hold up their publisher for ever: where it would send them again and again, they have a
%% dead letter topic.
-spec buries(faults_rig:mode()) -> boolean().
buries(Mode) -> lists:member(Mode, [durable, sync]).

%% @doc The plugin's settings, with these rules beside.
-spec settings(faults_rig:mode(), [{string(), iodata()}]) -> [{string(), iodata()}].
settings(Mode, Rules) ->
    Rules ++ [{"dead_letter.topic", faults_dead_letters:topic()} || buries(Mode)].

%% @doc A compacted topic.
-spec topic(string()) -> ok.
topic(Topic) -> faults_kafka:topic(Topic, 3, ["cleanup.policy=compact"]).

%% @doc What is published under `Under/CLIENT' goes to a topic, with the client's name as its key; to `Under/' alone, with none.
-spec rule(string(), string(), string()) -> {string(), iodata()}.
rule(Name, Under, Topic) ->
    {"hook.message.publish." ++ Name,
     ["{\"filter\": \"", Under, "/#\", \"topic\": \"", Topic, "\", \"format\": \"template\", \"value\": \"${payload}\", "
      "\"key\": \"${topic[1]|}\"}"]}.

-spec good(map()) -> faults_load:load().
good(Options) -> faults_rig:load(Options).

%% @doc A few clients whose records are refused, one now and then.
-spec bad(map()) -> faults_load:load().
bad(Options) -> faults_rig:load(maps:merge(#{clients => 2, rate => 20, name => "bad", keyless => true}, Options)).

%% @doc What a scenario says in the end: only the culprits were refused, each under Kafka's own reason.
-spec outcome(faults_rig:mode(), [faults_load:load()], [{boolean(), iodata()}]) -> faults:outcome().
outcome(Mode, Bad, Evidence) ->
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
