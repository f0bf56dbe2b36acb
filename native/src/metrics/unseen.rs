//! Messages that were published while the broker called no hook of the plugin.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many there were since the library was loaded. They are in no record, and in no other counter.
#[derive(Debug, Default)]
pub struct Unseen(AtomicU64);

impl Unseen {
    /// So many more.
    pub fn add(&self, messages: u64) {
        self.0.fetch_add(messages, Ordering::Relaxed);
    }

    /// All of them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
