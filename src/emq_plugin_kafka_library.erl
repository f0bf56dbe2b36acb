%% Says why the native library cannot be loaded here: the dynamic linker's own words for a library of another processor are
%% "No such file or directory". Pure but for reading the head of two files; runs in its caller.
-module(emq_plugin_kafka_library).

-export([explain/2, of_version/2]).

%% The running VM is an ELF file too: what it is for is what the library must be for.
-define(THIS_VM, "/proc/self/exe").
-define(HEAD_BYTES, 20).

-type target() :: {Bits :: byte(), Order :: byte(), Machine :: non_neg_integer()}.

%% What is wrong with the library File; Text is what erlang:load_nif/2 had to say.
-spec explain(file:filename(), string()) -> binary().
explain(File, Text) ->
    unicode:characters_to_binary(["the native library ", File, " cannot be loaded: ", reason(target(File), target(?THIS_VM), Text)]).

%% Whether the library that is loaded belongs to the plugin. The linker goes on with the one that it has where another one was put in
%% its place.
-spec of_version(Library :: binary(), {ok, Plugin :: string()} | undefined) -> ok | {error, Problem :: binary()}.
of_version(Library, {ok, Plugin}) ->
    same(Library, unicode:characters_to_binary(Plugin));
of_version(_Library, undefined) ->
    ok.

same(Version, Version) ->
    ok;
same(Library, Plugin) ->
    {error, <<"the native library that is loaded is of version ", Library/binary, ", the plugin of version ", Plugin/binary,
              ": restart the broker">>}.

-spec reason({ok, target()} | {error, term()}, {ok, target()} | {error, term()}, string()) -> iodata().
reason({error, no_elf}, _Vm, _Text) ->
    "it is no ELF library";
reason({error, Reason}, _Vm, _Text) ->
    file:format_error(Reason);
reason({ok, Library}, {ok, Vm}, _Text) when Library =/= Vm ->
    ["it was built for ", name(Library), ", and this Erlang runs on ", name(Vm), ": take the archive for ", name(Vm)];
reason({ok, _Library}, _Vm, Text) ->
    [Text, hint([Hint || {Pattern, Hint} <- hints(), re:run(Text, Pattern, [{capture, none}]) =:= match])].

hint([]) -> [];
hint([Hint | _]) -> [" (", Hint, ")"].

%% The linkers of glibc and musl, and the VM.
hints() ->
    [{"version `GLIBC_", "this system's glibc is older than the one that it was built for"},
     {"ld-linux|Error relocating|Error loading shared library",
      "it was built for glibc, which this system, of musl perhaps, does not have"},
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
