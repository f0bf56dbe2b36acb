//! What a record needs in librdkafka's own form, beyond what rust-rdkafka offers: topic handles and header lists. Each gives
//! itself back when it is dropped.

use std::ffi::CStr;
use std::sync::atomic::AtomicBool;

use rdkafka::bindings::{
    rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new, rd_kafka_headers_t, rd_kafka_last_error,
    rd_kafka_topic_destroy, rd_kafka_topic_name, rd_kafka_topic_new, rd_kafka_topic_t,
};
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::key_order::KeyOrder;
use crate::kafka::native_client::NativeClient;
use crate::record::fill::Header;
use crate::rules::topic::KafkaTopic;

/// A topic handle of librdkafka, given back when dropped, and what its client knows of the topic.
#[derive(Debug)]
pub struct TopicHandle {
    native: *mut rd_kafka_topic_t,
    /// The keys whose order Kafka does not watch yet.
    pub key_order: KeyOrder,
    /// Whether its records go through the isolation.
    pub is_isolated: AtomicBool,
}

// SAFETY: librdkafka's topic handles may be used from any thread at once (rdkafka.h, "thread safe").
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

impl TopicHandle {
    /// Looks a topic up. Does not wait for Kafka.
    ///
    /// # Errors
    ///
    /// librdkafka's reason for having no handle.
    pub fn new(client: &NativeClient, topic: &KafkaTopic) -> Result<Self, RDKafkaErrorCode> {
        // SAFETY: the client is alive for the call, the name is NUL-terminated, and a null configuration means the
        // client's default one. The handle keeps its own count of references to the client's parts.
        let handle =
            unsafe { rd_kafka_topic_new(client.native_ptr(), topic.as_c_str().as_ptr(), std::ptr::null_mut()) };
        if handle.is_null() {
            // SAFETY: reads librdkafka's thread-local last error.
            let error = unsafe { rd_kafka_last_error() };
            return Err(error.into());
        }
        Ok(Self { native: handle, key_order: KeyOrder::default(), is_isolated: AtomicBool::new(false) })
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        // SAFETY: the name is NUL-terminated and lives as long as the handle.
        unsafe { CStr::from_ptr(rd_kafka_topic_name(self.native)) }.to_str().unwrap_or_default()
    }

    /// The handle, for calls while `self` lives.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut rd_kafka_topic_t {
        self.native
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_topic_new` and is given back once.
        unsafe { rd_kafka_topic_destroy(self.native) }
    }
}

/// Headers in librdkafka's form, given back when dropped unless a produced record took them.
#[derive(Debug)]
pub struct NativeHeaders(*mut rd_kafka_headers_t);

impl NativeHeaders {
    /// None where there are no headers, which costs nothing.
    #[must_use]
    pub fn new(headers: &[Header<'_>]) -> Option<Self> {
        if headers.is_empty() {
            return None;
        }
        // SAFETY: takes any number; the list grows as needed.
        let list = unsafe { rd_kafka_headers_new(headers.len()) };
        for (name, value) in headers {
            // SAFETY: the list is live. Name and value are copied by the call; their pointers and lengths are those of live
            // slices.
            unsafe {
                rd_kafka_header_add(
                    list,
                    name.as_ptr().cast(),
                    name.len().cast_signed(),
                    value.as_ptr().cast(),
                    value.len().cast_signed(),
                );
            }
        }
        Some(Self(list))
    }

    /// The list, or null where there is none.
    #[must_use]
    pub fn as_ptr(headers: Option<&Self>) -> *mut rd_kafka_headers_t {
        headers.map_or(std::ptr::null_mut(), |headers| headers.0)
    }
}

impl Drop for NativeHeaders {
    fn drop(&mut self) {
        // SAFETY: the list is still ours: what a record took was forgotten, not dropped.
        unsafe { rd_kafka_headers_destroy(self.0) }
    }
}
