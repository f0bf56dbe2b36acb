//! What becomes of a batch that Kafka refuses, against librdkafka's mock cluster: who is to blame, and who is not.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{Cluster, DEADLINE, TempDir, cluster, consume, nobody, numbers_of, publish, settings, submit, wait_for};
use emq_plugin_kafka_nif::blame::{Blame, blame};
use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::delivery::error_name;
use emq_plugin_kafka_nif::handle::{Handle, Status};
use emq_plugin_kafka_nif::pipeline::Outcome;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const LONG: Duration = Duration::from_secs(20);
const INVALID: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

/// An open plugin, and what rings when its producer is to be replaced.
fn opened(settings: Settings) -> (Handle, Receiver<()>) {
    let handle = Handle::default();
    let (sender, rung) = channel();
    handle.shared().suspects.on_change(move || sender.send(()).unwrap_or_default());
    handle.open(settings, "n@h").expect("opened");
    (handle, rung)
}

fn refuses(cluster: &Cluster, errors: &[RDKafkaRespErr]) {
    cluster.request_errors(RDKafkaApiKey::Produce, errors);
}

fn submit_numbers(handle: &Handle, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert!(matches!(submit(handle, &publish(b"c", number.to_string().as_bytes())), Outcome::Queued(_)));
    }
}

fn renewed(handle: &Handle, rung: &Receiver<()>) {
    rung.recv_timeout(DEADLINE).expect("the bell");
    assert!(matches!(handle.status(), Status::Spoiled(_)), "{:?}", handle.status());
    handle.reopen().expect("another producer");
}

#[test]
fn a_refused_batch_arrives_in_parts_before_what_came_later() {
    for error in [INVALID, TOO_LARGE] {
        for spool in ["off", "overflow", "always"] {
            let (cluster, dir) = (cluster(1), TempDir::new());
            refuses(&cluster, &[error]);
            let more = [("spool", spool), ("spool_dir", dir.text())];
            let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &more));
            submit_numbers(&handle, 0..100);
            renewed(&handle, &rung);
            submit_numbers(&handle, 100..200);
            let counters = wait_for(&handle, "200 records", |s| s.success == 200);
            assert_eq!((counters.failed_total(), counters.dropped_total()), (0, 0), "{error:?} {spool}");
            handle.close(LONG);
            assert_eq!(numbers_of(&consume(&cluster, 200), "c"), (0..200).collect::<Vec<_>>(), "{error:?} {spool}");
        }
    }
}

#[test]
fn what_is_refused_alone_is_refused_for_good_under_kafkas_reason() {
    for (error, name) in [(INVALID, "invalid_record"), (TOO_LARGE, "message_size_too_large")] {
        let cluster = cluster(1);
        // The first producer's batch, and then the first record by itself.
        refuses(&cluster, &[error, error]);
        let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &[]));
        submit_numbers(&handle, 0..50);
        renewed(&handle, &rung);
        let counters = wait_for(&handle, "the rest", |s| s.success == 49);
        assert_eq!(counters.failed.get(name), Some(&1), "{counters:?}");
        handle.close(LONG);
        assert_eq!(numbers_of(&consume(&cluster, 49), "c"), (1..50).collect::<Vec<_>>());
    }
}

