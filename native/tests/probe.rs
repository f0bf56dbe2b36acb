//! What a test record tells, against librdkafka's mock cluster and against no Kafka at all. A real one, with TLS, logins and
//! access rules, is behind the command line's own tests.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::io::Read as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::{TOPIC, cluster, consume, nobody, settings};
use emq_plugin_kafka_nif::probe::{Kind, MARK, Report, Step, run};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const TIMEOUT: Duration = Duration::from_secs(10);

fn kind(report: &Report) -> Option<Kind> {
    report.outcome.as_ref().err().map(|problem| problem.kind)
}

#[test]
fn a_record_arrives_and_says_what_it_is() {
    let cluster = cluster(1);
    let server = cluster.bootstrap_servers();
    let report = run(&settings(&server, &[]), None, "n@h", TIMEOUT);
    let delivered = report.outcome.as_ref().unwrap_or_else(|problem| panic!("{problem:?}"));
    assert_eq!((delivered.partition, delivered.offset), (0, 0));
    assert_eq!(report.servers[0].passed, [Step::Dns, Step::Connect, Step::Kafka]);
    assert_eq!((report.brokers.len(), report.brokers[0].name.as_str()), (1, server.as_str()));
    let record = &consume(&cluster, 1)[0];
    assert_eq!(record.key.as_deref(), Some(MARK.as_bytes()));
    assert_eq!(record.header(MARK), Some("1"));
    assert_eq!((record.json()["type"].as_str(), record.json()["cluster_node"].as_str()), (Some("test"), Some("n@h")));
}

#[test]
fn one_server_of_several_is_enough_and_the_others_are_told() {
    let cluster = cluster(1);
    let servers = format!("{},no-such-host.invalid:1,{}", nobody(), cluster.bootstrap_servers());
    let report = run(&settings(&servers, &[]), None, "n@h", TIMEOUT);
    assert!(report.outcome.is_ok(), "{report:?}");
    let problems: Vec<_> = report.servers.iter().map(|s| s.problem.as_ref().map(|p| p.kind)).collect();
    assert_eq!(problems, [Some(Kind::Connect), Some(Kind::Dns), None]);
}

#[test]
fn a_server_that_is_no_kafka_is_told_from_one_that_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    std::thread::spawn(move || {
        // Reads the first request and hangs up, as a listener for TLS does.
        for stream in listener.incoming() {
            stream.expect("a connection").read_exact(&mut [0; 16]).ok();
        }
    });
    let report = run(&settings(&address, &[]), None, "n@h", TIMEOUT);
    assert_eq!(kind(&report), Some(Kind::Protocol), "{report:?}");
    assert_eq!(report.servers[0].passed, [Step::Dns, Step::Connect]);

    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let begun = Instant::now();
    let report = run(&settings(&silent.local_addr().expect("its address").to_string(), &[]), None, "n@h", TIMEOUT / 5);
    assert_eq!(kind(&report), Some(Kind::Protocol), "{report:?}");
    assert!(begun.elapsed() < TIMEOUT, "it keeps to its time");
}

/// librdkafka gives the record up with `purge_queue` then.
#[test]
fn a_service_without_an_idempotent_producer_is_told_as_that() {
    let cluster = cluster(1);
    let test = |pairs| run(&settings(&cluster.bootstrap_servers(), pairs), None, "n@h", TIMEOUT);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[error; 3]);
    let problem = test(&[]).outcome.expect_err("not allowed");
    assert_eq!((problem.kind, problem.error.as_str()), (Kind::Authorisation, "cluster_authorization_failed"));
    assert!(
        problem.advice.starts_with("set emq.plugin.kafka.idempotence = off, or grant IDEMPOTENT_WRITE"),
        "{problem:?}"
    );
    cluster.clear_request_errors(RDKafkaApiKey::InitProducerId);
    cluster.apiversion(RDKafkaApiKey::InitProducerId, Some(-1), Some(-1)).expect("the mock forgets it");
    let problem = test(&[]).outcome.expect_err("there is none");
    assert_eq!((problem.kind, problem.error.as_str()), (Kind::Settings, "unsupported_feature"), "{problem:?}");
    assert!(problem.advice.starts_with("set emq.plugin.kafka.idempotence = off"), "{problem:?}");
    assert!(test(&[("idempotence", "false")]).outcome.is_ok());
}

#[test]
fn what_kafka_refuses_is_told_by_its_error() {
    let cluster = cluster(1);
    let test = |topic| run(&settings(&cluster.bootstrap_servers(), &[]), topic, "n@h", TIMEOUT);
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let report = test(None);
    assert_eq!(kind(&report), Some(Kind::Authorisation), "{report:?}");
    assert_eq!(report.outcome.expect_err("refused").error, "topic_authorization_failed");
    assert_eq!(kind(&test(Some("no topic"))), Some(Kind::Topic), "nothing is sent to a name that is none");
    assert!(test(Some(TOPIC)).outcome.is_ok(), "nothing is left of the others");
}
