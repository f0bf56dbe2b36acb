//! Threads that wait until librdkafka's queue has room again.

use std::sync::{Condvar, Mutex, PoisonError};

/// How often there was room: each time when librdkafka has let records go.
#[derive(Debug, Default)]
pub struct Room {
    times: Mutex<u64>,
    again: Condvar,
}

impl Room {
    /// To be read before the queue is found full: what is made after that is seen by `wait`.
    pub fn times(&self) -> u64 {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until there was room once more than `times`.
    pub fn wait(&self, times: u64) {
        let guard = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.again.wait_while(guard, |now| *now == times).unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes all that wait.
    pub fn make(&self) {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.again.notify_all();
    }
}
