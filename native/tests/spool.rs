//! What the spool keeps, through outages, stops, starts, reloads and failures, against librdkafka's mock cluster.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{
    TempDir, assert_adds_up, cluster, consume, consume_from, dropped, nobody, numbers_of, publish, publish_numbers,
    settings, submit, wait_for,
};
use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::flow::handle::{Handle, Status};
use emq_plugin_kafka_nif::flow::outcome::Outcome;
use emq_plugin_kafka_nif::metrics::DropReason;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const LONG: Duration = Duration::from_mins(1);

fn spooling(server: &str, dir: &TempDir, spool: &str, more: &[(&str, &str)]) -> Settings {
    let base = [
        ("spool", spool),
        ("spool_dir", dir.text()),
        ("spool_segment_size", "1048576"),
        ("spool_max_size", "67108864"),
    ];
    settings(server, &base.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn what_memory_cannot_take_goes_to_the_spool_and_arrives_in_order() {
    let (dir, cluster) = (TempDir::new(), cluster(4));
    let handle = Handle::default();
    cluster.broker_down(1).expect("down");
    let more = [("queue_max_messages", "10"), ("rdkafka.reconnect.backoff.max.ms", "200")];
    handle.open(spooling(&cluster.bootstrap_servers(), &dir, "overflow", &more), "n@h").expect("opened");
    for client in ["a", "b", "c"] {
        publish_numbers(&handle, client, 0..50);
    }
    let held = handle.metrics().snapshot();
    assert_eq!((held.queued, held.spooled), (10, 140));
    cluster.broker_up(1).expect("up");
    wait_for(&handle, "all records", |s| s.success == 150 && s.spooled == 0);
    publish_numbers(&handle, "a", 50..60);
    wait_for(&handle, "later records", |s| s.success == 160);
    handle.close(LONG);
    let records = consume(&cluster, 160);
    assert_eq!(numbers_of(&records, "a"), (0..60).collect::<Vec<_>>());
    assert_eq!(numbers_of(&records, "c"), (0..50).collect::<Vec<_>>());
}

#[test]
fn a_stop_keeps_the_backlog_and_the_next_start_sends_it_in_order() {
    let (dir, cluster) = (TempDir::new(), cluster(2));
    let handle = Handle::default();
    let small = [("queue_max_messages", "20")];
    let nowhere = nobody();
    // Three lives without Kafka: each leaves records that came straight from hooks before those of its spool.
    for life in 0..3_u64 {
        handle.open(spooling(&nowhere, &dir, "overflow", &small), "n@h").expect("opened");
        publish_numbers(&handle, "a", life * 100..life * 100 + 100);
        let closed = handle.close(LONG).expect("it was open");
        assert_eq!((closed.given_up, closed.spooled), (0, (life + 1) * 100));
        assert_adds_up(&handle.metrics().snapshot());
    }
    handle.open(spooling(&cluster.bootstrap_servers(), &dir, "overflow", &small), "n@h").expect("opened");
    publish_numbers(&handle, "a", 300..310);
    let counters = wait_for(&handle, "everything", |s| s.success == 310);
    assert_eq!((counters.accepted, counters.recovered, counters.spooled), (310, 0, 0));
    handle.close(LONG);
    let records = consume(&cluster, 310);
    assert_eq!(numbers_of(&records, "a"), (0..310).collect::<Vec<_>>());
    assert!(records.iter().all(|record| record.json()["ts"].as_i64() == record.timestamp), "times are kept, too");
}

#[test]
fn another_process_finds_what_the_last_one_left() {
    let (dir, cluster) = (TempDir::new(), cluster(1));
    let last = Handle::default();
    last.open(spooling(&nobody(), &dir, "always", &[]), "n@h").expect("opened");
    publish_numbers(&last, "a", 0..30);
    last.close(LONG);
    drop(last);
    let next = Handle::default();
    next.open(spooling(&cluster.bootstrap_servers(), &dir, "always", &[]), "n@h").expect("opened");
    let counters = wait_for(&next, "what was left", |s| s.success == 30);
    assert_eq!((counters.accepted, counters.recovered), (30, 30));
    next.close(LONG);
    let third = Handle::default();
    third.open(spooling(&cluster.bootstrap_servers(), &dir, "always", &[]), "n@h").expect("opened");
    assert_eq!(third.metrics().snapshot().recovered, 0, "what Kafka has is not sent again");
    third.close(LONG);
    assert_eq!(numbers_of(&consume(&cluster, 30), "a"), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_record_keeps_topic_key_headers_time_and_tombstone_in_the_spool() {
    let (dir, cluster) = (TempDir::new(), cluster(1));
    cluster.create_topic("x", 1, 1).expect("a topic");
    let rule = r#"{"topic":"x","format":"raw","tombstone":"on","key":"","headers":{"h":"${clientid}"}}"#;
    let rules = [("hook.message.publish.1", rule)];
    let handle = Handle::default();
    handle.open(spooling(&nobody(), &dir, "always", &rules), "n@h").expect("opened");
    submit(&handle, &publish(b"a", b"\xff\x00"));
    let mut retained = publish(b"a", b"");
    if let emq_plugin_kafka_nif::event::Detail::Message(message, _) = &mut retained.detail {
        message.retain = true;
    }
    submit(&handle, &retained);
    let sent = std::time::SystemTime::now();
    handle.close(LONG);
    // Another rule, another default topic, another node: what is in the spool is finished.
    let other = [("topic", "elsewhere")];
    handle.open(spooling(&cluster.bootstrap_servers(), &dir, "always", &other), "other@h").expect("opened");
    wait_for(&handle, "both records", |s| s.success == 2);
    handle.close(LONG);
    let records = consume_from(&cluster, "x", 2);
    assert_eq!((records[0].key.as_deref(), records[0].bytes.as_deref()), (None, Some(&b"\xff\x00"[..])));
    assert_eq!((records[0].header("h"), records[0].header("node")), (Some("a"), Some("n@h")));
    assert_eq!(records[1].bytes, None, "a tombstone");
    let sent = sent.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    assert!(u128::try_from(records[0].timestamp.expect("a time")).expect("positive") <= sent);
}

/// Several clients publish numbers for as long as `change` runs; returns how many each has published.
fn under_load(handle: &Arc<Handle>, change: impl FnOnce()) -> Vec<u64> {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3)
        .map(|client| {
            let (handle, stop) = (Arc::clone(handle), Arc::clone(&stop));
            std::thread::spawn(move || {
                let client = format!("c{client}");
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    publish_numbers(&handle, &client, number..number + 16);
                    number += 16;
                    // No faster than the mock cluster takes it.
                    while handle.shared().budget.messages() > 10_000 {
                        std::thread::yield_now();
                    }
                }
                number
            })
        })
        .collect();
    change();
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().map(|client| client.join().expect("no client failed")).collect()
}

fn assert_all_in_order(records: &[common::Record], published: &[u64]) {
    for (client, count) in published.iter().enumerate() {
        assert_eq!(numbers_of(records, &format!("c{client}")), (0..*count).collect::<Vec<_>>(), "client {client}");
    }
}

fn pause(handle: &Handle) {
    let until = Instant::now() + Duration::from_millis(30);
    while Instant::now() < until {
        assert_adds_up(&handle.metrics().snapshot());
        std::thread::yield_now();
    }
}

#[test]
fn a_reload_under_load_loses_and_reorders_nothing() {
    for mode in ["off", "overflow", "always"] {
        let (dir, cluster) = (TempDir::new(), cluster(3));
        let handle = Arc::new(Handle::default());
        let server = cluster.bootstrap_servers();
        handle.open(spooling(&server, &dir, mode, &[]), "n@h").expect("opened");
        let published = under_load(&handle, || {
            for compression in ["none", "lz4", "zstd", "gzip"] {
                pause(&handle);
                let settings = spooling(&server, &dir, mode, &[("compression", compression)]);
                handle.reload(settings, "n@h").expect("reloaded");
            }
            pause(&handle);
        });
        let total: u64 = published.iter().sum();
        let counters = wait_for(&handle, "everything", |s| s.success == total);
        assert_eq!((counters.accepted, counters.dropped_total()), (total, 0), "{mode}");
        assert!(
            matches!(handle.status(), Status::Open(settings) if settings.contains(&("compression".into(), "gzip".into())))
        );
        handle.close(LONG);
        assert_all_in_order(&consume(&cluster, usize::try_from(total).expect("fits")), &published);
    }
}

#[test]
fn a_stop_and_start_under_load_loses_only_what_came_while_it_was_closed() {
    let (dir, cluster) = (TempDir::new(), cluster(3));
    let handle = Arc::new(Handle::default());
    let server = cluster.bootstrap_servers();
    handle.open(spooling(&server, &dir, "overflow", &[]), "n@h").expect("opened");
    let stop = Arc::new(AtomicBool::new(false));
    let client = std::thread::spawn({
        let (handle, stop) = (Arc::clone(&handle), Arc::clone(&stop));
        move || {
            let mut accepted = Vec::new();
            for number in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let payload = number.to_string();
                match submit(&handle, &publish(b"a", payload.as_bytes())) {
                    Outcome::Queued(_) => accepted.push(number),
                    outcome => assert_eq!(outcome, dropped(DropReason::Closed)),
                }
                if number.is_multiple_of(16) {
                    std::thread::yield_now();
                }
            }
            accepted
        }
    });
    for _ in 0..5 {
        pause(&handle);
        assert!(handle.suspend().is_some());
        pause(&handle);
        assert_eq!(handle.close(LONG).map(|closed| closed.given_up), Some(0));
        handle.open(spooling(&server, &dir, "overflow", &[]), "n@h").expect("opened");
    }
    stop.store(true, Ordering::Relaxed);
    let accepted = client.join().expect("the client did not fail");
    let counters = wait_for(&handle, "everything", |s| s.queued + s.spooled == 0);
    assert_eq!(counters.success, accepted.len() as u64);
    handle.close(LONG);
    assert_eq!(numbers_of(&consume(&cluster, accepted.len()), "a"), accepted);
}

#[test]
fn a_fatal_producer_is_replaced_and_nothing_is_lost() {
    for mode in ["off", "overflow", "always"] {
        let (dir, cluster) = (TempDir::new(), cluster(1));
        let handle = Handle::default();
        handle.open(spooling(&cluster.bootstrap_servers(), &dir, mode, &[]), "n@h").expect("opened");
        cluster.request_errors(
            RDKafkaApiKey::InitProducerId,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED],
        );
        publish_numbers(&handle, "a", 0..10);
        let deadline = Instant::now() + common::DEADLINE;
        while !matches!(handle.status(), Status::Fatal(_)) {
            assert!(Instant::now() < deadline, "not fatal: {:?}", handle.notices().take());
            std::thread::yield_now();
        }
        publish_numbers(&handle, "a", 10..20);
        assert_adds_up(&handle.metrics().snapshot());
        handle.reopen().expect("reopened");
        publish_numbers(&handle, "a", 20..30);
        let counters = wait_for(&handle, "everything", |s| s.success == 30);
        assert_eq!(counters.accepted, 30, "{mode}");
        handle.close(LONG);
        assert_eq!(numbers_of(&consume(&cluster, 30), "a"), (0..30).collect::<Vec<_>>(), "{mode}");
    }
}

