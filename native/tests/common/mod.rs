//! A Kafka for tests (librdkafka's mock cluster) and what tests do with it.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use emq_plugin_kafka_nif::account::waiters::{Answer, Caller};
use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::event::{Detail, Event, EventKind, Message};
use emq_plugin_kafka_nif::flow::handle::Handle;
use emq_plugin_kafka_nif::flow::outcome::{Outcome, Publisher};
use emq_plugin_kafka_nif::metrics::{DropReason, Snapshot};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};

pub const TOPIC: &str = "mqtt";
pub const DEADLINE: Duration = Duration::from_mins(1);

pub type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A mock cluster of one broker with the topic `mqtt`.
pub fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, partitions, 1).expect("a topic");
    cluster
}

/// Settings for a server, with more settings by their names.
pub fn settings(server: &str, more: &[(&str, &str)]) -> Settings {
    // No spool unless asked for: tests run side by side.
    let base = [("server", server), ("topic", TOPIC), ("spool", "off")];
    Settings::parse(base.iter().chain(more).copied()).expect("valid settings")
}

/// An address where nobody listens: the port was free a moment ago.
pub fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

pub fn publish<'a>(client_id: &'a [u8], payload: &'a [u8]) -> Event<'a> {
    publish_to(client_id, b"t/1", payload)
}

/// As an event that nobody waits for.
pub fn submit(handle: &Handle, event: &Event<'_>) -> Outcome {
    handle.submit(event, &Publisher::CannotWait, true)
}

/// A client's records, each of which is taken: the payloads are the numbers.
pub fn publish_numbers(handle: &Handle, client: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let payload = number.to_string();
        assert!(matches!(submit(handle, &publish(client.as_bytes(), payload.as_bytes())), Outcome::Queued(_)));
    }
}

/// The payloads of one client's records, in the order of their partition: numbers.
pub fn numbers_of(records: &[Record], client: &str) -> Vec<u64> {
    let mine = records.iter().filter(|record| record.key.as_deref() == Some(client.as_bytes()));
    mine.map(|record| record.json()["message"]["payload"].as_str().expect("text").parse().expect("a number")).collect()
}

pub fn publish_to<'a>(client_id: &'a [u8], topic: &'a [u8], payload: &'a [u8]) -> Event<'a> {
    let message = Message { topic, payload, qos: 1, timestamp: 1, ..Message::default() };
    Event {
        kind: EventKind::MessagePublish,
        client_id,
        username: None,
        detail: Detail::Message(message, None),
        extra: Vec::new(),
    }
}

/// A record as read back.
#[derive(Debug)]
pub struct Record {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub bytes: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub timestamp: Option<i64>,
}

impl Record {
    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.bytes.as_deref().expect("a value")).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| std::str::from_utf8(value).expect("UTF-8"))
    }
}

/// Reads `count` records of the default topic from the beginning.
pub fn consume(cluster: &Cluster, count: usize) -> Vec<Record> {
    consume_from(cluster, TOPIC, count)
}

/// Reads `count` records of a topic from the beginning.
pub fn consume_from(cluster: &Cluster, topic: &str, count: usize) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", topic)
        .create()
        .expect("a consumer");
    // Assigned, not subscribed: a group would take three seconds to form.
    let deadline = Instant::now() + DEADLINE;
    let mut assignment = TopicPartitionList::new();
    // The first record of a topic makes it: until then it has no partitions.
    while assignment.count() == 0 {
        assert!(Instant::now() < deadline, "{topic} has no partitions");
        let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).expect("metadata");
        for partition in metadata.topics().first().expect("the topic").partitions() {
            assignment.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
        }
    }
    consumer.assign(&assignment).expect("assigned");
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} records arrived", records.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("a record");
        records.push(Record {
            partition: message.partition(),
            key: message.key().map(<[u8]>::to_vec),
            bytes: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map_or_else(Vec::new, |headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                    .collect()
            }),
            timestamp: message.timestamp().to_millis(),
        });
    }
    records
}

/// Waits until the counters are as wanted, and checks that they add up whenever it looks.
pub fn wait_for(handle: &Handle, what: &str, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let snapshot = handle.metrics().snapshot();
        assert_adds_up(&snapshot);
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "no {what}: {snapshot:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The outcome of a record that is dropped for this reason.
pub fn dropped(reason: DropReason) -> Outcome {
    Outcome::Dropped(reason.name().into())
}

pub fn assert_adds_up(s: &Snapshot) {
    let outcomes = i128::from(s.success) + i128::from(s.failed_total()) + i128::from(s.dropped_total());
    assert_eq!(i128::from(s.accepted), outcomes + i128::from(s.spooled) + i128::from(s.queued), "{s:?}");
    assert!(s.queued >= 0 && s.queued_bytes >= 0 && s.spooled >= 0, "{s:?}");
}

/// A directory of its own, deleted when dropped.
pub struct TempDir(std::path::PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("emq_kafka_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }

    pub fn text(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A process that waits: what it is told.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<(Mutex<Answers>, Condvar)>);

type Answers = Vec<(u64, Answer)>;

impl Mailbox {
    /// The next answer.
    pub fn receive(&self, what: &str) -> (u64, Answer) {
        let (answers, came) = &*self.0;
        let deadline = Instant::now() + DEADLINE;
        let mut answers = answers.lock().expect("no panic");
        loop {
            if let Some(answer) = answers.pop() {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer: {what}");
            answers = came.wait_timeout(answers, Duration::from_millis(100)).expect("no panic").0;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.0.lock().expect("no panic").is_empty()
    }

    /// As a client's `QoS` 1 message.
    pub fn submit(&self, handle: &Handle, event: &Event<'_>) -> Outcome {
        let caller = || Box::new(self.clone()) as Box<dyn Caller>;
        handle.submit(event, &Publisher::CanWait(&caller), true)
    }

    /// Once more, after it was told of room.
    pub fn submit_again(&self, handle: &Handle, event: &Event<'_>, id: u64, from: usize, last: bool) -> Outcome {
        let caller = || Box::new(self.clone()) as Box<dyn Caller>;
        handle.unblock(id);
        handle.submit(event, &Publisher::Retry { caller: &caller, id, from, last }, true)
    }
}

impl Caller for Mailbox {
    fn tell(&self, id: u64, answer: &Answer) {
        self.0.0.lock().expect("no panic").insert(0, (id, answer.clone()));
        self.0.1.notify_all();
    }
}
