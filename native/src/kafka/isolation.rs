//! Topics with a batch that Kafka refused because of some of its records. A client of their own sends their records, a chunk at a time
//! for each topic, so that refused records are sent again, in parts, before newer ones of their topic.
//!
//! The chunk is one batch in each partition: the client lingers for ever, is given the whole chunk, and is flushed. The other topics'
//! records go their usual way. Opened with a producer, and only where there is such a topic.
//!
//! Two threads: one sends, the other serves the delivery reports. Both end with the producer.

mod queue;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::bindings::{rd_kafka_flush, rd_kafka_purge};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::config::Settings;
use crate::kafka::delivery;
use crate::kafka::errors::{Blame, blame};
use crate::kafka::key_order::Waiting;
use crate::kafka::native_client::{self, NativeClient};
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::produce::{Record, Refused, hand_over, refused};
use crate::kafka::producer::Client;
use crate::kafka::reports::{Queue, Report};
use crate::record::stored::Stored;
use crate::rules::topic::KafkaTopic;
use queue::{Bounds, Culprits, TopicQueue};

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
struct Chunk {
    name: String,
    handle: Arc<TopicHandle>,
    records: Vec<Waiting>,
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

    /// Sends until it is told to stop.
    pub fn send(&self, main: &Client) {
        while !self.closing.load(Ordering::Acquire) {
            let (chunks, is_under_way) = self.next_chunks(main);
            for chunk in chunks {
                self.hand_over(main, chunk);
            }
            if is_under_way {
                let milliseconds = i32::try_from(FLUSH.as_millis()).unwrap_or(i32::MAX);
                // SAFETY: the client is alive. Delivery reports are events, which the other thread serves.
                unsafe { rd_kafka_flush(self.native.native_ptr(), milliseconds) };
            }
        }
    }

    /// The chunks of all topics that have none under way, and whether anything is under way with them. Waits for a moment where there
    /// is nothing to do.
    fn next_chunks(&self, main: &Client) -> (Vec<Chunk>, bool) {
        let mut topics = self.topics();
        let mut chunks = Vec::new();
        topics.retain(|name, topic| {
            let records = topic.queue.next_chunk();
            if !records.is_empty() {
                chunks.push(Chunk { name: name.clone(), handle: Arc::clone(&topic.handle), records });
            }
            let stays = !topic.queue.is_idle() || topic.since.elapsed() < PROBATION;
            if !stays {
                main.trust_again(name);
            }
            stays
        });
        let is_under_way = topics.values().any(|topic| !topic.queue.is_idle());
        if !is_under_way {
            drop(self.changed.wait_timeout(topics, WAIT));
        }
        (chunks, is_under_way)
    }

    fn hand_over(&self, main: &Client, chunk: Chunk) {
        let Chunk { name, handle, records } = chunk;
        let mut records = records.into_iter();
        while let Some(record) = records.next() {
            let Ok(stored) = Stored::read(&record.stored) else {
                main.refuse_waiting(&record, refused(RDKafkaErrorCode::InvalidMessage));
                self.settle(&name, 1);
                continue;
            };
            match hand_over(&self.native, &Record::of(&stored, &handle), record.number.get()).map_err(refused) {
                Ok(()) => {}
                Err(refusal @ Refused::Final(_)) => {
                    main.refuse_waiting(&record, refusal);
                    self.settle(&name, 1);
                }
                Err(refusal) => {
                    if refusal == Refused::Fatal {
                        self.closing.store(true, Ordering::Release);
                        main.fail();
                    }
                    let rest = std::iter::once(record).chain(records).collect();
                    self.of(&name, |topic| topic.queue.not_sent(rest));
                    return;
                }
            }
        }
    }

    /// Serves the delivery reports until it is told to stop.
    pub fn serve(&self, main: &Client) {
        let mut settled = delivery::Settled::default();
        while !self.stop.load(Ordering::Acquire) {
            if let Some(event) = self.queue.poll(WAIT) {
                let mut failed = Vec::new();
                let batch = delivery::serve_event(main, &event, &mut settled, &mut |report, error| {
                    failed.push((report, error));
                });
                let Some(batch) = batch else { continue };
                let name = batch.topic.into_owned();
                self.of(&name, |topic| topic.queue.delivered(batch.delivered));
                if !failed.is_empty() {
                    self.refused(main, &name, &failed);
                }
                self.changed.notify_all();
            }
        }
    }

