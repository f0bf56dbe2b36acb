%% The plugin in a running broker (the stand-in), beside a Kafka with a listener of each kind of security: every way in that
%% works, what the log says of those that do not, and that a reload with the right settings mends each.
-module(security_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([tls/1, tls_without_the_hosts_name/1, mutual_tls/1, mutual_tls_with_a_locked_key/1, plain/1, scram_sha_256/1,
         scram_sha_512/1, a_wrong_ca_is_told/1, a_wrong_host_name_is_told/1, an_expired_certificate_is_told/1,
         a_missing_client_certificate_is_told/1, a_client_certificate_that_kafka_does_not_trust_is_told/1,
         a_wrong_password_is_told_for_each_mechanism/1, an_unknown_user_is_told/1, a_mechanism_that_is_not_offered_is_told/1,
         plaintext_at_a_listener_with_tls_is_told/1, tls_at_a_plaintext_listener_is_told/1,
         a_missing_login_is_told/1, a_login_where_none_is_wanted_is_told/1,
         a_password_file_is_read_again_by_each_reload/1, a_password_file_that_is_gone_changes_nothing/1,
         a_password_file_that_others_can_read_is_told/1]).

-import(live_plugin, [home/1, rpc/4, connect/2, crashes/1, settled/1]).

suite() -> [{timetrap, {seconds, 600}}].

all() ->
    [tls, tls_without_the_hosts_name, mutual_tls, mutual_tls_with_a_locked_key, plain, scram_sha_256, scram_sha_512,
     a_wrong_ca_is_told, a_wrong_host_name_is_told, an_expired_certificate_is_told, a_missing_client_certificate_is_told,
     a_client_certificate_that_kafka_does_not_trust_is_told, a_wrong_password_is_told_for_each_mechanism,
     an_unknown_user_is_told, a_mechanism_that_is_not_offered_is_told, plaintext_at_a_listener_with_tls_is_told,
     tls_at_a_plaintext_listener_is_told, a_missing_login_is_told, a_login_where_none_is_wanted_is_told,
     a_password_file_is_read_again_by_each_reload, a_password_file_that_is_gone_changes_nothing,
     a_password_file_that_others_can_read_is_told].

%% One Kafka and one broker for all cases.
init_per_suite(Config) ->
    Cluster = kafka_cluster:start(filename:join(proplists:get_value(priv_dir, Config), "kafka-cluster")),
    live_plugin:start([], [{cluster, Cluster} | Config]).

end_per_suite(Config) ->
    ok = standin_broker:stop(home(Config)),
    kafka_cluster:stop(cluster(Config)).

%% Whatever a case did: nothing crashed.
end_per_testcase(_Case, Config) ->
    case crashes(Config) of
        <<>> -> ok;
        Crashes -> {fail, {crashes_in_the_log, Crashes}}
    end.

%% Ways in.

tls(Config) -> arrives("SSL", tls_with("ca.pem", Config), Config).

%% Whoever has any certificate of that authority is taken for Kafka.
tls_without_the_hosts_name(Config) ->
    arrives("WRONG_NAME", [{"ssl.endpoint.identification.algorithm", "none"} | tls_with("ca.pem", Config)], Config).

mutual_tls(Config) -> arrives("MTLS", tls_with("ca.pem", Config) ++ own("client", Config), Config).

mutual_tls_with_a_locked_key(Config) ->
    Settings = tls_with("ca.pem", Config) ++ own("locked", Config),
    Password = kafka_cluster:password(cluster(Config), "writer"),
    arrives("MTLS", Settings ++ [{"ssl.key.password", Password}], Config),
    arrives("MTLS", Settings ++ [{"ssl.key.password_file", secret_file("key", Password, Config)}], Config).

plain(Config) -> login("PLAIN", Config).
scram_sha_256(Config) -> login("SCRAM-SHA-256", Config).
scram_sha_512(Config) -> login("SCRAM-SHA-512", Config).

%% In the clear with its password in the conf, and within TLS with its password in a file.
login(Mechanism, Config) ->
    Password = kafka_cluster:password(cluster(Config), "writer"),
    arrives("SASL_PLAINTEXT", user(Mechanism, "writer", Password), Config),
    File = secret_file("password", Password, Config),
    Login = [{"sasl.mechanism", Mechanism}, {"sasl.username", "writer"}, {"sasl.password_file", File}],
    arrives("SASL_SSL", tls_with("ca.pem", Config) ++ Login, Config).

%% Ways that lead nowhere: what is told, and how it is mended.

a_wrong_ca_is_told(Config) ->
    refused("SSL", tls_with("other-ca.pem", Config),
            "its certificate was signed by CN=ca of a test, which emq\\.plugin\\.kafka\\.ssl\\.ca\\.location does not hold", Config),
    tls(Config).

a_wrong_host_name_is_told(Config) ->
    refused("WRONG_NAME", tls_with("ca.pem", Config),
            "its certificate \\(CN=wrong_name\\) is for another host than 127\\.0\\.0\\.1, for elsewhere\\.test", Config),
    tls(Config).

an_expired_certificate_is_told(Config) ->
    refused("EXPIRED", tls_with("ca.pem", Config), "its certificate \\(CN=expired\\) expired on ", Config),
    tls(Config).

a_missing_client_certificate_is_told(Config) ->
    refused("MTLS", tls_with("ca.pem", Config), "requires a certificate of the plugin", Config),
    mutual_tls(Config).

a_client_certificate_that_kafka_does_not_trust_is_told(Config) ->
    refused("MTLS", tls_with("ca.pem", Config) ++ own("stranger", Config),
            "does not trust the CA of the certificate in emq\\.plugin\\.kafka\\.ssl\\.certificate\\.location", Config),
    mutual_tls(Config).

a_wrong_password_is_told_for_each_mechanism(Config) ->
    [begin
         Expected = ["refuses the login of \"writer\" by ", Mechanism, ": wrong emq\\.plugin\\.kafka\\.sasl\\.username or emq\\.plugin\\.kafka\\.sasl\\.password"],
         refused("SASL_PLAINTEXT", user(Mechanism, "writer", "guessed"), Expected, Config),
         login(Mechanism, Config)
     end || Mechanism <- ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]].

