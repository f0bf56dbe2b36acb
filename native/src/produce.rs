//! The one producer: opened, fed from any thread, drained, closed.
//!
//! rust-rdkafka's `BaseProducer` owns the client's life and its events. Records go in through librdkafka's own
//! `producev` on a topic handle that is looked up once: `BaseProducer::send` would look the topic up, and allocate its
//! name, for each record.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_flush, rd_kafka_producev, rd_kafka_purge, rd_kafka_resp_err_t, rd_kafka_vtype_t,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};
use thiserror::Error;

use crate::config::Settings;
use crate::delivery::{Budget, Delivery};
use crate::metrics::{DropReason, Metrics};
use crate::native_parts::{NativeHeaders, TopicHandle};
use crate::notices::Notices;
use crate::record::Header;
use crate::topic::{KafkaTopic, TopicError};
use crate::topics::DynamicTopics;

/// What librdkafka holds of its own for each queued message, measured; it counts payloads only.
const MESSAGE_OVERHEAD: usize = 250;

/// What librdkafka holds of its own for each header.
const HEADER_OVERHEAD: usize = 50;

/// `RD_KAFKA_PARTITION_UA`: let the partitioner choose.
const PARTITION_BY_KEY: i32 = -1;

/// How long the thread that serves delivery reports sleeps at most before it looks whether it should stop: what a stop
/// of an idle plugin takes.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long the delivery reports of purged records may take: librdkafka makes them at once, from memory.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);

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
    #[error("cannot start the thread for delivery reports: {0}")]
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
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| HEADER_OVERHEAD + name.len() + value.len()).sum();
        MESSAGE_OVERHEAD + self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}

