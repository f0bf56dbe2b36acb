//! When a client's `QoS` 1 message is answered: `produce` and `on_failure`, `overflow = block`.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::{
    Mailbox, TempDir, assert_adds_up, cluster, dropped, nobody, publish, publish_to, settings, submit, wait_for,
};
use emq_plugin_kafka_nif::account::waiters::Answer;
use emq_plugin_kafka_nif::flow::handle::Handle;
use emq_plugin_kafka_nif::flow::outcome::Outcome;
use emq_plugin_kafka_nif::metrics::DropReason;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const LONG: Duration = Duration::from_mins(1);

fn open(server: &str, dir: &TempDir, more: &[(&str, &str)]) -> Handle {
    let handle = Handle::default();
    let base = [("spool", "overflow"), ("spool_dir", dir.text()), ("spool_segment_size", "1048576")];
    let all: Vec<_> = base.into_iter().chain(more.iter().copied()).collect();
    handle.open(settings(server, &all), "n@h").expect("opened");
    handle
}

fn waits(outcome: &Outcome) -> (u64, bool) {
    match outcome {
        Outcome::Wait { id, disconnects, .. } => (*id, *disconnects),
        other => panic!("it does not wait: {other:?}"),
    }
}

#[test]
fn durable_is_answered_from_the_disk_though_kafka_is_down() {
    let (dir, mailbox) = (TempDir::new(), Mailbox::default());
    let handle = open(&nobody(), &dir, &[("produce", "durable")]);
    let (id, disconnects) = waits(&mailbox.submit(&handle, &publish(b"a", b"1")));
    assert!(disconnects);
    assert_eq!(mailbox.receive("the disk has it"), (id, Answer::Safe));
    assert_eq!(handle.metrics().snapshot().spooled, 1);
    assert!(matches!(submit(&handle, &publish(b"a", b"2")), Outcome::Queued(_)), "others never wait");
    assert_eq!(handle.metrics().snapshot().spooled, 2, "but take the same path");
    handle.close(LONG);
}

#[test]
fn sync_is_answered_when_kafka_has_it_and_not_before() {
    for spool in ["off", "overflow", "always"] {
        let (dir, mailbox, cluster) = (TempDir::new(), Mailbox::default(), cluster(1));
        cluster.broker_down(1).expect("down");
        let more = [("produce", "sync"), ("spool", spool), ("rdkafka.reconnect.backoff.max.ms", "200")];
        let handle = open(&cluster.bootstrap_servers(), &dir, &more);
        let (id, disconnects) = waits(&mailbox.submit(&handle, &publish(b"a", b"1")));
        assert!(disconnects && mailbox.is_empty());
        cluster.broker_up(1).expect("up");
        assert_eq!(mailbox.receive("Kafka has it"), (id, Answer::Safe), "{spool}");
        assert_eq!(handle.metrics().snapshot().success, 1, "counted before it is told");
        handle.close(LONG);
    }
}

#[test]
fn a_refused_record_is_told_and_a_stop_answers_who_still_waits() {
    let (dir, mailbox, cluster) = (TempDir::new(), Mailbox::default(), cluster(1));
    let handle = open(&cluster.bootstrap_servers(), &dir, &[("produce", "sync"), ("idempotence", "false")]);
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let (id, _) = waits(&mailbox.submit(&handle, &publish(b"a", b"1")));
    assert_eq!(mailbox.receive("a refusal"), (id, Answer::Refused("topic_authorization_failed".into())));
    handle.close(LONG);
    cluster.broker_down(1).expect("down");
    let handle = open(&cluster.bootstrap_servers(), &dir, &[("produce", "sync")]);
    let (id, _) = waits(&mailbox.submit(&handle, &publish(b"a", b"2")));
    let closed = handle.close(LONG).expect("it was open");
    assert_eq!(mailbox.receive("the stop"), (id, Answer::Refused("closed".into())));
    assert_eq!(closed.spooled, 1, "the record itself is kept");
    // A callback that was on its way: what is not stored is not acknowledged.
    assert_eq!(mailbox.submit(&handle, &publish(b"a", b"3")), Outcome::Refused("closed".into()));
    assert_eq!(submit(&handle, &publish(b"a", b"4")), dropped(DropReason::Closed));
}

