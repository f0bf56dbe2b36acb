%% The words for a library that does not load, from real ELF files: this VM's own, and doctored heads of it.
-module(emq_plugin_kafka_library_tests).

-include_lib("eunit/include/eunit.hrl").

%% What glibc says of a library of another processor.
-define(NO_SUCH_FILE, "Failed to load NIF library: '/x.so: cannot open shared object file: No such file or directory'").

another_processor_is_named_test() ->
    <<Before:18/binary, _Machine:16, After/binary>> = own_head(),
    Own = own_name(),
    Other = other_machine(Own),
    with_file(<<Before/binary, (machine(Other)):16/little, After/binary>>, fun(File) ->
        ?assertEqual(said(File, ["it was built for ", Other, ", and this Erlang runs on ", Own, ": take the archive for ", Own]),
                     emq_plugin_kafka_library:explain(File, ?NO_SUCH_FILE))
    end).

another_word_size_is_named_test() ->
    <<Magic:4/binary, _Bits, Rest/binary>> = own_head(),
    with_file(<<Magic/binary, 1, Rest/binary>>, fun(File) ->
        ?assertMatch({match, _}, re:run(emq_plugin_kafka_library:explain(File, "wrong ELF class"), "\\(32 bits\\), and this Erlang"))
    end).

what_is_no_library_is_said_to_be_none_test() ->
    [with_file(Content, fun(File) ->
         ?assertEqual(said(File, "it is not an ELF library"), emq_plugin_kafka_library:explain(File, "invalid ELF header"))
     end) || Content <- [<<"a text file, not a library">>, <<>>, <<16#7F, "ELF">>]].

a_missing_file_is_said_to_be_missing_test() ->
    ?assertEqual(said("/no/such.so", "no such file or directory"),
                 emq_plugin_kafka_library:explain("/no/such.so", ?NO_SUCH_FILE)).

%% The first is glibc 2.36's own text, the second that of musl 1.2, the third that of OTP 21.
the_linkers_words_stay_and_are_explained_test() ->
    with_file(own_head(), fun(File) ->
        [?assertEqual(said(File, [Text, " (", Hint, ")"]), emq_plugin_kafka_library:explain(File, Text))
         || {Text, Hint} <- [{"/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /x.so)",
                              "it needs a newer glibc than this system has"},
                             {"Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /x.so)",
                              "it needs glibc; this system seems to have another C library, such as musl"},
                             {"Library version (2.15) not compatible (with 2.14).", "OTP 22 or newer is needed"}]],
        ?assertEqual(said(File, "anything else"), emq_plugin_kafka_library:explain(File, "anything else"))
    end).

said(File, Words) ->
    iolist_to_binary(["the native library ", File, " cannot be loaded: ", Words]).

own_head() ->
    {ok, Device} = file:open("/proc/self/exe", [read, raw, binary]),
    {ok, Head} = file:read(Device, 64),
    ok = file:close(Device),
    Head.

own_name() ->
    hd(string:lexemes(erlang:system_info(system_architecture), "-")).

other_machine("aarch64") -> "x86_64";
other_machine(_) -> "aarch64".

machine("x86_64") -> 62;
machine("aarch64") -> 183.

with_file(Content, Test) ->
    File = filename:join("/tmp", "library_tests_" ++ os:getpid() ++ "_" ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = file:write_file(File, Content),
    try Test(File) after ok = file:delete(File) end.

a_library_of_another_version_asks_for_a_restart_test() ->
    ?assertEqual(ok, emq_plugin_kafka_library:check_version(<<"1.2.0">>, {ok, "1.2.0"})),
    {error, Problem} = emq_plugin_kafka_library:check_version(<<"1.2.0">>, {ok, "1.3.0"}),
    ?assertEqual(<<"the loaded native library has version 1.2.0, the plugin has version 1.3.0: restart the broker">>,
                 Problem).
