//! Counters of what became of each record.
//!
//! A record is taken in once (`accepted`) and has one outcome: `success`, `failed` or `dropped`; until then it is
//! `queued` (in memory only) or `spooled` (on disk, also while librdkafka has a copy). Each step moves it under one lock, so a
//! snapshot, which takes all locks, always adds up: `accepted = success + failed + dropped + spooled + queued`.
//!
//! A thread counts in a shard of its own choice, so that schedulers do not wait for each other.

mod latency;
mod reason;
mod rules;
pub mod striped;
mod topics;
mod unseen;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::metrics::striped::{STRIPES, stripe};

pub use latency::{BOUNDS_MS, Latencies, Latency};
pub use reason::DropReason;
pub use rules::{RuleCounters, RuleTable};
pub use topics::{OTHER, TopicCounts, Topics};
pub use unseen::Unseen;

/// Where a record waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In memory, where it takes so many bytes.
    Memory(usize),
    /// In the spool.
    Spool,
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
    /// Of each rule.
    pub rules: RuleTable,
    /// Of each Kafka topic.
    pub topics: Topics,
    /// How long Kafka's acknowledgements take.
    pub latency: Latency,
    /// What was published while no hook was called.
    pub unseen: Unseen,
}

impl Metrics {
    /// A record of `bytes` enters the memory queue. Counted before it is handed to librdkafka: its
    /// delivery report may come before the caller gets to do anything else.
    pub fn queued(&self, bytes: usize) {
        let mut counters = self.shard();
        counters.accepted += 1;
        enter(&mut counters, Location::Memory(bytes));
    }

    /// A record enters the spool.
    pub fn spooled(&self) {
        let mut counters = self.shard();
        counters.accepted += 1;
        enter(&mut counters, Location::Spool);
    }

    /// A record of the memory queue has moved to the spool.
    pub fn spilled(&self, bytes: usize) {
        let mut counters = self.shard();
        leave(&mut counters, Location::Memory(bytes), 1);
        enter(&mut counters, Location::Spool);
    }

    /// Kafka has acknowledged `queued` records of the memory queue, of `bytes` together, and `spooled` ones of the spool.
    pub fn success(&self, queued: u64, bytes: usize, spooled: u64) {
        let mut counters = self.shard();
        leave(&mut counters, Location::Memory(bytes), signed_count(queued));
        leave(&mut counters, Location::Spool, signed_count(spooled));
        counters.success += queued + spooled;
    }

    /// Kafka has refused a record for good with the error named `error`.
    pub fn failed(&self, error: &str, location: Location) {
        let mut counters = self.shard();
        leave(&mut counters, location, 1);
        match counters.failed.get_mut(error) {
            Some(count) => *count += 1,
            None => {
                counters.failed.insert(error.to_owned(), 1);
            }
        }
    }

    /// A record that was taken in was given up.
    pub fn dropped_from(&self, reason: DropReason, location: Location) {
        let mut counters = self.shard();
        leave(&mut counters, location, 1);
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
        leave(&mut counters, Location::Spool, signed_count(records));
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

fn enter(counters: &mut Snapshot, location: Location) {
    match location {
        Location::Memory(bytes) => {
            counters.queued += 1;
            counters.queued_bytes += signed(bytes);
        }
        Location::Spool => counters.spooled += 1,
    }
}

/// `records` leave; of the memory queue, with so many bytes together.
fn leave(counters: &mut Snapshot, location: Location, records: i64) {
    match location {
        Location::Memory(bytes) => {
            counters.queued -= records;
            counters.queued_bytes -= signed(bytes);
        }
        Location::Spool => counters.spooled -= records,
    }
}

fn signed_count(records: u64) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
