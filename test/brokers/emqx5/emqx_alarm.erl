%% The alarms of EMQX.
-module(emqx_alarm).

-export([activate/3, ensure_deactivated/1, get_alarms/1]).

activate(_Name, _Details, _Message) -> ok.

ensure_deactivated(_Name) -> ok.

get_alarms(activated) -> [].
