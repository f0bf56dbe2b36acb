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

/// Who is to blame for an error. `docs/KAFKA_ERRORS.md` has the same table in the same order; a test holds the two together.
#[must_use]
#[allow(clippy::match_same_arms, reason = "what is known, and what is not, are different things")]
pub const fn blame(error: RDKafkaErrorCode) -> Blame {
    match error {
        RDKafkaErrorCode::InvalidRecord
        | RDKafkaErrorCode::InvalidDifferentRecord
        | RDKafkaErrorCode::InvalidTimestamp
        | RDKafkaErrorCode::InvalidMessage
        | RDKafkaErrorCode::InvalidMessageSize
        | RDKafkaErrorCode::UnsupportedForMessageFormat
        | RDKafkaErrorCode::PolicyViolation
        | RDKafkaErrorCode::Unknown => Blame::Record,
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge => Blame::Size,
        RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::InvalidTopic => Blame::Topic,
        RDKafkaErrorCode::MessageTimedOut
        | RDKafkaErrorCode::RequestTimedOut
        | RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::NetworkException
        | RDKafkaErrorCode::LeaderNotAvailable
        | RDKafkaErrorCode::NotLeaderForPartition
        | RDKafkaErrorCode::ReplicaNotAvailable
        | RDKafkaErrorCode::NotEnoughReplicas
        | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
        | RDKafkaErrorCode::KafkaStorageError => Blame::Limit,
        RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::OutOfOrderSequenceNumber
        | RDKafkaErrorCode::UnknownProducerId
        | RDKafkaErrorCode::InvalidProducerEpoch
        | RDKafkaErrorCode::ProducerFenced
        | RDKafkaErrorCode::InvalidRequiredAcks
        | RDKafkaErrorCode::UnsupportedCompressionType
        | RDKafkaErrorCode::UnsupportedVersion
        | RDKafkaErrorCode::Fatal
        | RDKafkaErrorCode::GaplessGuarantee => Blame::Producer,
        RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => Blame::Nobody,
        // One that is not known may be any record's.
        _ => Blame::Record,
    }
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
