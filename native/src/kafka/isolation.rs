//! Topics with a batch that Kafka refused because of some of its records. A client of their own sends their records, a chunk at a time
//! for each topic, so that refused records are sent again, in parts, before newer ones of their topic.
//!
//! The chunk is one batch in each partition: the client lingers for ever, is given the whole chunk, and is flushed. The other topics'
//! records go their usual way. Opened with a producer, and only where there is such a topic.
//!
//! `isolated` has the two threads: one sends, the other serves the delivery reports.

mod culprits;
mod queue;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::bindings::{rd_kafka_flush, rd_kafka_purge};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::config::Settings;
use crate::kafka::key_order::Waiting;
use crate::kafka::native_client::{self, NativeClient};
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::produce::{Record, Refused, hand_over, refused};
use crate::kafka::reports::{Event, Queue};
use crate::rules::topic::KafkaTopic;
pub use culprits::Culprits;
use queue::{Bounds, TopicQueue};

/// Records of a chunk at most. More would only make a refused batch more expensive.
const CHUNK: usize = 1000;

/// librdkafka's longest linger.
const LINGER_MS: u64 = 900_000;

/// How long one flush lasts at most. A topic whose chunk is done may wait so long for another topic's chunk.
const FLUSH: Duration = Duration::from_millis(20);

/// How long the threads sleep at most before they look whether they should end.
const WAIT: Duration = Duration::from_millis(100);

/// After so long without a refused batch, and with nothing to send, a topic goes the usual way again.
const PROBATION: Duration = Duration::from_mins(10);

struct Topic {
    handle: Arc<TopicHandle>,
    queue: TopicQueue,
    /// When it was isolated, or last had a batch refused.
    since: Instant,
}

/// What is sent next of one topic.
pub struct Chunk {
    /// The topic's name.
    pub topic: String,
    /// The topic.
    pub handle: Arc<TopicHandle>,
    /// Its records.
    pub records: Vec<Waiting>,
}

type Topics = HashMap<String, Topic>;

/// The isolated topics and their client.
///
/// Fields are dropped in this order: topic handles and queue before the client that they belong to.
pub struct Isolation {
    topics: Mutex<Topics>,
    queue: Queue,
    native: NativeClient,
    /// A record has come, or a chunk was reported.
    changed: Condvar,
    /// Whether nothing is sent any more.
    closing: AtomicBool,
    /// Whether both threads are to end.
    stop: AtomicBool,
}

impl Isolation {
    /// Opens the client for these topics. Does not wait for Kafka.
    ///
    /// # Errors
    ///
    /// What librdkafka refused.
    pub fn open(settings: &Settings, names: Vec<String>) -> KafkaResult<Self> {
        let config = client_config(settings)?;
        let native = native_client::open(&config)?;
        let known = config.create_native_config()?;
        let number = |name: &str| known.get(name).ok().and_then(|value| value.parse::<usize>().ok());
        // Below librdkafka's own bounds, so that a chunk is never sent in two batches, nor before its flush.
        let records = number("batch.num.messages").unwrap_or(CHUNK).saturating_sub(1).clamp(1, CHUNK);
        let bytes = number("batch.size").unwrap_or(usize::MAX).min(number("message.max.bytes").unwrap_or(usize::MAX));
        let most = Bounds { records, bytes };
        let mut topics = Topics::new();
        for name in names {
            let Ok(topic) = KafkaTopic::new(&name) else { continue };
            let handle = Arc::new(TopicHandle::new(&native, &topic).map_err(KafkaError::MessageProduction)?);
            topics.insert(name, Topic { handle, queue: TopicQueue::new(most), since: Instant::now() });
        }
        Ok(Self {
            topics: Mutex::new(topics),
            queue: Queue::of(&native),
            native,
            changed: Condvar::new(),
            closing: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        })
    }

