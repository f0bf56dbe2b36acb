%% The answer of `kafka test` as text: each server step by step, the record, and advice. Pure.
-module(emq_plugin_kafka_cli_probe).

-export([format/1]).

-spec format(map()) -> unicode:chardata().
format(#{problems := [_ | _] = Problems}) ->
    [["problem: ", Problem, "\n"] || Problem <- Problems];
format(#{topic := Topic, servers := Servers, brokers := Brokers, said := Said} = Report) ->
    [[server(Server) || Server <- Servers],
     [broker(Broker) || Broker <- Brokers],
     outcome(Topic, Report),
     said(Report, Said)].

server(#{name := Name, addresses := Addresses, passed := Passed, problem := Problem}) ->
    Steps = lists:append([step(Step, Name, Addresses) || Step <- Passed]) ++ failed(Problem),
    ["server ", Name, ": ", lists:join(", ", Steps), "\n", advice(Problem)].

step(<<"dns">>, Name, Addresses) -> resolved(lists:member(host(Name), Addresses), Addresses);
step(<<"connect">>, _Name, _Addresses) -> ["connected"];
step(<<"tls">>, _Name, _Addresses) -> ["TLS ok"];
step(<<"login">>, _Name, _Addresses) -> ["logged in"];
step(<<"kafka">>, _Name, _Addresses) -> ["Kafka answers"].

%% An IP address needs no resolving.
resolved(true, _Addresses) -> [];
resolved(false, Addresses) -> [["name resolved (", lists:join(" ", Addresses), ")"]].

host(Name) ->
    [Host | _] = string:split(Name, ":", trailing),
    string:trim(Host, both, "[]").

failed(nil) -> [];
failed(#{kind := Kind, error := Error, text := Text}) -> [["FAILED (", Kind, name(Error), "): ", Text]].

advice(nil) -> [];
advice(#{advice := Advice}) -> ["  what to do: ", Advice, "\n"].

broker(#{id := Id, name := Name, state := State}) ->
    ["broker ", Name, ": number ", integer_to_list(Id), ", ", connection(State), "\n"].

%% librdkafka connects only to brokers that it needs.
connection(<<"UP">>) -> "connected";
connection(<<"INIT">>) -> "not needed";
connection(State) -> ["not connected (", State, ")"].

outcome(Topic, #{delivered := #{partition := Partition, offset := Offset, took_ms := Took}}) ->
    ["topic ", Topic, ": record acknowledged in ", integer_to_list(Took), " ms, partition ", integer_to_list(Partition),
     offset(Offset), "\nok\n"];
outcome(Topic, #{servers := Servers, problem := Problem}) ->
    outcome(Topic, [P || #{problem := P} <- Servers, P =:= Problem], Problem).

%% The line of a server already has its problem.
outcome(Topic, [_ | _], _Problem) -> ["topic ", Topic, ": no record was sent\n"];
outcome(Topic, [], Problem) -> ["topic ", Topic, ": ", failed(Problem), "\n", advice(Problem)].

%% With acks = 0 Kafka returns no offset.
offset(Offset) when Offset < 0 -> "";
offset(Offset) -> [", offset ", integer_to_list(Offset)].

name(<<>>) -> "";
name(Error) -> [", ", Error].

%% librdkafka's log lines: only with a problem, and without those that a problem's text repeats.
said(#{problem := nil}, _Said) ->
    [];
said(#{problem := Problem, servers := Servers}, Said) ->
    Shown = [Text || #{text := Text} <- [Problem | [P || #{problem := P} <- Servers]]],
    [["log: ", Line, "\n"] || Line <- Said, not is_shown(Line, Shown)].

is_shown(Line, Shown) ->
    lists:any(fun(Text) -> string:find(Line, Text) =/= nomatch end, Shown).
