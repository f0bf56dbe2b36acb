%% Prints docs/configuration.md, made from the cuttlefish schema:
%%
%%   configuration.escript SCHEMA
%%
%% Of each @doc it takes the first sentence, the range (`0 to 600s.`) and the words about values (`async: ...`). The groups are those of
%% EMQX 5's form, in emqx5_form.term beside the schema. Only the introduction and the words for the two maps are written here.

-mode(compile).

-define(PREFIX, ["emq", "plugin", "kafka"]).

introduction() ->
    "# Configuration\n"
    "\n"
    "This page lists every setting. `make docs` writes it from `priv/emq_plugin_kafka.schema`.\n"
    "\n"
    "| broker | file | a name there |\n"
    "|---|---|---|\n"
    "| EMQ 2.3 | `etc/plugins/emq_plugin_kafka.conf` | `emq.plugin.kafka.` and the first column |\n"
    "| EMQX 4 | `etc/plugins/emq_plugin_kafka/etc/emq_plugin_kafka.conf` | the same |\n"
    "| EMQX 5 | `data/plugins/emq_plugin_kafka/config.hocon` | the second column |\n"
    "\n"
    "The same two settings in both kinds of files:\n"
    "\n"
    "    emq.plugin.kafka.server = kafka1:9092,kafka2:9092\n"
    "    emq.plugin.kafka.produce.timeout = 5s\n"
    "\n"
    "```hocon\n"
    "server = \"kafka1:9092,kafka2:9092\"\n"
    "produce_timeout = \"5s\"\n"
    "```\n"
    "\n"
    "- A duration is `0` or a number with a unit: `500ms`, `5s`, `1m`. A size is a number with a unit: `64MB`, `10GB`.\n"
    "- An empty setting has its default. A relative path starts at the broker's directory.\n"
    "- The broker reads the file when it boots. `kafka reload` applies a changed file without a gap.\n"
    "- EMQ 2.3's dashboard stops and starts the plugin to apply a change. The next boot forgets it.\n"
    "- EMQX 5 writes its file anew, without comments. A `spool_dir` below `data/` is below its data directory.\n"
    "- `spool.*`, and `spool` to or from `off`, need a stop and a start of the plugin.\n"
    "- [Wrong settings](operating.md#wrong-settings) says what happens to an invalid value.\n".

%% The mappings of the two maps are one setting each.
names("hook") -> {"hook.EVENT.NAME", "hook"};
names("rdkafka") -> {"rdkafka.PROPERTY", "rdkafka"};
names(Key) -> {Key, lists:append(string:replace(Key, ".", "_", all))}.

sentences("hook", _Mapping) -> ["[Rule](rules.md): which events become records, and how."];
sentences(Key, Mapping) ->
    [Doc] = cuttlefish_mapping:doc(Mapping),
    Doc =/= "" orelse fail([Key, " has no @doc"]),
    re:split(Doc, "(?<=\\S\\.) +", [{return, list}]).

main([SchemaFile]) ->
    code:ensure_loaded(cuttlefish_schema) =:= {module, cuttlefish_schema} orelse fail("cuttlefish is missing: run dev/setup"),
    {_Translations, Mappings, _Validators} = cuttlefish_schema:files([SchemaFile]),
    {ok, Form} = file:consult(filename:join(filename:dirname(SchemaFile), "emqx5_form.term")),
    Settings = maps:from_list(lists:reverse([{key(Mapping), Mapping} || Mapping <- Mappings])),
    Groups = groups(Form),
    lists:sort(lists:append([Keys || {_Title, Keys} <- Groups])) =:= lists:sort(maps:keys(Settings))
        orelse fail("emqx5_form.term needs all settings of the schema"),
    ok = io:setopts([{encoding, unicode}]),
    io:put_chars([introduction(), [group(Title, [{Key, maps:get(Key, Settings)} || Key <- Keys]) || {Title, Keys} <- Groups]]);
main(_) ->
    io:format(standard_error, "usage: see the head of ~s~n", [escript:script_name()]),
    halt(2).

fail(Text) ->
    io:format(standard_error, "docs: ~s~n", [Text]),
    halt(1).

