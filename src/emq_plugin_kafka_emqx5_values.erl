%% Values of EMQX 5's configuration file as values of the application environment, by the datatypes of cuttlefish. EMQX 5 has no
%% cuttlefish; the other brokers do, and both must give the same environment. Pure.
-module(emq_plugin_kafka_emqx5_values).

-export([setting/2]).
-export_type([row/0]).

%% A row of the table of settings: a field, its key in the environment, its types and its default.
-type row() :: {Field :: binary(), Name :: atom(), [type()], Default :: {default, term()} | none}.
%% Datatypes of the cuttlefish schema, and two of our own: a map of rules, for these events, and a map of librdkafka's properties.
-type type() :: string | integer | {integer, integer()} | {atom, atom()} | {enum, [atom()]} | flag | {duration, ms} | bytesize
              | {rules, [Event :: string()]} | properties.

-define(DURATION, "^(?:(?:[0-9]*\\.[0-9]+|[1-9][0-9]*)(?:f|w|d|h|ms|m|s))+$").
-define(SEGMENT, "([0-9]*)(\\.[0-9]+)?(f|w|d|h|ms|m|s)").

%% The environment entry of a row; none where the configuration has no value and the row no default.
-spec setting(row(), Config :: map()) -> [{Name :: atom(), Value :: term()}] | {error, [Problem :: binary()]}.
setting({Field, Name, Types, Default}, Config) ->
    setting(value(Types, maps:get(Field, Config, null)), Field, Name, Default).

setting({ok, Value}, _Field, Name, _Default) -> [{Name, Value}];
setting(unset, _Field, Name, {default, Value}) -> [{Name, Value}];
setting(unset, _Field, _Name, none) -> [];
setting({error, Problems}, Field, _Name, _Default) -> {error, [problem(Field, Problem) || Problem <- Problems]}.

%% Inside: the invalid part of a map (".\"key\""), or "".
problem(Field, {Inside, Text}) ->
    unicode:characters_to_binary(io_lib:format("~ts~ts: ~ts", [Field, Inside, Text])).

%% The first type that fits counts. An empty value is unset. No problem contains a text that may be a secret.
-spec value([type()], term()) -> {ok, term()} | unset | {error, [{Inside :: unicode:chardata(), Problem :: unicode:chardata()}]}.
value([{rules, Events}], Given) -> map(fun(Key, Value) -> rule(Key, Value, Events) end, Given);
value([properties], Given) -> map(fun property/2, Given);
value(Types, Given) -> scalar(Types, text(Given)).

scalar(_Types, {ok, ""}) -> unset;
scalar(Types, {ok, Text}) -> first(Types, Text, Types);
scalar(_Types, unset) -> unset;
scalar(Types, {error, Instead}) -> {error, [{"", ["expected ", expected(Types), Instead]}]}.

first([Type | Types], Text, All) -> next(parse(Type, Text), Types, Text, All);
first([], Text, All) -> {error, [{"", ["expected ", expected(All), ", not ", Text]}]}.

next({ok, _} = Parsed, _Types, _Text, _All) -> Parsed;
next(error, Types, Text, All) -> first(Types, Text, All).

%% HOCON has numbers and texts; a conf file has texts only.
text(null) -> unset;
text(Value) when is_boolean(Value) -> {ok, atom_to_list(Value)};
text(Value) when is_integer(Value) -> {ok, integer_to_list(Value)};
text(Value) when is_float(Value) -> {ok, lists:flatten(io_lib:format("~w", [Value]))};
text(Value) when is_binary(Value) -> characters(unicode:characters_to_list(Value));
text(Value) when is_map(Value) -> {error, ", not a block of settings: field names have _ where conf keys have a dot"};
text(_Value) -> {error, ", not a list"}.

characters(Text) when is_list(Text) -> {ok, Text};
characters(_NoUtf8) -> {error, ", in UTF-8"}.

%% Datatypes

parse(string, Text) -> {ok, Text};
parse(integer, Text) -> whole(string:to_integer(Text));
parse({integer, Number}, Text) -> exactly(Number, whole(string:to_integer(Text)));
parse({atom, Atom}, Text) -> member(Text, [Atom]);
parse({enum, Atoms}, Text) -> member(Text, Atoms);
parse(flag, Text) -> flag(Text);
parse({duration, ms}, Text) -> duration(string:lowercase(Text));
parse(bytesize, Text) -> bytes(lists:reverse(Text)).

whole({Number, ""}) when is_integer(Number) -> {ok, Number};
whole(_) -> error.

exactly(Number, {ok, Number}) -> {ok, Number};
exactly(_Number, _) -> error.

member(Text, Atoms) ->
    found([Atom || Atom <- Atoms, atom_to_list(Atom) =:= Text]).

found([Atom]) -> {ok, Atom};
found([]) -> error.

flag(On) when On =:= "on"; On =:= "true" -> {ok, true};
flag(Off) when Off =:= "off"; Off =:= "false" -> {ok, false};
flag(_) -> error.

duration(Text) ->
    duration(re:run(Text, ?DURATION, [{capture, none}]), Text).

duration(match, Text) ->
    {match, Segments} = re:run(Text, ?SEGMENT, [global, {capture, all_but_first, list}]),
    {ok, round_up(lists:sum([amount(Whole, Fraction) * ms(Unit) || [Whole, Fraction, Unit] <- Segments]))};
duration(nomatch, _Text) ->
    error.

