%% The broker's log, by error_logger: EMQ 2.3's lager takes its messages, and loses those of OTP's logger.
%%
%% By default, EMQ 2.3 writes only errors to a file, log/error.log. So everything that an operator must act on is logged as an error, and
%% its end, too. librdkafka's own lines keep their levels.
%%
%% Never call it from a hook: log messages of the broker may pass through the hooks. Never call it for a command: error_logger sends a
%% message to the node of the group leader, which is the terminal's node.
-module(emq_plugin_kafka_log).

-export([error/2, log/3]).
-export_type([level/0]).

-type level() :: error | warning | info.

-spec error(io:format(), [term()]) -> ok.
error(Format, Args) ->
    log(error, Format, Args).

-spec log(level(), io:format(), [term()]) -> ok.
log(error, Format, Args) -> error_logger:error_msg("emq_plugin_kafka: ~ts~n", [text(Format, Args)]);
log(warning, Format, Args) -> error_logger:warning_msg("emq_plugin_kafka: ~ts~n", [text(Format, Args)]);
log(info, Format, Args) -> error_logger:info_msg("emq_plugin_kafka: ~ts~n", [text(Format, Args)]).

text(Format, Args) ->
    emq_plugin_kafka_text:printable(io_lib:format(Format, Args)).