#[test]
fn a_full_spool_drops_and_counts_and_takes_records_again_when_kafka_has_made_room() {
    let (dir, cluster) = (TempDir::new(), cluster(1));
    cluster.broker_down(1).expect("down");
    let handle = Handle::default();
    let small =
        [("spool_max_size", "4194304"), ("queue_max_messages", "10"), ("rdkafka.reconnect.backoff.max.ms", "200")];
    handle.open(spooling(&cluster.bootstrap_servers(), &dir, "overflow", &small), "n@h").expect("opened");
    let payload = vec![b'x'; 10_000];
    let event = publish(b"a", &payload);
    let mut taken = 0_u64;
    let deadline = Instant::now() + common::DEADLINE;
    // The disk may lag behind a burst; full it is when it stays so.
    while handle.spool().is_some_and(|spool| spool.state == emq_kafka_spool::State::Ok) {
        assert!(Instant::now() < deadline, "never full: {:?}", handle.spool());
        if matches!(submit(&handle, &event), Outcome::Queued(_)) {
            taken += 1;
        }
    }
    assert_eq!(submit(&handle, &event), dropped(DropReason::SpoolFull));
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    assert!(taken > 100, "{taken}");
    cluster.broker_up(1).expect("up");
    wait_for(&handle, "everything that was taken", |s| s.success == taken && s.spooled == 0);
    let deadline = Instant::now() + common::DEADLINE;
    while !matches!(submit(&handle, &event), Outcome::Queued(_)) {
        assert!(Instant::now() < deadline, "full for ever: {:?}", handle.spool());
        std::thread::yield_now();
    }
    handle.close(LONG);
}

