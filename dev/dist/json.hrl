%% Included by emqx5_files.escript.
%%
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
