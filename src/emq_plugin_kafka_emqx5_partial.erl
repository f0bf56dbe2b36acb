%% The readable part of a wrong configuration of EMQX 5. A value of the wrong type stays as it is, so that the library sees that
%% something was meant. Total. Runs in its callers.
-module(emq_plugin_kafka_emqx5_partial).

-export([environment/0, of_config/2, of_text/1]).

-type environment() :: [{Name :: atom() | binary(), Value :: term()}].

-spec environment() -> environment().
environment() ->
    environment(emq_plugin_kafka_emqx5_settings:config(), emq_plugin_kafka_emqx5_settings:table()).

environment({ok, Config}, {ok, Table}) -> [emq_plugin_kafka_emqx5_settings:placed_setting(S) || S <- of_config(Table, Config)];
environment(_NoConfig, _Table) -> text(file:read_file(emq_plugin_kafka_emqx5_settings:file())).

text({ok, Text}) -> of_text(Text);
text({error, _}) -> of_text(<<>>).

%% Fields that are no settings are there under their own names.
-spec of_config([term()], Config :: map()) -> environment().
of_config(Table, Config) ->
    Fields = [Field || {Field, _, _, _} <- Table],
    lists:append([setting(Row, Config) || Row <- Table])
        ++ [{Field, Value} || {Field, Value} <- maps:to_list(Config), is_binary(Value), not lists:member(Field, Fields)].

setting({Field, Name, _Types, _Default} = Row, Config) ->
    as_given(emq_plugin_kafka_emqx5_settings:setting(Row, Config), Name, maps:get(Field, Config, null)).

as_given({error, _}, Name, Given) when is_map(Given) ->
    [{Name, [{Key, Value} || {Key, Value} <- maps:to_list(Given), is_binary(Key), is_binary(Value)]}];
as_given({error, _}, Name, Given) -> [{Name, Given}];
as_given(Setting, _Name, _Given) -> Setting.

%% A missing file, or one that is not HOCON. Words in it can show that publishers were to wait. Its topic is unknown.
-spec of_text(binary()) -> environment().
of_text(Text) ->
    Modes = values("produce", Text),
    Ends = values("on_failure", Text),
    [{topic, <<>>}]
        ++ [{produce, <<"unreadable">>} || lists:any(fun(Mode) -> not lists:member(Mode, [<<"async">>, <<>>]) end, Modes)]
        ++ [{on_failure, disconnect} || lists:member(<<"disconnect">>, Ends)].

%% Also within the JSON of a rule, whose quotes are escaped.
values(Field, Text) ->
    Pattern = ["\\b", Field, "\\\\*\"?\\s*[=:]\\s*\\\\*\"?([^\\s\",}\\\\]*)"],
    found(re:run(Text, Pattern, [global, {capture, all_but_first, binary}])).

found({match, Found}) -> [Value || [Value] <- Found];
found(nomatch) -> [].
