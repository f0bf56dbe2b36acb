%% Payloads that are hard to carry: not UTF-8, empty, text with every control character, 1 MB; through an outage, in the
%% default JSON format.
-module(scenario_payloads).
-behaviour(faults).

-export([about/0, run/1]).

-define(CLIENT, <<"odd">>).

-spec about() -> faults:about().
about() ->
    #{number => 23, title => "payloads: invalid UTF-8, empty, 1 MB", modes => [async_off, async, durable, sync], quick => [durable],
      settings => fun settings/1}.

settings(async_off) ->
    [{"hook.message.publish.1", "{}"}, {"rdkafka.message.max.bytes", "4000000"}];
settings(_Mode) ->
    [{"produce.timeout", "30s"}, {"queue.max_messages", "10"} | settings(async_off)].

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    {ok, Client, 0} = mqtt_client:connect(#{port => faults_rig:mqtt_port(), client_id => ?CLIENT}),
    Payloads = payloads(),
    {First, Rest} = lists:split(length(Payloads) div 2, Payloads),
    [ok = mqtt_client:publish(Client, <<"p">>, Payload, 1) || Payload <- First],
    ok = outage(Mode),
    [ok = mqtt_client:publish(Client, <<"p">>, Payload, 1) || Payload <- Rest],
    ok = mqtt_client:disconnect(Client),
    Waiting = faults_rig:backlog(),
    ok = faults_proxy:mode(faults_rig:proxy(), pass),
    Numbered = maps:from_list([{erlang:md5(Payload), N} || {N, Payload} <- lists:zip(lists:seq(1, length(Payloads)), Payloads)]),
    Ledger = #{client => ?CLIENT, sent => length(Payloads), acked => [{1, length(Payloads)}], resent => 0, lost => 0},
    #{ledgers => [Ledger], decode => fun(Record) -> decode(Record, Numbered) end,
      evidence => [{Waiting > 0 orelse Mode =:= sync, io_lib:format("up to ~b records waited; ~b payloads, of 0 to ~b bytes",
                                                                   [Waiting, length(Payloads), lists:max([byte_size(P) || P <- Payloads])])}]}.

%% A publisher of sync would wait for the end of it. Without a spool memory holds what comes.
outage(sync) -> faults_proxy:mode(faults_rig:proxy(), {delay, 200});
outage(_) -> faults_proxy:mode(faults_rig:proxy(), refuse).

%% All different, eight in each half of the run.
payloads() ->
    Megabyte = 1024 * 1024,
    Odd = [<<>>, <<16#ff, 16#fe, 0, 1>>, <<"caf", 16#e9>>, list_to_binary(lists:seq(0, 127)), <<"\"quotes\" \\ and \t tabs\r\n">>,
           unicode:characters_to_binary([16#10FFFF, 16#1F600, $a]), binary:copy(<<"m">>, Megabyte), binary:copy(<<16#ff>>, Megabyte)],
    Odd ++ [<<Payload/binary, 16#c3>> || Payload <- Odd].

decode(#{key := ?CLIENT, value := Value}, Numbered) ->
    #{<<"message">> := #{<<"payload">> := Text} = Message} = jiffy:decode(Value, [return_maps]),
    Payload = payload(maps:get(<<"payload_encoding">>, Message, utf8), Text),
    found(maps:find(erlang:md5(Payload), Numbered)).

payload(utf8, Text) -> Text;
payload(<<"base64">>, Text) -> base64:decode(Text).

found({ok, Number}) -> {?CLIENT, Number};
found(error) -> damaged.
