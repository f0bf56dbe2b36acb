//! Counters of what became of each record.
//!
//! A record is taken in once (`accepted`) and has one outcome: `success`, `failed` or `dropped`; until then it is
//! `queued` (in memory only) or `spooled` (on disk, also while librdkafka has a copy). Each step moves it under one lock, so a
//! snapshot, which takes all locks, always adds up: `accepted = success + failed + dropped + spooled + queued`.
//!
//! A thread counts in a shard of its own choice, so that schedulers do not wait for each other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::striped::{STRIPES, stripe};

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
    /// The spool was full: `spool.max_size` was reached, or the disk was.
    SpoolFull,
    /// The spool could not be written, or read back.
    SpoolError,
    /// Damaged in the spool, found when it was opened.
    Corrupt,
    /// In a spool that was switched off or moved elsewhere. Still there, but not sent from there.
    LeftBehind,
    /// `produce.max_waiters` callers waited already, and `on_failure` is disconnect.
    WaitersFull,
}

/// Where a record waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In memory, where it takes so many bytes.
    Memory(usize),
    /// In the spool.
    Spool,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 14] = [
        Self::BadEvent,
        Self::Closed,
        Self::QueueFull,
        Self::TooLarge,
        Self::UnknownTopic,
        Self::Fatal,
        Self::Purged,
        Self::Refused,
        Self::MissingField,
        Self::SpoolFull,
        Self::SpoolError,
        Self::Corrupt,
        Self::LeftBehind,
        Self::WaitersFull,
    ];

    /// Whether there was no room, which may change.
    #[must_use]
    pub const fn is_full(self) -> bool {
        matches!(self, Self::QueueFull | Self::SpoolFull | Self::SpoolError)
    }

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
            Self::SpoolFull => "spool_full",
            Self::SpoolError => "spool_error",
            Self::Corrupt => "corrupt",
            Self::LeftBehind => "left_behind",
            Self::WaitersFull => "waiters_full",
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
    /// Records in the spool, waiting for Kafka.
    pub spooled: i64,
    /// Records in memory only, waiting for Kafka.
    pub queued: i64,
    /// Bytes that the queued records take in memory: value, key, headers and overhead.
    pub queued_bytes: i64,
    /// Records that went to the default topic because their own could not be used. Not an outcome.
    pub redirected: u64,
    /// Records that an earlier life left in the spool: accepted when it was opened. Not an outcome.
    pub recovered: u64,
    /// Records of which the dead letter topic has a copy. Their outcome is failed or dropped.
    pub dead_lettered: u64,
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
    shards: [Shard; STRIPES],
}

impl Metrics {
    /// A record of `bytes` enters the memory queue. Counted before it is handed to librdkafka: its
    /// delivery report may come before the caller gets to do anything else.
    pub fn queued(&self, bytes: usize) {
        let mut counters = self.shard();
        counters.accepted += 1;
        enter(&mut counters, Home::Memory(bytes));
    }

    /// A record enters the spool.
    pub fn spooled(&self) {
        let mut counters = self.shard();
        counters.accepted += 1;
        enter(&mut counters, Home::Spool);
    }

    /// A record of the memory queue has moved to the spool.
    pub fn spilled(&self, bytes: usize) {
        let mut counters = self.shard();
        leave(&mut counters, Home::Memory(bytes), 1);
        enter(&mut counters, Home::Spool);
    }

    /// Kafka has acknowledged `queued` records of the memory queue, of `bytes` together, and `spooled` ones of the spool.
    pub fn success(&self, queued: u64, bytes: usize, spooled: u64) {
        let mut counters = self.shard();
        leave(&mut counters, Home::Memory(bytes), signed_count(queued));
        leave(&mut counters, Home::Spool, signed_count(spooled));
        counters.success += queued + spooled;
    }

    /// Kafka has refused a record for good with the error named `error`.
    pub fn failed(&self, error: &str, home: Home) {
        let mut counters = self.shard();
        leave(&mut counters, home, 1);
        match counters.failed.get_mut(error) {
            Some(count) => *count += 1,
            None => {
                counters.failed.insert(error.to_owned(), 1);
            }
        }
    }

    /// A record that was taken in was given up.
    pub fn dropped_from(&self, reason: DropReason, home: Home) {
        let mut counters = self.shard();
        leave(&mut counters, home, 1);
        *counters.dropped.entry(reason).or_default() += 1;
    }

    /// A record was given up before it was taken in anywhere.
    pub fn dropped(&self, reason: DropReason) {
        let mut counters = self.shard();
        counters.accepted += 1;
        *counters.dropped.entry(reason).or_default() += 1;
    }

    /// The spool has lost `records`.
    pub fn spool_lost(&self, records: u64, reason: DropReason) {
        let mut counters = self.shard();
        leave(&mut counters, Home::Spool, signed_count(records));
        *counters.dropped.entry(reason).or_default() += records;
    }

    /// A spool was opened: it holds `held` records, and `lost` could not be read any more. What this VM did not know of was
    /// left by an earlier one.
    pub fn spool_opened(&self, held: u64, lost: u64) {
        // Nobody else counts in the spool: it is not open yet.
        let known = self.snapshot().spooled;
        let found = signed_count(held) + signed_count(lost);
        let unknown = u64::try_from(found - known).unwrap_or(0);
        let vanished = u64::try_from(known - found).unwrap_or(0);
        let mut counters = self.shard();
        counters.accepted += unknown;
        counters.recovered += unknown;
        counters.spooled += signed_count(held) - known;
        if lost + vanished > 0 {
            *counters.dropped.entry(DropReason::Corrupt).or_default() += lost + vanished;
        }
    }

    /// The spool that was open is not used any more: returns how many records stay in it.
    pub fn spool_left_behind(&self) -> u64 {
        let held = u64::try_from(self.snapshot().spooled).unwrap_or(0);
        if held > 0 {
            self.spool_lost(held, DropReason::LeftBehind);
        }
        held
    }

    /// The dead letter topic has a copy of a record.
    pub fn dead_lettered(&self) {
        self.shard().dead_lettered += 1;
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
            sum.spooled += shard.spooled;
            sum.queued += shard.queued;
            sum.queued_bytes += shard.queued_bytes;
            sum.redirected += shard.redirected;
            sum.recovered += shard.recovered;
            sum.dead_lettered += shard.dead_lettered;
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
        match self.shards.get(stripe()) {
            Some(shard) => shard.lock(),
            None => self.shards[0].lock(),
        }
    }
}

fn enter(counters: &mut Snapshot, home: Home) {
    match home {
        Home::Memory(bytes) => {
            counters.queued += 1;
            counters.queued_bytes += signed(bytes);
        }
        Home::Spool => counters.spooled += 1,
    }
}

/// `records` leave; of the memory queue, with so many bytes together.
fn leave(counters: &mut Snapshot, home: Home, records: i64) {
    match home {
        Home::Memory(bytes) => {
            counters.queued -= records;
            counters.queued_bytes -= signed(bytes);
        }
        Home::Spool => counters.spooled -= records,
    }
}

fn signed_count(records: u64) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
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
        metrics.failed("MSG_SIZE_TOO_LARGE", Home::Memory(10));
        metrics.dropped_from(DropReason::Purged, Home::Memory(10));
        metrics.dropped_from(DropReason::TooLarge, Home::Spool);
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
}
