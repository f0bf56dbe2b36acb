//! A client of a test: the producer's properties, but that it waits for nothing, gives up in time and tells of its connections.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use serde::Deserialize;

use super::{Broker, MARK};
use crate::config::Settings;
use crate::kafka::explain::{Explained, Explainer};
use crate::kafka::native_client::{self, NativeClient};
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::produce::{Record, hand_over};
use crate::kafka::reports::{Content, Queue};
use crate::rules::topic::KafkaTopic;

/// How often librdkafka tells the state of its connections.
const STATISTICS_MS: u64 = 100;

/// How long a topic may be unknown, because Kafka is just creating it.
const TOPIC_WAIT: Duration = Duration::from_secs(3);

/// Lines of librdkafka's log that are kept.
const MAX_SAID: usize = 20;

/// syslog's number of a warning, which librdkafka's log has; beyond it is information.
const SYSLOG_WARNING: i32 = 4;

/// Fields are dropped in this order: topic handle and queue before the client that they belong to.
pub struct Client {
    topic: TopicHandle,
    queue: Queue,
    native: NativeClient,
    explainer: Explainer,
    /// What it has told so far.
    pub seen: Seen,
}

/// What a client has told.
#[derive(Debug, Default)]
pub struct Seen {
    /// Errors of the client as a whole, in their order.
    pub errors: Vec<(RDKafkaErrorCode, String)>,
    /// Lines of its log.
    pub said: Vec<String>,
    /// The latest of those that could be told in other words.
    pub explained: Option<String>,
    /// Its connections at the last look.
    pub statistics: Statistics,
    /// Topics that keep the record's one from being created.
    pub colliding: Vec<String>,
    /// What became of the record: its partition and offset.
    pub report: Option<Result<(i32, i64), RDKafkaErrorCode>>,
}

/// Of librdkafka's statistics, what a test needs.
#[derive(Debug, Default, Deserialize)]
pub struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Connection>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
}

#[derive(Debug, Deserialize)]
struct Connection {
    nodeid: i32,
    nodename: String,
    state: String,
    #[serde(default)]
    txretries: u64,
}

#[derive(Debug, Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<String, Partition>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    leader: i32,
}

impl Client {
    /// A client that knows only these servers.
    pub fn open(settings: &Settings, servers: &str, topic: &KafkaTopic, deadline: Instant) -> Result<Self, KafkaError> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut config = settings.client_config();
        config
            .set("bootstrap.servers", servers)
            .set("linger.ms", "0")
            .set("message.timeout.ms", left.as_millis().to_string())
            .set("topic.metadata.propagation.max.ms", TOPIC_WAIT.min(left / 2).as_millis().to_string())
            .set("statistics.interval.ms", STATISTICS_MS.to_string());
        let native = native_client::open(&config)?;
        // A client without a topic connects to nobody.
        let topic = TopicHandle::new(&native, topic).map_err(KafkaError::MetadataFetch)?;
        Ok(Self {
            topic,
            queue: Queue::of(&native),
            native,
            explainer: Explainer::new(settings),
            seen: Seen::default(),
        })
    }

    /// Hands the record over.
    pub fn send(&self, key: &str, value: &str) -> Result<(), RDKafkaErrorCode> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            topic: &self.topic,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[(MARK.into(), Cow::Borrowed(b"1"))],
            timestamp: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        };
        hand_over(&self.native, &record, 0).map_err(|error| self.cause(error))
    }

    /// Waits until there is news of the connections or of the record. False: the deadline has passed.
    pub fn look(&mut self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let Some(event) = self.queue.poll(left) else { continue };
            match event.content() {
                Content::Reports(mut reports) => {
                    if let Some(report) = reports.next() {
                        let result = report.error().map_or_else(|| Ok(report.place()), |error| Err(self.cause(error)));
                        self.seen.report = Some(result);
                        return true;
                    }
                }
                Content::Log { level, facility, text } => self.log(level, facility.trim(), text.trim()),
                Content::Error(code, text) => self.error(self.cause(code), text.trim()),
                Content::Statistics(text) => {
                    if let Ok(statistics) = serde_json::from_str(&text) {
                        self.seen.statistics = statistics;
                        return true;
                    }
                }
                Content::Other => {}
            }
        }
    }

    /// A line of librdkafka's log, in other words where there are some.
    fn log(&mut self, level: i32, facility: &str, line: &str) {
        match self.explainer.of(facility, line) {
            Explained::Instead(text) => {
                self.seen.hear(&text);
                // What librdkafka logs as information is no error to it.
                if level > SYSLOG_WARNING {
                    let code = layer(RDKafkaErrorCode::BrokerTransportFailure, line);
                    self.seen.errors.push((code, text.clone()));
                }
                self.seen.explained = Some(text);
            }
            Explained::Hide => {}
            Explained::Keep if level > SYSLOG_WARNING => {}
            Explained::Keep => self.seen.hear(&format!("{facility}: {line}")),
        }
    }

    /// An error, which has the text of its line in the log.
    fn error(&mut self, code: RDKafkaErrorCode, text: &str) {
        let code = layer(code, text);
        let text = match self.explainer.of("FAIL", text) {
            Explained::Instead(text) => text,
            Explained::Hide => self.seen.explained.clone().unwrap_or_else(|| text.to_owned()),
            Explained::Keep => text.to_owned(),
        };
        self.seen.errors.push((code, text));
    }

    /// Topics that Kafka would not tell from this one: of names that differ in `.` and `_` alone it has one.
    pub fn colliding(&self, topic: &str, timeout: Duration) -> Vec<String> {
        let alike = |name: &str| name.replace('.', "_");
        let known = self.native.fetch_metadata(None, timeout);
        let names = known.iter().flat_map(Metadata::topics).map(MetadataTopic::name);
        names.filter(|name| *name != topic && alike(name) == alike(topic)).map(str::to_owned).collect()
    }

    /// A fatal error stands for another one, and so does what became of the records because of it.
    fn cause(&self, error: RDKafkaErrorCode) -> RDKafkaErrorCode {
        match error {
            RDKafkaErrorCode::Fatal | RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => {
                self.native.fatal_error().map_or(error, |(cause, _)| cause)
            }
            error => error,
        }
    }

    /// Ends the client, in a thread that may wait for it: librdkafka's threads end when the calls that they are in return.
    pub fn end(mut self) -> Seen {
        let seen = std::mem::take(&mut self.seen);
        // Where there is no thread, the closure, and the client with it, is dropped here.
        std::thread::Builder::new().name("emq_kafka_test".to_owned()).spawn(move || drop(self)).ok();
        seen
    }
}

