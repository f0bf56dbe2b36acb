//! What becomes of records, against librdkafka's mock cluster.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{assert_adds_up, cluster, consume, dropped, nobody, publish, settings, wait_for};
use emq_plugin_kafka_nif::flow::handle::{Handle, Status};
use emq_plugin_kafka_nif::flow::outcome::{Outcome, Publisher};
use emq_plugin_kafka_nif::metrics::DropReason;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

const LONG: Duration = Duration::from_mins(1);

fn queued(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Queued(_))
}

#[test]
fn every_record_arrives_once_in_order_of_its_client() {
    let cluster = cluster(4);
    let handle = Handle::default();
    assert!(handle.open(settings(&cluster.bootstrap_servers(), &[]), "n@h").expect("opened"));
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    for n in 0..1000 {
        let client = format!("c{}", n % 7);
        assert!(queued(&handle.submit(
            &publish(client.as_bytes(), n.to_string().as_bytes()),
            &Publisher::CannotWait,
            false
        )));
    }
    let closed = handle.close(LONG).expect("it was open");
    let after = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    assert_eq!(closed.given_up, 0);
    let counters = handle.metrics().snapshot();
    assert_eq!((counters.accepted, counters.success, counters.queued), (1000, 1000, 0));

    let records = consume(&cluster, 1000);
    for client in 0..7 {
        let key = format!("c{client}").into_bytes();
        let mine: Vec<_> = records.iter().filter(|r| r.key.as_ref() == Some(&key)).collect();
        let payloads: Vec<u32> = mine
            .iter()
            .filter_map(|r| r.json()["message"]["payload"].as_str().and_then(|payload| payload.parse().ok()))
            .collect();
        assert_eq!(payloads, (0..1000).filter(|n| n % 7 == client).collect::<Vec<_>>());
        assert!(mine.iter().all(|r| r.partition == mine[0].partition), "one client, one partition");
    }
    for record in &records {
        let timestamp = record.timestamp.expect("a timestamp");
        assert!((before..=after).contains(&u128::try_from(timestamp).expect("positive")));
        assert_eq!(record.json()["ts"].as_i64(), Some(timestamp), "the record's time is the hook's");
    }
}

#[test]
fn drops_when_the_queue_is_full_and_counts_what_a_stop_gives_up() {
    let handle = Handle::default();
    handle.open(settings(&nobody(), &[("queue_max_messages", "10")]), "n@h").expect("opened");
    for n in 0..25 {
        let outcome = handle.submit(&publish(b"c", b"x"), &Publisher::CannotWait, false);
        if n < 10 {
            assert!(queued(&outcome));
        } else {
            assert_eq!(outcome, dropped(DropReason::QueueFull));
        }
    }
    assert_eq!(handle.metrics().snapshot().queued, 10);
    assert_eq!(handle.close(Duration::ZERO).map(|closed| closed.given_up), Some(10));
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    assert_eq!(counters.dropped.get(&DropReason::QueueFull), Some(&15));
    assert_eq!(counters.dropped.get(&DropReason::Purged), Some(&10));
    assert_eq!((counters.queued, counters.queued_bytes), (0, 0));
}

#[test]
fn the_bound_in_bytes_counts_keys_and_overhead() {
    let handle = Handle::default();
    handle.open(settings(&nobody(), &[("queue_max_size", "100000")]), "n@h").expect("opened");
    let key = [b'k'; 1000];
    let taken =
        (0..1000).filter(|_| queued(&handle.submit(&publish(&key, b"x"), &Publisher::CannotWait, false))).count();
    // Each record has its key twice (once in the JSON), and some 250 bytes of librdkafka's own.
    assert!((30..=44).contains(&taken), "{taken}");
    let bytes = handle.metrics().snapshot().queued_bytes;
    assert!((90_000..=100_000).contains(&bytes), "{bytes}");
    handle.close(Duration::ZERO);
}

#[test]
fn what_kafka_would_never_take_is_dropped_at_once() {
    let cluster = cluster(1);
    let handle = Handle::default();
    let settings = settings(&cluster.bootstrap_servers(), &[("rdkafka.message.max.bytes", "2000")]);
    handle.open(settings, "n@h").expect("opened");
    assert_eq!(
        handle.submit(&publish(b"c", &[b'x'; 2001]), &Publisher::CannotWait, false),
        dropped(DropReason::TooLarge)
    );
    assert_eq!(
        handle.submit(&publish(b"c", &[b'x'; 1990]), &Publisher::CannotWait, false),
        dropped(DropReason::TooLarge),
        "too large once it is JSON"
    );
    assert!(queued(&handle.submit(&publish(b"c", &[b'x'; 1000]), &Publisher::CannotWait, false)));
    assert_eq!(handle.close(LONG).map(|closed| closed.given_up), Some(0));
    let counters = handle.metrics().snapshot();
    assert_eq!((counters.success, counters.dropped.get(&DropReason::TooLarge)), (1, Some(&2)));
}

#[test]
fn waits_for_a_kafka_that_is_down_and_delivers_when_it_is_back() {
    let cluster = cluster(1);
    let handle = Handle::default();
    let quick = [("rdkafka.reconnect.backoff.max.ms", "200")];
    handle.open(settings(&cluster.bootstrap_servers(), &quick), "n@h").expect("opened");
    assert!(queued(&handle.submit(&publish(b"c", b"first"), &Publisher::CannotWait, false)));
    wait_for(&handle, "first record", |s| s.success == 1);
    cluster.broker_down(1).expect("down");
    for _ in 0..100 {
        assert!(queued(&handle.submit(&publish(b"c", b"later"), &Publisher::CannotWait, false)));
    }
    // The operator is told of the outage, and nothing was given up when librdkafka has noticed it.
    let deadline = Instant::now() + common::DEADLINE;
    while !handle.notices().take().iter().any(|notice| notice.kind == "FAIL") {
        assert!(Instant::now() < deadline, "librdkafka never noticed the outage");
        std::thread::yield_now();
    }
    assert_eq!(handle.metrics().snapshot().queued, 100, "nothing was given up");
    cluster.broker_up(1).expect("up");
    wait_for(&handle, "the rest", |s| s.success == 101);
    handle.close(LONG);
    assert_eq!(consume(&cluster, 101).len(), 101);
}

