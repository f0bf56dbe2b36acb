%% Which settings differ between two configurations, and the lines that say so. Pure. A secret comes as `******` with a mark: different
%% marks mean different secrets, the mark `none` means unknown.
-module(emq_plugin_kafka_changes).

-export([between/2, line/1]).
-export_type([shown/0, change/0]).

-type shown() :: {Key :: binary(), Value :: binary(), IsDefault :: boolean(), Mark :: none | non_neg_integer()}.
%% note: default: the new value is the default. secret: a secret has changed; it is not shown.
-type change() :: #{key := binary(), old := none | binary(), new := none | binary(), note := none | default | secret}.

-spec between(Before :: [shown()], After :: [shown()]) -> [change()].
between(Before, After) ->
    Keys = lists:usort([element(1, Shown) || Shown <- Before ++ After]),
    lists:append([change(Key, lists:keyfind(Key, 1, Before), lists:keyfind(Key, 1, After)) || Key <- Keys]).

change(_Key, {_, Value, _, Mark}, {_, Value, _, Mark}) -> [];
change(_Key, {_, Value, _, Mark}, {_, Value, _, Other}) when Mark =:= none; Other =:= none -> [];
change(Key, {_, Value, _, _}, {_, Value, _, _}) -> [#{key => Key, old => Value, new => Value, note => secret}];
change(Key, {_, Old, _, _}, false) -> [#{key => Key, old => Old, new => none, note => none}];
change(Key, false, {_, New, true, _}) -> [#{key => Key, old => none, new => New, note => default}];
change(Key, false, {_, New, false, _}) -> [#{key => Key, old => none, new => New, note => none}];
change(Key, {_, Old, _, _}, {_, New, true, _}) -> [#{key => Key, old => Old, new => New, note => default}];
change(Key, {_, Old, _, _}, {_, New, false, _}) -> [#{key => Key, old => Old, new => New, note => none}].

%% `server: kafka1:9092 -> 127.0.0.1:9092 (default)`
-spec line(change()) -> unicode:chardata().
line(#{key := Key, old := Old, new := New, note := Note}) ->
    [Key, ": ", value(Old), " -> ", value(New), note(Note)].

value(none) -> "none";
value(Value) -> Value.

note(none) -> "";
note(default) -> " (default)";
note(secret) -> " (another secret)".
