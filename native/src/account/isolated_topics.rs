//! The topics with a batch that Kafka refused because of some of its records. They outlive the producer: the next one isolates them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Bell = Box<dyn Fn() + Send>;

/// The topics, and who replaces the producer.
#[derive(Default)]
pub struct IsolatedTopics {
    topics: Mutex<BTreeSet<String>>,
    bell: Mutex<Option<Bell>>,
}

impl IsolatedTopics {
    /// Adds a topic. False: it is there already.
    pub fn add(&self, topic: &str) -> bool {
        self.topics().insert(topic.to_owned())
    }

    /// Takes a topic out.
    pub fn remove(&self, topic: &str) {
        self.topics().remove(topic);
    }

    /// Takes all of them out.
    #[must_use]
    pub fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.topics())
    }

    /// Puts them back.
    pub fn extend(&self, topics: BTreeSet<String>) {
        self.topics().extend(topics);
    }

    /// All of them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.topics().iter().cloned().collect()
    }

    /// What is to be called when the producer must be replaced. It must not wait.
    pub fn on_change(&self, bell: impl Fn() + Send + 'static) {
        *self.bell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(bell));
    }

    /// The producer must be replaced.
    pub fn ring(&self) {
        if let Some(bell) = self.bell.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            bell();
        }
    }

    fn topics(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
