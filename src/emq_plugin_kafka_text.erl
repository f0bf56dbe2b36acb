%% Makes text safe for a terminal or a log: one line, of bounded length, without control characters. Logged and printed text may contain
%% names that clients or brokers have chosen. Pure.
-module(emq_plugin_kafka_text).

-export([printable/1]).

%% Longer than any message with names of a usual length.
-define(MAX_CHARACTERS, 4000).

%% Control characters, and bytes that are no UTF-8, become \x{N}. Longer text is cut.
-spec printable(unicode:chardata() | io_lib:chars()) -> unicode:unicode_binary().
printable(Text) ->
    cut(add(Text, {<<>>, 0})).

cut({Shown, Count}) when Count =< ?MAX_CHARACTERS -> Shown;
cut({Shown, Count}) -> <<Shown/binary, "... (", (integer_to_binary(Count - ?MAX_CHARACTERS))/binary, " more)">>.

%% Text may be a deep list. A byte that is no UTF-8 does not end it.
add([Head | Tail], Sum) -> add(Tail, add(Head, Sum));
add([], Sum) -> Sum;
add(<<Character/utf8, Rest/binary>>, Sum) -> add(Rest, one(shown(Character), Sum));
add(<<Byte, Rest/binary>>, Sum) -> add(Rest, one(escaped(Byte), Sum));
add(<<>>, Sum) -> Sum;
add(Character, Sum) when is_integer(Character) -> one(shown(Character), Sum).

one(Text, {Shown, Count}) when Count < ?MAX_CHARACTERS -> {<<Shown/binary, Text/binary>>, Count + 1};
one(_Text, {Shown, Count}) -> {Shown, Count + 1}.

%% C0, DEL and C1; line and paragraph separators; changes of the text's direction; code points that are no characters.
shown(C) when C < 32; C >= 127, C < 160; C >= 16#2028, C =< 16#202E; C >= 16#2066, C =< 16#2069; C =:= 16#FEFF;
              C >= 16#D800, C =< 16#DFFF; C > 16#10FFFF ->
    escaped(C);
shown(C) ->
    <<C/utf8>>.

escaped(Number) -> <<"\\x{", (integer_to_binary(Number, 16))/binary, "}">>.
