//! A flush waits for what is there, and for nothing else.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{TempDir, cluster, nobody, publish, settings, submit, wait_for};
use emq_plugin_kafka_nif::flow::flush::FlushError;
use emq_plugin_kafka_nif::flow::handle::Handle;

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(200);

fn open(server: &str, more: &[(&str, &str)]) -> Handle {
    let handle = Handle::default();
    assert!(handle.open(settings(server, more), "n@h").expect("opened"));
    handle
}

#[test]
fn it_ends_although_new_records_keep_coming() {
    let cluster = cluster(4);
    let handle = Arc::new(open(&cluster.bootstrap_servers(), &[("linger", "20")]));
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = std::thread::spawn({
        let (handle, stop) = (Arc::clone(&handle), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::Relaxed) {
                submit(&handle, &publish(b"c1", b"x"));
                // So that something is always on the way, and the mock cluster keeps up.
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    });
    for _ in 0..5 {
        wait_for(&handle, "a record on the way", |counters| counters.queued > 0);
        let before = handle.metrics().snapshot().accepted;
        assert_eq!(handle.flush(LONG), Ok(()));
        let after = handle.metrics().snapshot();
        assert!(after.success >= before, "all {before} that were there are with Kafka: {after:?}");
    }
    stop.store(true, Ordering::Relaxed);
    publisher.join().expect("it published");
    handle.close(LONG);
}

#[test]
fn it_does_not_linger() {
    let cluster = cluster(1);
    let handle = open(&cluster.bootstrap_servers(), &[("linger", "600000")]);
    submit(&handle, &publish(b"c1", b"x"));
    let begun = Instant::now();
    assert_eq!(handle.flush(LONG), Ok(()));
    assert!(begun.elapsed() < LONG);
    assert_eq!(handle.metrics().snapshot().success, 1);
    assert_eq!(handle.flush(Duration::ZERO), Ok(()), "nothing is there, nothing is waited for");
    handle.close(LONG);
}

#[test]
fn it_tells_what_is_left() {
    let handle = open(&nobody(), &[]);
    assert_eq!(handle.flush(SHORT), Ok(()));
    for _ in 0..3 {
        submit(&handle, &publish(b"c1", b"x"));
    }
    assert_eq!(handle.flush(SHORT), Err(FlushError::Timeout(3)));
    submit(&handle, &publish(b"c1", b"x"));
    assert_eq!(handle.flush(SHORT), Err(FlushError::Timeout(4)), "those of the flush before are still there");
    handle.close(Duration::ZERO);
    assert_eq!(handle.flush(SHORT), Err(FlushError::Closed));
}

#[test]
fn it_waits_for_the_spool_too() {
    let dir = TempDir::new();
    let cluster = cluster(1);
    let spool = [("spool", "always"), ("spool_dir", dir.text())];
    let handle = open(&nobody(), &spool);
    for _ in 0..10 {
        submit(&handle, &publish(b"c1", b"x"));
    }
    assert_eq!(handle.flush(SHORT), Err(FlushError::Timeout(10)));
    assert_eq!(handle.flush(SHORT), Err(FlushError::Timeout(10)), "librdkafka has them now, and the spool still");
    handle.reload(settings(&cluster.bootstrap_servers(), &spool), "n@h").expect("reloaded");
    assert_eq!(handle.flush(LONG), Ok(()));
    let counters = handle.metrics().snapshot();
    assert_eq!((counters.success, counters.spooled), (10, 0));
    handle.close(LONG);
}

#[test]
fn a_reload_ends_it() {
    let handle = Arc::new(open(&nobody(), &[]));
    submit(&handle, &publish(b"c1", b"x"));
    let flush = std::thread::spawn({
        let handle = Arc::clone(&handle);
        move || handle.flush(LONG)
    });
    // It may begin before or after: after, the record is the new producer's.
    handle.reload(settings(&nobody(), &[]), "n@h").expect("reloaded");
    handle.close(Duration::ZERO);
    let ended = flush.join().expect("it ended");
    assert!(matches!(ended, Err(FlushError::Replaced | FlushError::Closed)), "{ended:?}");
}
