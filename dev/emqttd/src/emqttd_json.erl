%% As much JSON as the presence messages and the REST calls need. encode/1 escapes as EMQ 2.3's
%% encoder does (non-ASCII as \u, lower case); decode/1 gives objects as pairs, strings as binaries.
-module(emqttd_json).

-export([encode/1, decode/1]).

-type value() :: binary() | number() | atom() | [value()] | [{atom() | binary(), value()}].

%% @doc A list of pairs is an object; an atom other than true, false and null is a string.
-spec encode(value()) -> binary().
encode(Value) ->
    iolist_to_binary(value(Value)).

value(Number) when is_integer(Number) -> integer_to_binary(Number);
value(Atom) when Atom =:= true; Atom =:= false; Atom =:= null -> atom_to_binary(Atom);
value(Atom) when is_atom(Atom) -> value(atom_to_binary(Atom));
value(Text) when is_binary(Text) -> [$", [character(C) || C <- codepoints(Text)], $"];
value([{_, _} | _] = Pairs) ->
    Members = [[value(to_binary(Key)), $:, value(Value)] || {Key, Value} <- Pairs],
    [${, lists:join($,, Members), $}];
value(List) when is_list(List) -> [$[, lists:join($,, [value(Value) || Value <- List]), $]].

to_binary(Key) when is_atom(Key) -> atom_to_binary(Key);
to_binary(Key) -> Key.

%% Text that is not UTF-8 is a badarg: the encoder of EMQ crashes too, and its client with it.
codepoints(Text) ->
    case unicode:characters_to_list(Text) of
        Codepoints when is_list(Codepoints) -> Codepoints;
        _Invalid -> error(badarg, [Text])
    end.

character($") -> "\\\"";
character($\\) -> "\\\\";
character($\n) -> "\\n";
character($\r) -> "\\r";
character($\t) -> "\\t";
character($\b) -> "\\b";
character($\f) -> "\\f";
character(C) when C >= 32, C < 127 -> C;
character(C) when C < 16#10000 -> io_lib:format("\\u~4.16.0b", [C]);
character(C) ->
    <<High:16, Low:16>> = <<C/utf16>>,
    io_lib:format("\\u~4.16.0b\\u~4.16.0b", [High, Low]).

-spec decode(binary()) -> {ok, value()} | {error, not_json}.
decode(Text) ->
    try
        {Value, Rest} = parse(skip(Text)),
        <<>> = skip(Rest),
        {ok, Value}
    catch
        error:_ -> {error, not_json}
    end.

skip(<<C, Rest/binary>>) when C =:= $\s; C =:= $\t; C =:= $\n; C =:= $\r -> skip(Rest);
skip(Text) -> Text.

parse(<<"true", Rest/binary>>) -> {true, Rest};
parse(<<"false", Rest/binary>>) -> {false, Rest};
parse(<<"null", Rest/binary>>) -> {null, Rest};
parse(<<$", Rest/binary>>) -> text(Rest, []);
parse(<<$[, Rest/binary>>) -> elements(skip(Rest), $], fun parse/1, []);
parse(<<${, Rest/binary>>) -> elements(skip(Rest), $}, fun member/1, []);
parse(Text) ->
    {match, [{0, Length}]} = re:run(Text, "^-?[0-9]+(\\.[0-9]+([eE][-+]?[0-9]+)?)?"),
    <<Number:Length/binary, Rest/binary>> = Text,
    {number(Number), Rest}.

number(Text) ->
    case string:to_integer(Text) of
        {Integer, <<>>} -> Integer;
        {_, _Fraction} -> binary_to_float(Text)
    end.

elements(<<Close, Rest/binary>>, Close, _Parse, []) -> {[], Rest};
elements(Text, Close, Parse, Acc) ->
    {Element, Rest} = Parse(Text),
    case skip(Rest) of
        <<$,, More/binary>> -> elements(skip(More), Close, Parse, [Element | Acc]);
        <<Close, More/binary>> -> {lists:reverse(Acc, [Element]), More}
    end.

member(<<$", Rest/binary>>) ->
    {Key, Rest1} = text(Rest, []),
    <<$:, Rest2/binary>> = skip(Rest1),
    {Value, Rest3} = parse(skip(Rest2)),
    {{Key, Value}, Rest3}.

text(<<$", Rest/binary>>, Acc) ->
    {unicode:characters_to_binary(lists:reverse(Acc)), Rest};
text(<<"\\u", Hex:4/binary, Rest/binary>>, Acc) ->
    escaped(binary_to_integer(Hex, 16), Rest, Acc);
text(<<$\\, C, Rest/binary>>, Acc) ->
    text(Rest, [unescape(C) | Acc]);
text(<<C/utf8, Rest/binary>>, Acc) when C >= 32 ->
    text(Rest, [C | Acc]).

escaped(High, <<"\\u", Hex:4/binary, Rest/binary>>, Acc) when High band 16#FC00 =:= 16#D800 ->
    <<C/utf16>> = <<High:16, (binary_to_integer(Hex, 16)):16>>,
    text(Rest, [C | Acc]);
escaped(C, Rest, Acc) ->
    text(Rest, [C | Acc]).

unescape($n) -> $\n;
unescape($r) -> $\r;
unescape($t) -> $\t;
unescape($b) -> $\b;
unescape($f) -> $\f;
unescape(C) when C =:= $"; C =:= $\\; C =:= $/ -> C.
