//! Why there is no producer.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

use crate::rules::topic::TopicError;

/// Why no producer could be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// librdkafka refused the configuration; in its own words.
    #[error("librdkafka refuses the configuration: {0}")]
    Config(String),
    /// The default topic is no topic name.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// librdkafka made no topic handle.
    #[error("librdkafka refuses the topic: {0}")]
    TopicHandle(RDKafkaErrorCode),
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl From<KafkaError> for OpenError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, words, ..) | KafkaError::ClientCreation(words) => Self::Config(words),
            other => Self::Config(other.to_string()),
        }
    }
}