groups([]) -> [];
groups([{group, Title, _Chinese} | Form]) ->
    {Settings, Rest} = lists:splitwith(fun(Entry) -> element(1, Entry) =/= group end, Form),
    [{Title, [element(1, Setting) || Setting <- Settings]} | groups(Rest)];
groups([_Check | Form]) -> groups(Form).

key(Mapping) ->
    key_of(lists:nthtail(length(?PREFIX), cuttlefish_mapping:variable(Mapping))).

key_of([Map | _]) when Map =:= "hook"; Map =:= "rdkafka" -> Map;
key_of(Names) -> string:join(Names, ".").

group(Title, Settings) ->
    ["\n## ", Title, "\n\n| conf | EMQX 5 | default | values | meaning |\n|---|---|---|---|---|\n",
     [row(Key, Mapping, sentences(Key, Mapping)) || {Key, Mapping} <- Settings],
     paragraph(lists:append([choices(Key, Mapping, sentences(Key, Mapping)) || {Key, Mapping} <- Settings])),
     paragraph([refused() || {"rdkafka", _} <- Settings])].

refused() ->
    "[librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md) describes its properties. The plugin refuses:\n"
    "\n"
    "- `bootstrap.servers`, `metadata.broker.list`: use `server`.\n"
    "- Code and commands: `plugin.library.paths`, `interceptors`, `ssl.engine.location`, `ssl.providers`, `sasl.kerberos.kinit.cmd`,\n"
    "  `sasl.kerberos.min.time.before.relogin`.\n"
    "- Properties that break the plugin's accounting: `delivery.report.only.error`, `enabled_events`, `log.queue`, `transactional.id`,\n"
    "  `test.mock.num.brokers`, callbacks and pointers. With a spool also `message.timeout.ms`.\n".

row(Key, Mapping, [Sentence | Sentences]) ->
    {Conf, Field} = names(Key),
    Cells = [code(Conf), code(Field), default(cuttlefish_mapping:has_default(Mapping), Mapping),
             values(Key, types(Mapping), ranges(Sentences)), string:replace(Sentence, "|", "\\|", all)],
    re:replace(["| ", lists:join(" | ", Cells), " |\n"], " +", " ", [global, {return, list}]).

code(Text) -> ["`", Text, "`"].

default(false, _Mapping) -> "";
default(true, Mapping) -> code(text(cuttlefish_mapping:default(Mapping))).

text(Value) when is_atom(Value) -> atom_to_list(Value);
text(Value) when is_integer(Value) -> integer_to_list(Value);
text(Value) -> Value.

types(Mapping) -> lists:flatten([cuttlefish_mapping:datatype(Mapping)]).

ranges(Sentences) ->
    [[" ", Range] || Sentence <- Sentences, {match, [Range]} <- [re:run(Sentence, "^([0-9]\\S* to \\S+)\\.$", [{capture, all_but_first, list}])]].

values("hook", _Types, _Range) -> "JSON";
values(_Key, Types, Range) -> [lists:join(", ", lists:append([value(Type, Types) || Type <- Types])), Range].

value({enum, Values}, _Types) -> [code(text(Value)) || Value <- Values];
value(flag, _Types) -> ["`on`, `off`"];
value({atom, Value}, _Types) -> [code(text(Value))];
value({duration, _Unit}, _Types) -> ["duration"];
value({integer, 0}, _Types) -> [];
value(integer, _Types) -> ["number"];
value(bytesize, _Types) -> ["size"];
value(string, [string]) -> ["text"];
value(string, _Types) -> [].

%% What the values of a setting are: the sentences that begin with one.
choices(Key, Mapping, Sentences) ->
    Values = [text(Value) || {enum, Choices} <- types(Mapping), Value <- Choices] ++ [text(Value) || {atom, Value} <- types(Mapping)],
    [["- ", code([Key, " = ", Value]), Rest, "\n"]
     || Sentence <- Sentences, Value <- Values, [[], ":" ++ _ = Rest] <- [string:split(Sentence, Value)]].

paragraph([]) -> "";
paragraph(Lines) -> ["\n", Lines].