an_unknown_user_is_told(Config) ->
    [refused("SASL_PLAINTEXT", user(Mechanism, "nobody", "guessed"), ["refuses the login of \"nobody\" by ", Mechanism], Config)
     || Mechanism <- ["PLAIN", "SCRAM-SHA-512"]],
    plain(Config).

a_mechanism_that_is_not_offered_is_told(Config) ->
    Password = kafka_cluster:password(cluster(Config), "writer"),
    refused("SCRAM", user("PLAIN", "writer", Password),
            "does not offer emq\\.plugin\\.kafka\\.sasl\\.mechanism = PLAIN: expected one of SCRAM-SHA-512", Config),
    arrives("SCRAM", user("SCRAM-SHA-512", "writer", Password), Config).

plaintext_at_a_listener_with_tls_is_told(Config) ->
    refused("SSL", [], "closed the connection without an answer: is it a TLS listener", Config),
    tls(Config).

tls_at_a_plaintext_listener_is_told(Config) ->
    refused("PLAINTEXT", tls_with("ca.pem", Config), "ended the TLS handshake .* is it a listener without TLS", Config),
    arrives("PLAINTEXT", [], Config).

a_missing_login_is_told(Config) ->
    refused("SASL_PLAINTEXT", [], "closed the connection at the first request: does it require a login", Config),
    plain(Config).

a_login_where_none_is_wanted_is_told(Config) ->
    refused("PLAINTEXT", user("PLAIN", "writer", "any"), "takes no login on this listener", Config),
    arrives("PLAINTEXT", [], Config).

%% Password files.

a_password_file_is_read_again_by_each_reload(Config) ->
    Cluster = cluster(Config),
    File = secret_file("rotated", kafka_cluster:password(Cluster, "limited"), Config),
    Login = [{"sasl.mechanism", "SCRAM-SHA-512"}, {"sasl.username", "limited"}, {"sasl.password_file", File}],
    arrives("SCRAM", Login, Config),
    ok = kafka_cluster:set_password(Cluster, "limited", "another"),
    refused("SCRAM", Login, "refuses the login of \"limited\" by SCRAM-SHA-512", Config),
    File = secret_file("rotated", "another\n", Config),
    arrives("SCRAM", Login, Config).

