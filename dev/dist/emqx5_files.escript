%% Writes what EMQX 5 reads of the settings. The cuttlefish schema defines them, emqx5_form.term beside it has the words of the form:
%%
%%   emqx5_files.escript SCHEMA DIR
%%
%%   DIR/config_schema.avsc       Avro: the types of a new configuration, with $ui, the dashboard's form
%%   DIR/config_i18n.json         the words of the form, in English (each setting's @doc) and in Chinese
%%   DIR/config.hocon             every setting with its default
%%   DIR/emqx5_settings.term      the plugin's own: from field to environment, see emq_plugin_kafka_emqx5_settings
%%
%% A field has the name of the conf key, with `_` for `.`: Avro's names have no dots, and `topic` and `topic.max_dynamic` are beside
%% each other. Rules and librdkafka's properties are two maps, `hook` and `rdkafka`, whose keys keep their dots.

-mode(compile).
-include("json.hrl").
-include("emqx5_form.hrl").

-define(PREFIX, ["emq", "plugin", "kafka"]).
-define(WIDTH, 78).

main([SchemaFile, Dir]) ->
    code:ensure_loaded(cuttlefish_schema) =:= {module, cuttlefish_schema} orelse fail("cuttlefish is missing: run dev/setup"),
    {_Translations, Mappings, _Validators} = Schema = cuttlefish_schema:files([SchemaFile]),
    [{emq_plugin_kafka, Defaults}] = cuttlefish_generator:map(Schema, []),
    {ok, Form} = file:consult(filename:join(filename:dirname(SchemaFile), "emqx5_form.term")),
    Found = settings(Mappings, Defaults),
    Keys = [Key || #{key := Key} <- Found],
    Keys =:= [element(1, Entry) || Entry <- Form, is_setting(Entry)]
        orelse fail("emqx5_form.term needs all settings of the schema, in the same order"),
    Groups = laid_out(groups(Form, [with_dots_replaced(Setting, Keys) || Setting <- Found])),
    Settings = lists:append([Settings || {_Title, Settings} <- Groups]),
    Checks = maps:from_list([{Name, Check} || {check, Name, _, _, _} = Check <- Form]),
    ok = write(Dir, "config_schema.avsc", json(avro(Settings, Checks))),
    ok = write(Dir, "config_i18n.json", json(words(Settings, Checks))),
    ok = write(Dir, "config.hocon", hocon(Groups)),
    ok = write(Dir, "emqx5_settings.term", [io_lib:format("~p.~n", [term(Setting)]) || Setting <- Settings]);
main(_) ->
    io:format(standard_error, "usage: see the head of ~s~n", [escript:script_name()]),
    halt(2).

fail(Text) ->
    io:format(standard_error, "build: ~s~n", [Text]),
    halt(1).

write(Dir, Name, Text) ->
    File = filename:join(Dir, Name),
    ok = file:write_file(File ++ ".new", unicode:characters_to_binary(Text)),
    ok = file:rename(File ++ ".new", File).

%% The mappings

%% In the schema's order. The mappings of rules are one setting, and so are those of librdkafka's properties.
settings(Mappings, Defaults) ->
    Events = lists:sort([event(Mapping) || Mapping <- Mappings, env(Mapping) =:= hooks]),
    lists:append(first_of_each([setting(env(Mapping), Mapping, Defaults, string:join(Events, ", ")) || Mapping <- Mappings], [])).

first_of_each([], _Seen) -> [];
first_of_each([#{key := Key} = Setting | Settings], Seen) ->
    [[Setting || not lists:member(Key, Seen)] | first_of_each(Settings, [Key | Seen])].

%% The plugin checks the keys of the two maps: of a rule, the events that the schema has.
setting(hooks, _Mapping, _Defaults, Events) ->
    #{key => "hook", field => "hook", env => hooks, types => [{rules, string:lexemes(Events, ", ")}], default => none, value => none,
      events => Events,
      doc => "Rules: which events become records, for which Kafka topic, and in which format. The key is EVENT.NAME, such as "
             "message.publish.1. The value is a JSON object, such as {\"filter\": \"sensors/#\", \"topic\": \"temps\"}. Without any "
             "rule, five events go to the topic above: client.connected, client.disconnected, session.subscribed, "
             "session.unsubscribed, message.publish. All events: " ++ Events ++ "."};
setting(rdkafka, _Mapping, _Defaults, _Events) ->
    #{key => "rdkafka", field => "rdkafka", env => rdkafka, types => [properties], default => none, value => none,
      doc => "Any producer property of librdkafka, by its own name, such as socket.timeout.ms. It overrides the other settings."};
setting(Env, Mapping, Defaults, _Events) ->
    Key = key(Mapping),
    #{key => Key, field => field(Key), env => Env, types => types(cuttlefish_mapping:datatype(Mapping)),
      default => default(cuttlefish_mapping:has_default(Mapping), Mapping), value => value(lists:keyfind(Env, 1, Defaults)),
      doc => doc(Mapping)}.

event(Mapping) ->
    string:join(lists:droplast(lists:nthtail(4, cuttlefish_mapping:variable(Mapping))), ".").

key(Mapping) ->
    string:join(lists:nthtail(length(?PREFIX), cuttlefish_mapping:variable(Mapping)), ".").

env(Mapping) ->
    "emq_plugin_kafka." ++ Env = cuttlefish_mapping:mapping(Mapping),
    list_to_atom(Env).

field(Key) ->
    [underscore(Char) || Char <- Key].

underscore($.) -> $_;
underscore(Char) -> Char.

types([_ | _] = Types) -> Types;
types(Type) -> [Type].

default(false, _Mapping) -> none;
default(true, Mapping) -> cuttlefish_mapping:default(Mapping).

%% As the environment has it.
value(false) -> none;
value({_Env, Value}) -> {default, Value}.

doc(Mapping) ->
    [Doc] = cuttlefish_mapping:doc(Mapping),
    Doc.

%% A doc names other settings by their conf keys.
with_dots_replaced(#{doc := Doc} = Setting, Keys) ->
    Dotted = lists:reverse(lists:sort([{length(Key), Key} || Key <- Keys, lists:member($., Key)])),
    Setting#{doc := lists:foldl(fun({_, Key}, Text) -> with_underscores(Key, Text) end, Doc, Dotted)}.

with_underscores(Key, Text) ->
    Escaped = re:replace(Key, "\\.", "\\\\.", [global, {return, list}]),
    re:replace(Text, "\\b" ++ Escaped ++ "\\b", field(Key), [global, {return, list}]).

%% What is written

term(#{field := Field, env := Env, types := Types, value := Value}) ->
    {list_to_binary(Field), Env, Types, Value}.

avro(Settings, Checks) ->
    {[{"type", "record"}, {"name", "emq_plugin_kafka"}, {"fields", [avro_field(Setting, Checks) || Setting <- Settings]}]}.

avro_field(#{field := Field, key := Key, types := Types, flex := Flex, is_required := IsRequired, checks := Own} = Setting, Checks) ->
    {Type, Component} = form(Key, Types),
    {[{"name", Field}, {"type", Type}, {"default", written(Setting)},
      {"$ui", {[{"component", Component}, {"flex", Flex}, {"required", IsRequired}, {"label", label(Field)},
                {"description", description(Field)} | options(Component, Types) ++ rules(Field, Own, Checks)]}}]}.

%% No enum of Avro's: its symbols cannot be `1` and `0`, and if the record has one, EMQX's decoder does not take a configuration
%% without that field, so that a version with a new setting would refuse the configuration of the old one.
form(_Key, [{enum, _}]) -> {"string", "select"};
form(_Key, [flag]) -> {"boolean", "switch"};
form(_Key, [integer]) -> {"int", "input-number"};
form(_Key, [{rules, _}]) -> strings();
form(_Key, [properties]) -> strings();
form(Key, _Types) -> {"string", input(lists:suffix("password", Key))}.

strings() -> {{[{"type", "map"}, {"values", "string"}]}, "key-value-editor"}.

input(true) -> "input-password";
input(false) -> "input".

options("select", [{enum, Symbols} | _]) ->
    [{"options", [{[{"label", atom_to_list(Symbol)}, {"value", atom_to_list(Symbol)}]} || Symbol <- Symbols]}];
options(_Component, _Types) ->
    [].

rules(_Field, [], _Checks) -> [];
rules(Field, Own, Checks) -> [{"rules", [{rule(Field, Test, Checks)} || Test <- Own]}].

rule(_Field, {check, Name}, Checks) ->
    {check, Name, Pattern, _English, _Chinese} = maps:get(Name, Checks),
    [{"type", "pattern"}, {"pattern", Pattern}, {"message", message(atom_to_list(Name))}];
rule(Field, {range, Min, Max}, _Checks) ->
    [{"type", "range"}, {"min", Min}, {"max", Max}, {"message", message(Field)}].

%% As an operator writes it.
written(#{types := [{rules, _}]}) -> {[]};
written(#{types := [properties]}) -> {[]};
written(#{types := [flag], default := Default}) -> Default =:= on;
written(#{types := [integer], default := Default}) -> Default;
written(#{default := none}) -> "";
written(#{default := Default}) when is_atom(Default) -> atom_to_list(Default);
written(#{default := Default}) -> Default.

%% The dashboard is English or Chinese; where a language is missing it would show the identifier.
words(Settings, Checks) ->
    {lists:append([[{label(Field), both(Label)}, {description(Field), both({Doc, Chinese})} | ranges(Field, Own, Checks)]
                   || #{field := Field, label := Label, doc := Doc, chinese := Chinese, checks := Own} <- Settings])
     ++ [{message(atom_to_list(Name)), both({English, Chinese})} || {check, Name, [_ | _], English, Chinese} <- maps:values(Checks)]}.

ranges(Field, Own, #{range := {check, range, _, English, Chinese}}) ->
    [{message(Field), both({io_lib:format(English, [Min, Max]), io_lib:format(Chinese, [Min, Max])})} || {range, Min, Max} <- Own].

both({English, Chinese}) -> {[{"en", lists:flatten(English)}, {"zh", lists:flatten(Chinese)}]}.

label(Field) -> "$" ++ Field ++ "_label".
description(Field) -> "$" ++ Field ++ "_desc".
message(Name) -> "$" ++ Name ++ "_expected".

%% EMQX reads this when the plugin is installed for the first time, and writes it anew, without comments.
hocon(Groups) ->
    ["## The settings of emq_plugin_kafka and their defaults. An empty value is unset.\n",
     [["\n##--- ", Title, "\n",
       [["\n", comment(Doc), Field, assigned(written(Setting)), "\n"] || #{field := Field, doc := Doc} = Setting <- Settings]]
      || {Title, Settings} <- Groups]].

assigned({[]}) -> " {}";
assigned(Value) -> [" = ", compact(Value)].

comment(Doc) ->
    [["## ", Line, "\n"] || Line <- lines(string:lexemes(Doc, " "), [])].

lines([], []) -> [];
lines([], Line) -> [Line];
lines([Word | Words], []) -> lines(Words, Word);
lines([Word | Words], Line) when length(Line) + length(Word) + 4 =< ?WIDTH -> lines(Words, Line ++ " " ++ Word);
lines(Words, Line) -> [Line | lines(Words, [])].
