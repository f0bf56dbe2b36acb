%% The readable part of an invalid EMQX 5 configuration, so that a degraded plugin keeps as much of the operator's intent as possible: a
%% value of a wrong type stays, because the library must see that a value was given. Total. No process: runs in its callers.
-module(emq_plugin_kafka_emqx5_partial).

-export([environment/3, of_config/2, of_text/1]).

-type environment() :: [{Name :: atom() | binary(), Value :: term()}].

%% Without a parsed configuration or a table, the text of the file is searched.
-spec environment({ok, Config :: map()} | {error, term()}, {ok, Table :: [emq_plugin_kafka_emqx5_values:row()]} | {error, term()},
                  file:filename()) -> environment().
environment({ok, Config}, {ok, Table}, _File) -> of_config(Table, Config);
environment(_Config, _Table, File) -> text(file:read_file(File)).

text({ok, Text}) -> of_text(Text);
text({error, _}) -> of_text(<<>>).

%% Unknown fields keep their own names.
-spec of_config([emq_plugin_kafka_emqx5_values:row()], Config :: map()) -> environment().
of_config(Table, Config) ->
    Fields = [Field || {Field, _, _, _} <- Table],
    lists:append([setting(Row, Config) || Row <- Table])
        ++ [{Field, Value} || {Field, Value} <- maps:to_list(Config), is_binary(Value), not lists:member(Field, Fields)].

setting({Field, Name, _Types, _Default} = Row, Config) ->
    as_given(emq_plugin_kafka_emqx5_values:setting(Row, Config), Name, maps:get(Field, Config, null)).

as_given({error, _}, Name, Given) when is_map(Given) ->
    [{Name, [{Key, Value} || {Key, Value} <- maps:to_list(Given), is_binary(Key), is_binary(Value)]}];
as_given({error, _}, Name, Given) -> [{Name, Given}];
as_given(Setting, _Name, _Given) -> Setting.

%% For a missing file, or one that is not HOCON. The topic is unknown. Words of the text can show that publishers were to wait.
-spec of_text(binary()) -> environment().
of_text(Text) ->
    Modes = values("produce", Text),
    OnFailure = values("on_failure", Text),
    [{topic, <<>>}]
        ++ [{produce, <<"unreadable">>} || lists:any(fun(Mode) -> not lists:member(Mode, [<<"async">>, <<>>]) end, Modes)]
        ++ [{on_failure, disconnect} || lists:member(<<"disconnect">>, OnFailure)].

%% Finds a field in the JSON of a rule, too, where quotes are escaped.
values(Field, Text) ->
    Pattern = ["\\b", Field, "\\\\*\"?\\s*[=:]\\s*\\\\*\"?([^\\s\",}\\\\]*)"],
    found(re:run(Text, Pattern, [global, {capture, all_but_first, binary}])).

found({match, Found}) -> [Value || [Value] <- Found];
found(nomatch) -> [].
