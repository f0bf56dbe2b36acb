//! A Kafka for tests (librdkafka's mock cluster) and what tests do with it.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::event::{Event, Message};
use emq_plugin_kafka_nif::metrics::Snapshot;
use emq_plugin_kafka_nif::pipeline::Handle;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

pub const TOPIC: &str = "mqtt";
pub const DEADLINE: Duration = Duration::from_secs(30);

pub type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A mock cluster of one broker with the topic `mqtt`.
pub fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, partitions, 1).expect("a topic");
    cluster
}

/// Settings for a server, with more settings by their names.
pub fn settings(server: &str, more: &[(&str, &str)]) -> Settings {
    let base = [("server", server), ("topic", TOPIC)];
    Settings::parse(base.iter().chain(more).copied()).expect("valid settings")
}

/// An address where nobody listens: the port was free a moment ago.
pub fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

pub fn publish<'a>(client_id: &'a [u8], payload: &'a [u8]) -> Event<'a> {
    Event::Publish(Message {
        client_id,
        username: None,
        topic: b"t/1",
        payload,
        qos: 1,
        dup: false,
        retain: false,
        id: None,
        timestamp: 1,
    })
}

/// A record as read back.
#[derive(Debug)]
pub struct Record {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: serde_json::Value,
    pub timestamp: Option<i64>,
}

/// Reads `count` records from the beginning.
pub fn consume(cluster: &Cluster, count: usize) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[TOPIC]).expect("subscribed");
    let deadline = Instant::now() + DEADLINE;
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} records arrived", records.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("a record");
        records.push(Record {
            partition: message.partition(),
            key: message.key().map(<[u8]>::to_vec),
            value: serde_json::from_slice(message.payload().expect("a value")).expect("JSON"),
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

pub fn assert_adds_up(s: &Snapshot) {
    let outcomes = i128::from(s.success) + i128::from(s.failed_total()) + i128::from(s.dropped_total());
    assert_eq!(i128::from(s.accepted), outcomes + i128::from(s.queued), "{s:?}");
    assert!(s.queued >= 0 && s.queued_bytes >= 0, "{s:?}");
}
