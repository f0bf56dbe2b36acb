%% The topics and options of a SUBSCRIBE or UNSUBSCRIBE in EMQX 4 and 5, as EMQ 2.3 gives them: the topic without its prefix, the
%% group of a shared subscription among the options. Pure, total.
-module(emq_plugin_kafka_emqx_topics).

-export([normal/2]).

%% In this order, where they are there.
-define(NUMBERS, [qos, nl, rap, rh]).

%% Properties are those of the packet: the identifier of its subscriptions is among them. What is no list of topics is left to be
%% found out.
-spec normal(Topics :: term(), Properties :: term()) -> [{Topic :: term(), Opts :: [{atom(), term()}]}] | term().
normal([{Topic, Opts} | Topics], Properties) -> [topic(Topic, Opts, Properties) | normal(Topics, Properties)];
normal(Other, _Properties) -> Other.

topic({share, Group, Topic}, Opts, Properties) when is_binary(Group) -> {Topic, opts(Opts, Properties, Group)};
topic(Topic, Opts, Properties) -> {Topic, opts(Opts, Properties, group(emq_plugin_kafka_emqx_extra:field(share, Opts)))}.

group(Group) when is_binary(Group) -> Group;
group(Group) when is_atom(Group), Group =/= undefined -> atom_to_binary(Group, utf8);
group(_) -> none.

opts(Opts, Properties, Group) ->
    [{Name, Number} || Name <- ?NUMBERS, Number <- number(emq_plugin_kafka_emqx_extra:field(Name, Opts))]
        ++ [{subid, Number} || Number <- identifier(Opts, Properties)]
        ++ [{share, Group} || Group =/= none]
        ++ [{is_new, New} || New <- [emq_plugin_kafka_emqx_extra:field(is_new, Opts)], is_boolean(New)].

identifier(Opts, Properties) ->
    first(number(emq_plugin_kafka_emqx_extra:field(subid, Opts)),
               number(emq_plugin_kafka_emqx_extra:field('Subscription-Identifier', Properties))).

first([], Numbers) -> Numbers;
first(Numbers, _) -> Numbers.

number(Number) when is_integer(Number), Number >= 0, Number < 1 bsl 32 -> [Number];
number(_) -> [].
