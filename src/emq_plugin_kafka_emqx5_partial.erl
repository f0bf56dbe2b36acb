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

setting({Field, Name, Types, Default}, Config) ->
    Given = maps:get(Field, Config, null),
    setting(emq_plugin_kafka_emqx5_values:value(Types, Given), Given, Name, Default).

setting({ok, Value}, _Given, Name, _Default) -> [{Name, Value}];
setting(unset, _Given, Name, {default, Value}) -> [{Name, Value}];
setting(unset, _Given, _Name, none) -> [];
setting({error, _}, Given, Name, _Default) when is_map(Given) ->
    [{Name, [{Key, Value} || {Key, Value} <- maps:to_list(Given), is_binary(Key), is_binary(Value)]}];
setting({error, _}, Given, Name, _Default) -> [{Name, Given}].

%% A missing file, or one that is not HOCON. Words in it can show that publishers were to wait. Its topic is unknown.
-spec of_text(binary()) -> environment().
of_text(Text) ->
    Modes = matches(Text, "\\bproduce\\\\*\"?\\s*[=:]\\s*\\\\*\"?([^\\s\",}\\\\]*)"),
    Ends = matches(Text, "\\bon_failure\\\\*\"?\\s*[=:]\\s*\\\\*\"?([^\\s\",}\\\\]*)"),
    [{topic, <<>>}]
        ++ [{produce, <<"unreadable">>} || lists:any(fun(Mode) -> not lists:member(Mode, [<<"async">>, <<>>]) end, Modes)]
        ++ [{on_failure, disconnect} || lists:member(<<"disconnect">>, Ends)].

matches(Text, Pattern) ->
    found(re:run(Text, Pattern, [global, {capture, all_but_first, binary}])).

found({match, Found}) -> [Value || [Value] <- Found];
found(nomatch) -> [].