#[test]
fn two_nodes_never_share_a_spool() {
    let dir = TempDir::new();
    let (first, second) = (Handle::default(), Handle::default());
    first.open(spooling(&nobody(), &dir, "overflow", &[]), "n@h").expect("opened");
    let error = second.open(spooling(&nobody(), &dir, "overflow", &[]), "m@h").expect_err("it is locked").to_string();
    assert!(error.starts_with("emq.plugin.kafka.spool.dir: ") && error.contains(dir.text()), "{error}");
    assert_eq!(second.status(), Status::Closed);
    first.close(LONG);
    second.open(spooling(&nobody(), &dir, "overflow", &[]), "m@h").expect("it is free");
    second.close(LONG);
}

#[test]
fn records_of_a_spool_that_is_left_are_accounted_for() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    let handle = Handle::default();
    handle.open(spooling(&nobody(), &dir, "always", &[]), "n@h").expect("opened");
    publish_numbers(&handle, "a", 0..7);
    handle.close(LONG);
    handle.open(spooling(&nobody(), &other, "always", &[]), "n@h").expect("opened");
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    assert_eq!(counters.dropped.get(&DropReason::LeftBehind), Some(&7));
    handle.close(LONG);
}

#[test]
fn a_reload_cannot_change_the_spool_itself() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    let handle = Handle::default();
    handle.open(spooling(&nobody(), &dir, "overflow", &[]), "n@h").expect("opened");
    for (settings, key) in [
        (spooling(&nobody(), &other, "overflow", &[]), "spool.dir"),
        (spooling(&nobody(), &dir, "off", &[]), "spool "),
        (spooling(&nobody(), &dir, "overflow", &[("spool_max_size", "8388608")]), "spool.max_size"),
    ] {
        let error = handle.reload(settings, "n@h").expect_err(key).to_string();
        assert!(error.starts_with(&format!("emq.plugin.kafka.{key}")), "{error}");
    }
    handle.reload(spooling(&nobody(), &dir, "always", &[]), "n@h").expect("which records it takes can change");
    handle.close(LONG);
}

