%% Prints docs/configuration.md, made from the cuttlefish schema:
%%
%%   configuration.escript SCHEMA
%%
%% A setting's sentence is the first one of its @doc. Only the introduction and the groups are written here; a setting in no group is an error.

-mode(compile).

-define(PREFIX, ["emq", "plugin", "kafka"]).

%% Each setting is in one group, in the order of the page.
groups() ->
    [{"Kafka and topics", ["server", "topic", "topic.max_dynamic", "dead_letter.topic"]},
     {"Records", ["format", "encode_payload", "hook"]},
     {"Acknowledgements", ["produce", "produce.timeout", "produce.max_waiters", "on_failure"]},
     {"Spool", ["spool", "spool.dir", "spool.max_size", "spool.segment_size", "spool.sync_interval"]},
     {"Memory and stop", ["queue.max_messages", "queue.max_size", "overflow", "shutdown_timeout"]},
     {"Producer", ["linger", "compression", "acks", "idempotence", "partitioner", "rdkafka"]},
     {"Security", ["security.protocol", "ssl.ca.location", "ssl.endpoint.identification.algorithm", "ssl.certificate.location",
                   "ssl.key.location", "ssl.key.password_file", "ssl.key.password", "sasl.mechanism", "sasl.username",
                   "sasl.password_file", "sasl.password"]},
     {"Metrics", ["metrics.listener"]}].

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
    "- `spool.*`, and `spool` to or from `off`, need a stop and a start of the plugin.\n"
    "- [Wrong settings](operating.md#wrong-settings) says what happens to an invalid value.\n".

main([SchemaFile]) ->
    code:ensure_loaded(cuttlefish_schema) =:= {module, cuttlefish_schema} orelse fail("cuttlefish is missing: run dev/setup"),
    {_Translations, Mappings, _Validators} = cuttlefish_schema:files([SchemaFile]),
    Settings = maps:from_list(lists:reverse([{key(Mapping), Mapping} || Mapping <- Mappings])),
    Grouped = lists:append([Keys || {_Title, Keys} <- groups()]),
    lists:sort(Grouped) =:= lists:sort(maps:keys(Settings)) orelse
        fail(io_lib:format("the groups do not fit the schema: ~p", [{Grouped -- maps:keys(Settings), maps:keys(Settings) -- Grouped}])),
    ok = io:setopts([{encoding, unicode}]),
    io:put_chars([introduction(), [group(Title, [maps:get(Key, Settings) || Key <- Keys]) || {Title, Keys} <- groups()]]);
main(_) ->
    io:format(standard_error, "usage: see the head of ~s~n", [escript:script_name()]),
    halt(2).

fail(Text) ->
    io:format(standard_error, "docs: ~s~n", [Text]),
    halt(1).

group(Title, Mappings) ->
    ["\n## ", Title, "\n\n| conf | EMQX 5 | default | values | |\n|---|---|---|---|---|\n", [row(Mapping) || Mapping <- Mappings]].

row(Mapping) ->
    {Conf, Field} = names(key(Mapping)),
    Cells = [code(Conf), code(Field), default(cuttlefish_mapping:has_default(Mapping), Mapping),
             values(key(Mapping), types(cuttlefish_mapping:datatype(Mapping))), sentence(key(Mapping), Mapping)],
    ["| ", lists:join(" | ", Cells), " |\n"].

%% The mappings of the two maps are one setting each.
key(Mapping) ->
    key_of(lists:nthtail(length(?PREFIX), cuttlefish_mapping:variable(Mapping))).

key_of([Map | _]) when Map =:= "hook"; Map =:= "rdkafka" -> Map;
key_of(Names) -> string:join(Names, ".").

names("hook") -> {"hook.EVENT.NAME", "hook"};
names("rdkafka") -> {"rdkafka.PROPERTY", "rdkafka"};
names(Key) -> {Key, lists:append(string:replace(Key, ".", "_", all))}.

code(Text) -> ["`", Text, "`"].

default(false, _Mapping) -> "";
default(true, Mapping) -> code(io_lib:format("~s", [text(cuttlefish_mapping:default(Mapping))])).

text(Value) when is_atom(Value) -> atom_to_list(Value);
text(Value) when is_integer(Value) -> integer_to_list(Value);
text(Value) -> Value.

types([_ | _] = Types) -> Types;
types(Type) -> [Type].

values("hook", _Types) -> "JSON";
values(_Key, Types) -> lists:join(", ", [Value || Type <- Types, Value <- value(Type, Types)]).

value({enum, Values}, _Types) -> [code(atom_to_list(Value)) || Value <- Values];
value(flag, _Types) -> ["`on`, `off`"];
value({atom, Value}, _Types) -> [code(atom_to_list(Value))];
value({duration, _Unit}, _Types) -> ["duration"];
value({integer, 0}, _Types) -> [];
value(integer, _Types) -> ["number"];
value(bytesize, _Types) -> ["size"];
value(string, [string]) -> ["text"];
value(string, _Types) -> [].

%% Of the rules, each event has a sentence.
sentence("hook", _Mapping) ->
    "A [rule](rules.md): which events become records, and how.";
sentence(Key, Mapping) ->
    [Doc] = cuttlefish_mapping:doc(Mapping),
    {match, [Sentence]} = re:run(Doc, "^(.*?\\S)(?:\\.(?: |$)|$)", [unicode, {capture, all_but_first, list}]),
    Sentence =/= "" orelse fail([Key, " has no @doc"]),
    [string:replace(Sentence, "|", "\\|", all), "."].
