%% The dashboard's calls: what it shows of a plugin's configuration, and what it sends back.
-module(faults_rest).

-export([get_config/0, put_config/1]).

%% @doc The fields that the page shows.
-spec get_config() -> [{Key :: binary(), Value :: binary()}].
get_config() ->
    #{<<"code">> := 0, <<"result">> := Fields} = request(get, <<>>),
    [{Key, Value} || #{<<"key">> := Key, <<"value">> := Value, <<"required">> := true} <- Fields].

-spec put_config([{Key :: binary(), Value :: binary()}]) -> ok.
put_config(Fields) ->
    #{<<"code">> := 0} = request(put, jiffy:encode({Fields})),
    ok.

request(Method, Body) ->
    {ok, _} = application:ensure_all_started(inets),
    Home = faults_rig:home(),
    Url = lists:flatten(io_lib:format("http://127.0.0.1:~b/api/v2/nodes/~s/plugin_configs/emq_plugin_kafka",
                                      [standin_broker:port(Home, rest), standin_broker:node_name(Home)])),
    Headers = [{"authorization", "Basic " ++ base64:encode_to_string("admin:public")}],
    {ok, {{_, 200, _}, _, Answer}} = httpc:request(Method, asked(Method, Url, Headers, Body), [{timeout, 30000}], [{body_format, binary}]),
    jiffy:decode(Answer, [return_maps]).

asked(get, Url, Headers, _Body) -> {Url, Headers};
asked(put, Url, Headers, Body) -> {Url, Headers, "application/json", Body}.