/// An open producer.
///
/// Fields are dropped in this order: the topic handles before the client that they belong to.
pub struct Producer {
    topic: TopicHandle,
    dynamic: DynamicTopics<TopicHandle>,
    client: Arc<BaseProducer<Delivery>>,
    budget: Arc<Budget>,
    metrics: Arc<Metrics>,
    max_message_bytes: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Producer {
    /// Opens a producer and starts the thread that serves its delivery reports. Does not wait for Kafka.
    ///
    /// # Errors
    ///
    /// What librdkafka or the operating system refused.
    pub fn open(settings: &Settings, metrics: Arc<Metrics>, notices: Arc<Notices>) -> Result<Self, OpenError> {
        let config = settings.client_config();
        let max_message_bytes = config.create_native_config()?.get("message.max.bytes")?.parse().unwrap_or(usize::MAX);
        let budget = Arc::new(Budget::new(settings.max_messages, settings.max_bytes));
        let context = Delivery { metrics: Arc::clone(&metrics), budget: Arc::clone(&budget), notices };
        let client = Arc::new(BaseProducer::from_config_and_context(&config, context)?);
        let topic = TopicHandle::new(&client, &KafkaTopic::new(&settings.topic)?).map_err(OpenError::TopicHandle)?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("emq_kafka_dr".to_owned())
            .spawn({
                let (client, stop) = (Arc::clone(&client), Arc::clone(&stop));
                move || {
                    while !stop.load(Ordering::Acquire) {
                        client.poll(POLL_INTERVAL);
                    }
                }
            })
            .map_err(OpenError::Thread)?;
        let dynamic = DynamicTopics::new(settings.max_dynamic_topics);
        Ok(Self { topic, dynamic, client, budget, metrics, max_message_bytes, stop, thread: Some(thread) })
    }

    /// Whether a record with a value of at least `bytes` has a chance: asked before it is encoded.
    ///
    /// # Errors
    ///
    /// The reason why it has none.
    pub fn admit(&self, bytes: usize) -> Result<(), DropReason> {
        if bytes > self.max_message_bytes {
            Err(DropReason::TooLarge)
        } else if self.budget.is_full() {
            Err(DropReason::QueueFull)
        } else {
            Ok(())
        }
    }

    /// The default topic.
    #[must_use]
    pub const fn default_topic(&self) -> &TopicHandle {
        &self.topic
    }

    /// A topic of the configuration.
    ///
    /// # Errors
    ///
    /// librdkafka made no handle.
    pub fn open_topic(&self, topic: &KafkaTopic) -> Result<TopicHandle, OpenError> {
        TopicHandle::new(&self.client, topic).map_err(OpenError::TopicHandle)
    }

    /// The topic that client data asks for. None where it makes no topic, or one too many.
    #[must_use]
    pub fn dynamic_topic(&self, wanted: &[u8]) -> Option<Arc<TopicHandle>> {
        self.dynamic.get(wanted, |topic| self.open_topic(topic).ok())
    }

    /// Hands one record to librdkafka, which copies it, and counts it: queued, or dropped for a reason.
    ///
    /// # Errors
    ///
    /// The reason why the record was dropped.
    pub fn produce(&self, record: &Record<'_>) -> Result<(), DropReason> {
        let bytes = record.bytes();
        if !self.budget.reserve(bytes) {
            self.metrics.dropped(DropReason::QueueFull);
            return Err(DropReason::QueueFull);
        }
        self.metrics.queued(bytes);
        match self.enqueue(record, bytes) {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => {
                self.budget.release(bytes);
                let reason = drop_reason(error.into());
                self.metrics.dropped_queued(reason, bytes);
                Err(reason)
            }
        }
    }

    fn enqueue(&self, record: &Record<'_>, opaque: usize) -> rd_kafka_resp_err_t {
        let (key, key_length) = raw_parts(record.key);
        let (value, value_length) = raw_parts(record.value);
        let headers = NativeHeaders::new(record.headers);
        // SAFETY: the client and the topic handle live as long as `self`. Each tag is followed by arguments of the types
        // that rdkafka.h gives for it, and the list ends with END. The flag COPY makes librdkafka copy value
        // and key before it returns; it reads them only. Null headers are none. The opaque is a number that nobody
        // dereferences.
        let result = unsafe {
            rd_kafka_producev(
                self.client.client().native_ptr(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                record.topic.as_ptr(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                PARTITION_BY_KEY,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                RD_KAFKA_MSG_F_COPY,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value,
                value_length,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key,
                key_length,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                NativeHeaders::as_ptr(headers.as_ref()),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                opaque as *mut c_void,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        };
        if result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            // The record owns them now.
            std::mem::forget(headers);
        }
        result
    }

    /// Whether librdkafka has declared this producer unusable.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.client.client().fatal_error().is_some()
    }

    /// Waits until Kafka has acknowledged everything, `timeout` at most, gives up the rest (each record counted as
    /// `dropped.purged`), and closes. Returns how many records were given up.
    ///
    /// Waits: never call it on a normal scheduler.
    #[must_use]
    pub fn close(mut self, timeout: Duration) -> usize {
        let left = self.flush(timeout);
        if left > 0 {
            // SAFETY: the client is alive. The flags are 1 (records in queues) and 2 (records in flight); their delivery
            // reports are served by our thread, which still runs.
            unsafe { rd_kafka_purge(self.client.client().native_ptr(), 1 | 2) };
            self.flush(PURGE_TIMEOUT);
        }
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It ends within one poll interval. It cannot have panicked: no code in it does.
            thread.join().ok();
        }
        left
    }

    /// Returns how many records are left.
    fn flush(&self, timeout: Duration) -> usize {
        let client = self.client.client().native_ptr();
        let deadline = Instant::now() + timeout;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let milliseconds = i32::try_from(remaining.as_millis()).unwrap_or(i32::MAX);
            // SAFETY: the client is alive. With delivery reports as events, flush runs no callback: it sends without
            // lingering and waits for the queue, which our thread empties.
            let result = unsafe { rd_kafka_flush(client, milliseconds) };
            // Our own count: librdkafka's `outq_len` has log lines and errors in it.
            let left = self.budget.messages();
            if left == 0 || milliseconds == 0 || result != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT {
                return left;
            }
        }
    }
}

impl Drop for Producer {
    /// A producer that is dropped without a close must not leave its thread behind, which would keep the client alive.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// An absent key or value is null, which is not the same as an empty one.
fn raw_parts(bytes: Option<&[u8]>) -> (*const c_void, usize) {
    bytes.map_or((std::ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len()))
}

/// Why librdkafka did not take a record.
fn drop_reason(error: RDKafkaErrorCode) -> DropReason {
    match error {
        RDKafkaErrorCode::QueueFull => DropReason::QueueFull,
        RDKafkaErrorCode::MessageSizeTooLarge => DropReason::TooLarge,
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition => DropReason::UnknownTopic,
        RDKafkaErrorCode::Fatal => DropReason::Fatal,
        _ => DropReason::Refused,
    }
}
