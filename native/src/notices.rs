//! What librdkafka and the producer have to say to the operator, kept until a process of ours logs it.
//!
//! Bounded, because librdkafka speaks up whenever it likes, and read by polling, because nothing may be logged
//! from a hook or a delivery report: the broker's own log messages pass through the hooks.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many notices wait at most.
const CAPACITY: usize = 100;

/// Notices not yet read.
#[derive(Debug, Default)]
pub struct Notices(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    texts: VecDeque<String>,
    suppressed: u64,
}

impl Notices {
    /// Adds a notice. One that repeats the last one, or finds no room, is only counted.
    pub fn push(&self, text: String) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.texts.len() >= CAPACITY || waiting.texts.back() == Some(&text) {
            waiting.suppressed += 1;
        } else {
            waiting.texts.push_back(text);
        }
    }

    /// Takes all notices, and how many were suppressed beside them.
    pub fn take(&self) -> (Vec<String>, u64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let suppressed = std::mem::take(&mut waiting.suppressed);
        (std::mem::take(&mut waiting.texts).into(), suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_and_counts_what_it_suppresses() {
        let notices = Notices::default();
        notices.push("same".into());
        notices.push("same".into());
        for n in 0..CAPACITY {
            notices.push(n.to_string());
        }
        let (texts, suppressed) = notices.take();
        assert_eq!(texts.len(), CAPACITY);
        assert_eq!(texts.first().map(String::as_str), Some("same"));
        assert_eq!(suppressed, 2);
        assert_eq!(notices.take(), (vec![], 0));
    }
}