#[test]
fn a_record_that_kafka_refuses_is_counted_with_its_reason() {
    let cluster = cluster(1);
    let handle = Handle::default();
    handle.open(settings(&cluster.bootstrap_servers(), &[("idempotence", "false")]), "n@h").expect("opened");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    assert!(queued(&handle.submit(&publish(b"c", b"x"), &Publisher::CannotWait, false)));
    let counters = wait_for(&handle, "refusal", |s| s.failed_total() == 1);
    assert_eq!(counters.failed.get("topic_authorization_failed"), Some(&1), "{counters:?}");
    handle.close(LONG);
}

#[test]
fn without_a_producer_events_count_as_closed() {
    let handle = Handle::default();
    assert_eq!(handle.submit(&publish(b"c", b"x"), &Publisher::CannotWait, false), dropped(DropReason::Closed));
    assert_eq!(handle.close(LONG), None);
    assert_eq!(handle.status(), Status::Closed);
    assert_eq!(handle.metrics().snapshot().dropped.get(&DropReason::Closed), Some(&1));
}

#[test]
fn an_open_producer_is_not_opened_again() {
    let handle = Handle::default();
    assert!(handle.open(settings(&nobody(), &[]), "n@h").expect("opened"));
    assert!(!handle.open(settings(&nobody(), &[]), "n@h").expect("left alone"));
    assert!(matches!(handle.status(), Status::Open(_)));
    handle.close(Duration::ZERO);
}

#[test]
fn what_librdkafka_refuses_is_reported_in_its_words() {
    let handle = Handle::default();
    let wrong = settings(&nobody(), &[("rdkafka.max.in.flight", "100")]);
    let error = handle.open(wrong, "n@h").expect_err("idempotence needs at most 5").to_string();
    assert!(error.contains("max.in.flight"), "{error}");
    assert_eq!(handle.status(), Status::Closed);
}

#[test]
fn sys_messages_become_no_records() {
    let handle = Handle::default();
    handle.open(settings(&nobody(), &[]), "n@h").expect("opened");
    let event = common::publish_to(b"broker", b"$SYS/brokers/n/uptime", b"1");
    assert_eq!(handle.submit(&event, &Publisher::CannotWait, false), Outcome::Ignored);
    assert_eq!(handle.metrics().snapshot().accepted, 0);
    handle.close(Duration::ZERO);
}

#[test]
fn callers_in_flight_never_notice_a_stop_and_start() {
    let cluster = cluster(2);
    let handle = Arc::new(Handle::default());
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|n| {
            let (handle, stop) = (Arc::clone(&handle), Arc::clone(&stop));
            std::thread::spawn(move || {
                let client = format!("c{n}");
                let mut submitted = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    handle.submit(&publish(client.as_bytes(), b"x"), &Publisher::CannotWait, false);
                    submitted += 1;
                    if submitted.is_multiple_of(64) {
                        std::thread::yield_now();
                    }
                }
                submitted
            })
        })
        .collect();
    for _ in 0..20 {
        assert!(handle.open(settings(&cluster.bootstrap_servers(), &[]), "n@h").expect("opened"));
        let (before, begun) = (handle.metrics().snapshot().success, Instant::now());
        let mut taken: i64 = 0;
        // A caller has come by while it was open, and there was some time for them to meet the close in every place.
        while taken == 0 || begun.elapsed() < Duration::from_millis(30) {
            assert!(begun.elapsed() < common::DEADLINE, "no caller came by");
            let counters = handle.metrics().snapshot();
            assert_adds_up(&counters);
            taken = counters.queued + i64::try_from(counters.success - before).expect("not many");
        }
        assert!(handle.close(LONG).is_some());
    }
    stop.store(true, Ordering::Relaxed);
    let submitted: u64 = callers.into_iter().map(|caller| caller.join().expect("no caller crashed")).sum();
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    assert_eq!((counters.accepted, counters.queued), (submitted, 0));
    assert!(counters.success > 0 && counters.dropped.get(&DropReason::Closed) > Some(&0), "{counters:?}");
}

#[test]
fn a_fatal_producer_is_told_and_can_be_replaced() {
    let cluster = cluster(1);
    let handle = Handle::default();
    handle.open(settings(&cluster.bootstrap_servers(), &[]), "n@h").expect("opened");
    // The way to a fatal state in real life: the idempotent producer loses its place in the sequence.
    cluster.request_errors(
        RDKafkaApiKey::InitProducerId,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED],
    );
    handle.submit(&publish(b"c", b"x"), &Publisher::CannotWait, false);
    let deadline = Instant::now() + common::DEADLINE;
    while !matches!(handle.status(), Status::Fatal(_)) {
        assert!(Instant::now() < deadline, "not fatal: {:?}", handle.notices().take());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(handle.close(Duration::ZERO).is_some());
    handle.open(settings(&cluster.bootstrap_servers(), &[]), "n@h").expect("opened again");
    handle.submit(&publish(b"c", b"y"), &Publisher::CannotWait, false);
    wait_for(&handle, "a record of the new producer", |s| s.success == 1);
    handle.close(LONG);
}
