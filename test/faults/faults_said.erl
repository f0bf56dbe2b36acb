%% Evidence that several scenarios give.
-module(faults_said).

-export([clients/2, spooled/0, crashes/0]).

%% @doc What an outage of Kafka does to publishers: nothing, but where PUBACK means that Kafka has it.
-spec clients(faults_rig:mode(), faults_load:load()) -> {boolean(), iodata()}.
clients(sync, Load) ->
    Lost = faults_load:lost(Load),
    {Lost > 0, io_lib:format("~b connections of publishers ended without a PUBACK", [Lost])};
clients(_, Load) ->
    Lost = faults_load:lost(Load),
    {Lost =:= 0, io_lib:format("~b connections of publishers ended", [Lost])}.

%% @doc The spool was used.
-spec spooled() -> {boolean(), iodata()}.
spooled() ->
    Spooled = faults_rig:most(spooled),
    {Spooled > 0, io_lib:format("up to ~b records in the spool", [Spooled])}.

%% @doc No process of the broker crashed: an exception in a hook would end its client.
-spec crashes() -> {boolean(), iodata()}.
crashes() ->
    Crashes = faults_rig:logged("crash|badarg|noproc|undef|function_clause|nif_panicked|bad_event|Unexpected Info"),
    {Crashes =:= 0, io_lib:format("~b crashes in the log", [Crashes])}.
