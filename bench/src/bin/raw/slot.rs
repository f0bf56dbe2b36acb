//! Where a thread finds what became of its record.

use std::ffi::c_void;
use std::sync::{Condvar, Mutex, PoisonError};

use rdkafka::error::RDKafkaErrorCode;

/// One record at a time, of one thread. It lives, and stays where it is, as long as the thread that serves reports.
#[derive(Debug, Default)]
pub struct Slot {
    outcome: Mutex<Option<Result<(), RDKafkaErrorCode>>>,
    settled: Condvar,
}

impl Slot {
    /// The opaque of a record whose report is to come here.
    pub fn opaque(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Until the record is reported.
    pub fn wait(&self) -> Result<(), RDKafkaErrorCode> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = outcome.take() {
                return outcome;
            }
            outcome = self.settled.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes who waits.
    pub fn settle(&self, outcome: Result<(), RDKafkaErrorCode>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.settled.notify_one();
    }
}
