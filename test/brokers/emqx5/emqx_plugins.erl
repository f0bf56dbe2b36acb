%% The configuration of a plugin as EMQX has it in memory: 5.8 gives it in a tuple, 5.9 as it is.
-module(emqx_plugins).

-export([get_config/1]).

get_config(<<"emq_plugin_kafka-", _/binary>>) -> persistent_term:get({standin, config}).