#[test]
fn only_the_topic_with_the_culprit_is_isolated_and_a_reload_ends_that() {
    let cluster = cluster(1);
    refuses(&cluster, &[INVALID]);
    let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &[]));
    submit_numbers(&handle, 0..10);
    renewed(&handle, &rung);
    assert_eq!(handle.shared().suspects.names(), [common::TOPIC]);
    wait_for(&handle, "the records", |s| s.success == 10);
    assert!(matches!(handle.status(), Status::Open(_)));
    handle.reload(settings(&cluster.bootstrap_servers(), &[]), "n@h").expect("reloaded");
    assert!(handle.shared().suspects.names().is_empty());
    submit_numbers(&handle, 10..20);
    wait_for(&handle, "the others", |s| s.success == 20);
    handle.close(LONG);
    assert_eq!(numbers_of(&consume(&cluster, 20), "c"), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_stop_keeps_the_records_of_a_refused_batch_in_the_spool() {
    let (cluster, dir) = (cluster(1), TempDir::new());
    refuses(&cluster, &[INVALID]);
    let more = [("spool", "overflow"), ("spool_dir", dir.text())];
    let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &more));
    submit_numbers(&handle, 0..100);
    rung.recv_timeout(DEADLINE).expect("the bell");
    let closed = handle.close(LONG).expect("it was open");
    assert_eq!(closed.given_up, 0);
    let before = handle.metrics().snapshot();
    assert_eq!((before.failed_total(), before.dropped_total()), (0, 0));
    handle.open(settings(&cluster.bootstrap_servers(), &more), "n@h").expect("opened");
    wait_for(&handle, "100 records", |s| s.success == 100);
    handle.close(LONG);
    assert_eq!(numbers_of(&consume(&cluster, 100), "c"), (0..100).collect::<Vec<_>>());
}

#[test]
fn what_waits_behind_the_first_record_of_a_key_is_given_back_at_the_end() {
    let dir = TempDir::new();
    let more = [("spool", "overflow"), ("spool_dir", dir.text())];
    let (handle, _rung) = opened(settings(&nobody(), &more));
    submit_numbers(&handle, 0..100);
    assert_eq!(handle.metrics().snapshot().queued, 100);
    let closed = handle.close(Duration::ZERO).expect("it was open");
    assert_eq!((closed.given_up, closed.spooled), (0, 100));
}

#[test]
fn reloads_while_records_wait_behind_the_first_of_their_key_reorder_nothing() {
    const RELOADS: u64 = 100;
    const EACH: u64 = 2000;
    let (cluster, dir) = (cluster(1), TempDir::new());
    let more = [("spool", "overflow"), ("spool_dir", dir.text())];
    let (handle, _rung) = opened(settings(&cluster.bootstrap_servers(), &more));
    for reload in 0..RELOADS {
        submit_numbers(&handle, reload * EACH..(reload + 1) * EACH);
        // In another moment each time: some of them find the others leaving, because the first one was acknowledged.
        let moment = Instant::now() + Duration::from_micros(reload * 60);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        handle.reload(settings(&cluster.bootstrap_servers(), &more), "n@h").expect("reloaded");
    }
    let all = RELOADS * EACH;
    wait_for(&handle, "all records", |s| s.success == all);
    handle.close(LONG);
    let count = usize::try_from(all).expect("small");
    assert_eq!(numbers_of(&consume(&cluster, count), "c"), (0..all).collect::<Vec<_>>());
}

#[test]
fn isolated_records_are_kept_where_a_stop_finds_kafka_gone() {
    let (cluster, dir) = (cluster(1), TempDir::new());
    refuses(&cluster, &[INVALID]);
    let more = [("spool", "overflow"), ("spool_dir", dir.text())];
    let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &more));
    submit_numbers(&handle, 0..10);
    renewed(&handle, &rung);
    wait_for(&handle, "the first ones", |s| s.success == 10);
    cluster.broker_down(1).expect("down");
    submit_numbers(&handle, 10..60);
    let closed = handle.close(Duration::ZERO).expect("it was open");
    assert_eq!((closed.given_up, closed.spooled), (0, 50));
    cluster.broker_up(1).expect("up");
    handle.open(settings(&cluster.bootstrap_servers(), &more), "n@h").expect("opened");
    wait_for(&handle, "all", |s| s.success == 60);
    handle.close(LONG);
    assert_eq!(numbers_of(&consume(&cluster, 60), "c"), (0..60).collect::<Vec<_>>());
}

#[test]
fn a_waiter_is_answered_when_its_record_arrives_after_all() {
    let cluster = cluster(1);
    refuses(&cluster, &[INVALID]);
    let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &[("produce", "sync")]));
    let mailbox = common::Mailbox::default();
    assert!(matches!(mailbox.submit(&handle, &publish(b"c", b"1")), Outcome::Wait { .. }));
    renewed(&handle, &rung);
    let (_, answer) = mailbox.receive("the record is with Kafka");
    assert!(matches!(answer, emq_plugin_kafka_nif::waiters::Answer::Safe), "{answer:?}");
    handle.close(LONG);
}

