//! Records that wait in memory while producers are exchanged, until it is known what goes before them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::ack::{Ack, AckAt};
use crate::account::returned::Returned;

/// A record that waits. It has its room in the budget, and is counted as queued.
pub struct Held {
    /// Its place in the order of all records.
    pub order: u64,
    /// The record, as `Stored`.
    pub stored: Vec<u8>,
    /// The room that it has in the budget.
    pub cost: usize,
    /// Who waits for it.
    pub ack: Ack,
    /// Whether it must be on disk first.
    pub durable: bool,
}

impl From<Returned> for Held {
    fn from(record: Returned) -> Self {
        let ack = record.waiter.map(|waiter| (waiter, AckAt::Kafka));
        Self { order: record.order, stored: record.stored, cost: record.cost, ack, durable: false }
    }
}

impl From<Held> for Returned {
    fn from(held: Held) -> Self {
        let waiter = held.ack.map(|(waiter, _)| waiter);
        Self { order: held.order, stored: held.stored, cost: held.cost, waiter }
    }
}

/// The records that wait, in their order.
pub struct HeldRecords {
    /// Changed with the lock of `records` held, read without.
    holding: AtomicBool,
    records: Mutex<Vec<Held>>,
}

impl Default for HeldRecords {
    /// Holds from the start.
    fn default() -> Self {
        Self { holding: AtomicBool::new(true), records: Mutex::default() }
    }
}

impl HeldRecords {
    /// Whether records are held.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.holding.load(Ordering::Acquire)
    }

    /// From now on, records are held.
    pub fn start(&self) {
        let _records = self.records();
        self.holding.store(true, Ordering::Release);
    }

    /// Keeps the record that `make` makes. None: nothing is held any more, and nothing was made, unless it is `forced`.
    pub fn hold<E>(&self, forced: bool, make: impl FnOnce() -> Result<Held, E>) -> Option<Result<(), E>> {
        let mut records = self.records();
        // Again, under the lock: what came before has left, and this one would stay for ever.
        if !self.is_holding() && !forced {
            return None;
        }
        Some(make().map(|held| records.push(held)))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.records().len()
    }

    /// All of them, and goes on holding.
    #[must_use]
    pub fn take(&self) -> Vec<Held> {
        std::mem::take(&mut *self.records())
    }

    /// All that there are now. None: there are none, and from now on none are held.
    #[must_use]
    pub fn next_batch(&self) -> Option<Vec<Held>> {
        let mut records = self.records();
        if records.is_empty() {
            self.holding.store(false, Ordering::Release);
            return None;
        }
        Some(std::mem::take(&mut *records))
    }

    fn records(&self) -> MutexGuard<'_, Vec<Held>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(records: &HeldRecords, forced: bool, order: u64) -> Option<Result<(), ()>> {
        records.hold(forced, || Ok(Held { order, stored: Vec::new(), cost: 0, ack: None, durable: false }))
    }

    fn orders(batch: Option<Vec<Held>>) -> Option<Vec<u64>> {
        batch.map(|batch| batch.iter().map(|held| held.order).collect())
    }

    #[test]
    fn records_are_held_in_their_order_until_none_is_left() {
        let records = HeldRecords::default();
        assert_eq!(hold(&records, false, 1), Some(Ok(())));
        assert_eq!(hold(&records, false, 2), Some(Ok(())));
        assert_eq!(orders(records.next_batch()), Some(vec![1, 2]));
        assert!(records.is_holding(), "one may have come meanwhile");
        assert_eq!(orders(records.next_batch()), None);
        assert_eq!(hold(&records, false, 3), None, "it goes its way");
        assert_eq!(records.count(), 0);
    }

    /// A record that a failed producer gave back has no other place.
    #[test]
    fn a_record_is_kept_although_nothing_is_held_where_that_is_forced() {
        let records = HeldRecords::default();
        assert_eq!(orders(records.next_batch()), None);
        assert_eq!(hold(&records, true, 1), Some(Ok(())));
        assert_eq!(records.count(), 1);
    }
}
