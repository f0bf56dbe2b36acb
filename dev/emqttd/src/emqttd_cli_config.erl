%% Where EMQ 2.3 keeps the settings that the dashboard shows; a plugin that changes its own writes
%% them here.
-module(emqttd_cli_config).

-export([read_config/1, write_config/2]).

-define(TABLE, emqttd_config).

-spec read_config(atom()) -> [emqttd_conf:pair()].
read_config(Application) ->
    case ets:lookup(?TABLE, Application) of
        [{Application, Pairs}] -> Pairs;
        [] -> []
    end.

-spec write_config(atom(), [emqttd_conf:pair()]) -> true.
write_config(Application, Pairs) ->
    ets:insert(?TABLE, {Application, Pairs}).
