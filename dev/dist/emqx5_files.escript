%% Writes what EMQX 5 wants to know of the settings, from the one place where they are defined, the cuttlefish schema:
%%
%%   emqx5_files.escript SCHEMA DIR
%%
%%   DIR/config_schema.avsc       Avro: what EMQX checks a new configuration against, with $ui, the dashboard's form
%%   DIR/config_i18n.json         the words of that form: each setting's @doc
%%   DIR/config.hocon             every setting with its default
%%   DIR/emqx5_settings.term      the plugin's own: from field to environment, see emq_plugin_kafka_emqx5_settings
%%
%% A field is named as the conf key is, with `_` for `.`: Avro's names have no dots, and `topic` and `topic.max_dynamic` are beside
%% each other. Rules and librdkafka's properties are two maps, `hook` and `rdkafka`, whose keys keep their dots.

-mode(compile).

-define(PREFIX, ["emq", "plugin", "kafka"]).
%% In `$ui`, a row is 24 wide.
-define(HALF, 12).
-define(WHOLE, 24).
-define(WIDTH, 78).

main([SchemaFile, Dir]) ->
    code:ensure_loaded(cuttlefish_schema) =:= {module, cuttlefish_schema} orelse fail("cuttlefish is missing: run dev/setup"),
    {_Translations, Mappings, _Validators} = Schema = cuttlefish_schema:files([SchemaFile]),
    [{emq_plugin_kafka, Defaults}] = cuttlefish_generator:map(Schema, []),
    Plain = [setting(Mapping, Defaults) || Mapping <- Mappings, is_plain(Mapping)],
    Keys = [Key || #{key := Key} <- Plain],
    Settings = [Setting#{doc := in_fields(Doc, Keys)} || #{doc := Doc} = Setting <- Plain] ++ maps(Mappings),
    ok = write(Dir, "config_schema.avsc", json(avro(Settings))),
    ok = write(Dir, "config_i18n.json", json(words(Settings))),
    ok = write(Dir, "config.hocon", hocon(Settings)),
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

is_plain(Mapping) ->
    not lists:member(env(Mapping), [hooks, rdkafka]).

setting(Mapping, Defaults) ->
    Key = key(Mapping),
    #{key => Key, field => field(Key), env => env(Mapping), types => types(cuttlefish_mapping:datatype(Mapping)),
      default => default(cuttlefish_mapping:has_default(Mapping), Mapping), value => value(lists:keyfind(env(Mapping), 1, Defaults)),
      doc => doc(Mapping)}.

%% The two maps. Their keys are checked by the plugin: of a rule, the events that the schema has.
maps(Mappings) ->
    Events = [string:join(lists:droplast(lists:nthtail(4, cuttlefish_mapping:variable(Mapping))), ".")
              || Mapping <- Mappings, env(Mapping) =:= hooks],
    [#{key => "hook", field => "hook", env => hooks, types => [{rules, lists:sort(Events)}], default => none, value => none,
       doc => "Rules: which events become records, where to, and in what form. The key is EVENT.NAME, such as message.publish.1, "
              "the value a JSON object such as {\"filter\": \"sensors/#\", \"topic\": \"temps\"}. Without any rule five events go "
              "to the topic above. Events: " ++ string:join(lists:sort(Events), ", ") ++ "."},
     #{key => "rdkafka", field => "rdkafka", env => rdkafka, types => [properties], default => none, value => none,
       doc => "librdkafka producer properties by their own names, such as socket.timeout.ms. They win over the other settings."}].

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
in_fields(Doc, Keys) ->
    Dotted = lists:reverse(lists:sort([{length(Key), Key} || Key <- Keys, lists:member($., Key)])),
    lists:foldl(fun({_, Key}, Text) ->
                    re:replace(Text, "\\b" ++ re:replace(Key, "\\.", "\\\\.", [global, {return, list}]) ++ "\\b", field(Key),
                               [global, {return, list}])
                end, Doc, Dotted).

%% What is written

