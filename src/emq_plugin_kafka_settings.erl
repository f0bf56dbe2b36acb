%% The application environment as text, for the one place that checks it: the library. What depends on the broker is checked here:
%% which events it has.
-module(emq_plugin_kafka_settings).

-export([of_environment/1, readable/1, use/2, replace/1]).

-define(APP, emq_plugin_kafka).
-define(NO_TEXT, <<"no text", 0>>).

%% Gives an environment, as settings, to a function of the library. Settings that are no text make an exception, whose stack would
%% show them all, passwords too. Every text of the library names settings as this broker's operators write them.
-spec use([{atom(), term()}], fun(([emq_plugin_kafka_nif:setting()]) -> Result)) -> Result | {error, [Problem :: binary()]}.
use(Env, Function) ->
    try
        ok = emq_plugin_kafka_nif:name_settings(emq_plugin_kafka_broker:naming()),
        use_of(foreign(Env), Env, Function)
    catch
        error:not_loaded -> {error, [<<"the native library is not loaded">>]};
        error:_ -> {error, [<<"a setting in the application environment is no text">>]}
    end.

use_of([], Env, Function) -> Function(of_environment(Env));
use_of(Problems, _Env, _Function) -> {error, Problems}.

%% Rules for events that only other generations of the broker have. The library knows all events and refuses what is none.
foreign(Env) ->
    Missing = emq_plugin_kafka_broker:all_events() -- emq_plugin_kafka_broker:events(),
    [foreign(Name, Event) || {hooks, Rules} <- Env, is_list(Rules), {Name, _Json} <- Rules, Event <- Missing,
                             string:prefix(text(Name), [atom_to_list(Event), "."]) =/= nomatch].

foreign(Name, Event) ->
    Has = lists:join(", ", [atom_to_list(Has) || Has <- emq_plugin_kafka_broker:events()]),
    Rule = emq_plugin_kafka_nif:setting_name(<<"hook.", (text(Name))/binary>>),
    unicode:characters_to_binary([Rule, ": ", emq_plugin_kafka_broker:name(), " has no event ", atom_to_list(Event), "; it has ", Has]).

%% Makes it the application's environment. What it does not say goes back to its default, or is gone: a rule, a property.
-spec replace(emq_plugin_kafka_broker:environment()) -> ok.
replace(Environment) ->
    Gone = [Name || {Name, _} <- application:get_all_env(?APP), Name =/= included_applications,
                    not lists:keymember(Name, 1, Environment)],
    lists:foreach(fun(Name) -> application:unset_env(?APP, Name) end, Gone),
    lists:foreach(fun({Name, Value}) -> application:set_env(?APP, Name, Value) end, Environment).

-spec of_environment([{atom(), term()}]) -> [emq_plugin_kafka_nif:setting()].
of_environment(Env) ->
    lists:append([setting(Name, Value) || {Name, Value} <- Env]).

%% The same for an environment that may be wrong: a value that is not text becomes a value that no setting accepts. Names may be
%% unknown.
-spec readable([{atom() | binary(), term()}]) -> [emq_plugin_kafka_nif:setting()].
readable(Env) ->
    [{utf8(Name), utf8(Value)} || Entry <- Env, {Name, Value} <- readable_setting(Entry)].

readable_setting({Name, Value}) ->
    try
        setting(Name, Value)
    catch
        error:_ -> [{text(Name), ?NO_TEXT}]
    end.

utf8(Bytes) when is_binary(Bytes) -> utf8(unicode:characters_to_binary(Bytes), Bytes);
utf8(_NoBytes) -> ?NO_TEXT.

utf8(Text, _Bytes) when is_binary(Text) -> Text;
utf8(_NoUtf8, Bytes) -> unicode:characters_to_binary(Bytes, latin1).

%% OTP's own key, in every application's environment.
setting(included_applications, _) ->
    [];
%% Lists of settings that have names of their own: librdkafka's properties, and rules by event and name.
setting(rdkafka, Properties) when is_list(Properties) ->
    [named(<<"rdkafka.">>, Property) || Property <- Properties];
setting(hooks, Rules) when is_list(Rules) ->
    [named(<<"hook.">>, Rule) || Rule <- Rules];
%% Unset in the dashboard.
setting(dead_letter_topic, "") ->
    [];
setting(Name, Value) ->
    [{text(Name), text(Value)}].

named(Prefix, {Name, Value}) -> {<<Prefix/binary, (text(Name))/binary>>, text(Value)};
named(Prefix, Other) -> {Prefix, text(Other)}.

text(Value) when is_binary(Value) -> Value;
text(Value) when is_atom(Value) -> atom_to_binary(Value, utf8);
text(Value) when is_integer(Value) -> integer_to_binary(Value);
%% cuttlefish reads the size 1.5GB as a float.
text(Value) when is_float(Value) -> integer_to_binary(trunc(Value));
text(Value) -> text(io_lib:char_list(Value), Value).

%% With control characters, too, which the name of a rule may have: what shows it writes them out.
text(true, Text) -> unicode:characters_to_binary(Text);
text(false, Term) -> unicode:characters_to_binary(io_lib:format("~0tp", [Term])).