#[test]
fn who_waits_is_answered_though_the_dead_letter_of_the_record_comes_back() {
    let (cluster, dir) = (cluster(1), TempDir::new());
    cluster.create_topic("dead", 1, 1).expect("a topic");
    // The batch, the record alone, and its dead letter; after that the record itself is taken.
    refuses(&cluster, &[INVALID, INVALID, INVALID]);
    let more = [("produce", "sync"), ("spool", "overflow"), ("spool_dir", dir.text()), ("dead_letter_topic", "dead")];
    let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &more));
    let mailbox = common::Mailbox::default();
    assert!(matches!(mailbox.submit(&handle, &publish(b"c", b"1")), Outcome::Wait { .. }));
    renewed(&handle, &rung);
    renewed(&handle, &rung);
    let (_, answer) = mailbox.receive("the record is with Kafka");
    assert!(matches!(answer, emq_plugin_kafka_nif::waiters::Answer::Safe), "{answer:?}");
    handle.close(LONG);
}

#[test]
fn a_flush_waits_for_isolated_records() {
    let cluster = cluster(1);
    refuses(&cluster, &[INVALID]);
    let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), &[]));
    submit_numbers(&handle, 0..10);
    renewed(&handle, &rung);
    submit_numbers(&handle, 10..500);
    handle.flush(LONG).expect("flushed");
    assert_eq!(handle.metrics().snapshot().success, 500);
    handle.close(LONG);
}

/// The documented table and the code: the same errors, the same blame, the same order.
#[test]
fn the_table_of_kafkas_errors_is_that_of_the_code() {
    let table = include_str!("../../docs/KAFKA_ERRORS.md");
    let source = include_str!("../src/blame.rs");
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let (name, rest) = row.split_once('`').expect("a name");
            let blamed = rest.split('|').nth(2).expect("who is to blame").trim();
            (name, blamed)
        })
        .collect();
    let arms: Vec<String> = source
        .split("match error {")
        .nth(1)
        .and_then(|text| text.split("        }\n    }\n").next())
        .expect("the match")
        .split("RDKafkaErrorCode::")
        .skip(1)
        .map(|text| text.chars().take_while(char::is_ascii_alphanumeric).collect())
        .collect();
    let known = known_errors();
    let find = |name: &str| known.iter().find(|(known, _)| known == name).map(|(_, error)| *error);
    for (name, blamed) in &rows {
        let error = find(name).unwrap_or_else(|| panic!("{name} is no error"));
        let said = match blame(error) {
            Blame::Record => "record",
            Blame::Size => "size",
            Blame::Topic => "topic",
            Blame::Limit => "limit",
            Blame::Producer => "producer",
            Blame::Nobody => "nobody",
        };
        assert_eq!(*blamed, said, "{name}");
    }
    let in_code: Vec<_> = known
        .iter()
        .filter_map(|(name, error)| Some((arms.iter().position(|arm| *arm == format!("{error:?}"))?, name.clone())))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_values()
        .collect();
    assert_eq!(rows.iter().map(|(name, _)| *name).collect::<Vec<_>>(), in_code);
}

/// Every error by the name that is counted.
fn known_errors() -> Vec<(String, RDKafkaErrorCode)> {
    let codes = (-199..=-101).chain([-1]).chain(1..=110);
    let mut descriptions = std::ptr::null();
    let mut count = 0;
    // SAFETY: both are written; the table is static.
    let table = unsafe {
        rdkafka::bindings::rd_kafka_get_err_descs(&raw mut descriptions, &raw mut count);
        std::slice::from_raw_parts(descriptions, count)
    };
    let exists = |code: i32| table.iter().any(|entry| entry.code as i32 == code && !entry.name.is_null());
    codes
        .filter(|code| exists(*code))
        .filter_map(|code| {
            let entry = table.iter().find(|entry| entry.code as i32 == code)?;
            let error: RDKafkaErrorCode = entry.code.into();
            Some((error_name(error), error))
        })
        .collect()
}