    /// Kafka has refused a batch, or it was given back.
    fn refused(&self, main: &Client, name: &str, failed: &[(Report<'_>, RDKafkaErrorCode)]) {
        let Some((_, error)) = failed.first().copied() else { return };
        let records: Vec<_> = failed.iter().map(|(report, _)| main.waiting(*report)).collect();
        let blame = blame(error);
        let guilty = match blame {
            Blame::Record | Blame::Size if failed.len() == 1 || !self.closing.load(Ordering::Acquire) => {
                let culprits = culprits(failed, blame);
                self.of(name, |topic| {
                    topic.since = Instant::now();
                    topic.queue.refused(records, &culprits)
                })
            }
            Blame::Topic | Blame::Limit => {
                self.settle(name, records.len());
                Some(records)
            }
            // The next producer finds out.
            Blame::Record | Blame::Size | Blame::Producer | Blame::Nobody => {
                self.settle(name, records.len());
                for record in records {
                    main.give_back_waiting(record);
                }
                if blame == Blame::Producer {
                    main.fail();
                }
                None
            }
        };
        for record in guilty.into_iter().flatten() {
            main.refuse_for(&record, error);
        }
    }

    /// Nothing more is sent; what waits is given back.
    pub fn close(&self, main: &Client) {
        self.closing.store(true, Ordering::Release);
        self.changed.notify_all();
        let waiting: Vec<_> = self.topics().values_mut().flat_map(|topic| topic.queue.take_waiting()).collect();
        for record in waiting {
            main.give_back_waiting(record);
        }
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

    fn settle(&self, name: &str, records: usize) {
        self.of(name, |topic| (0..records).for_each(|_| topic.queue.settled()));
    }

    fn of<T>(&self, name: &str, change: impl FnOnce(&mut Topic) -> T) -> Option<T> {
        self.topics().get_mut(name).map(change)
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Kafka has refused a batch of this topic, perhaps for a few of its records: the next producer isolates the topic.
    pub fn isolate(&self, topic: &str) {
        if self.shared.suspects.add(topic) {
            let text = format!(
                "Kafka refused a batch of records for the topic {topic}: its records are sent in small batches, one at a time, to \
                 find out which are at fault; the others will arrive"
            );
            self.shared.notices.push(&format!("isolated {topic}"), text);
        }
        if !self.is_spoiled.swap(true, Ordering::AcqRel) {
            self.shared.suspects.ring();
        }
    }

    /// A topic's records go the usual way again. Called with the isolation's lock held: a record that comes now waits for it, and
    /// finds the topic gone.
    pub fn trust_again(&self, topic: &str) {
        self.shared.suspects.remove(topic);
        if let Some(topic) = self.topics.get(topic) {
            topic.is_isolated.store(false, Ordering::Release);
        }
    }
}

/// Who of a refused batch did it, as far as Kafka names them.
fn culprits(failed: &[(Report<'_>, RDKafkaErrorCode)], blame: Blame) -> Culprits {
    if failed.len() == 1 {
        return Culprits::Alone;
    }
    if blame == Blame::Size {
        return Culprits::TooLarge;
    }
    // librdkafka gives the innocent an error of their own where there are several culprits.
    let innocent = |error: RDKafkaErrorCode| error == RDKafkaErrorCode::InvalidDifferentRecord;
    if failed.iter().any(|(_, error)| innocent(*error)) {
        return Culprits::Several(failed.iter().map(|(_, error)| !innocent(*error)).collect());
    }
    let notes: Vec<_> = failed.iter().map(|(report, _)| report.note()).collect();
    by_notes(&notes)
}

/// The culprits, by librdkafka's note for each record of a batch: a culprit has a text of its own, the innocent share one. If Kafka
/// names nobody, all share one.
fn by_notes(notes: &[usize]) -> Culprits {
    let mut distinct: Vec<_> = notes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    match (notes, distinct.len()) {
        ([_, _, _, ..], count) if count == notes.len() => Culprits::Several(vec![true; count]),
        ([first, second, third, ..], 2) => {
            let shared = if first == second || first == third { first } else { second };
            let mut others = notes.iter().enumerate().filter(|(_, note)| *note != shared);
            match (others.next(), others.next()) {
                (Some((culprit, _)), None) => Culprits::One(culprit),
                _ => Culprits::Unknown,
            }
        }
        _ => Culprits::Unknown,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn culprits_are_known_by_a_note_of_their_own() {
        for (notes, found) in [
            (&[1, 1, 2][..], Culprits::One(2)),
            (&[2, 1, 1], Culprits::One(0)),
            (&[1, 2, 1], Culprits::One(1)),
            (&[1, 1, 1, 1, 9, 1], Culprits::One(4)),
            (&[1, 2, 3], Culprits::Several(vec![true, true, true])),
            (&[1, 1, 1], Culprits::Unknown),
            (&[1, 2], Culprits::Unknown),
            (&[1, 1, 2, 2], Culprits::Unknown),
            (&[1, 1, 2, 3], Culprits::Unknown),
        ] {
            assert_eq!(by_notes(notes), found, "{notes:?}");
        }
    }
}