/// EMQ 2.3's hooks stay for a second after a stop. Messages of `$SYS` and of topics that no rule wants are none of the plugin's business.
#[test]
fn after_a_stop_only_what_a_rule_wants_is_counted_and_refused() {
    let (dir, mailbox) = (TempDir::new(), Mailbox::default());
    let rules = [
        ("hook.message.publish.safe", r#"{"filter":"safe/#","produce":"durable"}"#),
        ("hook.message.publish.any", r#"{"filter":"any/#"}"#),
    ];
    let handle = open(&nobody(), &dir, &rules);
    handle.close(LONG);
    let waiting = |topic: &[u8]| mailbox.submit(&handle, &publish_to(b"a", topic, b"x"));
    assert_eq!(waiting(b"safe/1"), Outcome::Refused("closed".into()));
    assert_eq!(waiting(b"any/1"), dropped(DropReason::Closed));
    assert_eq!([waiting(b"other"), waiting(b"$SYS/brokers")], [Outcome::Ignored, Outcome::Ignored]);
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    assert_eq!((counters.accepted, counters.dropped.get(&DropReason::Closed)), (2, Some(&2)));
    assert_eq!(handle.shared().waiters.disconnected(), 1);
}

#[test]
fn a_stop_lets_the_disk_answer_who_waits_for_it() {
    let (dir, mailbox) = (TempDir::new(), Mailbox::default());
    for _ in 0..5 {
        let handle = open(&nobody(), &dir, &[("produce", "durable")]);
        let ids: Vec<_> = (0..50).map(|_| waits(&mailbox.submit(&handle, &publish(b"a", b"x"))).0).collect();
        handle.close(LONG);
        for id in ids {
            assert_eq!(mailbox.receive("the disk has it"), (id, Answer::Safe));
        }
    }
}

#[test]
fn sync_survives_a_reload() {
    let (dir, mailbox, cluster) = (TempDir::new(), Mailbox::default(), cluster(1));
    cluster.broker_down(1).expect("down");
    let more = [("produce", "sync"), ("rdkafka.reconnect.backoff.max.ms", "200")];
    let handle = open(&cluster.bootstrap_servers(), &dir, &more);
    let (id, _) = waits(&mailbox.submit(&handle, &publish(b"a", b"1")));
    let base = [("spool", "overflow"), ("spool_dir", dir.text()), ("spool_segment_size", "1048576")];
    let next: Vec<_> = base.into_iter().chain(more).chain([("compression", "none")]).collect();
    handle.reload(settings(&cluster.bootstrap_servers(), &next), "n@h").expect("reloaded");
    cluster.broker_up(1).expect("up");
    assert_eq!(mailbox.receive("Kafka has it"), (id, Answer::Safe));
    handle.close(LONG);
}

#[test]
fn a_rule_has_its_own_mode_and_an_event_of_several_waits_for_all() {
    let (dir, mailbox, cluster) = (TempDir::new(), Mailbox::default(), cluster(1));
    cluster.broker_down(1).expect("down");
    let rules = [
        ("hook.message.publish.1", r#"{"filter":"t/#","produce":"durable"}"#),
        ("hook.message.publish.2", r#"{"filter":"t/1","produce":"sync","on_failure":"continue"}"#),
        ("hook.message.publish.3", r#"{"filter":"async/#"}"#),
        ("rdkafka.reconnect.backoff.max.ms", "200"),
    ];
    let handle = open(&cluster.bootstrap_servers(), &dir, &rules);
    let durable = common::publish_to(b"a", b"t/2", b"x");
    let (id, _) = waits(&mailbox.submit(&handle, &durable));
    assert_eq!(mailbox.receive("the disk has it"), (id, Answer::Safe));
    let both = common::publish_to(b"a", b"t/1", b"x");
    let (id, disconnects) = waits(&mailbox.submit(&handle, &both));
    assert!(disconnects, "one of its rules wants that");
    let plain = common::publish_to(b"a", b"async/1", b"x");
    assert!(matches!(mailbox.submit(&handle, &plain), Outcome::Queued(_)));
    assert!(mailbox.is_empty(), "one of its records is not in Kafka");
    cluster.broker_up(1).expect("up");
    assert_eq!(mailbox.receive("both are safe"), (id, Answer::Safe));
    handle.close(LONG);
}

#[test]
fn a_drop_ends_the_publisher_only_where_on_failure_says_so() {
    let dir = TempDir::new();
    for (on_failure, ends) in [("auto", false), ("continue", false), ("disconnect", true)] {
        let mailbox = Mailbox::default();
        let more = [("spool", "off"), ("queue_max_messages", "1"), ("on_failure", on_failure)];
        let handle = open(&nobody(), &dir, &more);
        assert!(matches!(mailbox.submit(&handle, &publish(b"a", b"1")), Outcome::Queued(_)));
        let expected = if ends { Outcome::Refused("queue_full".into()) } else { dropped(DropReason::QueueFull) };
        assert_eq!(mailbox.submit(&handle, &publish(b"a", b"2")), expected);
        assert_eq!(submit(&handle, &publish(b"a", b"3")), dropped(DropReason::QueueFull), "nobody to disconnect");
        assert_eq!(handle.shared().waiters.disconnected(), u64::from(ends));
        handle.close(Duration::ZERO);
    }
}

#[test]
fn beyond_the_bound_of_waiters_nobody_waits() {
    let (dir, mailbox) = (TempDir::new(), Mailbox::default());
    let more = [("produce", "sync"), ("produce_max_waiters", "1"), ("spool", "off")];
    let handle = open(&nobody(), &dir, &more);
    waits(&mailbox.submit(&handle, &publish(b"a", b"1")));
    assert_eq!(mailbox.submit(&handle, &publish(b"b", b"2")), Outcome::Refused("waiters_full".into()));
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    assert_eq!((counters.queued, counters.dropped.get(&DropReason::WaitersFull)), (1, Some(&1)));
    handle.close(Duration::ZERO);
    let handle = open(&nobody(), &dir, &[("on_failure", "continue")].into_iter().chain(more).collect::<Vec<_>>());
    waits(&mailbox.submit(&handle, &publish(b"a", b"1")));
    assert!(matches!(mailbox.submit(&handle, &publish(b"b", b"2")), Outcome::Queued(_)), "taken, not waited for");
    handle.close(Duration::ZERO);
}

#[test]
fn a_publisher_waits_for_room_where_overflow_is_block() {
    let (dir, mailbox, cluster) = (TempDir::new(), Mailbox::default(), cluster(1));
    cluster.broker_down(1).expect("down");
    let more = [
        ("spool", "off"),
        ("overflow", "block"),
        ("queue_max_messages", "1"),
        ("rdkafka.reconnect.backoff.max.ms", "200"),
    ];
    let handle = open(&cluster.bootstrap_servers(), &dir, &more);
    assert!(matches!(mailbox.submit(&handle, &publish(b"a", b"1")), Outcome::Queued(_)));
    let event = publish(b"a", b"2");
    let Outcome::Full { id, from: 0, .. } = mailbox.submit(&handle, &event) else { panic!("there is room") };
    assert_eq!(handle.metrics().snapshot().accepted, 1, "it comes again");
    assert_eq!(submit(&handle, &event), dropped(DropReason::QueueFull), "others cannot wait");
    cluster.broker_up(1).expect("up");
    assert_eq!(mailbox.receive("room"), (id, Answer::Room));
    assert!(matches!(mailbox.submit_again(&handle, &event, id, 0, false), Outcome::Queued(_)));
    let counters = wait_for(&handle, "both", |s| s.success == 2);
    assert_eq!((counters.accepted, handle.shared().waiters.count()), (3, 0));
    cluster.broker_down(1).expect("down");
    assert!(matches!(mailbox.submit(&handle, &publish(b"a", b"3")), Outcome::Queued(_)));
    let Outcome::Full { id, from, .. } = mailbox.submit(&handle, &event) else { panic!("there is room") };
    assert_eq!(mailbox.submit_again(&handle, &event, id, from, true), dropped(DropReason::QueueFull), "its last try");
    assert_eq!(handle.shared().waiters.count(), 0);
    handle.close(Duration::ZERO);
}

#[test]
fn who_waits_for_kafka_and_found_no_room_at_first_is_answered_when_the_record_is_safe() {
    let (dir, mailbox, cluster) = (TempDir::new(), Mailbox::default(), cluster(1));
    cluster.broker_down(1).expect("down");
    let more = [
        ("produce", "sync"),
        ("spool", "off"),
        ("overflow", "block"),
        ("queue_max_messages", "1"),
        ("rdkafka.reconnect.backoff.max.ms", "200"),
    ];
    let handle = open(&cluster.bootstrap_servers(), &dir, &more);
    assert!(matches!(submit(&handle, &publish(b"a", b"1")), Outcome::Queued(_)));
    let event = publish(b"a", b"2");
    let Outcome::Full { id, from, .. } = mailbox.submit(&handle, &event) else { panic!("there is room") };
    cluster.broker_up(1).expect("up");
    assert_eq!(mailbox.receive("room"), (id, Answer::Room));
    assert!(
        matches!(mailbox.submit_again(&handle, &event, id, from, false), Outcome::Wait { id: same, .. } if same == id)
    );
    assert_eq!(mailbox.receive("Kafka has it"), (id, Answer::Safe));
    assert_eq!(handle.shared().waiters.count(), 0);
    handle.close(Duration::ZERO);
}
