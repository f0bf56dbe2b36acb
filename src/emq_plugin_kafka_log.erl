%% The broker's log. Through error_logger, which lager takes in EMQ 2.3; what is given to OTP's logger is lost there.
%%
%% With EMQ 2.3's own settings only errors reach a file, log/error.log; warnings and below come to log/info.log where
%% `log.info.file` is set. So what an operator has to act on, and that it is over, is an error; librdkafka's lines have its levels.
%%
%% Never called from a hook: log messages of the broker may pass through the hooks. Not called on behalf of a command either:
%% error_logger sends what a process logs to the node of its group leader, which is that of the terminal.
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
