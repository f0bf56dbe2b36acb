%% Holds records against the JSON Schemas in schemas/, by a validator that is not ours: test/live/validate.py.
-module(schema_validator).

-export([validate/2]).

%% Its exit status, and {Event, how many are valid, how many refused}. The text of a record is judged as Kafka gave it.
validate(Records, Config) ->
    File = filename:join(proplists:get_value(priv_dir, Config), "records.jsonl"),
    ok = file:write_file(File, [["{\"event\": \"", atom_to_list(Event), "\", \"record\": ", Text, "}\n"]
                                || {Event, Text} <- Records]),
    {Status, Output} = standin_broker:run("/bin/sh", ["-c", "exec \"$0\" \"$1\" <\"$2\"", dir("test/live/validate.py"),
                                                      dir("schemas"), File]),
    ct:pal("~ts", [Output]),
    Events = [atom_to_list(Event) || {Event, _} <- Records],
    {Status, lists:sort([{list_to_existing_atom(Event), list_to_integer(Valid), list_to_integer(Refused)}
                         || [Event, Valid, Refused] <- [string:lexemes(Line, " ") || Line <- string:lexemes(Output, "\n")],
                            lists:member(Event, Events)])}.

dir(Name) ->
    filename:join(os:getenv("PROJECT_ROOT"), Name).
