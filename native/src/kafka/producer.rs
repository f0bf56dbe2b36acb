//! The one producer: opened, fed from any thread, emptied, closed.
//!
//! rust-rdkafka's `Client` owns the client's life. Records go in through librdkafka's own `producev` on a topic handle
//! that is looked up once: rust-rdkafka's producers would look the topic up, and allocate its name, for each record. What comes
//! back is served by a thread of ours, see `delivery`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::bindings::{rd_kafka_flush, rd_kafka_purge, rd_kafka_resp_err_t};

use crate::account::in_flight::InFlight;
use crate::account::returned::Returned;
use crate::account::shared::{Origin, Shared};
use crate::account::waiters::WaiterId;
use crate::config::Settings;
use crate::kafka::client::Client;
use crate::kafka::dead_letters::DeadLetters;
use crate::kafka::explain::Explainer;
use crate::kafka::isolation::Isolation;
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::open_error::OpenError;
use crate::kafka::open_topics::OpenTopics;
use crate::kafka::produce::{Record, Refused};
use crate::kafka::reports::Queue;
use crate::kafka::topics::DynamicTopics;
use crate::kafka::{delivery, isolated, malloc, native_client};
use crate::rules::topic::KafkaTopic;
use crate::spool::store::Store;

/// librdkafka's flags for a purge: records in queues, records in flight.
const PURGE_QUEUES: i32 = 1;
const PURGE_IN_FLIGHT: i32 = 2;

/// How long records in flight may still be acknowledged when the producer is to give back what it has: those that are not
/// may come twice.
const IN_FLIGHT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the delivery reports of purged records may take: librdkafka makes them at once, from memory.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);

/// An open producer, with the thread that serves its delivery reports.
pub struct Producer {
    client: Arc<Client>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Producer {
    /// Opens a producer and starts the thread that serves its delivery reports. Does not wait for Kafka.
    ///
    /// # Errors
    ///
    /// What librdkafka or the operating system refused.
    pub fn open(settings: &Settings, shared: Arc<Shared>, store: Option<Arc<Store>>) -> Result<Self, OpenError> {
        malloc::keep_batches();
        for warning in settings.warnings() {
            shared.notices.push(&format!("setting {warning}"), warning.clone());
        }
        let config = settings.client_config();
        let max_message_bytes = config.create_native_config()?.get("message.max.bytes")?.parse().unwrap_or(usize::MAX);
        let native = native_client::open(&config)?;
        let isolated_topics = shared.isolated_topics.names();
        let isolation =
            if isolated_topics.is_empty() { None } else { Some(Isolation::open(settings, isolated_topics)?) };
        let topics = OpenTopics::default();
        let open = |topic: &KafkaTopic| topics.open(&native, isolation.as_ref(), topic).map_err(OpenError::TopicHandle);
        let topic = open(&KafkaTopic::new(&settings.topic)?)?;
        let dead_letters = match &settings.dead_letter_topic {
            Some(name) => Some(DeadLetters::new(open(&KafkaTopic::new(name)?)?)),
            None => None,
        };
        let client = Arc::new(Client {
            topic,
            topics,
            following: Mutex::default(),
            stalled: Mutex::default(),
            dead_letters,
            dynamic: DynamicTopics::new(settings.max_dynamic_topics),
            queue: Queue::of(&native),
            isolation,
            native,
            keeps_order: settings.keeps_order(),
            explainer: Explainer::new(settings),
            logs_everything: settings.wants_log(),
            statistics: Arc::default(),
            shared,
            store,
            in_librdkafka: InFlight::default(),
            returned: Mutex::default(),
            max_message_bytes,
            is_spoiled: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let producer = Self { client, threads: Mutex::default() };
        producer.start("emq_kafka_dr", delivery::serve)?;
        if producer.client.isolation.is_some() {
            producer.start("emq_kafka_isol", |client| {
                if let Some(isolation) = &client.isolation {
                    isolated::send(isolation, client);
                }
            })?;
            producer.start("emq_kafka_isodr", |client| {
                if let Some(isolation) = &client.isolation {
                    isolated::serve(isolation, client);
                }
            })?;
        }
        Ok(producer)
    }

    /// Starts a thread that ends with the producer.
    fn start(&self, name: &str, run: impl FnOnce(&Client) + Send + 'static) -> Result<(), OpenError> {
        let client = Arc::clone(&self.client);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&client));
        let thread = thread.map_err(OpenError::Thread)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// What the producer's threads share.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Whether a record with a value of at least `bytes` has a chance: asked before it is encoded.
    #[must_use]
    pub fn may_fit(&self, bytes: usize) -> bool {
        // One that is too large still has a dead letter.
        bytes <= self.client.max_message_bytes || self.client.dead_letters.is_some()
    }

    /// The default topic.
    #[must_use]
    pub fn default_topic(&self) -> &TopicHandle {
        &self.client.topic
    }

    /// A topic of the configuration.
    ///
    /// # Errors
    ///
    /// librdkafka made no handle.
    pub fn open_topic(&self, topic: &KafkaTopic) -> Result<Arc<TopicHandle>, OpenError> {
        self.client.open_topic(topic)
    }

    /// The topic that client data asks for. None where it makes no topic, or one too many.
    #[must_use]
    pub fn dynamic_topic(&self, wanted: &[u8]) -> Option<Arc<TopicHandle>> {
        self.client.dynamic.get(wanted, |topic| self.open_topic(topic).ok())
    }

    /// Hands a record that has its room in the budget, and is counted, to librdkafka. `waiter` waits for it.
    ///
    /// # Errors
    ///
    /// Why librdkafka did not take it. Nobody waits for it then.
    pub fn produce(&self, record: &Record<'_>, waiter: Option<WaiterId>) -> Result<(), Refused> {
        let shared = &self.client.shared;
        let origin = Origin::Direct(shared.next_order());
        // Its report may come before `enqueue` returns.
        if let Some(waiter) = waiter {
            shared.tickets.insert(origin.pack(), waiter);
        }
        let result = self.client.enqueue(record, origin);
        if result.is_err() && waiter.is_some() {
            shared.tickets.take(origin.pack());
        }
        result
    }

    /// Waits until Kafka has acknowledged everything, `timeout` at most; then takes back what it has not, in the order in which
    /// it was handed over, and ends. Nobody may produce any more.
    ///
    /// Waits: never call it on a normal scheduler.
    #[must_use]
    pub fn end(&self, timeout: Duration) -> Vec<Returned> {
        self.client.ending.store(true, Ordering::Release);
        if !self.flush(timeout) {
            // What is not on the wire yet need not come twice; what is gets a moment.
            self.purge(PURGE_QUEUES);
            if !self.flush(IN_FLIGHT_TIMEOUT) {
                self.purge(PURGE_QUEUES | PURGE_IN_FLIGHT);
                self.flush(PURGE_TIMEOUT);
            }
        }
        self.stop();
        for thread in std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner)) {
            // It cannot have panicked: no code in it does.
            thread.join().ok();
        }
        self.client.give_back_held();
        let mut returned = std::mem::take(&mut *self.client.returned.lock().unwrap_or_else(PoisonError::into_inner));
        returned.sort_by_key(|record| record.order);
        returned
    }

