%% The results of a run so far, on disk, so that an interrupted run can continue. A run belongs to a
%% commit and to a Kafka (one node, or a cluster): FAULTS_DIR/runs/COMMIT/KAFKA has a file for each scenario and mode, with
%% every attempt at it. So results of commits never mix, and an attempt that failed before one that passed stays visible.
-module(faults_results).

-export([begin_anew/1, add/2, attempts/3, all/1, directory/1, kafkas/0]).

-export_type([kafka/0, result/0]).

-type kafka() :: single | cluster.
-type result() :: #{name := string(), number := pos_integer(), title := string(), mode := atom(), seconds := float(),
                    passed := boolean(), finished := string(), evidence := [{boolean(), binary()}], problems := [binary()], _ => _}.

-spec kafkas() -> [kafka()].
kafkas() -> [single, cluster].

%% @doc Where the results and tables of this commit are.
-spec directory(kafka()) -> file:filename().
directory(Kafka) ->
    filename:join([os:getenv("FAULTS_DIR"), "runs", os:getenv("FAULTS_COMMIT"), atom_to_list(Kafka)]).

%% @doc What there is of an earlier run of this commit is put aside, not deleted.
-spec begin_anew(kafka()) -> ok.
begin_anew(Kafka) ->
    Directory = directory(Kafka),
    Aside = [Directory, ".until-", calendar:system_time_to_rfc3339(erlang:system_time(second), [{offset, "Z"}])],
    case file:rename(Directory, Aside) of
        ok -> ok;
        {error, enoent} -> ok
    end.

%% @doc Kept as a whole or not at all, whenever the run is ended.
-spec add(kafka(), result()) -> ok.
add(Kafka, #{name := Name, mode := Mode} = Result) ->
    File = file_name(Kafka, Name, Mode),
    ok = filelib:ensure_dir(File),
    New = attempts(Kafka, Name, Mode) ++ [maps:remove(log, Result)],
    ok = file:write_file(File ++ ".new", term_to_binary(New)),
    ok = file:rename(File ++ ".new", File),
    logged(Result, filename:rootname(File), length(New)).

%% The broker's log of what failed.
logged(#{passed := false, log := Log}, Name, Attempt) -> file:write_file(lists:concat([Name, ".", Attempt, ".log"]), Log);
logged(_, _, _) -> ok.

%% @doc All attempts, the newest last.
-spec attempts(kafka(), string(), atom()) -> [result()].
attempts(Kafka, Name, Mode) ->
    read(file:read_file(file_name(Kafka, Name, Mode))).

%% @doc The newest attempt at each scenario and mode, with how many there were and how many of them failed.
-spec all(kafka()) -> [result()].
all(Kafka) ->
    Files = filelib:wildcard(filename:join(directory(Kafka), "*.result")),
    [newest(read(file:read_file(File))) || File <- Files].

newest(Attempts) ->
    Failed = length([Attempt || #{passed := false} = Attempt <- Attempts]),
    (lists:last(Attempts))#{attempts => length(Attempts), failed_attempts => Failed}.

read({ok, Bytes}) -> binary_to_term(Bytes);
read({error, enoent}) -> [].

file_name(Kafka, Name, Mode) ->
    filename:join(directory(Kafka), lists:concat([Name, "-", Mode, ".result"])).
