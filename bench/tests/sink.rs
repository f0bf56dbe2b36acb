//! The counting Kafka, asked by librdkafka and by hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

const TIMEOUT: Duration = Duration::from_secs(30);

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// Counts what was delivered, and what was not.
#[derive(Default)]
struct Tally {
    delivered: AtomicUsize,
    failed: AtomicUsize,
}

impl ClientContext for Tally {}

impl ProducerContext for Tally {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.delivered } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Produces so many records with librdkafka; how many were delivered, how many failed, and what the end offsets add up to.
fn produced(count: usize, topic: &str, partitions: i32, compression: &str) -> (usize, usize, i64) {
    let producer: ThreadedProducer<Tally> = ClientConfig::new()
        .set("bootstrap.servers", common::start().to_string())
        .set("enable.idempotence", "true")
        .set("compression.type", compression)
        .create_with_context(Tally::default())
        .unwrap();
    for number in 0..count {
        let key = format!("client{}", number % 1000);
        let mut record = BaseRecord::to(topic).key(&key).payload("twenty-one bytes of it");
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            producer.flush(TIMEOUT).unwrap();
            record = back;
        }
    }
    producer.flush(TIMEOUT).unwrap();
    let end = |partition| producer.client().fetch_watermarks(topic, partition, TIMEOUT).unwrap().1;
    let ends: Vec<i64> = (0..partitions).map(end).collect();
    assert!(ends.iter().all(|end| *end > 0), "{ends:?}");
    let tally = producer.context();
    (tally.delivered.load(Ordering::Relaxed), tally.failed.load(Ordering::Relaxed), ends.iter().sum())
}

#[test]
fn an_idempotent_producer_of_librdkafka_delivers_all() {
    assert_eq!(produced(100_000, "records", 4, "lz4"), (100_000, 0, 100_000));
}

#[test]
fn every_compression_is_taken_and_a_topic_may_ask_for_its_partitions() {
    for compression in ["none", "gzip", "snappy", "zstd"] {
        assert_eq!(produced(2_000, "records-p7", 7, compression), (2_000, 0, 2_000), "{compression}");
    }
}

/// A connection that speaks Kafka by hand.
struct Peer(TcpStream);

impl Peer {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self(stream)
    }

    /// Sends a request whose correlation id is the number.
    fn send(&mut self, api: i16, version: i16, number: i32, body: &[u8]) {
        let head = [&api.to_be_bytes()[..], &version.to_be_bytes(), &number.to_be_bytes(), &string("test")].concat();
        self.0.write_all(&sized(&[head, body.to_vec()].concat())).unwrap();
    }

    /// The next answer, which must be that to the request with this number.
    fn receive(&mut self, number: i32) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..4], number.to_be_bytes());
        answer.split_off(4)
    }

    fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn string(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A request of Kafka 0.8: messages of format 0, with no key and a value of one byte, for one partition of a topic.
fn produce_v0(acks: i16, topic: &str, partition: i32, messages: usize) -> Vec<u8> {
    let (checksum, magic, attributes, null) = ([0; 4], 0, 0, (-1_i32).to_be_bytes());
    let message = [&checksum[..], &[magic, attributes], &null, &sized(b"v")].concat();
    let set = [&0_i64.to_be_bytes()[..], &sized(&message)].concat().repeat(messages);
    let (one, timeout) = (1_i32.to_be_bytes(), 1000_i32.to_be_bytes());
    [&acks.to_be_bytes()[..], &timeout, &one, &string(topic), &one, &partition.to_be_bytes(), &sized(&set)].concat()
}

/// What is answered to it.
fn produced_v0(topic: &str, partition: i32, error: i16, base: i64) -> Vec<u8> {
    let one = 1_i32.to_be_bytes();
    [&one[..], &string(topic), &one, &partition.to_be_bytes(), &error.to_be_bytes(), &base.to_be_bytes()].concat()
}

#[test]
fn messages_of_the_oldest_clients_get_their_offsets() {
    let mut peer = Peer::new(common::start());
    for (number, base) in [(1, 0), (2, 3)] {
        peer.send(PRODUCE, 0, number, &produce_v0(1, "old", 2, 3));
        assert_eq!(peer.receive(number), produced_v0("old", 2, 0, base));
    }
    let unknown_partition = 3;
    peer.send(PRODUCE, 0, 3, &produce_v0(1, "old", 4, 3));
    assert_eq!(peer.receive(3), produced_v0("old", 4, unknown_partition, -1));
}

#[test]
fn who_wants_no_acknowledgement_gets_none() {
    let mut peer = Peer::new(common::start());
    peer.send(PRODUCE, 0, 1, &produce_v0(0, "silent", 0, 5));
    peer.send(PRODUCE, 0, 2, &produce_v0(1, "silent", 0, 1));
    assert_eq!(peer.receive(2), produced_v0("silent", 0, 0, 5));
}

#[test]
fn the_oldest_metadata_tells_where_partitions_are() {
    let address = common::start();
    let mut peer = Peer::new(address);
    peer.send(METADATA, 0, 1, &[&1_i32.to_be_bytes()[..], &string("old-p2")].concat());
    let (zero, one) = (0_i32.to_be_bytes(), 1_i32.to_be_bytes());
    let node = [&zero[..], &string("127.0.0.1"), &i32::from(address.port()).to_be_bytes()].concat();
    let partition = |number: i32| [&[0; 2][..], &number.to_be_bytes(), &zero, &one, &zero, &one, &zero].concat();
    let topic = [&[0; 2][..], &string("old-p2"), &2_i32.to_be_bytes(), &partition(0), &partition(1)].concat();
    assert_eq!(peer.receive(1), [&one[..], &node, &one, &topic].concat());
}

#[test]
fn a_version_of_the_future_is_answered_with_those_that_are_known() {
    let unsupported = 35_i16.to_be_bytes();
    let mut peer = Peer::new(common::start());
    peer.send(API_VERSIONS, 99, 1, &[]);
    let answer = peer.receive(1);
    assert_eq!(answer[..2], unsupported);
    let count = u32::from_be_bytes(answer[2..6].try_into().unwrap()) as usize;
    assert_eq!(answer.len(), 6 + count * 6);
}

#[test]
fn garbage_ends_its_connection_and_no_other() {
    let address = common::start();
    let mut good = Peer::new(address);
    let truncated = &produce_v0(1, "bad", 0, 3)[..30];
    let unknown_api = 77;
    for send in [
        &(|peer: &mut Peer| peer.0.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap()) as &dyn Fn(&mut Peer),
        &|peer| peer.0.write_all(&sized(b"")).unwrap(),
        &|peer| peer.0.write_all(&(-1_i32).to_be_bytes()).unwrap(),
        &|peer| peer.send(unknown_api, 0, 1, &[]),
        &|peer| peer.send(PRODUCE, 9, 1, &[]),
        &|peer| peer.send(PRODUCE, 0, 1, truncated),
        &|peer| peer.send(METADATA, 0, 1, &i32::MAX.to_be_bytes()),
    ] {
        let mut bad = Peer::new(address);
        send(&mut bad);
        assert!(bad.is_closed());
    }
    good.send(PRODUCE, 0, 1, &produce_v0(1, "good", 0, 1));
    assert_eq!(good.receive(1), produced_v0("good", 0, 0, 0));
}
