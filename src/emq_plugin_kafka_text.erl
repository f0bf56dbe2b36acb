%% Text as it may be shown to an operator, on a terminal or in a log: on one line, of bounded length, without anything that a
%% terminal obeys. What is logged or printed may hold names that clients or brokers have chosen. Pure.
-module(emq_plugin_kafka_text).

-export([printable/1]).

%% Longer than any sentence of ours with a name of a sensible length in it.
-define(MAX_CHARACTERS, 4000).

%% Control characters become \x{N}, and so do bytes that are no text; what is too long is cut.
-spec printable(unicode:chardata() | io_lib:chars()) -> unicode:unicode_binary().
printable(Text) ->
    cut(add(Text, {<<>>, 0})).

cut({Shown, Count}) when Count =< ?MAX_CHARACTERS -> Shown;
cut({Shown, Count}) -> <<Shown/binary, "... (", (integer_to_binary(Count - ?MAX_CHARACTERS))/binary, " more)">>.

%% Text may be deep, and where it is not Unicode it goes on behind that.
add([Head | Tail], Sum) -> add(Tail, add(Head, Sum));
add([], Sum) -> Sum;
add(<<Character/utf8, Rest/binary>>, Sum) -> add(Rest, one(shown(Character), Sum));
add(<<Byte, Rest/binary>>, Sum) -> add(Rest, one(escaped(Byte), Sum));
add(<<>>, Sum) -> Sum;
add(Character, Sum) when is_integer(Character) -> one(shown(Character), Sum).

one(Text, {Shown, Count}) when Count < ?MAX_CHARACTERS -> {<<Shown/binary, Text/binary>>, Count + 1};
one(_Text, {Shown, Count}) -> {Shown, Count + 1}.

%% C0, DEL and C1; the line and paragraph separators; what turns the direction of text around; what is no character.
shown(C) when C < 32; C >= 127, C < 160; C >= 16#2028, C =< 16#202E; C >= 16#2066, C =< 16#2069; C =:= 16#FEFF;
              C >= 16#D800, C =< 16#DFFF; C > 16#10FFFF ->
    escaped(C);
shown(C) ->
    <<C/utf8>>.

escaped(Number) -> <<"\\x{", (integer_to_binary(Number, 16))/binary, "}">>.
