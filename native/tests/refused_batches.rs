//! What becomes of a batch that Kafka refuses, against librdkafka's mock cluster: who is to blame, and who is not.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{
    Cluster, DEADLINE, Mailbox, TempDir, cluster, consume, nobody, numbers_of, publish, publish_numbers, publish_to,
    settings, submit, wait_for,
};
use emq_plugin_kafka_nif::account::waiters::Answer;
use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::flow::handle::{Handle, Status};
use emq_plugin_kafka_nif::flow::outcome::Outcome;
use emq_plugin_kafka_nif::kafka::errors::TABLE;
use emq_plugin_kafka_nif::kafka::errors::error_name;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const INVALID: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// An open plugin, what it sends to, and what rings when its producer is to be replaced.
struct Case<'a> {
    cluster: Cluster,
    more: Pairs<'a>,
    handle: Handle,
    rung: Receiver<()>,
}

impl<'a> Case<'a> {
    /// Kafka refuses the first batches with these errors.
    fn refusing(errors: &[RDKafkaRespErr], more: Pairs<'a>) -> Self {
        let cluster = cluster(1);
        cluster.request_errors(RDKafkaApiKey::Produce, errors);
        let (handle, rung) = opened(settings(&cluster.bootstrap_servers(), more));
        Self { cluster, more, handle, rung }
    }

    fn settings(&self) -> Settings {
        settings(&self.cluster.bootstrap_servers(), self.more)
    }

    fn publish(&self, numbers: std::ops::Range<u64>) {
        publish_numbers(&self.handle, "c", numbers);
    }

    /// Waits for the bell, and does what it asks for.
    fn renew(&self) {
        self.rung.recv_timeout(DEADLINE).expect("the bell");
        assert!(matches!(self.handle.status(), Status::Spoiled(_)), "{:?}", self.handle.status());
        self.handle.reopen().expect("another producer");
    }

    fn wait_for_success(&self, count: u64) {
        let counters = wait_for(&self.handle, "all records", |s| s.success == count);
        assert_eq!((counters.failed_total(), counters.dropped_total()), (0, 0));
    }

    /// Closes; these are in Kafka, in this order.
    fn ends_with(self, numbers: std::ops::Range<u64>) {
        self.handle.close(DEADLINE);
        let expected: Vec<_> = numbers.collect();
        assert_eq!(numbers_of(&consume(&self.cluster, expected.len()), "c"), expected);
    }
}

fn opened(settings: Settings) -> (Handle, Receiver<()>) {
    let handle = Handle::default();
    let (sender, rung) = channel();
    handle.shared().isolated_topics.on_change(move || sender.send(()).unwrap_or_default());
    handle.open(settings, "n@h").expect("opened");
    (handle, rung)
}

fn spool(dir: &TempDir) -> [(&str, &str); 2] {
    [("spool", "overflow"), ("spool_dir", dir.text())]
}

#[test]
fn a_refused_batch_arrives_in_parts_before_what_came_later() {
    for error in [INVALID, TOO_LARGE] {
        for spool in ["off", "overflow", "always"] {
            let dir = TempDir::new();
            let more = [("spool", spool), ("spool_dir", dir.text())];
            let case = Case::refusing(&[error], &more);
            case.publish(0..100);
            case.renew();
            case.publish(100..200);
            case.wait_for_success(200);
            case.ends_with(0..200);
        }
    }
}

#[test]
fn what_is_refused_alone_is_refused_for_good_under_kafkas_reason() {
    for (error, name) in [(INVALID, "invalid_record"), (TOO_LARGE, "message_size_too_large")] {
        // The first producer's batch, and then the first record by itself.
        let case = Case::refusing(&[error, error], &[]);
        case.publish(0..50);
        case.renew();
        let counters = wait_for(&case.handle, "the rest", |s| s.success == 49);
        assert_eq!(counters.failed.get(name), Some(&1), "{counters:?}");
        case.ends_with(1..50);
    }
}

