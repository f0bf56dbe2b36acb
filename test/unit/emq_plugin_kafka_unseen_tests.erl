%% How many messages passed while no hook was registered, by a broker's counter that the tests set.
-module(emq_plugin_kafka_unseen_tests).

-include_lib("eunit/include/eunit.hrl").

-define(GAP, {emq_plugin_kafka, unhooked}).
-define(ADAPTER, {emq_plugin_kafka_broker, adapter}).

%% The adapter's place has this module, which has the one function that is asked for.
-export([messages_published/0]).

messages_published() -> get(published).

with_counter_test_() ->
    {setup,
     fun() ->
             Adapter = emq_plugin_kafka_broker:adapter(),
             ok = persistent_term:put(?ADAPTER, ?MODULE),
             Adapter
     end,
     fun(Adapter) ->
             _ = persistent_term:erase(?GAP),
             persistent_term:put(?ADAPTER, Adapter)
     end,
     [{Name, fun() -> _ = persistent_term:erase(?GAP), Test() end}
      || {Name, Test} <- [{"what passes between a stop and a start is counted", fun between/0},
                          {"a stop that follows a stop begins no new gap", fun twice/0},
                          {"at its first start, a plugin has missed what passed while the broker booted", fun first/0},
                          {"a broker that starts anew counts from 0", fun anew/0},
                          {"a broker without a counter", fun unknown/0}]]}.

between() ->
    Before = counted(),
    hooked(),
    at(10, fun emq_plugin_kafka_unseen:began/0),
    ?assertMatch({Milliseconds, 7} when Milliseconds >= 0, at(17, fun emq_plugin_kafka_unseen:ended/0)),
    ?assertEqual(Before + 7, counted()),
    ?assertEqual(none, at(20, fun emq_plugin_kafka_unseen:ended/0)),
    ?assertEqual(Before + 7, counted()).

twice() ->
    hooked(),
    at(10, fun emq_plugin_kafka_unseen:began/0),
    at(13, fun emq_plugin_kafka_unseen:began/0),
    ?assertMatch({_, 5}, at(15, fun emq_plugin_kafka_unseen:ended/0)).

%% These tests are run by a VM that boots, or by one that is up: there the plugin was installed, and has missed nothing.
first() ->
    Before = counted(),
    {Gap, Missed} = first(init:get_status()),
    ?assertEqual(Gap, at(9, fun emq_plugin_kafka_unseen:ended/0)),
    ?assertEqual(Before + Missed, counted()),
    ?assertEqual(none, at(10, fun emq_plugin_kafka_unseen:ended/0)).

first({starting, _}) -> {{boot, 9}, 9};
first(_Up) -> {none, 0}.

anew() ->
    hooked(),
    at(100, fun emq_plugin_kafka_unseen:began/0),
    ?assertMatch({_, 4}, at(4, fun emq_plugin_kafka_unseen:ended/0)).

unknown() ->
    Before = counted(),
    hooked(),
    at(unknown, fun emq_plugin_kafka_unseen:began/0),
    ?assertMatch({_, unknown}, at(unknown, fun emq_plugin_kafka_unseen:ended/0)),
    ?assertEqual(Before, counted()).

%% The hooks are registered.
hooked() ->
    persistent_term:put(?GAP, none).

at(Published, Do) ->
    _ = put(published, Published),
    Do().

counted() ->
    maps:get(unseen, emq_plugin_kafka_nif:stats()).
