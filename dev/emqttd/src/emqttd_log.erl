%% A filter for the log files: EMQ 2.3 logs what comes through error_logger (crash reports do) and
%% loses what a plugin gives to logger itself; so do these files.
-module(emqttd_log).

-export([legacy/2]).

-spec legacy(logger:log_event(), term()) -> ignore | stop.
legacy(#{meta := #{error_logger := _}}, _) -> ignore;
legacy(_, _) -> stop.