#[test]
fn only_the_topic_with_the_culprit_is_isolated_and_a_reload_ends_that() {
    let more = [
        ("hook.message.publish.1", r#"{"filter":"t/#"}"#),
        ("hook.message.publish.2", r#"{"filter":"u/#","topic":"two"}"#),
    ];
    let case = Case::refusing(&[INVALID], &more);
    case.publish(0..10);
    case.renew();
    submit(&case.handle, &publish_to(b"c", b"u/1", b"x"));
    case.wait_for_success(11);
    assert_eq!(case.handle.shared().isolated_topics.names(), [common::TOPIC]);
    assert!(matches!(case.handle.status(), Status::Open(_)));
    case.handle.reload(case.settings(), "n@h").expect("reloaded");
    assert!(case.handle.shared().isolated_topics.names().is_empty());
    case.publish(10..20);
    case.wait_for_success(21);
    case.ends_with(0..20);
}

#[test]
fn a_stop_keeps_the_records_of_a_refused_batch_in_the_spool() {
    let dir = TempDir::new();
    let more = spool(&dir);
    let case = Case::refusing(&[INVALID], &more);
    case.publish(0..100);
    case.rung.recv_timeout(DEADLINE).expect("the bell");
    let closed = case.handle.close(DEADLINE).expect("it was open");
    assert_eq!(closed.given_up, 0);
    case.handle.open(case.settings(), "n@h").expect("opened");
    case.wait_for_success(100);
    case.ends_with(0..100);
}

#[test]
fn what_waits_behind_the_first_record_of_a_key_is_given_back_at_the_end() {
    let dir = TempDir::new();
    let (handle, _rung) = opened(settings(&nobody(), &spool(&dir)));
    publish_numbers(&handle, "c", 0..100);
    assert_eq!(handle.metrics().snapshot().queued, 100);
    let closed = handle.close(Duration::ZERO).expect("it was open");
    assert_eq!((closed.given_up, closed.spooled), (0, 100));
}

/// In many moments: what is in whose hand then is in the unit tests of `ordered`.
#[test]
fn reloads_while_records_wait_behind_the_first_of_their_key_reorder_nothing() {
    const RELOADS: u64 = 30;
    const EACH: u64 = 2000;
    let dir = TempDir::new();
    let more = spool(&dir);
    let case = Case::refusing(&[], &more);
    for reload in 0..RELOADS {
        case.publish(reload * EACH..(reload + 1) * EACH);
        // In another moment each time: some of them find the others leaving, because the first one was acknowledged.
        let moment = Instant::now() + Duration::from_micros(reload * 200);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        case.handle.reload(case.settings(), "n@h").expect("reloaded");
    }
    case.wait_for_success(RELOADS * EACH);
    case.ends_with(0..RELOADS * EACH);
}

#[test]
fn isolated_records_are_kept_where_a_stop_finds_kafka_gone() {
    let dir = TempDir::new();
    let more = spool(&dir);
    let case = Case::refusing(&[INVALID], &more);
    case.publish(0..10);
    case.renew();
    case.wait_for_success(10);
    case.cluster.broker_down(1).expect("down");
    case.publish(10..60);
    let closed = case.handle.close(Duration::ZERO).expect("it was open");
    assert_eq!((closed.given_up, closed.spooled), (0, 50));
    case.cluster.broker_up(1).expect("up");
    case.handle.open(case.settings(), "n@h").expect("opened");
    case.wait_for_success(60);
    case.ends_with(0..60);
}

#[test]
fn a_waiter_is_answered_when_its_record_arrives_after_all() {
    let case = Case::refusing(&[INVALID], &[("produce", "sync")]);
    let mailbox = Mailbox::default();
    assert!(matches!(mailbox.submit(&case.handle, &publish(b"c", b"1")), Outcome::Wait { .. }));
    case.renew();
    assert_eq!(mailbox.receive("the record is with Kafka").1, Answer::Safe);
    case.handle.close(DEADLINE);
}

#[test]
fn who_waits_is_answered_though_the_dead_letter_of_the_record_comes_back() {
    let dir = TempDir::new();
    let more = [("produce", "sync"), ("spool", "overflow"), ("spool_dir", dir.text()), ("dead_letter_topic", "dead")];
    // The batch, the record alone, and its dead letter; after that the record itself is taken.
    let case = Case::refusing(&[INVALID, INVALID, INVALID], &more);
    let mailbox = Mailbox::default();
    assert!(matches!(mailbox.submit(&case.handle, &publish(b"c", b"1")), Outcome::Wait { .. }));
    case.renew();
    case.renew();
    assert_eq!(mailbox.receive("the record is with Kafka").1, Answer::Safe);
    case.handle.close(DEADLINE);
}

#[test]
fn a_flush_waits_for_isolated_records() {
    let case = Case::refusing(&[INVALID], &[]);
    case.publish(0..10);
    case.renew();
    case.publish(10..500);
    case.handle.flush(DEADLINE).expect("flushed");
    assert_eq!(case.handle.metrics().snapshot().success, 500);
    case.handle.close(DEADLINE);
}

/// The documented table is that of the code: the same errors, the same blame, the same order.
#[test]
fn the_table_of_kafkas_errors_is_that_of_the_code() {
    let documented = include_str!("../../docs/kafka-errors.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        Some((cells.next()?.trim_matches('`').to_owned(), cells.nth(1)?.to_owned()))
    });
    let known = TABLE.iter().map(|(error, blame)| (error_name(*error), format!("{blame:?}").to_lowercase()));
    assert_eq!(documented.collect::<Vec<_>>(), known.collect::<Vec<_>>());
}
