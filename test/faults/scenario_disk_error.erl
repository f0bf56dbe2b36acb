%% EIO: fdatasync fails for a while, injected into the running VM by strace. What was not safely written is not acknowledged.
-module(scenario_disk_error).
-behaviour(faults).

-export([about/0, run/1]).

-spec about() -> faults:about().
about() ->
    #{number => 8, title => "EIO: fdatasync fails", modes => [always, durable], quick => [durable],
      settings => fun(_Mode) -> [{"spool.segment_size", "1MB"}, {"spool.max_size", "256MB"}, {"produce.timeout", "2s"}] end}.

-spec run(faults_rig:mode()) -> faults:outcome().
run(Mode) ->
    Load = faults_rig:load(#{rate => 50}),
    ok = faults_load:await(Load, acked, 1000),
    Trace = filename:join(os:getenv("FAULTS_DIR"), "strace.log"),
    _ = file:delete(Trace),
    Strace = open_port({spawn_executable, os:find_executable("strace")},
                       [exit_status, stderr_to_stdout, {args, ["-f", "-p", faults_rig:vm_pid(), "-o", Trace, "-e", "trace=fdatasync",
                                                               "-e", "inject=fdatasync:error=EIO:when=3..8"]}]),
    {os_pid, Pid} = erlang:port_info(Strace, os_pid),
    true = faults_wait:until("an fdatasync failed", fun() -> injected(Trace) > 0 end, 60000),
    Logged = faults_rig:wait_logged("spool", 30000),
    ok = faults_load:await(Load, acked, 2000),
    %% It lets go of the VM when it is interrupted.
    {0, _} = faults_kafka:shell(["kill -INT ", integer_to_list(Pid)]),
    receive {Strace, {exit_status, _}} -> ok after 60000 -> error(strace_stays) end,
    ok = faults_load:await(Load, acked, 1000),
    ok = faults_rig:drained(90000),
    Injected = injected(Trace),
    #{losses => losses(Mode),
      evidence => [{Injected > 0, io_lib:format("~b times fdatasync returned EIO", [Injected])},
                   {Logged > 0, "the log tells of it"}]}.

%% While it fails, what waits in memory to be written soon is as much as may.
losses(always) -> {counted, [spool_error, spool_full]};
losses(durable) -> none.

injected(Trace) ->
    case file:read_file(Trace) of
        {ok, Text} -> length(binary:matches(Text, <<"INJECTED">>));
        {error, enoent} -> 0
    end.