amount(Whole, "") -> list_to_integer(Whole);
amount("", Fraction) -> list_to_float("0" ++ Fraction);
amount(Whole, Fraction) -> list_to_float(Whole ++ Fraction).

ms("f") -> 14 * ms("d");
ms("w") -> 7 * ms("d");
ms("d") -> 24 * ms("h");
ms("h") -> 60 * ms("m");
ms("m") -> 60 * ms("s");
ms("s") -> 1000;
ms("ms") -> 1.

round_up(Ms) when is_integer(Ms) -> Ms;
round_up(Ms) -> ceil(Ms).

bytes([B, K | Reversed]) when [K, B] =:= "KB"; [K, B] =:= "kb" -> times(1024, lists:reverse(Reversed));
bytes([B, M | Reversed]) when [M, B] =:= "MB"; [M, B] =:= "mb" -> times(1024 * 1024, lists:reverse(Reversed));
bytes([B, G | Reversed]) when [G, B] =:= "GB"; [G, B] =:= "gb" -> times(1024 * 1024 * 1024, lists:reverse(Reversed));
bytes(Reversed) -> times(1, lists:reverse(Reversed)).

times(Unit, "." ++ _ = Text) -> times(Unit, whole(string:to_integer(Text)), fraction(string:to_float("0" ++ Text)));
times(Unit, Text) -> times(Unit, whole(string:to_integer(Text)), fraction(string:to_float(Text))).

times(Unit, {ok, Number}, _) -> {ok, Number * Unit};
times(Unit, error, {ok, Number}) -> {ok, Number * Unit};
times(_Unit, error, error) -> error.

fraction({Number, ""}) when is_float(Number) -> {ok, Number};
fraction(_) -> error.

%% For a problem: the expected types.
expected([{enum, Atoms}]) -> ["one of " | lists:join(", ", [atom_to_list(Atom) || Atom <- Atoms])];
expected([flag]) -> "true or false";
expected([integer]) -> "a whole number";
expected([string]) -> "a text";
expected([bytesize | _]) -> "a size such as 64MB";
expected([{duration, ms}, {integer, 0}]) -> "0, or a duration such as 500ms or 5s";
expected([{atom, Atom} | Types]) -> [atom_to_list(Atom), ", ", expected(Types)].

%% The two maps

map(_Entry, null) -> unset;
map(_Entry, Given) when Given =:= #{} -> unset;
map(Entry, Given) when is_map(Given) -> entries([Entry(Key, Value) || {Key, Value} <- lists:sort(maps:to_list(Given))]);
map(_Entry, _Given) -> {error, [{"", "expected a block of names and texts"}]}.

entries(Entries) ->
    entries([Problem || {error, Problem} <- Entries], Entries).

entries([], Entries) -> {ok, lists:sort([Entry || {_, Value} = Entry <- Entries, Value =/= ""])};
entries(Problems, _Entries) -> {error, Problems}.

property(Key, Value) -> property(unicode:characters_to_list(Key), Key, Value).

property(Name, Key, Value) when is_list(Name) -> entry(Key, text(Value), fun(Text) -> Text end);
property(_NoUtf8, Key, _Value) -> {error, {inside(Key), "expected a name in UTF-8"}}.

entry(Key, {ok, Text}, As) -> {unicode:characters_to_list(Key), As(Text)};
entry(Key, unset, _As) -> {unicode:characters_to_list(Key), ""};
entry(Key, {error, Instead}, _As) -> {error, {inside(Key), ["expected a text", Instead]}}.

%% A key can be any bytes.
inside(Key) -> [".\"", emq_plugin_kafka_text:printable(Key), "\""].

rule(Key, Value, Events) ->
    rule(lists:any(fun(Event) -> is_rule_of(Event, Key) end, Events), Key, Value, Events).

rule(true, Key, Value, _Events) when is_map(Value) ->
    {error, {inside(Key), "expected the JSON of a rule, as a text: \"\"\"{\"filter\": \"a/#\"}\"\"\""}};
rule(true, Key, Value, _Events) ->
    entry(Key, text(Value), fun(Text) -> lists:flatmap(fun ascii/1, Text) end);
rule(false, Key, _Value, Events) ->
    {error, {inside(Key), ["expected EVENT.NAME, a name without dots, an event out of ", lists:join(", ", Events)]}}.

is_rule_of(Event, Key) ->
    is_name(after_prefix(list_to_binary([Event, "."]), Key)).

%% Total, unlike string:prefix/2, which needs UTF-8.
after_prefix(Prefix, Key) when binary_part(Key, 0, byte_size(Prefix)) =:= Prefix ->
    binary_part(Key, byte_size(Prefix), byte_size(Key) - byte_size(Prefix));
after_prefix(_Prefix, _Key) ->
    none.

is_name(Name) when is_binary(Name), Name =/= <<>> ->
    is_list(unicode:characters_to_list(Name)) andalso binary:match(Name, <<".">>) =:= nomatch;
is_name(_) ->
    false.

%% The cuttlefish schema escapes characters outside ASCII in the same way.
ascii(Char) when Char < 128 -> [Char];
ascii(Char) when Char < 16#10000 -> unit(Char);
ascii(Char) -> unit(16#D800 + ((Char - 16#10000) bsr 10)) ++ unit(16#DC00 + ((Char - 16#10000) band 16#3FF)).

unit(Code) -> lists:flatten(io_lib:format("\\u~4.16.0b", [Code])).
