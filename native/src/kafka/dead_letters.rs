//! The dead letter topic, and what must be known of the copies on their way to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::account::shared::Origin;
use crate::account::waiters::WaiterId;
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::verdict::Verdict;

/// What must be known when a copy is delivered, or not.
#[derive(Debug)]
pub struct Letter {
    /// Where the record came from.
    pub origin: Origin,
    /// Where it was to go.
    pub topic: Box<str>,
    /// Its room in the budget.
    pub cost: usize,
    /// Why it has a copy.
    pub verdict: Verdict,
    /// The record, where it is nowhere else.
    pub stored: Option<Vec<u8>>,
    /// Who waits for it.
    pub waiter: Option<WaiterId>,
}

/// The dead letter topic, and the copies on their way to it.
pub struct DeadLetters {
    /// The dead letter topic.
    pub topic: Arc<TopicHandle>,
    letters: Mutex<HashMap<u64, Letter>>,
}

impl DeadLetters {
    /// No copies yet.
    #[must_use]
    pub fn new(topic: Arc<TopicHandle>) -> Self {
        Self { topic, letters: Mutex::default() }
    }

    /// Takes a letter out.
    pub fn take(&self, number: u64) -> Option<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }

    /// Notes a copy that goes to librdkafka next.
    pub fn put(&self, number: u64, letter: Letter) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).insert(number, letter);
    }
}
