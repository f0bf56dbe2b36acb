//! What Kafka has taken and refused, by topic.
//!
//! Topics come from client data too, where a rule's topic is a template: their number is bounded, and what is over is counted
//! under one name.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Settings;

/// The name that is counted under where there are too many.
pub const OTHER: &str = "other";

/// The outcomes of a topic's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Records that Kafka acknowledged.
    pub success: u64,
    /// Records that Kafka refused for good.
    pub failed: u64,
}

/// The counters of all topics. Only the threads that serve delivery reports count, a batch at a time.
#[derive(Debug, Default)]
pub struct Topics(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    counts: BTreeMap<String, TopicCounts>,
    /// The topics that the settings name. They always have their place.
    fixed: HashSet<String>,
    /// How many others may have one.
    max_others: usize,
}

impl Topics {
    /// Makes room for the topics that settings can lead to. Those of earlier settings keep what room there is.
    pub fn resize(&self, settings: &Settings) {
        let mut table = self.lock();
        table.fixed = settings.fixed_topics().into_iter().collect();
        table.max_others = settings.max_dynamic_topics;
        let Table { counts, fixed, max_others } = &mut *table;
        let mut others = 0;
        counts.retain(|topic, _| {
            let is_other = topic != OTHER && !fixed.contains(topic);
            others += usize::from(is_other);
            !is_other || others <= *max_others
        });
        for topic in fixed.iter() {
            // From the start: a counter that begins at its first record hides that record from whoever looks at rates.
            counts.entry(topic.clone()).or_default();
        }
    }

    /// Kafka has acknowledged so many records of a topic.
    pub fn success(&self, topic: &str, records: u64) {
        self.lock().of(topic).success += records;
    }

    /// Kafka has refused a record of a topic for good.
    pub fn failed(&self, topic: &str) {
        self.lock().of(topic).failed += 1;
    }

    /// All topics, by name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, TopicCounts> {
        self.lock().counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn of(&mut self, topic: &str) -> &mut TopicCounts {
        let known = self.counts.contains_key(topic);
        let name = if known || self.has_room() { topic } else { OTHER };
        self.counts.entry(name.to_owned()).or_default()
    }

    fn has_room(&self) -> bool {
        let places = self.fixed.len() + self.max_others + usize::from(self.counts.contains_key(OTHER));
        self.counts.len() < places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(topic: &str, max_dynamic: &str) -> Topics {
        let topics = Topics::default();
        topics.resize(&settings(topic, max_dynamic));
        topics
    }

    fn settings(topic: &str, max_dynamic: &str) -> Settings {
        let rule = ("hook.message.publish.1", r#"{"topic":"named"}"#);
        Settings::parse([("topic", topic), ("topic_max_dynamic", max_dynamic), rule]).expect("settings")
    }

    fn successes(topics: &Topics) -> Vec<(String, u64)> {
        topics.counts().into_iter().map(|(topic, counts)| (topic, counts.success)).collect()
    }

    fn expected(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
        counts.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect()
    }

    #[test]
    fn topics_of_the_settings_are_there_from_the_start() {
        assert_eq!(successes(&topics("main", "0")), expected(&[("main", 0), ("named", 0)]));
    }

    #[test]
    fn topics_beyond_the_bound_are_counted_together() {
        let topics = topics("main", "2");
        for (topic, records) in [("a", 1), ("b", 2), ("c", 4), ("d", 8), ("a", 16), ("main", 32)] {
            topics.success(topic, records);
        }
        let all = [("a", 17), ("b", 2), ("main", 32), ("named", 0), (OTHER, 12)];
        assert_eq!(successes(&topics), expected(&all));
        topics.failed("e");
        topics.failed("b");
        let failed: Vec<_> = topics.counts().into_iter().filter(|(_, counts)| counts.failed > 0).collect();
        let with = |success, failed| TopicCounts { success, failed };
        assert_eq!(failed, [("b".to_owned(), with(2, 1)), (OTHER.to_owned(), with(12, 1))]);
    }

    #[test]
    fn a_topic_that_has_the_name_of_the_rest_takes_no_place() {
        let topics = topics("main", "1");
        topics.success(OTHER, 1);
        topics.success("a", 1);
        topics.success("b", 1);
        assert_eq!(successes(&topics), expected(&[("a", 1), ("main", 0), ("named", 0), (OTHER, 2)]));
    }

    #[test]
    fn settings_that_name_another_topic_keep_the_last_one_where_there_is_room() {
        let counted = topics("first", "1");
        counted.success("first", 3);
        counted.resize(&settings("second", "1"));
        assert_eq!(successes(&counted), expected(&[("first", 3), ("named", 0), ("second", 0)]));
        counted.resize(&settings("second", "0"));
        assert_eq!(successes(&counted), expected(&[("named", 0), ("second", 0)]));
    }
}
