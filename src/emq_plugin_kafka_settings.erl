%% The application environment as text for the library, which checks it. One check is here: that the broker has the events of the rules.
%% No process: runs in its callers.
-module(emq_plugin_kafka_settings).

-export([of_environment/1, readable/1, use/2, replace/1]).

-define(APP, emq_plugin_kafka).
-define(NOT_TEXT, <<"no text", 0>>).

%% Calls a function of the library with an environment's settings. An exception becomes a problem: its stack trace would show all settings,
%% passwords too. The library names settings as this broker's operators do.
-spec use([{atom(), term()}], fun(([emq_plugin_kafka_nif:setting()]) -> Result)) -> Result | {error, [Problem :: binary()]}.
use(Env, Function) ->
    try
        ok = emq_plugin_kafka_nif:name_settings(emq_plugin_kafka_broker:naming()),
        use(unknown_events(Env), Env, Function)
    catch
        error:not_loaded -> {error, [<<"the native library is not loaded">>]};
        error:_ -> {error, [<<"a setting in the application environment is not text">>]}
    end.

use([], Env, Function) -> Function(of_environment(Env));
use(Problems, _Env, _Function) -> {error, Problems}.

%% Problems of rules for events that only other generations of the broker have. The library, which knows all generations, refuses the rest.
unknown_events(Env) ->
    Missing = emq_plugin_kafka_broker:all_events() -- emq_plugin_kafka_broker:events(),
    [unknown_event(Name, Event) || {hooks, Rules} <- Env, is_list(Rules), {Name, _Json} <- Rules, Event <- Missing,
                             string:prefix(text(Name), [atom_to_list(Event), "."]) =/= nomatch].

unknown_event(Name, Event) ->
    Has = lists:join(", ", [atom_to_list(Has) || Has <- emq_plugin_kafka_broker:events()]),
    Rule = emq_plugin_kafka_nif:setting_name(<<"hook.", (text(Name))/binary>>),
    unicode:characters_to_binary([Rule, ": ", emq_plugin_kafka_broker:name(), " has no event ", atom_to_list(Event), "; it has ", Has]).

%% Makes this the application's environment. Keys that it does not have are unset.
-spec replace(emq_plugin_kafka_broker:environment()) -> ok.
replace(Environment) ->
    Gone = [Name || {Name, _} <- application:get_all_env(?APP), Name =/= included_applications,
                    not lists:keymember(Name, 1, Environment)],
    lists:foreach(fun(Name) -> application:unset_env(?APP, Name) end, Gone),
    lists:foreach(fun({Name, Value}) -> application:set_env(?APP, Name, Value) end, Environment).

-spec of_environment([{atom(), term()}]) -> [emq_plugin_kafka_nif:setting()].
of_environment(Env) ->
    lists:append([setting(Name, Value) || {Name, Value} <- Env]).

%% The same for an environment that may be invalid: a value that is not text becomes one that no setting accepts. Unknown names stay.
-spec readable([{atom() | binary(), term()}]) -> [emq_plugin_kafka_nif:setting()].
readable(Env) ->
    [{utf8(Name), utf8(Value)} || Entry <- Env, {Name, Value} <- readable_setting(Entry)].

readable_setting({Name, Value}) ->
    try
        setting(Name, Value)
    catch
        error:_ -> [{text(Name), ?NOT_TEXT}]
    end.

utf8(Bytes) when is_binary(Bytes) -> utf8(unicode:characters_to_binary(Bytes), Bytes);
utf8(_NotBytes) -> ?NOT_TEXT.

utf8(Text, _Bytes) when is_binary(Text) -> Text;
utf8(_NotUtf8, Bytes) -> unicode:characters_to_binary(Bytes, latin1).

%% OTP's own key in every application's environment.
setting(included_applications, _) ->
    [];
%% Lists of named settings: librdkafka's properties, and rules by event and name.
setting(rdkafka, Properties) when is_list(Properties) ->
    [named(<<"rdkafka.">>, Property) || Property <- Properties];
setting(hooks, Rules) when is_list(Rules) ->
    [named(<<"hook.">>, Rule) || Rule <- Rules];
%% EMQ 2.3's dashboard has unset it.
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

%% Control characters stay: the name of a rule may have some. They are escaped where they are shown.
text(true, Text) -> unicode:characters_to_binary(Text);
text(false, Term) -> unicode:characters_to_binary(io_lib:format("~0tp", [Term])).
