//! What the threads of the producer share.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rdkafka::bindings::{rd_kafka_last_error, rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::Failure;
use crate::queue::Queue;
use crate::room::Room;
use crate::slot::Slot;

/// A topic handle of librdkafka, given back when dropped.
#[derive(Debug)]
pub struct Topic(pub *mut rd_kafka_topic_t);

// SAFETY: librdkafka's topic handles may be used from any thread at once (rdkafka.h: "thread safe").
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Topic {
    /// Looks a topic up.
    pub fn new(client: &BaseProducer, name: &str) -> Result<Self, Failure> {
        let name = CString::new(name)?;
        // SAFETY: the client is alive, the name NUL-terminated, and a null configuration means the client's own.
        let handle = unsafe { rd_kafka_topic_new(client.client().native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
        if handle.is_null() {
            // SAFETY: reads librdkafka's thread-local last error.
            return Err(RDKafkaErrorCode::from(unsafe { rd_kafka_last_error() }).into());
        }
        Ok(Self(handle))
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_topic_new` and is given back once.
        unsafe { rd_kafka_topic_destroy(self.0) }
    }
}

/// What the threads share.
///
/// Fields are dropped in this order: topic handle and queue before the client that they belong to, slots last.
pub struct Shared {
    /// The topic.
    pub topic: Topic,
    /// What librdkafka reports.
    pub queue: Queue,
    /// The client.
    pub native: BaseProducer,
    /// Made whenever librdkafka has let records go.
    pub room: Room,
    /// Records that Kafka has not got.
    pub undelivered: AtomicU64,
    /// Whether the thread that serves reports is to end.
    pub stop: AtomicBool,
    /// One for each thread that waits. Reports point into it.
    pub slots: Box<[Slot]>,
}
