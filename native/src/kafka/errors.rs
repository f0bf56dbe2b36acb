//! Who is to blame for the error that a batch of records got: one of its records, its size, the topic, or the producer.
//!
//! Kafka answers a batch as a whole and appends nothing of it. So an error says little about most of its records.

use rdkafka::error::RDKafkaErrorCode;

/// Who is to blame, and so what becomes of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Some of the records. The batch is sent again in parts; a record that fails alone is refused for good.
    Record,
    /// The size of the batch. It is sent again in smaller parts; a record that fails alone is refused for good.
    Size,
    /// The topic: each of its records is refused for good.
    Topic,
    /// The time or the number of attempts that the operator's own librdkafka properties allow: refused for good.
    Limit,
    /// The producer. The records are kept for the next one.
    Producer,
    /// Nobody: the plugin itself took the records back. They are kept for the next producer.
    Nobody,
}

/// The errors that are known. `docs/kafka-errors.md` has the same table in the same order; a test holds the two together.
pub const TABLE: [(RDKafkaErrorCode, Blame); 37] = [
    (RDKafkaErrorCode::InvalidRecord, Blame::Record),
    (RDKafkaErrorCode::InvalidDifferentRecord, Blame::Record),
    (RDKafkaErrorCode::InvalidTimestamp, Blame::Record),
    (RDKafkaErrorCode::InvalidMessage, Blame::Record),
    (RDKafkaErrorCode::InvalidMessageSize, Blame::Record),
    (RDKafkaErrorCode::UnsupportedForMessageFormat, Blame::Record),
    (RDKafkaErrorCode::PolicyViolation, Blame::Record),
    (RDKafkaErrorCode::Unknown, Blame::Record),
    (RDKafkaErrorCode::MessageSizeTooLarge, Blame::Size),
    (RDKafkaErrorCode::MessageBatchTooLarge, Blame::Size),
    (RDKafkaErrorCode::TopicAuthorizationFailed, Blame::Topic),
    (RDKafkaErrorCode::UnknownTopic, Blame::Topic),
    (RDKafkaErrorCode::UnknownPartition, Blame::Topic),
    (RDKafkaErrorCode::UnknownTopicOrPartition, Blame::Topic),
    (RDKafkaErrorCode::InvalidTopic, Blame::Topic),
    (RDKafkaErrorCode::MessageTimedOut, Blame::Limit),
    (RDKafkaErrorCode::RequestTimedOut, Blame::Limit),
    (RDKafkaErrorCode::BrokerTransportFailure, Blame::Limit),
    (RDKafkaErrorCode::NetworkException, Blame::Limit),
    (RDKafkaErrorCode::LeaderNotAvailable, Blame::Limit),
    (RDKafkaErrorCode::NotLeaderForPartition, Blame::Limit),
    (RDKafkaErrorCode::ReplicaNotAvailable, Blame::Limit),
    (RDKafkaErrorCode::NotEnoughReplicas, Blame::Limit),
    (RDKafkaErrorCode::NotEnoughReplicasAfterAppend, Blame::Limit),
    (RDKafkaErrorCode::KafkaStorageError, Blame::Limit),
    (RDKafkaErrorCode::ClusterAuthorizationFailed, Blame::Producer),
    (RDKafkaErrorCode::OutOfOrderSequenceNumber, Blame::Producer),
    (RDKafkaErrorCode::UnknownProducerId, Blame::Producer),
    (RDKafkaErrorCode::InvalidProducerEpoch, Blame::Producer),
    (RDKafkaErrorCode::ProducerFenced, Blame::Producer),
    (RDKafkaErrorCode::InvalidRequiredAcks, Blame::Producer),
    (RDKafkaErrorCode::UnsupportedCompressionType, Blame::Producer),
    (RDKafkaErrorCode::UnsupportedVersion, Blame::Producer),
    (RDKafkaErrorCode::Fatal, Blame::Producer),
    (RDKafkaErrorCode::GaplessGuarantee, Blame::Producer),
    (RDKafkaErrorCode::PurgeQueue, Blame::Nobody),
    (RDKafkaErrorCode::PurgeInflight, Blame::Nobody),
];

/// Who is to blame for an error. One that is not known may be any record's.
#[must_use]
pub fn blame(error: RDKafkaErrorCode) -> Blame {
    TABLE.iter().find(|(known, _)| *known == error).map_or(Blame::Record, |(_, blame)| *blame)
}

/// The errors that operators meet: Prometheus sees their counters from the start.
pub const USUAL: [RDKafkaErrorCode; 9] = [
    RDKafkaErrorCode::MessageSizeTooLarge,
    RDKafkaErrorCode::InvalidMessage,
    RDKafkaErrorCode::InvalidMessageSize,
    RDKafkaErrorCode::InvalidTopic,
    RDKafkaErrorCode::InvalidRecord,
    RDKafkaErrorCode::MessageBatchTooLarge,
    RDKafkaErrorCode::TopicAuthorizationFailed,
    RDKafkaErrorCode::UnknownTopic,
    RDKafkaErrorCode::UnknownPartition,
];

/// An error's name in statistics, in the style of the drop reasons: `TopicAuthorizationFailed` is
/// `topic_authorization_failed`.
#[must_use]
pub fn error_name(code: RDKafkaErrorCode) -> String {
    let mut name = String::new();
    let shown = format!("{code:?}");
    let mut previous = None;
    let mut characters = shown.chars().peekable();
    while let Some(c) = characters.next() {
        // An abbreviation, as in `SSL`, is one word.
        let begins = c.is_ascii_uppercase()
            && previous.is_some_and(|before: char| {
                before.is_ascii_lowercase() || characters.peek().is_some_and(char::is_ascii_lowercase)
            });
        if begins {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
        previous = Some(c);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_names_like_drop_reasons() {
        assert_eq!(error_name(RDKafkaErrorCode::TopicAuthorizationFailed), "topic_authorization_failed");
        assert_eq!(error_name(RDKafkaErrorCode::MessageTimedOut), "message_timed_out");
        assert_eq!(error_name(RDKafkaErrorCode::SSL), "ssl");
        assert_eq!(error_name(RDKafkaErrorCode::UnsupportedSASLMechanism), "unsupported_sasl_mechanism");
    }
}
