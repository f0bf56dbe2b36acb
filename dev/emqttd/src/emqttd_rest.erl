%% The REST calls that EMQ 2.3's dashboard makes for a plugin, under /api/v2: list, enable,
%% disable, read and change its configuration; and publish. A module of OTP's own httpd.
-module(emqttd_rest).

-export([child_spec/2, do/1]).

-include_lib("inets/include/httpd.hrl").
-include("emqttd.hrl").

-define(USER, "admin").
-define(PASSWORD, "public").

%% The dashboard waits so long between stopping and starting a plugin whose settings it changed.
-define(PAUSE, 500).

-spec child_spec(inet:ip_address(), inet:port_number()) -> supervisor:child_spec().
child_spec(Address, Port) ->
    Config = [{bind_address, Address}, {port, Port}, {server_name, "emqttd"}, {modules, [?MODULE]},
              {server_root, "data"}, {document_root, "data"}, {ipfamily, inet}],
    #{id => {?MODULE, Port}, start => {inets, start, [httpd, Config, stand_alone]}, type => supervisor}.

-spec do(#mod{}) -> {proceed, [{response, {response, list(), iodata()}}]}.
do(#mod{parsed_header = Header, method = Method, request_uri = Uri, entity_body = Body}) ->
    [Path | _] = string:split(Uri, "?"),
    Expected = "Basic " ++ base64:encode_to_string(?USER ++ ":" ++ ?PASSWORD),
    case proplists:get_value("authorization", Header) of
        Expected -> call(Method, string:lexemes(Path, "/"), list_to_binary(Body));
        _ -> respond(401, [{"WWW-Authenticate", "Basic Realm=\"emqttd\""}], "[]")
    end.

call(Method, ["api", "v2" | Resource], Body) ->
    try
        answer(handle(Method, Resource, parameters(Body)))
    catch
        Class:Reason:Stacktrace ->
            error_logger:error_msg("~s ~p: ~p ~p ~p~n", [Method, Resource, Class, Reason, Stacktrace]),
            respond(404, [], "[]")
    end;
call(_Method, _Path, _Body) ->
    respond(404, [], "[]").

parameters(<<>>) ->
    [];
parameters(Body) ->
    case emqttd_json:decode(Body) of
        {ok, Parameters} -> Parameters;
        {error, not_json} -> not_json
    end.

handle(_Method, _Resource, not_json) ->
    {error, [{code, 109}, {message, <<"Body not json">>}]};
handle("GET", ["nodes", Node, "plugins"], _) ->
    ok = this(Node),
    {ok, [[{name, Name}, {version, list_to_binary(Version)},
           {description, list_to_binary(Description)}, {active, Active}]
          || #mqtt_plugin{name = Name, version = Version, descr = Description, active = Active}
                 <- emqttd_plugins:list()]};
handle("PUT", ["nodes", Node, "plugins", Plugin], Parameters) ->
    ok = this(Node),
    case proplists:get_value(<<"active">>, Parameters) of
        true -> switched(emqttd_plugins:load(list_to_atom(Plugin)));
        false -> switched(emqttd_plugins:unload(list_to_atom(Plugin)));
        undefined -> {error, [{code, 107}, {message, <<"params error">>}]};
        _NoBoolean -> {error, [{code, 108}, {message, <<"params type error">>}]}
    end;
handle("GET", ["nodes", Node, "plugin_configs", Plugin], _) ->
    ok = this(Node),
    {ok, [[{key, list_to_binary(Key)}, {value, list_to_binary(Value)},
           {desc, unicode:characters_to_binary(Doc)}, {required, Required}]
          || {Key, Value, Doc, Required} <- emqttd_config:read(list_to_atom(Plugin))]};
handle("PUT", ["nodes", Node, "plugin_configs", Plugin], Parameters) ->
    ok = this(Node),
    case emqttd_config:write(list_to_atom(Plugin), Parameters) of
        ok -> restart(lists:keyfind(list_to_atom(Plugin), #mqtt_plugin.name, emqttd_plugins:list()));
        error -> {error, [{code, 102}]}
    end;
%% Title and summary must be lists, as in EMQ, although setting an alarm takes binaries, too.
handle("GET", ["nodes", Node, "alarms"], _) ->
    ok = this(Node),
    {ok, [[{id, Id}, {severity, Severity}, {title, list_to_binary(Title)}, {summary, list_to_binary(Summary)},
           {occurred_at, list_to_binary(calendar:system_time_to_rfc3339(timestamp(Timestamp)))}]
          || #mqtt_alarm{id = Id, severity = Severity, title = Title, summary = Summary, timestamp = Timestamp}
                 <- emqttd_alarm:get_alarms()]};
handle("POST", ["mqtt", "publish"], Parameters) ->
    [From, Qos, Payload, Topic] =
        [proplists:get_value(Key, Parameters, Default)
         || {Key, Default} <- [{<<"client_id">>, http}, {<<"qos">>, 0},
                               {<<"payload">>, <<>>}, {<<"topic">>, undefined}]],
    true = emqttd_topic:valid_name(Topic),
    _ = emqttd:publish(emqttd_message:make(From, Qos, Topic, Payload)),
    {ok, []}.

timestamp({MegaSeconds, Seconds, _MicroSeconds}) ->
    MegaSeconds * 1000000 + Seconds.

this(Node) ->
    Node = atom_to_list(node()),
    ok.

switched(ok) -> {ok, []};
switched({ok, _}) -> {ok, []};
switched({error, already_started}) -> {error, [{code, 110}, {message, <<"already_started">>}]};
switched({error, not_started}) -> {error, [{code, 111}, {message, <<"not_started">>}]};
switched({error, _}) -> {error, [{code, 102}, {message, <<"unknown">>}]}.

%% The answer is ok whatever becomes of the start, as it is in EMQ.
restart(#mqtt_plugin{active = false}) ->
    {ok, []};
restart(#mqtt_plugin{active = true, name = Name}) ->
    _ = emqttd_plugins:unload(Name),
    timer:sleep(?PAUSE),
    _ = emqttd_plugins:load(Name),
    {ok, []}.

answer({ok, Result}) -> json([{code, 0}, {result, Result}]);
answer({error, Error}) -> json(Error).

json(Value) ->
    respond(200, [{content_type, "application/json"}], emqttd_json:encode(Value)).

respond(Code, Headers, Body) ->
    Length = integer_to_list(iolist_size(Body)),
    {proceed, [{response, {response, [{code, Code}, {content_length, Length} | Headers], [Body]}}]}.
