%% The state of the plugin, as status/0 of the producer's process tells it. Pure, except that it asks the library.
-module(emq_plugin_kafka_producer_status).

-export([of_mode/3, without_process/2, consequence/1]).
-export_type([status/0, state/0]).

%% running     records are forwarded
%% degraded    nothing is forwarded
%% suspended   a stop has begun; records go to the spool
%% stopped     no process, no producer
%% busy        the process opens, reloads or closes, and does not answer
-type state() :: running | degraded | suspended | stopped | busy.
-type status() :: #{state := state(),
                    %% Where new records go.
                    records := forwarded | spooled | dropped | unseen | unknown,
                    %% Of `running`: refused settings, a metrics endpoint that could not be opened, or a broker that opens its listeners
                    %% before the hooks are registered.
                    problems := [binary()],
                    settings := [{Key :: binary(), Value :: binary()}],
                    %% When the producer was opened, since 1970.
                    since_ms := none | integer(),
                    last_error := none | emq_plugin_kafka_watch:last_error(),
                    alarms := [binary()]}.

%% The part that does not need the process's history. Problems: of a running plugin, those of refused settings.
-spec of_mode(emq_plugin_kafka_producer_lifecycle:mode(), Problems :: [binary()], Stopping :: boolean()) -> map().
of_mode(running, Problems, Stopping) -> of_producer(emq_plugin_kafka_nif:status(), Problems, Stopping);
of_mode(Mode, Problems, _Stopping) -> #{state => degraded, records => records(Mode), problems => Problems, settings => []}.

records(spooling) -> spooled;
records(counting) -> dropped;
records(unloaded) -> unseen.

of_producer({fatal, Settings}, _Refused, _Stopping) ->
    #{state => degraded, records => forwarded, problems => [<<"the producer has failed for good; a new one opens soon">>],
      settings => Settings};
of_producer({spoiled, Settings}, Refused, Stopping) ->
    of_producer({open, Settings}, Refused, Stopping);
of_producer({open, Settings}, _Refused, true) ->
    #{state => suspended, records => spooled, problems => [], settings => Settings};
of_producer({open, Settings}, Refused, false) ->
    #{state => running, records => forwarded, settings => Settings,
      problems => [not_used(Problem) || Problem <- Refused] ++ no_metrics(emq_plugin_kafka_nif:listening())};
of_producer(closed, _Refused, _Stopping) ->
    #{state => stopped, records => unknown, problems => [], settings => []}.

not_used(Problem) -> iolist_to_binary([Problem, consequence(running)]).

no_metrics({error, Problem}) -> [Problem];
no_metrics(_OffOrAt) -> [].

%% Where the process does not answer.
-spec without_process(stopped | busy, Problems :: [binary()]) -> status().
without_process(State, Problems) ->
    #{state => State, records => unknown, problems => Problems, settings => [], since_ms => none, last_error => none, alarms => []}.

%% What invalid settings cause, as the end of the sentence that names a problem.
-spec consequence(emq_plugin_kafka_producer_lifecycle:mode()) -> string().
consequence(running) -> "; until you correct this, the last settings that worked stay in use";
consequence(spooling) -> "; until you correct this, nothing is forwarded: records go to the spool";
consequence(counting) -> "; until you correct this, nothing is forwarded: records are dropped and counted (dropped.degraded)";
consequence(unloaded) -> "; until you correct this, nothing is forwarded or counted".
