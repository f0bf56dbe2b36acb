%% What the scenarios of a wrong login or certificate share: a plugin that cannot reach Kafka for a reason that the log names,
%% publishers who go on as their mode has it, then the mending, after which everything arrives.
-module(faults_security).

-export([run/2, reload/1, tls/1, login/3]).

-type fault() :: #{listener := string(), wrong := [{string(), iodata()}], cause := string(), certificate => string(), mend := fun(() -> ok)}.

%% @doc `cause' is what the log must say, a regular expression.
-spec run(faults_rig:mode(), fun(() -> fault())) -> faults:outcome().
run(Mode, Fault) ->
    ok = faults_cluster:up([{"NODES", "1"}]),
    #{listener := Listener, wrong := Wrong, cause := Cause, mend := Mend} = Wanted = Fault(),
    ok = shown(maps:get(certificate, Wanted, "good")),
    ok = faults_cluster:topic(faults_rig:topic(), 3),
    ok = faults_rig:settings(faults_cluster:server(Listener, Wrong)),
    ok = faults_rig:boot(),
    Load = faults_rig:load(#{}),
    Logged = faults_rig:wait_logged(Cause, 30000),
    ok = felt(Mode, Load),
    Waiting = faults_rig:backlog(),
    #{success := Before} = faults_rig:stats(),
    ok = Mend(),
    ok = faults_load:await(Load, acked, 2000),
    #{read => fun faults_cluster:read/1,
      evidence => [{Logged > 0, ["the log: ", line(Cause)]},
                   {Before =:= 0, io_lib:format("~b records in Kafka before it was mended", [Before])},
                   {Waiting > 0, io_lib:format("up to ~b records waited", [Waiting])},
                   faults_said:clients(Mode, Load), faults_said:crashes()]}.

shown("good") ->
    ok;
shown(Certificate) ->
    ok = faults_cluster:certificate(Certificate),
    ok = faults_cluster:stop([]),
    faults_cluster:start([]).

felt(sync, Load) -> faults_load:await(Load, lost, 20);
felt(_, Load) -> faults_load:await(Load, acked, 4000).

line(Cause) ->
    {match, [Line]} = re:run(faults_rig:log(), ["^.*(", Cause, ").*$"], [multiline, caseless, {capture, first, binary}]),
    string:slice(Line, 0, 300).

%% @doc Other settings in the configuration file, and `emqttd_ctl kafka reload'.
-spec reload([{string(), iodata()}]) -> ok.
reload(Settings) ->
    ok = faults_rig:settings(Settings),
    {0, _} = faults_rig:ctl(["kafka", "reload"]),
    ok.

%% @doc The settings for a CA.
-spec tls(string()) -> [{string(), iodata()}].
tls(Authority) ->
    [{"ssl.ca.location", faults_cluster:certificate_file(Authority)}].

%% @doc The settings for a user.
-spec login(string(), string(), iodata()) -> [{string(), iodata()}].
login(Mechanism, User, Password) ->
    [{"sasl.mechanism", Mechanism}, {"sasl.username", User}, {"sasl.password", Password}].
