%% Explains why the native library cannot be loaded. The dynamic linker's own message for a library of another processor is "No such file
%% or directory". Reads the ELF headers of two files; runs in its callers.
-module(emq_plugin_kafka_library).

-export([explain/2, check_version/2]).

%% The executable of the running VM. The library must be built for the same system.
-define(THIS_VM, "/proc/self/exe").
-define(HEAD_BYTES, 20).

-type target() :: {Bits :: byte(), Order :: byte(), Machine :: non_neg_integer()}.

%% Text: the error text of erlang:load_nif/2.
-spec explain(file:filename(), string()) -> binary().
explain(File, Text) ->
    unicode:characters_to_binary(["the native library ", File, " cannot be loaded: ", reason(target(File), target(?THIS_VM), Text)]).

%% Whether the loaded library has the plugin's version. After an upgrade the linker may still use the library that it has loaded.
-spec check_version(Library :: binary(), {ok, Plugin :: string()} | undefined) -> ok | {error, Problem :: binary()}.
check_version(Library, {ok, Plugin}) ->
    compare(Library, unicode:characters_to_binary(Plugin));
check_version(_Library, undefined) ->
    ok.

compare(Version, Version) ->
    ok;
compare(Library, Plugin) ->
    {error, <<"the loaded native library has version ", Library/binary, ", the plugin has version ", Plugin/binary,
              ": restart the broker">>}.

-spec reason({ok, target()} | {error, term()}, {ok, target()} | {error, term()}, string()) -> iodata().
reason({error, no_elf}, _Vm, _Text) ->
    "it is not an ELF library";
reason({error, Reason}, _Vm, _Text) ->
    file:format_error(Reason);
reason({ok, Library}, {ok, Vm}, _Text) when Library =/= Vm ->
    ["it was built for ", name(Library), ", and this Erlang runs on ", name(Vm), ": take the archive for ", name(Vm)];
reason({ok, _Library}, _Vm, Text) ->
    [Text, hint([Hint || {Pattern, Hint} <- hints(), re:run(Text, Pattern, [{capture, none}]) =:= match])].

hint([]) -> [];
hint([Hint | _]) -> [" (", Hint, ")"].

%% Messages of the linkers of glibc and musl, and of the VM.
hints() ->
    [{"version `GLIBC_", "it needs a newer glibc than this system has"},
     {"ld-linux|Error relocating|Error loading shared library",
      "it needs glibc; this system seems to have another C library, such as musl"},
     {"[Ll]ibrary version .* not compatible", "OTP 22 or newer is needed"},
     {"undefined symbol: enif_", "OTP 22 or newer is needed"},
     {"noexec|failed to map|Operation not permitted|Permission denied",
      "it must be readable, on a file system that allows execution"}].

%% The identification and e_machine of an ELF header.
-spec target(file:filename()) -> {ok, target()} | {error, term()}.
target(File) ->
    head(file:open(File, [read, raw, binary])).

head({ok, Device}) ->
    Read = file:read(Device, ?HEAD_BYTES),
    ok = file:close(Device),
    elf(Read);
head({error, _} = Error) ->
    Error.

elf({ok, <<16#7F, "ELF", Bits, Order, _:10/binary, _Type:2/binary, Machine:2/binary>>}) ->
    {ok, {Bits, Order, binary:decode_unsigned(Machine, order(Order))}};
elf({error, _} = Error) ->
    Error;
elf(_Other) ->
    {error, no_elf}.

order(2) -> big;
order(_) -> little.

name({_, _, 3}) -> "x86 (32 bits)";
name({_, _, 40}) -> "ARM (32 bits)";
name({2, _, 62}) -> "x86_64";
name({2, _, 183}) -> "aarch64";
name({2, _, 243}) -> "riscv64";
name({Bits, _, Machine}) -> io_lib:format("ELF machine ~b (~b bits)", [Machine, Bits * 32]).