a_password_file_that_is_gone_changes_nothing(Config) ->
    ok = arrives("PLAINTEXT", [], Config),
    Gone = filename:join(home(Config), "gone"),
    Login = [{"sasl.mechanism", "PLAIN"}, {"sasl.username", "writer"}, {"sasl.password_file", Gone}],
    {Status, Said} = reload("SASL_PLAINTEXT", Login, Config),
    ?assertNotEqual(0, Status),
    ?assertMatch({match, _}, re:run(Said, ["emq\\.plugin\\.kafka\\.sasl\\.password_file: cannot read \"", Gone, "\": No such file"])),
    published(Config).

a_password_file_that_others_can_read_is_told(Config) ->
    File = secret_file("open", kafka_cluster:password(cluster(Config), "writer"), Config),
    ok = file:change_mode(File, 8#644),
    Login = [{"sasl.mechanism", "PLAIN"}, {"sasl.username", "writer"}, {"sasl.password_file", File}],
    Before = log_size(Config),
    ok = arrives("SASL_PLAINTEXT", Login, Config),
    logged("sasl\\.password_file: .* can be read or changed by other users of this machine \\(mode 0644\\)", Before, Config).

%% Settings.

tls_with(Authority, Config) ->
    [{"ssl.ca.location", kafka_cluster:certificate(cluster(Config), Authority)}].

own(Name, Config) ->
    [{"ssl.certificate.location", kafka_cluster:certificate(cluster(Config), Name ++ ".crt")},
     {"ssl.key.location", kafka_cluster:certificate(cluster(Config), Name ++ ".key")}].

user(Mechanism, User, Password) ->
    [{"sasl.mechanism", Mechanism}, {"sasl.username", User}, {"sasl.password", Password}].

secret_file(Name, Secret, Config) ->
    File = filename:join(home(Config), Name),
    ok = file:write_file(File, Secret),
    ok = file:change_mode(File, 8#600),
    File.

cluster(Config) -> proplists:get_value(cluster, Config).

%% The protocol of a listener follows from its settings.
protocol(Settings) ->
    protocol(lists:keymember("ssl.ca.location", 1, Settings), lists:keymember("sasl.mechanism", 1, Settings)).

protocol(false, false) -> "plaintext";
protocol(true, false) -> "ssl";
protocol(false, true) -> "sasl_plaintext";
protocol(true, true) -> "sasl_ssl".

reload(Listener, Settings, Config) ->
    Protocol = {"security.protocol", protocol(Settings)},
    Server = {"server", kafka_cluster:address(cluster(Config), Listener)},
    Rules = {"hook.message.publish.1", "{\"produce\": \"async\"}"},
    ok = live_plugin:conf(Config, "security", [Protocol, Server, Rules | Settings]),
    standin_broker:ctl(home(Config), ["kafka", "reload"]).

%% With these settings, what is published arrives.
arrives(Listener, Settings, Config) ->
    {0, _} = reload(Listener, Settings, Config),
    published(Config).

%% Kafka acknowledges a message, and what waited for it.
published(Config) ->
    publish(Config),
    ok = settled(Config),
    ?assertMatch(#{failed := 0, dropped := 0}, rpc(Config, emq_plugin_kafka, stats, [])),
    ok.

%% With these settings nothing arrives, and the log says why.
refused(Listener, Settings, Expected, Config) ->
    Before = log_size(Config),
    #{success := Success} = rpc(Config, emq_plugin_kafka, stats, []),
    {0, _} = reload(Listener, Settings, Config),
    publish(Config),
    Address = kafka_cluster:address(cluster(Config), Listener),
    ok = logged(["Kafka broker ", re:replace(Address, "\\.", "\\\\.", [global]), ": ", Expected], Before, Config),
    ?assertMatch(#{success := Success}, rpc(Config, emq_plugin_kafka, stats, [])),
    ok.

publish(Config) ->
    {ok, Client, 0} = connect(Config, #{client_id => <<"c">>}),
    ok = mqtt_client:publish(Client, <<"t">>, <<"x">>, 1),
    ok = mqtt_client:disconnect(Client).

log_size(Config) -> byte_size(standin_broker:log(home(Config), "error.log")).

logged(Pattern, From, Config) ->
    {ok, _} = polling:until(fun() ->
                                    <<_:From/binary, New/binary>> = standin_broker:log(home(Config), "error.log"),
                                    {re:run(New, Pattern, [{capture, none}]), New}
                            end, fun({Found, _}) -> Found =:= match end),
    ok.
