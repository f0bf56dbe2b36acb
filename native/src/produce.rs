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
    RD_KAFKA_MSG_F_COPY, rd_kafka_flush, rd_kafka_producev, rd_kafka_purge, rd_kafka_resp_err_t,
    rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};
use thiserror::Error;

use crate::config::Settings;
use crate::delivery::{Budget, Delivery};
use crate::metrics::{DropReason, Metrics};
use crate::notices::Notices;
use crate::topic::{KafkaTopic, TopicError};

/// What librdkafka holds of its own for each queued message, measured; it counts payloads only.
const MESSAGE_OVERHEAD: usize = 250;

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

/// A topic handle of librdkafka, given back when dropped.
#[derive(Debug)]
struct TopicHandle(*mut rd_kafka_topic_t);

// SAFETY: librdkafka's topic handles may be used from any thread at once (rdkafka.h, "thread safe").
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

impl TopicHandle {
    fn new(client: &BaseProducer<Delivery>, topic: &KafkaTopic) -> Result<Self, OpenError> {
        // SAFETY: the client is alive for the call, the name is NUL-terminated, and a null configuration means the
        // client's default one. The handle keeps its own count of references to the client's parts.
        let handle = unsafe {
            rd_kafka_topic_new(client.client().native_ptr(), topic.as_c_str().as_ptr(), std::ptr::null_mut())
        };
        if handle.is_null() {
            // SAFETY: reads librdkafka's thread-local last error.
            let error = unsafe { rdkafka::bindings::rd_kafka_last_error() };
            return Err(OpenError::TopicHandle(error.into()));
        }
        Ok(Self(handle))
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_topic_new` and is given back once.
        unsafe { rd_kafka_topic_destroy(self.0) }
    }
}

/// An open producer.
///
/// Fields are dropped in this order: the topic handle before the client that it belongs to.
pub struct Producer {
    topic: TopicHandle,
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
        let topic = TopicHandle::new(&client, &KafkaTopic::new(&settings.topic)?)?;
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
        Ok(Self { topic, client, budget, metrics, max_message_bytes, stop, thread: Some(thread) })
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

    /// Hands one record to librdkafka, which copies it, and counts it: queued, or dropped for a reason.
    ///
    /// # Errors
    ///
    /// The reason why the record was dropped.
    pub fn produce(&self, key: Option<&[u8]>, value: &[u8], timestamp: i64) -> Result<(), DropReason> {
        let bytes = MESSAGE_OVERHEAD + key.map_or(0, <[u8]>::len) + value.len();
        if !self.budget.reserve(bytes) {
            self.metrics.dropped(DropReason::QueueFull);
            return Err(DropReason::QueueFull);
        }
        self.metrics.queued(bytes);
        match self.enqueue(key, value, timestamp, bytes) {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => {
                self.budget.release(bytes);
                let reason = drop_reason(error.into());
                self.metrics.dropped_queued(reason, bytes);
                Err(reason)
            }
        }
    }

    fn enqueue(&self, key: Option<&[u8]>, value: &[u8], timestamp: i64, opaque: usize) -> rd_kafka_resp_err_t {
        let (key, key_length) = key.map_or((std::ptr::null(), 0), |key| (key.as_ptr(), key.len()));
        // SAFETY: the client and the topic handle live as long as `self`. Each tag is followed by arguments of the types
        // that rdkafka.h gives for it, and the list ends with END. The flag COPY makes librdkafka copy value
        // and key before it returns; it reads them only. The opaque is a number that nobody dereferences.
        unsafe {
            rd_kafka_producev(
                self.client.client().native_ptr(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                self.topic.0,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                PARTITION_BY_KEY,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                RD_KAFKA_MSG_F_COPY,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value.as_ptr().cast::<c_void>(),
                value.len(),
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key.cast::<c_void>(),
                key_length,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                opaque as *mut c_void,
                rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        }
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
