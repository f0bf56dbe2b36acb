//! The Kafka topics that records go to: those of the configuration, and those that templates make, up to a bound.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::rules::topic::{KafkaTopic, MAX_TOPIC_LENGTH};

/// Topics made by templates, each looked up in librdkafka once. Reading takes no lock; a new topic copies the table.
#[derive(Debug)]
pub struct DynamicTopics<T> {
    known: ArcSwap<HashMap<String, T>>,
    /// Held by whoever adds one.
    adding: Mutex<()>,
    max: usize,
}

impl<T: Clone> DynamicTopics<T> {
    /// No topic yet, at most `max` later.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { known: ArcSwap::default(), adding: Mutex::new(()), max }
    }

    /// The handle for the topic that client data asks for, made by `open` where it is new. None where the text makes no
    /// topic, the bound is reached, or it cannot be opened: the default topic takes the record then.
    pub fn get(&self, wanted: &[u8], open: impl FnOnce(&KafkaTopic) -> Option<T>) -> Option<T> {
        let name = legal_name(wanted)?;
        let known = self.known.load();
        if let Some(known) = known.get(name.as_ref()) {
            return Some(known.clone());
        }
        // It never shrinks. Clients that make up topics meet the bound here, not each other at the lock.
        if known.len() >= self.max {
            return None;
        }
        drop(known);
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load();
        // Another thread may have been first.
        if let Some(known) = known.get(name.as_ref()) {
            return Some(known.clone());
        }
        if known.len() >= self.max {
            return None;
        }
        let handle = open(&KafkaTopic::new(&name).ok()?)?;
        let mut more = HashMap::clone(&known);
        more.insert(name.into_owned(), handle.clone());
        self.known.store(Arc::new(more));
        Some(handle)
    }
}

/// A topic name out of client data: each character that Kafka does not allow becomes `_`, what is too long is cut. None where
/// nothing, or only one or two dots, would be left.
fn legal_name(wanted: &[u8]) -> Option<Cow<'_, str>> {
    let text = String::from_utf8_lossy(wanted);
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = if text.len() <= MAX_TOPIC_LENGTH && text.chars().all(is_legal) {
        text
    } else {
        text.chars().take(MAX_TOPIC_LENGTH).map(|c| if is_legal(c) { c } else { '_' }).collect::<String>().into()
    };
    if matches!(name.as_ref(), "" | "." | "..") { None } else { Some(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_what_kafka_does_not_allow() {
        for (wanted, name) in [
            (&b"a-b_c.D9"[..], Some("a-b_c.D9")),
            (b"sensors/1 x", Some("sensors_1_x")),
            ("温度".as_bytes(), Some("__")),
            (b"a\xffb", Some("a_b")),
            (b"", None),
            (b".", None),
            (b"..", None),
            (b"/", Some("_")),
        ] {
            assert_eq!(legal_name(wanted).as_deref(), name, "{wanted:?}");
        }
        assert_eq!(legal_name(&[b'x'; 300]).map(|name| name.len()), Some(249));
        assert_eq!(legal_name("é".repeat(300).as_bytes()).map(|name| name.len()), Some(249));
    }

    #[test]
    fn opens_each_topic_once_up_to_the_bound() {
        let topics = DynamicTopics::new(2);
        let mut opened = 0;
        let mut get = |name: &[u8]| {
            topics.get(name, |_| {
                opened += 1;
                Some(opened)
            })
        };
        assert_eq!(get(b"a"), Some(1));
        assert_eq!(get(b"b"), Some(2));
        assert_eq!(get(b"a"), Some(1));
        assert_eq!(get(b"c"), None);
        assert_eq!(get(b"b"), Some(2));
    }

    #[test]
    fn what_cannot_be_opened_takes_no_place() {
        let topics = DynamicTopics::new(1);
        assert_eq!(topics.get(b"a", |_| None::<i32>), None);
        assert_eq!(topics.get(b"b", |_| Some(1)), Some(1));
    }
}
