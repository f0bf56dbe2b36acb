%% Hook calls that are nearly right, and terms that are nasty, for the tests of totality: PropEr's generators.
-module(mutations).

-include_lib("proper/include/proper.hrl").

-export([mutation/2, nasty/0]).

%% Replaces one position, at any depth, of a call's arguments.
mutation({Hook, Args}, Term) ->
    ?LET(Path, oneof(paths(Args)), {Hook, put_at(Path, Term, Args)}).

paths(Args) ->
    [[N | Path] || {N, Arg} <- numbered(Args), Path <- [[] | paths_in(Arg)]].

paths_in(Tuple) when is_tuple(Tuple) -> paths(tuple_to_list(Tuple));
paths_in(List) when is_list(List) -> paths(List);
paths_in(Map) when is_map(Map) -> [[{key, Key} | Path] || {Key, Value} <- maps:to_list(Map), Path <- [[] | paths_in(Value)]];
paths_in(_) -> [].

numbered(List) when is_list(List) ->
    try lists:zip(lists:seq(1, length(List)), List)
    catch error:badarg -> []
    end.

put_at([], Term, _) ->
    Term;
put_at([N | Path], Term, Tuple) when is_tuple(Tuple) ->
    setelement(N, Tuple, put_at(Path, Term, element(N, Tuple)));
put_at([{key, Key} | Path], Term, Map) ->
    #{Key := Old} = Map,
    Map#{Key := put_at(Path, Term, Old)};
put_at([N | Path], Term, List) ->
    {Before, [Old | After]} = lists:split(N - 1, List),
    Before ++ [put_at(Path, Term, Old) | After].

%% Terms, the nasty ones often.
nasty() ->
    oneof([any(), exactly(undefined), exactly([]), exactly(<<>>), exactly([a | b]), exactly(<<1:3>>),
           exactly(<<255, 254>>), exactly(1 bsl 64), exactly(-1), exactly(1.5), exactly(#{}), exactly(self()),
           exactly(make_ref()), exactly(fun lists:map/2), exactly(binary:copy(<<$">>, 70000)),
           exactly({shutdown, {shutdown, x}}), exactly([{f, 1, 2, 3} | improper]), exactly({1 bsl 70, 0, 0}),
           exactly([{qos, 1}, {share, <<255>>}]), exactly(<<"$SYS/x">>), exactly({{1, 2, 3, 4}, 5}),
           exactly({{a, b, c, d}, 5}), exactly({[$1, $., $2], 5}), atom(), binary(), integer(),
           ?LET(T, any(), {T, T}), ?LET(T, any(), [T])]).
