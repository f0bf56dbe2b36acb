//! The part of a producer that its threads share. What they do with it has files of its own: `enqueue`, `delivery`, `give_back`,
//! `refuse`, `isolated`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::account::in_flight::InFlight;
use crate::account::returned::Returned;
use crate::account::shared::{Origin, Shared};
use crate::kafka::dead_letters::DeadLetters;
use crate::kafka::explain::Explainer;
use crate::kafka::isolation::Isolation;
use crate::kafka::key_order::Slot;
use crate::kafka::native_client::NativeClient;
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::open_error::OpenError;
use crate::kafka::open_topics::OpenTopics;
use crate::kafka::reports::Queue;
use crate::kafka::statistics::Latest;
use crate::kafka::topics::DynamicTopics;
use crate::metrics::Location;
use crate::rules::topic::KafkaTopic;
use crate::spool::store::Store;

/// Whether what waits behind the first record of its key may be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Following {
    /// It may.
    #[default]
    Goes,
    /// The producer gives back what it has.
    Ended,
}

/// A slot whose next record librdkafka had no room for.
pub struct Stalled {
    /// Its topic.
    pub topic: Arc<TopicHandle>,
    /// The slot.
    pub slot: Slot,
    /// Whether Kafka has acknowledged the first record.
    pub open: bool,
}

/// The part of a producer that its threads share.
///
/// Fields are dropped in this order: topic handles and queue before the client that they belong to.
pub struct Client {
    /// The default topic.
    pub topic: Arc<TopicHandle>,
    /// Each topic by its name, looked up once.
    pub topics: OpenTopics,
    /// Held while a record goes from behind the first one of its key to librdkafka.
    pub following: Mutex<Following>,
    /// Slots whose next record librdkafka had no room for.
    pub stalled: Mutex<Vec<Stalled>>,
    /// Copies of what Kafka refuses for good, where there is a topic for them.
    pub dead_letters: Option<DeadLetters>,
    /// Topics that client data asks for.
    pub dynamic: DynamicTopics<Arc<TopicHandle>>,
    /// Delivery reports, errors, log lines.
    pub queue: Queue,
    /// librdkafka's client.
    pub native: NativeClient,
    /// The topics that are isolated, where there are any.
    pub isolation: Option<Isolation>,
    /// Whether a refused batch ends this producer and the order of keys is watched: where it is idempotent.
    pub keeps_order: bool,
    /// What librdkafka's log says, in other words.
    pub explainer: Explainer,
    /// Whether the operator wants to see all of librdkafka's log.
    pub logs_everything: bool,
    /// librdkafka's own numbers.
    pub statistics: Arc<Latest>,
    /// What outlives this producer.
    pub shared: Arc<Shared>,
    /// The spool, where there is one.
    pub store: Option<Arc<Store>>,
    /// How many records librdkafka has. Its own `outq_len` has log lines and errors in it.
    pub in_librdkafka: InFlight,
    /// What librdkafka gave back.
    pub returned: Mutex<Vec<Returned>>,
    /// The largest record that the client sends.
    pub max_message_bytes: usize,
    /// Whether the next producer is to isolate a topic.
    pub is_spoiled: AtomicBool,
    /// Whether Kafka takes nothing of it any more, though librdkafka does not say so.
    pub has_failed: AtomicBool,
    /// Whether it gives back what it has: that it holds nothing no longer means that Kafka has it all.
    pub ending: AtomicBool,
    /// Whether the thread that serves delivery reports is to end.
    pub stop: AtomicBool,
}

impl Client {
    /// Whether this producer is unusable.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.has_failed.load(Ordering::Acquire) || self.native.fatal_error().is_some()
    }

    /// Kafka will take nothing of this producer any more, though librdkafka does not say so.
    pub fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    /// Whether it is to be replaced at once: only some records are to blame.
    #[must_use]
    pub fn is_spoiled(&self) -> bool {
        self.is_spoiled.load(Ordering::Acquire)
    }

    /// A topic by its name, the same one for each call.
    ///
    /// # Errors
    ///
    /// librdkafka made no handle.
    pub fn open_topic(&self, topic: &KafkaTopic) -> Result<Arc<TopicHandle>, OpenError> {
        self.topics.open(&self.native, self.isolation.as_ref(), topic).map_err(OpenError::TopicHandle)
    }

    /// The largest record that the client sends.
    #[must_use]
    pub const fn max_message_bytes(&self) -> usize {
        self.max_message_bytes
    }

    /// Kafka has refused a batch of this topic, perhaps for a few of its records: the next producer isolates the topic.
    pub fn isolate(&self, topic: &str) {
        if self.shared.isolated_topics.add(topic) {
            let text = format!(
                "Kafka refused a batch of records for the topic {topic}: the plugin now sends small batches, one at a time, to find \
                 the records at fault; all others will arrive"
            );
            self.shared.notices.push(&format!("isolated {topic}"), text);
        }
        if !self.is_spoiled.swap(true, Ordering::AcqRel) {
            self.shared.isolated_topics.ring();
        }
    }

    /// A topic's records go the usual way again. Called with the isolation's lock held: a record that comes now waits for it, and
    /// finds the topic gone.
    pub fn trust_again(&self, topic: &str) {
        self.shared.isolated_topics.remove(topic);
        if let Some(topic) = self.topics.get(topic) {
            topic.is_isolated.store(false, Ordering::Release);
        }
    }

    /// A record's place in the order, as it is stored.
    #[must_use]
    pub fn stored_order(&self, order: u64) -> u64 {
        self.store.as_ref().map_or(order, |store| store.order(order))
    }

    /// Where a record of this origin waits.
    #[must_use]
    pub const fn location(origin: Origin, cost: usize) -> Location {
        match origin {
            Origin::Direct(_) | Origin::DeadLetter(_) => Location::Memory(cost),
            Origin::Main(_) | Origin::Handover(_) => Location::Spool,
        }
    }
}
