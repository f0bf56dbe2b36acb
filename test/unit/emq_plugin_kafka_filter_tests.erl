%% Whether the table that the filter matcher is tested with (test/unit/filters.tsv) tells the truth: EMQ's own matcher judges.
%% Needs a real EMQ: EMQ_HOME=DIR rebar3 eunit.
-module(emq_plugin_kafka_filter_tests).

-include_lib("eunit/include/eunit.hrl").

the_table_is_what_emq_does_test_() ->
    judged(os:getenv("EMQ_HOME")).

judged(Home) when Home =:= false; Home =:= "" ->
    [];
judged(Home) ->
    [Ebin] = filelib:wildcard(filename:join([Home, "lib", "emqttd-*", "ebin"])),
    true = code:add_patha(Ebin),
    {ok, Text} = file:read_file(filename:join([os:getenv("PROJECT_ROOT", "."), "test", "unit", "filters.tsv"])),
    Lines = [Line || Line <- binary:split(Text, <<"\n">>, [global, trim_all]), binary:part(Line, 0, 2) =/= <<"##">>],
    [?_assertEqual({Topic, Filter, binary_to_atom(Expected)}, {Topic, Filter, emqttd_topic:match(Topic, Filter)})
     || Line <- Lines, [Topic, Filter, Expected] <- [binary:split(Line, <<"\t">>, [global])]].
