//! How much memory the records that wait for Kafka may take, and in which order records came.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What every record writes, on a cache line of its own: the processor that has fetched it for one of them has it for all, and
/// nobody else waits for it.
#[derive(Debug)]
#[repr(align(128))]
struct Line {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    order: AtomicU64,
}

/// The bounds of the memory queue, and what is in it.
#[derive(Debug)]
pub struct Budget {
    max_messages: AtomicUsize,
    max_bytes: AtomicUsize,
    /// Whether nothing more fits: what each record reads before it is encoded, and hardly ever changes. It may lag behind, but not
    /// for long: a room that is given back is always seen.
    full: AtomicBool,
    line: Line,
    /// How many threads sleep until there is room.
    sleeping: AtomicUsize,
    lock: Mutex<()>,
    room: Condvar,
}

impl Budget {
    /// An empty queue that may grow to these bounds.
    #[must_use]
    pub const fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self {
            max_messages: AtomicUsize::new(max_messages),
            max_bytes: AtomicUsize::new(max_bytes),
            full: AtomicBool::new(false),
            line: Line { messages: AtomicUsize::new(0), bytes: AtomicUsize::new(0), order: AtomicU64::new(0) },
            sleeping: AtomicUsize::new(0),
            lock: Mutex::new(()),
            room: Condvar::new(),
        }
    }

    /// Other bounds, for what comes from now on.
    pub fn resize(&self, max_messages: usize, max_bytes: usize) {
        self.max_messages.store(max_messages, Ordering::Relaxed);
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        self.update_full();
    }

    /// Whether nothing more fits, however small: asked before an event is encoded.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// After every change of what is in the queue that may matter. Who has filled it up and who has given something back write
    /// their numbers first, then look at the sums: the last of them sees them all.
    fn update_full(&self) {
        let is_full = || {
            self.line.messages.load(Ordering::SeqCst) >= self.max_messages.load(Ordering::SeqCst)
                || self.line.bytes.load(Ordering::SeqCst) >= self.max_bytes.load(Ordering::SeqCst)
        };
        if is_full() {
            self.full.store(true, Ordering::SeqCst);
            // What was given back between the look and the store has not seen that store.
            if is_full() {
                return;
            }
        }
        self.full.store(false, Ordering::SeqCst);
    }

    /// Takes the room for one record of `bytes`, or tells that there is none.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> bool {
        let messages = self.line.messages.fetch_add(1, Ordering::SeqCst);
        let taken = self.line.bytes.fetch_add(bytes, Ordering::SeqCst);
        let (max_messages, max_bytes) =
            (self.max_messages.load(Ordering::Relaxed), self.max_bytes.load(Ordering::Relaxed));
        let after = taken.saturating_add(bytes);
        // One record larger than the whole bound is let through when it is alone, so that it gets its own answer.
        let fits = messages < max_messages && (taken == 0 || after <= max_bytes);
        if !fits {
            // Nobody is woken for that: it was never there.
            self.line.bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.line.messages.fetch_sub(1, Ordering::SeqCst);
        }
        if !fits || messages + 1 >= max_messages || after >= max_bytes {
            self.update_full();
        }
        fits
    }

    /// Gives the room of some records back.
    pub fn release(&self, messages: usize, bytes: usize) {
        self.line.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.line.messages.fetch_sub(messages, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) {
            self.update_full();
        }
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            // Locked, so that a sleeper who has just found no room is not missed.
            let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.room.notify_all();
        }
    }

    /// Takes the room for one record of `bytes`, or sleeps until something was given back, `timeout` at most, and tries again.
    #[must_use]
    pub fn reserve_or_sleep(&self, bytes: usize, timeout: Duration) -> bool {
        if self.reserve(bytes) {
            return true;
        }
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        // Again: from here on, whoever gives something back sees that somebody sleeps.
        let fits = self.reserve(bytes) || {
            drop(self.room.wait_timeout(lock, timeout).unwrap_or_else(PoisonError::into_inner));
            self.reserve(bytes)
        };
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        fits
    }

    /// The next place in the order of all records.
    pub fn next_order(&self) -> u64 {
        self.line.order.fetch_add(1, Ordering::Relaxed)
    }

    /// How many more records may come.
    #[must_use]
    pub fn room_for(&self) -> usize {
        self.max_messages.load(Ordering::Relaxed).saturating_sub(self.line.messages.load(Ordering::Relaxed))
    }

    /// How many records are in the queue.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.line.messages.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_budget_bounds_messages() {
        let budget = Budget::new(2, 1000);
        assert!(budget.reserve(1) && budget.reserve(1));
        assert!(budget.is_full());
        assert!(!budget.reserve(1));
        budget.release(1, 1);
        assert!(!budget.is_full());
        assert!(budget.reserve(1));
    }

    #[test]
    fn the_budget_bounds_bytes() {
        let budget = Budget::new(100, 1000);
        assert!(budget.reserve(600));
        assert!(!budget.reserve(401));
        assert!(budget.reserve(400));
        assert!(budget.is_full());
    }

    #[test]
    fn a_record_larger_than_the_bound_passes_alone() {
        let budget = Budget::new(100, 1000);
        assert!(budget.reserve(5000));
        assert!(!budget.reserve(1));
        budget.release(1, 5000);
        assert!(budget.reserve(1));
        assert!(!budget.reserve(5000));
    }

    #[test]
    fn it_is_never_full_for_good_when_all_was_given_back() {
        for _ in 0..200 {
            let budget = Budget::new(3, 1000);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..50 {
                            if budget.reserve(300) {
                                budget.release(1, 300);
                            }
                        }
                    });
                }
            });
            assert!(!budget.is_full());
            assert!(budget.reserve(1000) && budget.is_full());
        }
    }

    #[test]
    fn who_waits_for_room_is_woken_when_some_is_given_back() {
        let budget = Arc::new(Budget::new(1, 1000));
        assert!(budget.reserve(1));
        let sleeper = std::thread::spawn({
            let budget = Arc::clone(&budget);
            move || {
                let start = Instant::now();
                assert!(budget.reserve_or_sleep(1, Duration::from_mins(1)));
                start.elapsed()
            }
        });
        while budget.sleeping.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert!(!budget.reserve(1));
        budget.release(1, 1);
        assert!(sleeper.join().expect("no panic") < Duration::from_secs(30));
    }
}