term(#{field := Field, env := Env, types := Types, value := Value}) ->
    {list_to_binary(Field), Env, Types, Value}.

avro(Settings) ->
    {[{"type", "record"}, {"name", "emq_plugin_kafka"}, {"fields", [avro_field(Setting) || Setting <- Settings]}]}.

avro_field(#{field := Field, key := Key, types := Types} = Setting) ->
    {Type, Component, Flex} = form(Key, Types),
    {[{"name", Field}, {"type", Type}, {"default", written(Setting)},
      {"$ui", {[{"component", Component}, {"flex", Flex}, {"required", false}, {"label", label(Field)}, {"description", description(Field)}
                | options(Component, Types)]}}]}.

%% No enum of Avro's: its symbols cannot be `1` and `0`, and where the record has one, EMQX's decoder does not take a configuration
%% without that field, so that a version with a new setting would refuse the configuration of the old one.
form(_Key, [{enum, _}]) -> {"string", "select", ?HALF};
form(_Key, [flag]) -> {"boolean", "switch", ?HALF};
form(_Key, [integer]) -> {"int", "input-number", ?HALF};
form(_Key, [{rules, _}]) -> strings();
form(_Key, [properties]) -> strings();
form(Key, _Types) -> {"string", input(lists:suffix("password", Key)), ?HALF}.

strings() -> {{[{"type", "map"}, {"values", "string"}]}, "key-value-editor", ?WHOLE}.

input(true) -> "input-password";
input(false) -> "input".

options("select", [{enum, Symbols} | _]) ->
    [{"options", [{[{"label", atom_to_list(Symbol)}, {"value", atom_to_list(Symbol)}]} || Symbol <- Symbols]}];
options(_Component, _Types) ->
    [].

%% As an operator writes it.
written(#{types := [{rules, _}]}) -> {[]};
written(#{types := [properties]}) -> {[]};
written(#{types := [flag], default := Default}) -> Default =:= on;
written(#{types := [integer], default := Default}) -> Default;
written(#{default := none}) -> "";
written(#{default := Default}) when is_atom(Default) -> atom_to_list(Default);
written(#{default := Default}) -> Default.

%% The dashboard is English or Chinese; where a language is missing it would show the identifier.
words(Settings) ->
    {lists:append([[{label(Field), both(Field)}, {description(Field), both(Doc)}] || #{field := Field, doc := Doc} <- Settings])}.

both(Text) -> {[{"en", Text}, {"zh", Text}]}.

label(Field) -> "$" ++ Field ++ "_label".
description(Field) -> "$" ++ Field ++ "_desc".

%% EMQX reads this when the plugin is installed for the first time, and writes it anew, without comments.
hocon(Settings) ->
    ["## The settings of emq_plugin_kafka and their defaults. What is empty is unset.\n",
     [["\n", comment(Doc), Field, assigned(written(Setting)), "\n"] || #{field := Field, doc := Doc} = Setting <- Settings]].

assigned({[]}) -> " {}";
assigned(Value) -> [" = ", compact(Value)].

comment(Doc) ->
    [["## ", Line, "\n"] || Line <- lines(string:lexemes(Doc, " "), [])].

lines([], []) -> [];
lines([], Line) -> [Line];
lines([Word | Words], []) -> lines(Words, Word);
lines([Word | Words], Line) when length(Line) + length(Word) + 4 =< ?WIDTH -> lines(Words, Line ++ " " ++ Word);
lines(Words, Line) -> [Line | lines(Words, [])].

%% JSON, in the order in which it is given: an object is {[{Name, Value}]}, a list of characters a string.

json(Value) -> [json(Value, "\n"), "\n"].

json({[]}, _Indent) -> "{}";
json({Members}, Indent) ->
    Inner = Indent ++ "  ",
    ["{", Inner, lists:join(["," | Inner], [[compact(Name), ": ", json(Value, Inner)] || {Name, Value} <- Members]), Indent, "}"];
json([Element | _] = List, Indent) when not is_integer(Element) ->
    Inner = Indent ++ "  ",
    ["[", Inner, lists:join(["," | Inner], [json(Value, Inner) || Value <- List]), Indent, "]"];
json(Value, _Indent) -> compact(Value).

compact(Value) when is_boolean(Value) -> atom_to_list(Value);
compact(Value) when is_integer(Value) -> integer_to_list(Value);
compact(Text) -> [$", [escaped(Char) || Char <- Text], $"].

escaped($") -> "\\\"";
escaped($\\) -> "\\\\";
escaped(Char) when Char >= 32 -> Char.
