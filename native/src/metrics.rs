//! Counters of what became of each record.
//!
//! A record is taken in once (`accepted`) and has one outcome: `success`, `failed` or `dropped`; until then it is
//! `queued`. Each step moves it under one lock, so a snapshot, which takes all locks, always adds up:
//! `accepted = success + failed + dropped + queued`.
//!
//! A thread counts in a shard of its own choice, so that schedulers do not wait for each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More shards than that would only make the snapshot slower.
const SHARDS: usize = 32;

/// Why a record was given up before Kafka decided on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The hook was called with arguments that are no event.
    BadEvent,
    /// No producer was open: the plugin was stopping, starting or stopped.
    Closed,
    /// `queue.max_messages` or `queue.max_size` was reached.
    QueueFull,
    /// Larger than `message.max.bytes`.
    TooLarge,
    /// Kafka said that the topic does not exist and may not be created.
    UnknownTopic,
    /// The producer was in librdkafka's fatal state.
    Fatal,
    /// Still undelivered when a stop ran out of `shutdown_timeout`, or when a failed producer was replaced.
    Purged,
    /// librdkafka would not take it, for a reason not listed here.
    Refused,
    /// A template of the rule needed a payload field or topic level that was not there, and had no default.
    MissingField,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 9] = [
        Self::BadEvent,
        Self::Closed,
        Self::QueueFull,
        Self::TooLarge,
        Self::UnknownTopic,
        Self::Fatal,
        Self::Purged,
        Self::Refused,
        Self::MissingField,
    ];

    /// The reason's name in statistics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadEvent => "bad_event",
            Self::Closed => "closed",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::UnknownTopic => "unknown_topic",
            Self::Fatal => "fatal",
            Self::Purged => "purged",
            Self::Refused => "refused",
            Self::MissingField => "missing_field",
        }
    }
}

/// All counters at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Records taken in from hooks, whatever became of them.
    pub accepted: u64,
    /// Records that Kafka acknowledged.
    pub success: u64,
    /// Records that Kafka refused for good, by the error's name.
    pub failed: BTreeMap<String, u64>,
    /// Records given up before Kafka decided, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Records in memory, waiting for Kafka.
    pub queued: i64,
    /// Bytes that the queued records take in memory: value, key, headers and overhead.
    pub queued_bytes: i64,
    /// Records that went to the default topic because their own could not be used. Not an outcome.
    pub redirected: u64,
}

impl Snapshot {
    /// Records that Kafka refused, for any reason.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Records given up, for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The counters of one shard. Aligned, so that two schedulers never write to one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Snapshot>);

impl Shard {
    /// The counters are numbers: whatever a panicking holder left is still right enough to go on.
    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counters of the whole plugin. They outlive the producers that come and go.
#[derive(Debug, Default)]
pub struct Metrics {
    shards: [Shard; SHARDS],
}

impl Metrics {
    /// A record of `bytes` enters the memory queue. Counted before it is handed to librdkafka: its
    /// delivery report may come before the caller gets to do anything else.
    pub fn queued(&self, bytes: usize) {
        let mut counters = self.shard();
        counters.accepted += 1;
        counters.queued += 1;
        counters.queued_bytes += signed(bytes);
    }

    /// A queued record was acknowledged by Kafka.
    pub fn success(&self, bytes: usize) {
        let mut counters = self.shard();
        leave_queue(&mut counters, bytes);
        counters.success += 1;
    }

    /// A queued record was refused for good with the error named `error`.
    pub fn failed(&self, error: &str, bytes: usize) {
        let mut counters = self.shard();
        leave_queue(&mut counters, bytes);
        match counters.failed.get_mut(error) {
            Some(count) => *count += 1,
            None => {
                counters.failed.insert(error.to_owned(), 1);
            }
        }
    }

    /// A queued record was given up.
    pub fn dropped_queued(&self, reason: DropReason, bytes: usize) {
        let mut counters = self.shard();
        leave_queue(&mut counters, bytes);
        *counters.dropped.entry(reason).or_default() += 1;
    }

    /// A record was given up before it was queued.
    pub fn dropped(&self, reason: DropReason) {
        let mut counters = self.shard();
        counters.accepted += 1;
        *counters.dropped.entry(reason).or_default() += 1;
    }

    /// A record goes to the default topic, because its rule's topic came out as none or as one too many.
    pub fn redirected(&self) {
        self.shard().redirected += 1;
    }

    /// All counters at one instant.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        // Always taken in the same order, and nobody else holds two: no deadlock.
        let shards: Vec<_> = self.shards.iter().map(Shard::lock).collect();
        let mut sum = Snapshot::default();
        for shard in &shards {
            sum.accepted += shard.accepted;
            sum.success += shard.success;
            sum.queued += shard.queued;
            sum.queued_bytes += shard.queued_bytes;
            sum.redirected += shard.redirected;
            for (error, count) in &shard.failed {
                *sum.failed.entry(error.clone()).or_default() += count;
            }
            for (reason, count) in &shard.dropped {
                *sum.dropped.entry(*reason).or_default() += count;
            }
        }
        sum
    }

    fn shard(&self) -> MutexGuard<'_, Snapshot> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        // `with` fails only while the thread is being torn down.
        let mine = MINE.try_with(|mine| *mine).unwrap_or(0);
        match self.shards.get(mine) {
            Some(shard) => shard.lock(),
            None => self.shards[0].lock(),
        }
    }
}

fn leave_queue(counters: &mut Snapshot, bytes: usize) {
    counters.queued -= 1;
    counters.queued_bytes -= signed(bytes);
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn each_outcome_is_counted_once() {
        let metrics = Metrics::default();
        for _ in 0..4 {
            metrics.queued(10);
        }
        metrics.success(10);
        metrics.failed("MSG_SIZE_TOO_LARGE", 10);
        metrics.dropped_queued(DropReason::Purged, 10);
        metrics.dropped(DropReason::BadEvent);
        let snapshot = metrics.snapshot();
        assert_eq!(snapshot.accepted, 5);
        assert_eq!(snapshot.success, 1);
        assert_eq!(snapshot.failed_total(), 1);
        assert_eq!(snapshot.dropped.get(&DropReason::Purged), Some(&1));
        assert_eq!(snapshot.dropped_total(), 2);
        assert_eq!((snapshot.queued, snapshot.queued_bytes), (1, 10));
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
                        metrics.success(7);
                    }
                })
            })
            .collect();
        for _ in 0..2_000 {
            let s = metrics.snapshot();
            let outcomes = i128::from(s.success) + i128::from(s.failed_total()) + i128::from(s.dropped_total());
            assert_eq!(i128::from(s.accepted), outcomes + i128::from(s.queued));
            assert!((0..=4).contains(&s.queued), "queued is {}", s.queued);
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().ok();
        }
    }
}
