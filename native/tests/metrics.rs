//! What is counted beside the outcomes: rules, topics, times, and librdkafka's own numbers.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::time::{Duration, Instant};

use common::{Mailbox, cluster, dropped, nobody, publish, publish_to, settings, submit, wait_for};
use emq_plugin_kafka_nif::event::EventKind;
use emq_plugin_kafka_nif::flow::handle::Handle;
use emq_plugin_kafka_nif::flow::outcome::Outcome;
use emq_plugin_kafka_nif::metrics::DropReason;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const LONG: Duration = Duration::from_mins(1);

/// Name, matched, dropped.
fn rules(handle: &Handle) -> Vec<(String, u64, u64)> {
    handle.rules().into_iter().map(|rule| (rule.name, rule.matched, rule.dropped)).collect()
}

fn expected(rules: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
    rules.iter().map(|(name, matched, dropped)| ((*name).to_owned(), *matched, *dropped)).collect()
}

/// Name, success, failed.
fn topics(handle: &Handle) -> Vec<(String, u64, u64)> {
    let counts = handle.metrics().topics.counts();
    counts.into_iter().map(|(topic, counts)| (topic, counts.success, counts.failed)).collect()
}

#[test]
fn a_rule_counts_what_it_wanted_and_what_of_it_was_dropped() {
    let handle = Handle::default();
    let more = [
        ("hook.message.publish.hot", r#"{ "key": "${topic[1]}", "filter": "t/#" }"#),
        ("hook.message.publish.all", "{}"),
        ("hook.client.connected.all", "{}"),
    ];
    handle.open(settings(&nobody(), &more), "n@h").expect("opened");
    submit(&handle, &publish_to(b"c", b"t/1", b"x"));
    submit(&handle, &publish_to(b"c", b"t/2", b"x"));
    submit(&handle, &publish_to(b"c", b"u", b"x"));
    // No second level for the key of the first rule.
    assert_eq!(submit(&handle, &publish_to(b"c", b"t", b"x")), dropped(DropReason::MissingField));
    let all = handle.rules();
    let events: Vec<_> = all.iter().map(|rule| rule.event).collect();
    assert_eq!(events, [EventKind::ClientConnected, EventKind::MessagePublish, EventKind::MessagePublish]);
    assert_eq!(rules(&handle), expected(&[("all", 0, 0), ("hot", 3, 1), ("all", 4, 0)]));
    assert_eq!(all[1].definition, r#"{"filter":"t/#","key":"${topic[1]}"}"#);
    handle.close(Duration::ZERO);
    assert_eq!(handle.rules(), [], "none while nothing is open");
}

#[test]
fn without_rules_the_five_defaults_count() {
    let handle = Handle::default();
    handle.open(settings(&nobody(), &[("queue_max_messages", "1")]), "n@h").expect("opened");
    submit(&handle, &publish(b"c", b"x"));
    assert_eq!(submit(&handle, &publish(b"c", b"x")), dropped(DropReason::QueueFull));
    let of_default = |matched, dropped| ("default", matched, dropped);
    let defaults = [of_default(0, 0), of_default(0, 0), of_default(0, 0), of_default(0, 0), of_default(2, 1)];
    assert_eq!(rules(&handle), expected(&defaults));
    handle.close(Duration::ZERO);
}

#[test]
fn a_rules_counters_survive_reload_and_restart_and_go_with_it() {
    let handle = Handle::default();
    let with = |name: &str, rule: &str| settings(&nobody(), &[(name, rule), ("hook.message.publish.b", "{}")]);
    handle.open(with("hook.message.publish.a", "{}"), "n@h").expect("opened");
    submit(&handle, &publish(b"c", b"x"));
    handle.reload(with("hook.message.publish.a", r#"{"key":"k"}"#), "n@h").expect("reloaded");
    submit(&handle, &publish(b"c", b"x"));
    assert_eq!(rules(&handle), expected(&[("a", 2, 0), ("b", 2, 0)]));
    handle.close(Duration::ZERO);
    handle.open(with("hook.message.publish.a", "{}"), "n@h").expect("opened");
    assert_eq!(rules(&handle), expected(&[("a", 2, 0), ("b", 2, 0)]));
    handle.reload(with("hook.message.publish.c", "{}"), "n@h").expect("reloaded");
    assert_eq!(rules(&handle), expected(&[("c", 0, 0), ("b", 2, 0)]));
    handle.reload(with("hook.message.publish.a", "{}"), "n@h").expect("reloaded");
    assert_eq!(rules(&handle), expected(&[("a", 0, 0), ("b", 2, 0)]));
    handle.close(Duration::ZERO);
}

#[test]
fn an_event_that_waits_for_room_is_matched_once_by_each_rule() {
    let (mailbox, handle) = (Mailbox::default(), Handle::default());
    let more = [
        ("overflow", "block"),
        ("queue_max_messages", "1"),
        ("hook.message.publish.a", "{}"),
        ("hook.message.publish.b", "{}"),
        ("hook.message.publish.c", "{}"),
    ];
    handle.open(settings(&nobody(), &more), "n@h").expect("opened");
    let event = publish(b"c", b"x");
    let Outcome::Full { id, from, .. } = mailbox.submit(&handle, &event) else { panic!("there is room for one only") };
    assert_eq!(rules(&handle), expected(&[("a", 1, 0), ("b", 1, 0), ("c", 0, 0)]));
    let again = mailbox.submit_again(&handle, &event, id, from, false);
    let Outcome::Full { id, from, .. } = again else { panic!("there is no more room: {again:?}") };
    assert_eq!(mailbox.submit_again(&handle, &event, id, from, true), dropped(DropReason::QueueFull));
    assert_eq!(rules(&handle), expected(&[("a", 1, 0), ("b", 1, 1), ("c", 1, 1)]));
    handle.close(Duration::ZERO);
}

#[test]
fn a_topic_counts_what_kafka_took_and_refused() {
    let cluster = cluster(1);
    let handle = Handle::default();
    let more = [
        ("idempotence", "false"),
        ("topic_max_dynamic", "2"),
        ("hook.message.publish.fixed", r#"{"filter":"fixed/#","topic":"named"}"#),
        ("hook.message.publish.made", r#"{"filter":"made/#","topic":"${topic[1]}"}"#),
    ];
    handle.open(settings(&cluster.bootstrap_servers(), &more), "n@h").expect("opened");
    assert_eq!(topics(&handle), expected(&[("mqtt", 0, 0), ("named", 0, 0)]), "from the start");
    for (topic, records) in [(&b"fixed/1"[..], 3), (b"made/a", 2), (b"made/b", 1), (b"made/c", 4)] {
        for _ in 0..records {
            submit(&handle, &publish_to(b"c", topic, b"x"));
        }
    }
    wait_for(&handle, "all records", |s| s.success == 10);
    // Beyond topic.max_dynamic, records go to the default topic.
    assert_eq!(topics(&handle), expected(&[("a", 2, 0), ("b", 1, 0), ("mqtt", 4, 0), ("named", 3, 0)]));
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    submit(&handle, &publish_to(b"c", b"made/a", b"x"));
    wait_for(&handle, "a refusal", |s| s.failed_total() == 1);
    assert_eq!(topics(&handle)[0], ("a".to_owned(), 2, 1));
    handle.close(LONG);
    assert_eq!(topics(&handle)[0], ("a".to_owned(), 2, 1), "they outlive the producer");
}

#[test]
fn a_dead_letter_is_no_record_of_a_topic() {
    let cluster = cluster(1);
    let handle = Handle::default();
    let more = [("idempotence", "false"), ("dead_letter_topic", "dead")];
    handle.open(settings(&cluster.bootstrap_servers(), &more), "n@h").expect("opened");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    submit(&handle, &publish(b"c", b"x"));
    wait_for(&handle, "a dead letter", |s| s.dead_lettered == 1);
    assert_eq!(topics(&handle), expected(&[("mqtt", 0, 1)]));
    assert_eq!(handle.metrics().latency.snapshot().count(), 0, "Kafka never acknowledged it");
    handle.close(LONG);
}

/// librdkafka's mock answers as a Kafka that gives records its own time: what is measured here is how long librdkafka had them.
/// The Common Test suites measure from the hook, with a real Kafka.
#[test]
fn the_time_to_the_acknowledgement_is_counted_where_kafka_gives_records_a_time_of_its_own() {
    let (cluster, handle) = (cluster(1), Handle::default());
    cluster.broker_down(1).expect("down");
    let quick = [("rdkafka.reconnect.backoff.max.ms", "100")];
    handle.open(settings(&cluster.bootstrap_servers(), &quick), "n@h").expect("opened");
    let begun = Instant::now();
    submit(&handle, &publish(b"c", b"1"));
    // What is measured is time.
    std::thread::sleep(Duration::from_millis(300));
    cluster.broker_up(1).expect("up");
    wait_for(&handle, "the record", |s| s.success == 1);
    let most = u64::try_from(begun.elapsed().as_millis()).expect("not long");
    let times = handle.metrics().latency.snapshot();
    assert_eq!(times.count(), 1);
    assert!((300..=most + 1).contains(&times.sum_ms()), "{} of {most}", times.sum_ms());
    let cumulative = times.cumulative();
    assert!(cumulative.contains(&(Some(200), 0)) && cumulative.last() == Some(&(None, 1)), "{cumulative:?}");
    handle.close(LONG);
}

#[test]
fn librdkafkas_own_numbers_are_there_while_it_is_open() {
    let cluster = cluster(3);
    let handle = Handle::default();
    assert_eq!(handle.statistics(), None);
    let more = [("rdkafka.statistics.interval.ms", "50")];
    handle.open(settings(&cluster.bootstrap_servers(), &more), "n@h").expect("opened");
    for _ in 0..10 {
        submit(&handle, &publish(b"c", b"x"));
    }
    let deadline = Instant::now() + common::DEADLINE;
    let numbers = loop {
        assert!(Instant::now() < deadline, "no statistics: {:?}", handle.statistics());
        match handle.statistics() {
            Some(numbers) if numbers.sent == 10 && numbers.brokers.iter().any(|b| b.id == 1 && b.requests > 0) => {
                break numbers;
            }
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let broker = numbers.brokers.iter().find(|broker| broker.id == 1).expect("the broker");
    assert_eq!((broker.state.as_str(), broker.errors), ("UP", 0));
    assert!(numbers.sent_bytes > 10 && numbers.age < LONG);
    let topic = numbers.topics.iter().find(|topic| topic.name == common::TOPIC).expect("the topic");
    assert_eq!(topic.partitions, 3);
    handle.close(LONG);
    assert_eq!(handle.statistics(), None);
}

#[test]
fn the_operator_may_switch_librdkafkas_numbers_off() {
    let interval = |more: &[(&str, &str)]| {
        settings("h", more).client_config().get("statistics.interval.ms").expect("set").to_owned()
    };
    assert_eq!(interval(&[]), "5000");
    assert_eq!(interval(&[("rdkafka.statistics.interval.ms", "0")]), "0");
}
