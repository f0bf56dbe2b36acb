//! Which caller waits for which record.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::account::waiters::WaiterId;

/// Which record a caller waits for, by the number that the record has in librdkafka.
#[derive(Debug, Default)]
pub struct Tickets {
    waiters: Mutex<HashMap<u64, WaiterId>>,
    count: AtomicUsize,
}

impl Tickets {
    /// `waiter` waits for this record.
    pub fn insert(&self, record: u64, waiter: WaiterId) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.insert(record, waiter);
        self.count.store(waiters.len(), Ordering::SeqCst);
    }

    /// Who waits for this record, if anybody; nobody does afterwards.
    pub fn take(&self, record: u64) -> Option<WaiterId> {
        // Records that nobody waits for are the rule: no lock for them.
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let waiter = waiters.remove(&record);
        self.count.store(waiters.len(), Ordering::SeqCst);
        waiter
    }

    /// Forgets everybody.
    pub fn clear(&self) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.clear();
        self.count.store(0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_taken_once() {
        let tickets = Tickets::default();
        tickets.insert(7, 1);
        assert_eq!((tickets.take(8), tickets.take(7), tickets.take(7)), (None, Some(1), None));
    }
}
