//! The topics, and how many records each partition has got.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// More in one topic would be a mistake.
const MAX_PARTITIONS: usize = 10_000;

/// All topics.
pub struct Topics {
    known: RwLock<HashMap<String, Arc<Topic>>>,
    partitions: usize,
}

impl Topics {
    pub fn new(partitions: usize) -> Self {
        Self { known: RwLock::default(), partitions }
    }

    pub fn names(&self) -> Vec<String> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub fn find(&self, name: &str) -> Option<Arc<Topic>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A new one where there is none.
    pub fn get(&self, name: &str) -> Arc<Topic> {
        self.find(name).unwrap_or_else(|| {
            let partitions = wanted_by(name).unwrap_or(self.partitions);
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have been first.
            Arc::clone(known.entry(name.to_owned()).or_insert_with(|| Arc::new(Topic::new(partitions))))
        })
    }

    /// Whether it was not there before.
    pub fn create(&self, name: &str, partitions: usize) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !known.contains_key(name);
        if is_new {
            known.insert(name.to_owned(), Arc::new(Topic::new(partitions)));
        }
        is_new
    }

    /// Whether it was there.
    pub fn delete(&self, name: &str) -> bool {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some()
    }
}

/// Whether a topic may have so many.
pub fn allowed(partitions: usize) -> bool {
    (1..=MAX_PARTITIONS).contains(&partitions)
}

/// The 16 of `name-p16`.
fn wanted_by(name: &str) -> Option<usize> {
    let (_, number) = name.rsplit_once("-p")?;
    number.parse().ok().filter(|number| allowed(*number))
}

/// The partitions of a topic.
pub struct Topic(Vec<AtomicI64>);

impl Topic {
    fn new(partitions: usize) -> Self {
        Self((0..partitions).map(|_| AtomicI64::new(0)).collect())
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> usize {
        self.0.len()
    }

    /// The offset of the first of so many records, which the partition has from now on. None: there is no such partition.
    pub fn append(&self, partition: i32, records: i64) -> Option<i64> {
        Some(self.end_of(partition)?.fetch_add(records, Ordering::Relaxed))
    }

    /// The offset that the next record gets.
    pub fn end(&self, partition: i32) -> Option<i64> {
        Some(self.end_of(partition)?.load(Ordering::Relaxed))
    }

    fn end_of(&self, partition: i32) -> Option<&AtomicI64> {
        self.0.get(usize::try_from(partition).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_ask_for_its_partitions() {
        let topics = Topics::new(4);
        for (name, partitions) in
            [("plain", 4), ("bench-1-p16", 16), ("odd-p", 4), ("none-p0", 4), ("huge-p99999999", 4)]
        {
            assert_eq!(topics.get(name).partitions(), partitions, "{name}");
        }
    }

    #[test]
    fn offsets_follow_one_another() {
        let topic = Topic::new(2);
        assert_eq!(topic.append(1, 5), Some(0));
        assert_eq!(topic.append(1, 2), Some(5));
        assert_eq!((topic.end(0), topic.end(1), topic.end(2), topic.end(-1)), (Some(0), Some(7), None, None));
    }
}
