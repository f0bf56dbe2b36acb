%% What the publishers send, so that each record tells who sent it, which one it is, and whether it came whole:
%% "CLIENT NUMBER CRC PADDING", ASCII without tabs and line breaks.
-module(faults_payload).

-export([make/3, parse/1]).

%% @doc The payload of a client's message of that number, padded to about `Size' bytes.
-spec make(binary(), pos_integer(), non_neg_integer()) -> binary().
make(Client, Number, Size) ->
    Head = <<Client/binary, " ", (integer_to_binary(Number))/binary, " ">>,
    Padding = binary:copy(<<"x">>, max(0, Size - byte_size(Head) - 9)),
    <<Head/binary, (crc(Client, Number, Padding))/binary, " ", Padding/binary>>.

-spec parse(binary()) -> {Client :: binary(), Number :: pos_integer()} | damaged.
parse(Payload) ->
    try
        [Client, Digits, Crc, Padding] = binary:split(Payload, <<" ">>, [global]),
        Number = binary_to_integer(Digits),
        Crc = crc(Client, Number, Padding),
        {Client, Number}
    catch
        error:_ -> damaged
    end.

crc(Client, Number, Padding) ->
    iolist_to_binary(io_lib:format("~8.16.0b", [erlang:crc32([Client, $\s, integer_to_binary(Number), $\s, Padding])])).
