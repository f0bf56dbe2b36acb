//! One record on its way into librdkafka: what it takes in memory, how it is handed over, and what librdkafka's answer means.

use std::ffi::c_void;

use rdkafka::bindings::{RD_KAFKA_MSG_F_COPY, rd_kafka_producev, rd_kafka_resp_err_t, rd_kafka_vtype_t};
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::errors::error_name;
use crate::kafka::native_client::NativeClient;
use crate::kafka::native_parts::{NativeHeaders, TopicHandle};
use crate::kafka::verdict::Verdict;
use crate::metrics::DropReason;
use crate::record::fill::Header;
use crate::record::stored::Stored;

/// What librdkafka holds of its own for each queued message, measured; it counts payloads only.
const MESSAGE_OVERHEAD: usize = 250;

/// What librdkafka holds of its own for each header.
const HEADER_OVERHEAD: usize = 50;

/// `RD_KAFKA_PARTITION_UA`: let the partitioner choose.
const PARTITION_BY_KEY: i32 = -1;

/// One record on its way to librdkafka.
#[derive(Debug)]
pub struct Record<'a> {
    /// The topic.
    pub topic: &'a TopicHandle,
    /// The key. None lets the partitioner choose at random.
    pub key: Option<&'a [u8]>,
    /// The value. None is a null value: a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a [Header<'a>],
    /// When the hook ran, in ms since 1970.
    pub timestamp: i64,
}

impl Record<'_> {
    /// What the record takes in memory.
    #[must_use]
    pub fn cost(&self) -> usize {
        cost(self.key, self.value, self.headers)
    }
}

impl<'a> Record<'a> {
    /// A record as it was stored, for its topic.
    #[must_use]
    pub fn of<'s: 'a>(stored: &'a Stored<'s>, topic: &'a TopicHandle) -> Self {
        Self { topic, key: stored.key, value: stored.value, headers: &stored.headers, timestamp: stored.timestamp }
    }

    /// As it is stored, with its place in the order.
    #[must_use]
    pub fn stored(&self, order: u64) -> Stored<'a> {
        Stored {
            order,
            topic: self.topic.name(),
            key: self.key,
            value: self.value,
            headers: self.headers.into(),
            timestamp: self.timestamp,
        }
    }
}

/// What a record of these parts takes in memory.
#[must_use]
pub fn cost(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
    let headers: usize = headers.iter().map(|(name, value)| HEADER_OVERHEAD + name.len() + value.len()).sum();
    MESSAGE_OVERHEAD + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers
}

/// Why librdkafka did not take a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It has no room now.
    Full,
    /// It takes nothing any more: the producer has failed for good.
    Fatal,
    /// It will never take this record.
    Final(Verdict),
}

impl Refused {
    /// The reason to count a record under that is dropped for it.
    #[must_use]
    pub const fn reason(&self) -> DropReason {
        match self {
            Self::Full => DropReason::QueueFull,
            Self::Fatal => DropReason::Fatal,
            Self::Final(Verdict::Dropped(reason)) => *reason,
            Self::Final(Verdict::Failed(_)) => DropReason::Refused,
        }
    }
}

/// Hands one record to librdkafka, which copies it, and gives `number` back with its report.
///
/// # Errors
///
/// Why librdkafka did not take it.
#[inline]
pub fn hand_over(native: &NativeClient, record: &Record<'_>, number: u64) -> Result<(), RDKafkaErrorCode> {
    let (key, key_length) = raw_parts(record.key);
    let (value, value_length) = raw_parts(record.value);
    let headers = NativeHeaders::new(record.headers);
    let opaque = std::ptr::without_provenance_mut::<c_void>(usize::try_from(number).unwrap_or_default());
    // SAFETY: client and topic handle are alive. Each tag is followed by arguments of the types that rdkafka.h gives for it, and
    // the list ends with END. The flag COPY makes librdkafka copy value and key before it returns; it reads them only. Null
    // headers are none. The opaque is a number that nobody dereferences.
    let result = unsafe {
        rd_kafka_producev(
            native.native_ptr(),
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
            record.topic.as_ptr(),
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
            PARTITION_BY_KEY,
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
            RD_KAFKA_MSG_F_COPY,
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
            value.cast_mut(),
            value_length,
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
            key.cast_mut(),
            key_length,
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
            NativeHeaders::as_ptr(headers.as_ref()),
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
            record.timestamp,
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
            opaque,
            rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
        )
    };
    if result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        // The record owns them now.
        std::mem::forget(headers);
        return Ok(());
    }
    Err(result.into())
}

/// An absent key or value is null, which is not the same as an empty one.
fn raw_parts(bytes: Option<&[u8]>) -> (*const c_void, usize) {
    bytes.map_or((std::ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len()))
}

/// What librdkafka's answer to a record means.
#[must_use]
pub fn refused(error: RDKafkaErrorCode) -> Refused {
    match error {
        RDKafkaErrorCode::QueueFull => Refused::Full,
        RDKafkaErrorCode::Fatal => Refused::Fatal,
        RDKafkaErrorCode::MessageSizeTooLarge => Refused::Final(Verdict::Dropped(DropReason::TooLarge)),
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition => {
            Refused::Final(Verdict::Dropped(DropReason::UnknownTopic))
        }
        // What Kafka said of the topic a moment ago.
        other => Refused::Final(Verdict::Failed(error_name(other))),
    }
}
