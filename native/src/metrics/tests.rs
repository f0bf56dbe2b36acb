use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn assert_adds_up(s: &Snapshot) {
    let outcomes = i128::from(s.success) + i128::from(s.failed_total()) + i128::from(s.dropped_total());
    assert_eq!(i128::from(s.accepted), outcomes + i128::from(s.spooled) + i128::from(s.queued), "{s:?}");
}

#[test]
fn each_outcome_is_counted_once() {
    let metrics = Metrics::default();
    for _ in 0..5 {
        metrics.queued(10);
    }
    metrics.spooled();
    metrics.spooled();
    metrics.spilled(10);
    metrics.success(1, 10, 1);
    metrics.failed("MSG_SIZE_TOO_LARGE", Location::Memory(10));
    metrics.dropped_from(DropReason::Purged, Location::Memory(10));
    metrics.dropped_from(DropReason::TooLarge, Location::Spool);
    metrics.dropped(DropReason::BadEvent);
    let snapshot = metrics.snapshot();
    assert_adds_up(&snapshot);
    assert_eq!(snapshot.accepted, 8);
    assert_eq!(snapshot.success, 2);
    assert_eq!(snapshot.failed_total(), 1);
    assert_eq!(snapshot.dropped.get(&DropReason::Purged), Some(&1));
    assert_eq!(snapshot.dropped_total(), 3);
    assert_eq!((snapshot.queued, snapshot.queued_bytes, snapshot.spooled), (1, 10, 1));
}

#[test]
fn a_spool_that_is_opened_again_is_counted_once() {
    let metrics = Metrics::default();
    metrics.spool_opened(3, 1);
    let first = metrics.snapshot();
    assert_eq!((first.accepted, first.recovered, first.spooled), (4, 4, 3));
    assert_eq!(first.dropped.get(&DropReason::Corrupt), Some(&1));
    metrics.spooled();
    metrics.spool_opened(4, 0);
    assert_eq!(metrics.snapshot().accepted, 5, "the same four as before");
    metrics.spool_opened(2, 1);
    let last = metrics.snapshot();
    assert_eq!((last.accepted, last.spooled), (5, 2), "two were damaged meanwhile, one of which was seen to be");
    assert_eq!(last.dropped.get(&DropReason::Corrupt), Some(&3));
    assert_adds_up(&last);
    assert_eq!(metrics.spool_left_behind(), 2);
    assert_adds_up(&metrics.snapshot());
    assert_eq!(metrics.snapshot().spooled, 0);
}

#[test]
fn every_snapshot_adds_up_while_other_threads_count() {
    let metrics = Arc::new(Metrics::default());
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (metrics, stop) = (Arc::clone(&metrics), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    metrics.queued(7);
                    metrics.dropped(DropReason::QueueFull);
                    metrics.success(1, 7, 0);
                }
            })
        })
        .collect();
    for _ in 0..2_000 {
        let s = metrics.snapshot();
        assert_adds_up(&s);
        assert!((0..=4).contains(&s.queued), "queued is {}", s.queued);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().ok();
    }
}
