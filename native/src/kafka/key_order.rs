//! Keeps the order of a key's records while Kafka does not yet know the producer in their partition.
//!
//! Kafka refuses a batch whose predecessor it has refused, by the numbers of the idempotent producer; so nothing overtakes. But
//! the first batch that Kafka takes of a producer in a partition may have any number. If the very first one is refused while the
//! second is under way, the second is taken, and its records have overtaken those of the first. So the first record of each key
//! goes alone; those behind it are held until Kafka has acknowledged it. Keys share 1,024 slots, so this costs one round trip
//! for each slot in the life of a producer. Two keys of a slot in different partitions are not told apart: the first batch of the
//! second partition has no such guard.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::shared::Number;

const SLOTS: u32 = 1024;
const WORDS: usize = (SLOTS / u64::BITS) as usize;

/// Keys that share a slot share its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(u32);

impl Slot {
    /// The slot of a key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(crc32c::crc32c(key) % SLOTS)
    }
}

/// A record that waits behind the first one of its slot.
#[derive(Debug)]
pub struct Waiting {
    /// What librdkafka is to give back with its report.
    pub number: Number,
    /// The record, as `Stored`.
    pub stored: Vec<u8>,
    /// Its room in the budget.
    pub cost: usize,
}

/// What a record may do.
#[derive(Debug, PartialEq, Eq)]
pub enum Pass {
    /// It may go.
    Free,
    /// It may go, as the first of its slot: `acknowledged` or `failed` must be called with its report.
    First(Slot),
    /// It was held.
    Held,
}

/// The slots of one topic, in the life of one producer.
#[derive(Debug, Default)]
pub struct KeyOrder {
    /// A bit for each slot of which Kafka has acknowledged a record.
    open: [AtomicU64; WORDS],
    /// The slots whose first record is under way, and what waits behind it.
    opening: Mutex<HashMap<Slot, VecDeque<Waiting>>>,
}

impl KeyOrder {
    /// Asks for a record with this key. `hold` makes the copy that waits. A record without a key has no order to keep.
    pub fn ask(&self, key: Option<&[u8]>, hold: impl FnOnce() -> Waiting) -> Pass {
        let Some(key) = key else { return Pass::Free };
        let slot = Slot::of(key);
        if self.is_open(slot) {
            return Pass::Free;
        }
        let mut opening = self.opening();
        // Again, under the lock: the slot opens under it.
        if self.is_open(slot) {
            return Pass::Free;
        }
        if let Some(waiting) = opening.get_mut(&slot) {
            waiting.push_back(hold());
            return Pass::Held;
        }
        opening.insert(slot, VecDeque::new());
        Pass::First(slot)
    }

    /// The next record that waits in a slot. None: none waits. `open`: Kafka has acknowledged the first, so the slot is open
    /// when nothing waits any more; otherwise the next record that asks is the first again.
    pub fn next(&self, slot: Slot, open: bool) -> Option<Waiting> {
        let mut opening = self.opening();
        let next = opening.get_mut(&slot).and_then(VecDeque::pop_front);
        if next.is_none() {
            opening.remove(&slot);
            if open && let Some((word, bit)) = self.bit(slot) {
                word.fetch_or(bit, Ordering::AcqRel);
            }
        }
        next
    }

    /// Puts a record back in front, that librdkafka had no room for.
    pub fn put_back(&self, slot: Slot, record: Waiting) {
        self.opening().entry(slot).or_default().push_front(record);
    }

    /// All that waits: the producer ends.
    #[must_use]
    pub fn take_all(&self) -> Vec<Waiting> {
        self.opening().drain().flat_map(|(_, waiting)| waiting).collect()
    }

    fn is_open(&self, slot: Slot) -> bool {
        self.bit(slot).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    fn bit(&self, slot: Slot) -> Option<(&AtomicU64, u64)> {
        let word = self.open.get((slot.0 / u64::BITS) as usize)?;
        Some((word, 1 << (slot.0 % u64::BITS)))
    }

    fn opening(&self) -> MutexGuard<'_, HashMap<Slot, VecDeque<Waiting>>> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(number: u64) -> Waiting {
        Waiting { number: Number::of(number), stored: Vec::new(), cost: 0 }
    }

    fn ask(order: &KeyOrder, number: u64) -> Pass {
        order.ask(Some(b"k"), || waiting(number))
    }

    #[test]
    fn what_comes_behind_the_first_waits_until_it_is_acknowledged_and_keeps_its_order() {
        let order = KeyOrder::default();
        let slot = Slot::of(b"k");
        assert_eq!(ask(&order, 0), Pass::First(slot));
        assert_eq!(ask(&order, 1), Pass::Held);
        assert_eq!(ask(&order, 2), Pass::Held);
        assert_eq!(order.next(slot, true).map(|record| record.number.get()), Some(1));
        assert_eq!(ask(&order, 3), Pass::Held, "it must not overtake 2");
        assert_eq!(order.next(slot, true).map(|record| record.number.get()), Some(2));
        assert_eq!(order.next(slot, true).map(|record| record.number.get()), Some(3));
        assert!(order.next(slot, true).is_none());
        assert_eq!(ask(&order, 4), Pass::Free);
    }

    #[test]
    fn after_a_first_one_that_failed_the_next_is_the_first() {
        let order = KeyOrder::default();
        let slot = Slot::of(b"k");
        assert_eq!(ask(&order, 0), Pass::First(slot));
        assert!(order.next(slot, false).is_none());
        assert_eq!(ask(&order, 1), Pass::First(slot));
    }

    #[test]
    fn records_without_a_key_never_wait() {
        let order = KeyOrder::default();
        assert_eq!(order.ask(None, || waiting(0)), Pass::Free);
        assert_eq!(order.ask(None, || waiting(0)), Pass::Free);
    }

    #[test]
    fn what_waits_is_given_back_at_the_end() {
        let order = KeyOrder::default();
        for number in 0..3 {
            ask(&order, number);
        }
        let mut left: Vec<_> = order.take_all().into_iter().map(|record| record.number.get()).collect();
        left.sort_unstable();
        assert_eq!(left, [1, 2]);
    }
}
