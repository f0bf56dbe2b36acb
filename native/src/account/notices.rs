//! What librdkafka and the producer have to say to the operator, kept until a process of ours logs it.
//!
//! Bounded, because librdkafka repeats itself for as long as an outage lasts, and read by polling, because nothing may be
//! logged from a hook or a delivery report: the broker's own log messages pass through the hooks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How many kinds wait at most. librdkafka has some dozens; more come only while it is being debugged.
const MAX_KINDS: usize = 100;

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something may come of it.
    Warning,
    /// For who wants to know.
    Info,
}

/// A notice of one kind: how often it came since the last look, and its latest text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What tells it from others, such as librdkafka's name of a log line.
    pub kind: String,
    /// The latest one's level.
    pub level: Level,
    /// The latest text.
    pub text: String,
    /// How often it came.
    pub count: u64,
}

/// Notices not yet read, by kind.
#[derive(Debug, Default)]
pub struct Notices(Mutex<BTreeMap<String, (Level, String, u64)>>);

impl Notices {
    /// Adds an error, as `push_at`.
    pub fn push(&self, kind: &str, text: String) {
        self.push_at(Level::Error, kind, text);
    }

    /// Adds a notice. What finds no room is left out: a hundred others are there to tell the story. What is no trouble, such as a
    /// line of librdkafka's that the operator asked for, leaves half the room to what is.
    pub fn push_at(&self, level: Level, kind: &str, text: String) {
        let kinds = if level == Level::Error { MAX_KINDS } else { MAX_KINDS / 2 };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((latest_level, latest, count)) = waiting.get_mut(kind) {
            *latest_level = level;
            *latest = text;
            *count += 1;
        } else if waiting.len() < kinds {
            waiting.insert(kind.to_owned(), (level, text, 1));
        }
    }

    /// Takes all notices.
    pub fn take(&self) -> Vec<Notice> {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().map(|(kind, (level, text, count))| Notice { kind, level, text, count }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_latest_of_a_kind_and_counts() {
        let notices = Notices::default();
        notices.push("FAIL", "first".into());
        notices.push("FAIL", "second".into());
        let notice = Notice { kind: "FAIL".into(), level: Level::Error, text: "second".into(), count: 2 };
        assert_eq!(notices.take(), [notice]);
        assert_eq!(notices.take(), []);
    }

    #[test]
    fn what_was_asked_for_leaves_room_for_trouble() {
        let notices = Notices::default();
        for n in 0..2 * MAX_KINDS {
            notices.push_at(Level::Info, &n.to_string(), String::new());
        }
        notices.push("trouble", String::new());
        assert!(notices.take().iter().any(|notice| notice.kind == "trouble"));
    }

    #[test]
    fn is_bounded() {
        let notices = Notices::default();
        for n in 0..2 * MAX_KINDS {
            notices.push(&n.to_string(), String::new());
        }
        assert_eq!(notices.take().len(), MAX_KINDS);
    }
}