/// Whose error it is. What OpenSSL says while data flow, librdkafka reports as an error of the connection, and it is chance whether a
/// handshake fails at a moment of its own or while data flow.
fn layer(code: RDKafkaErrorCode, text: &str) -> RDKafkaErrorCode {
    match code {
        RDKafkaErrorCode::BrokerTransportFailure if text.contains("SSL routines:") => RDKafkaErrorCode::SSL,
        code => code,
    }
}

impl Seen {
    /// Keeps a line that is no repetition.
    fn hear(&mut self, line: &str) {
        if self.said.len() < MAX_SAID && !self.said.iter().any(|said| said == line) {
            self.said.push(line.to_owned());
        }
    }

    /// The state of the connection to `host:port`.
    pub fn state_of(&self, server: &str) -> Option<&str> {
        let connections = self.statistics.brokers.values();
        connections
            .filter(|connection| connection.nodename == server)
            .map(|connection| connection.state.as_str())
            .next()
    }

    /// The brokers that Kafka has named.
    pub fn brokers(&self) -> Vec<Broker> {
        let named = self.statistics.brokers.values().filter(|connection| connection.nodeid >= 0);
        let mut brokers: Vec<Broker> = named
            .map(|connection| Broker {
                id: connection.nodeid,
                name: connection.nodename.clone(),
                state: connection.state.clone(),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        brokers
    }

    /// Whether a partition of the topic has no leader.
    pub fn lacks_leader(&self, topic: &str) -> bool {
        let partitions = self.statistics.topics.get(topic).into_iter().flat_map(|topic| &topic.partitions);
        // -1 is librdkafka's own, for records without a partition.
        partitions.filter(|(number, _)| number.as_str() != "-1").any(|(_, partition)| partition.leader < 0)
    }

    /// How often a broker asked for the record once more.
    pub fn retries(&self) -> u64 {
        self.statistics.brokers.values().map(|connection| connection.txretries).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as librdkafka 2.12.1 wrote them beside Kafka 4.3.1, with idle processors and with busy ones.
    #[test]
    fn a_fault_of_tls_is_one_of_tls_whenever_it_is_found() {
        use RDKafkaErrorCode::{BrokerTransportFailure, SSL};
        for (code, text, expected) in [
            (SSL, "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed (after 9ms", SSL),
            (BrokerTransportFailure, "error:0A000086:SSL routines::certificate verify failed (after 49ms", SSL),
            (BrokerTransportFailure, "Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate", SSL),
            (BrokerTransportFailure, "Disconnected: connection closed by peer", BrokerTransportFailure),
        ] {
            assert_eq!(layer(code, text), expected, "{text}");
        }
    }
}
