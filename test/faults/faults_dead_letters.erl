%% What the scenarios with a dead-letter topic share: what its records must carry, and how they are read back.
-module(faults_dead_letters).

-export([topic/0, check/2, decode/1, headers/1]).

%% @doc The dead-letter topic of this run.
-spec topic() -> string().
topic() -> faults_rig:topic() ++ ".dead".

%% @doc Evidence: there are some, and each carries the topic that it was for, that reason, and Kafka's words.
-spec check([faults_kafka:record()], [binary()]) -> [{boolean(), iodata()}].
check(Records, Reasons) ->
    Topic = list_to_binary(faults_rig:topic()),
    All = [headers(Record) || Record <- Records],
    Wrong = [Headers || Headers <- All, not complete(Headers, Topic, Reasons)],
    [{All =/= [], io_lib:format("~b dead letters", [length(All)])},
     {Wrong =:= [], io_lib:format("~b of them without topic, reason (~s) or Kafka's words: ~0P",
                                  [length(Wrong), lists:join(", ", Reasons), Wrong, 20])}
     | [{lists:any(fun(Headers) -> lists:member({<<"dead_letter.reason">>, Reason}, Headers) end, All), ["some for ", Reason]}
        || Reason <- Reasons]].

complete(Headers, Topic, Reasons) ->
    proplists:get_value(<<"dead_letter.topic">>, Headers) =:= Topic
        andalso lists:member(proplists:get_value(<<"dead_letter.reason">>, Headers), Reasons)
        andalso byte_size(proplists:get_value(<<"dead_letter.error">>, Headers, <<>>)) > 5.

%% @doc Of what Kafka's console consumer prints: NAME:VALUE,NAME:VALUE. A comma inside a value is no end of it.
-spec headers(faults_kafka:record()) -> [{binary(), binary()}].
headers(#{headers := Headers}) ->
    case re:run(Headers, "([^:,]+):(.*?)(?=,[A-Za-z_.-]+:|$)", [global, {capture, all_but_first, binary}]) of
        {match, Found} -> [{Name, Value} || [Name, Value] <- Found];
        nomatch -> []
    end.

%% @doc For the oracle: as always, but a value that was cut is known by its beginning, and the header tells how long it was.
-spec decode(faults_kafka:record()) -> {binary(), pos_integer()} | damaged.
decode(#{value := Value, key := Key} = Record) ->
    cut(proplists:get_value(<<"dead_letter.value_size">>, headers(Record)), faults_payload:parse(Value), Key, Value).

cut(undefined, {Key, Number}, Key, _Value) ->
    {Key, Number};
cut(Size, damaged, Key, Value) when is_binary(Size) ->
    [Key, Number | _] = binary:split(Value, <<" ">>, [global]),
    whole(binary_to_integer(Size) > byte_size(Value), Key, binary_to_integer(Number));
cut(_, _, _, _) ->
    damaged.

whole(true, Key, Number) -> {Key, Number};
whole(false, _, _) -> damaged.