    /// Whether a topic is isolated.
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        self.topics().contains_key(topic)
    }

    /// Takes a record. False: its topic is not isolated any more. Never waits.
    pub fn take(&self, topic: &str, record: Waiting) -> bool {
        let taken = self.of(topic, |topic| topic.queue.push(record)).is_some();
        self.changed.notify_all();
        taken
    }

    /// The chunks of all topics that have none under way, and whether anything is under way with them. Waits for a moment where there
    /// is nothing to do. `leaves` is called for a topic that goes the usual way again, with the topics locked.
    pub fn next_chunks(&self, mut leaves: impl FnMut(&str)) -> (Vec<Chunk>, bool) {
        let mut topics = self.topics();
        let mut chunks = Vec::new();
        topics.retain(|name, topic| {
            let records = topic.queue.next_chunk();
            if !records.is_empty() {
                chunks.push(Chunk { topic: name.clone(), handle: Arc::clone(&topic.handle), records });
            }
            let stays = !topic.queue.is_idle() || topic.since.elapsed() < PROBATION;
            if !stays {
                leaves(name);
            }
            stays
        });
        let is_under_way = topics.values().any(|topic| !topic.queue.is_idle());
        if !is_under_way {
            drop(self.changed.wait_timeout(topics, WAIT));
        }
        (chunks, is_under_way)
    }

    /// Hands a record of a chunk to librdkafka.
    ///
    /// # Errors
    ///
    /// Why librdkafka did not take it.
    pub fn produce(&self, record: &Record<'_>, number: u64) -> Result<(), Refused> {
        hand_over(&self.native, record, number).map_err(refused)
    }

    /// Sends the chunks. Waits for their reports, for a moment.
    pub fn flush(&self) {
        let milliseconds = i32::try_from(FLUSH.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client is alive. Delivery reports are events, which another thread serves.
        unsafe { rd_kafka_flush(self.native.native_ptr(), milliseconds) };
    }

    /// librdkafka's next event, within a moment.
    #[must_use]
    pub fn poll(&self) -> Option<Event> {
        self.queue.poll(WAIT)
    }

    /// librdkafka took none of these.
    pub fn not_sent(&self, topic: &str, records: Vec<Waiting>) {
        self.of(topic, |topic| topic.queue.not_sent(records));
    }

    /// Kafka has so many records.
    pub fn delivered(&self, topic: &str, records: usize) {
        self.of(topic, |topic| topic.queue.delivered(records));
    }

    /// So many records have another end.
    pub fn settle(&self, topic: &str, records: usize) {
        self.of(topic, |topic| (0..records).for_each(|_| topic.queue.settled()));
    }

    /// Kafka has refused a batch with these records. Gives those that are refused for good; the others are sent again.
    #[must_use]
    pub fn refused(&self, topic: &str, records: Vec<Waiting>, culprits: &Culprits) -> Vec<Waiting> {
        let refused = self.of(topic, |topic| {
            topic.since = Instant::now();
            topic.queue.refused(records, culprits)
        });
        refused.unwrap_or_default()
    }

    /// A chunk was reported: the next one may go.
    pub fn reported(&self) {
        self.changed.notify_all();
    }

    /// Nothing more is sent. Gives what waits.
    #[must_use]
    pub fn close(&self) -> Vec<Waiting> {
        self.closing.store(true, Ordering::Release);
        self.changed.notify_all();
        self.topics().values_mut().flat_map(|topic| topic.queue.take_waiting()).collect()
    }

    /// Whether nothing more is sent.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether its threads are to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// librdkafka takes nothing any more.
    pub fn fail(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Gives back what librdkafka has: by `flags` what it has not sent, and what is in flight.
    pub fn purge(&self, flags: i32) {
        // SAFETY: the client is alive.
        unsafe { rd_kafka_purge(self.native.native_ptr(), flags) };
    }

    /// Ends both threads.
    pub fn stop(&self) {
        self.closing.store(true, Ordering::Release);
        self.stop.store(true, Ordering::Release);
        self.changed.notify_all();
        self.queue.wake();
    }

    fn of<T>(&self, name: &str, change: impl FnOnce(&mut Topic) -> T) -> Option<T> {
        self.topics().get_mut(name).map(change)
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's properties: only a flush sends a chunk, and a refused batch does not end the client.
fn client_config(settings: &Settings) -> KafkaResult<ClientConfig> {
    let mut config = settings.client_config();
    let timeout: u64 = config.create_native_config()?.get("message.timeout.ms")?.parse().unwrap_or(0);
    let linger = if timeout == 0 { LINGER_MS } else { timeout.min(LINGER_MS) };
    config
        .remove("queue.buffering.max.ms")
        .set("linger.ms", linger.to_string())
        .set("enable.gapless.guarantee", "false")
        .set("statistics.interval.ms", "0");
    Ok(config)
}