    /// Lets librdkafka send without lingering, until it has nothing left, `timeout` at most.
    pub fn push(&self, timeout: Duration) {
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: as in `flush`.
        unsafe { rd_kafka_flush(self.client.native.native_ptr(), milliseconds) };
    }

    /// Lets librdkafka give back records: by `flags` what it has not sent, and what is in flight.
    fn purge(&self, flags: i32) {
        // First: what is sent after the purge would overtake what is purged.
        self.client.end_following();
        self.client.give_back_held();
        // SAFETY: the client is alive. The delivery reports of what is purged are served by our thread.
        unsafe { rd_kafka_purge(self.client.native.native_ptr(), flags) };
        if let Some(isolation) = &self.client.isolation {
            isolated::close(isolation, &self.client);
            isolation.purge(flags);
        }
    }

    fn stop(&self) {
        self.client.stop.store(true, Ordering::Release);
        self.client.queue.wake();
        if let Some(isolation) = &self.client.isolation {
            isolation.stop();
        }
    }

    /// Whether everything was acknowledged, refused or given back within `timeout`.
    fn flush(&self, timeout: Duration) -> bool {
        let client = self.client.native.native_ptr();
        let deadline = Instant::now() + timeout;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let milliseconds = i32::try_from(remaining.as_millis()).unwrap_or(i32::MAX);
            // SAFETY: the client is alive. With delivery reports as events, flush runs no callback: it sends without
            // lingering and waits for the queue, which our thread empties.
            let result = unsafe { rd_kafka_flush(client, milliseconds) };
            if self.client.in_librdkafka.total() == 0 {
                return true;
            }
            if milliseconds == 0 {
                return false;
            }
            if result != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT {
                // librdkafka has nothing, but the isolation has, or what waits behind the first record of a key.
                std::thread::sleep(Duration::from_millis(1).min(remaining));
            }
        }
    }
}

impl Drop for Producer {
    /// A producer that is dropped without a close must not leave its thread behind, which would keep the client alive.
    fn drop(&mut self) {
        self.stop();
    }
}
