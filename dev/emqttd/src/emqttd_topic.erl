%% Topic names and filters: validation, matching, and the $share/, $queue/ and $local/ prefixes.
-module(emqttd_topic).

-export([valid_name/1, valid_filter/1, wildcard/1, words/1, match/2, parse/1, system/1]).

-export_type([option/0, words/0]).

-define(MAX_LENGTH, 4096).

-type option() :: local | {share, '$queue' | binary()}.
-type words() :: [binary()].

%% An invalid UTF-8 sequence is no answer but a function_clause, and ends the client, as in EMQ.
-spec valid_name(binary()) -> boolean().
valid_name(Topic) ->
    valid_filter(Topic) andalso not wildcard(Topic).

-spec valid_filter(binary()) -> boolean().
valid_filter(<<>>) -> false;
valid_filter(Topic) when byte_size(Topic) > ?MAX_LENGTH -> false;
valid_filter(Topic) -> valid_words(words(Topic)).

valid_words([]) -> true;
valid_words([<<"#">>]) -> true;
valid_words([<<"#">> | _]) -> false;
valid_words([<<"+">> | Rest]) -> valid_words(Rest);
valid_words([Word | Rest]) -> valid_word(Word) andalso valid_words(Rest).

valid_word(<<>>) -> true;
valid_word(<<C/utf8, _/binary>>) when C =:= $#; C =:= $+; C =:= 0 -> false;
valid_word(<<_/utf8, Rest/binary>>) -> valid_word(Rest).

-spec wildcard(binary()) -> boolean().
wildcard(Topic) ->
    lists:any(fun(Word) -> Word =:= <<"#">> orelse Word =:= <<"+">> end, words(Topic)).

-spec words(binary()) -> words().
words(Topic) ->
    binary:split(Topic, <<"/">>, [global]).

%% @doc Whether a topic's words match a filter's. Wildcards at the start never match a `$' topic.
-spec match(words(), words()) -> boolean().
match([<<"$", _/binary>> | _], [<<"+">> | _]) -> false;
match([<<"$", _/binary>> | _], [<<"#">> | _]) -> false;
match(Topic, Filter) -> match_words(Topic, Filter).

match_words([], []) -> true;
match_words(_, [<<"#">>]) -> true;
match_words([_ | Topic], [<<"+">> | Filter]) -> match_words(Topic, Filter);
match_words([Word | Topic], [Word | Filter]) -> match_words(Topic, Filter);
match_words(_, _) -> false.

%% @doc Splits a subscription's filter into topic and options.
-spec parse(binary()) -> {binary(), [option()]}.
parse(Filter) ->
    parse(Filter, []).

parse(<<"$local/", Rest/binary>>, []) ->
    parse(Rest, [local]);
parse(<<"$queue/", Rest/binary>>, Options) ->
    {Rest, [{share, '$queue'} | Options]};
parse(<<"$share/", Rest/binary>>, Options) ->
    [Group, Topic] = binary:split(Rest, <<"/">>),
    {Topic, [{share, Group} | Options]};
parse(Topic, Options) ->
    {Topic, Options}.

-spec system(iodata()) -> binary().
system(Name) ->
    iolist_to_binary(["$SYS/brokers/", atom_to_binary(node()), "/", Name]).