#[test]
fn what_kafka_refuses_for_good_goes_to_the_dead_letter_topic_with_the_reason() {
    for mode in ["off", "overflow", "always"] {
        let (dir, cluster) = (TempDir::new(), cluster(1));
        cluster.create_topic("dead", 1, 1).expect("a topic");
        let handle = Handle::default();
        let more = [("dead_letter_topic", "dead"), ("idempotence", "false"), ("rdkafka.message.max.bytes", "20000")];
        handle.open(spooling(&cluster.bootstrap_servers(), &dir, mode, &more), "n@h").expect("opened");
        cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
        publish_numbers(&handle, "a", 0..1);
        let counters = wait_for(&handle, "a dead letter", |s| s.dead_lettered == 1);
        assert_eq!(counters.failed.get("topic_authorization_failed"), Some(&1), "{mode}");
        assert!(matches!(submit(&handle, &publish(b"a", &vec![b'x'; 30_000])), Outcome::Queued(_)), "{mode}");
        let counters = wait_for(&handle, "another", |s| s.dead_lettered == 2);
        assert_eq!(counters.dropped.get(&DropReason::TooLarge), Some(&1), "{mode}");
        assert_eq!((counters.accepted, counters.queued, counters.spooled), (2, 0, 0), "{mode}");
        handle.close(LONG);
        let records = consume_from(&cluster, "dead", 2);
        assert_eq!(numbers_of(&records[..1], "a"), [0]);
        assert_eq!(records[0].header("dead_letter.topic"), Some(common::TOPIC));
        assert_eq!(records[0].header("dead_letter.reason"), Some("topic_authorization_failed"));
        assert!(records[0].header("dead_letter.error").is_some_and(|words| words.contains("authorization")));
        assert_eq!(records[1].header("dead_letter.reason"), Some("too_large"));
        let size: usize = records[1].header("dead_letter.value_size").expect("a size").parse().expect("a number");
        let cut = records[1].bytes.as_ref().expect("a value").len();
        assert!(size > 30_000 && (10_000..20_000).contains(&cut), "{size}, {cut}");
    }
}

#[test]
fn the_age_of_the_oldest_record_is_that_of_one_which_kafka_has_not() {
    for restart in [false, true] {
        let (dir, cluster) = (TempDir::new(), cluster(1));
        let handle = Handle::default();
        let settings = || spooling(&cluster.bootstrap_servers(), &dir, "always", &[]);
        handle.open(settings(), "n@h").expect("opened");
        publish_numbers(&handle, "a", 0..10);
        wait_for(&handle, "the first records", |s| s.success == 10);
        let first = Instant::now();
        while first.elapsed() < Duration::from_millis(2500) {
            assert_eq!(handle.spool().and_then(|spool| spool.oldest_ms), None);
            std::thread::yield_now();
        }
        cluster.broker_down(1).expect("down");
        if restart {
            handle.close(LONG);
            handle.open(settings(), "n@h").expect("opened");
        }
        let second = Instant::now();
        publish_numbers(&handle, "a", 10..20);
        // Until it is on disk, its age is not known.
        let deadline = Instant::now() + common::DEADLINE;
        let mut age = None;
        while age.is_none() {
            assert!(Instant::now() < deadline, "no age");
            age = handle.spool().and_then(|spool| spool.oldest_ms);
        }
        // That of the first ones is 2.5 s more; ages are known to a second.
        let most = u64::try_from(second.elapsed().as_millis()).expect("not long") + 2000;
        assert!(age < Some(most), "{age:?} ms, of a record that Kafka has; restart: {restart}");
        handle.close(LONG);
    }
}
