-module(emq_plugin_kafka_text_tests).

%% Before EUnit's header, which defines LET too.
-include_lib("proper/include/proper.hrl").
-undef(LET).
-include_lib("eunit/include/eunit.hrl").

-import(emq_plugin_kafka_text, [printable/1]).

text_stays_test_() ->
    [?_assertEqual(unicode:characters_to_binary(Text), printable(Text))
     || Text <- ["", "plain", "caf" ++ [16#E9], [16#6E29, 16#1F600], "~p ~s ~n", "\\", "[31m"]].

what_a_terminal_obeys_is_escaped_test_() ->
    [?_assertEqual(Shown, printable(Text))
     || {Text, Shown} <- [{"a\nb", <<"a\\x{A}b">>}, {<<"\r\n">>, <<"\\x{D}\\x{A}">>}, {"\e[31m", <<"\\x{1B}[31m">>},
                          {[127, 16#9B], <<"\\x{7F}\\x{9B}">>}, {[16#202E], <<"\\x{202E}">>}, {[16#2028], <<"\\x{2028}">>},
                          {<<255, "a", 195>>, <<"\\x{FF}a\\x{C3}">>}, {["a", [<<"b">>, $c], <<254>>, 16#6E29], <<"abc\\x{FE}", 16#6E29/utf8>>}]].

what_is_long_is_cut_test() ->
    Shown = printable(binary:copy(<<"x">>, 65535)),
    ?assertEqual(<<(binary:copy(<<"x">>, 4000))/binary, "... (61535 more)">>, Shown),
    ?assertMatch({Microseconds, _} when Microseconds < 10000000, timer:tc(fun() -> printable(binary:copy(<<255>>, 65535)) end)).

any_bytes_become_one_line_of_text_test_() ->
    {timeout, 60, ?_assert(proper:quickcheck(one_line(), [{numtests, 2000}, {to_file, user}]))}.

one_line() ->
    ?FORALL(Text, frequency([{3, binary()}, {1, string_of_characters()}, {1, list(oneof([binary(), string_of_characters()]))}]),
            begin
                Shown = unicode:characters_to_list(printable(Text)),
                is_list(Shown) andalso lists:all(fun(C) -> C >= 32 andalso (C < 127 orelse C >= 160) end, Shown)
            end).

string_of_characters() ->
    list(oneof([range(0, 255), range(16#2000, 16#2070), range(16#10000, 16#10FFFF)])).
