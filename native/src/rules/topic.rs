//! Names of topics: Kafka's, checked, and the broker's own MQTT topics.

use std::ffi::{CStr, CString};

use thiserror::Error;

/// The longest topic name that Kafka takes, in bytes.
pub const MAX_TOPIC_LENGTH: usize = 249;

/// A topic name that Kafka accepts: 1 to 249 of `a-z A-Z 0-9 . _ -`, but neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTopic(CString);

/// Why a name is no Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopicError {
    /// Nothing there.
    #[error("a Kafka topic name is empty")]
    Empty,
    /// More than 249 bytes.
    #[error("a Kafka topic name has {0} bytes, at most {MAX_TOPIC_LENGTH} are allowed")]
    TooLong(usize),
    /// `.` or `..`.
    #[error("a Kafka topic name is \".\" or \"..\"")]
    Dots,
    /// A character outside the legal set.
    #[error("a Kafka topic name has the character {0:?}; allowed are a-z A-Z 0-9 . _ -")]
    Character(char),
}

impl KafkaTopic {
    /// Checks a name by Kafka's rules.
    ///
    /// # Errors
    ///
    /// The rule that the name breaks.
    pub fn new(name: &str) -> Result<Self, TopicError> {
        if name.is_empty() {
            return Err(TopicError::Empty);
        }
        if name == "." || name == ".." {
            return Err(TopicError::Dots);
        }
        let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(c) = name.chars().find(|c| !legal(c)) {
            return Err(TopicError::Character(c));
        }
        if name.len() > MAX_TOPIC_LENGTH {
            return Err(TopicError::TooLong(name.len()));
        }
        // The check above leaves no NUL; the error is only there to keep this total.
        CString::new(name).map(Self).map_err(|_| TopicError::Character('\0'))
    }

    /// The name, as librdkafka wants it.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }

    /// The name. It is ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Whether an MQTT topic is one of the broker's own (`$SYS` or below it).
#[must_use]
pub fn is_sys_topic(topic: &[u8]) -> bool {
    topic.strip_prefix(b"$SYS").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_kafka_accepts() {
        for name in ["test", "a", "A.b_c-9", &"x".repeat(249), "..."] {
            assert_eq!(
                KafkaTopic::new(name).map(|t| t.as_c_str().to_str().map(str::to_owned)),
                Ok(Ok(name.to_owned()))
            );
        }
    }

    #[test]
    fn refuses_what_kafka_refuses() {
        assert_eq!(KafkaTopic::new(""), Err(TopicError::Empty));
        assert_eq!(KafkaTopic::new("."), Err(TopicError::Dots));
        assert_eq!(KafkaTopic::new(".."), Err(TopicError::Dots));
        assert_eq!(KafkaTopic::new("a/b"), Err(TopicError::Character('/')));
        assert_eq!(KafkaTopic::new("a\0b"), Err(TopicError::Character('\0')));
        assert_eq!(KafkaTopic::new("温度"), Err(TopicError::Character('温')));
        assert_eq!(KafkaTopic::new(&"x".repeat(250)), Err(TopicError::TooLong(250)));
    }

    #[test]
    fn tells_the_brokers_own_topics() {
        for topic in [&b"$SYS"[..], b"$SYS/", b"$SYS/brokers/n/uptime"] {
            assert!(is_sys_topic(topic));
        }
        for topic in [&b"$SYSTEM"[..], b"$sys/a", b"a/$SYS", b"/$SYS/a", b"", b"$queue/a"] {
            assert!(!is_sys_topic(topic));
        }
    }
}
