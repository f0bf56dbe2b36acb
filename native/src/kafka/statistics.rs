//! librdkafka's own numbers, which it makes every few seconds (`statistics.interval.ms`) as one JSON text.
//!
//! The text is kept as it comes, and read when somebody asks: rarely, and then only what is named here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The latest text of a client.
#[derive(Debug, Default)]
pub struct Latest(Mutex<Option<(Instant, Box<str>)>>);

impl Latest {
    /// Keeps a text instead of the last one.
    pub fn put(&self, text: &str) {
        let text = Some((Instant::now(), text.into()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// Reads the text. None where there is none yet, or it is not what librdkafka's manual says.
    #[must_use]
    pub fn read(&self) -> Option<Statistics> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (came, text) = latest?;
        Statistics::parse(&text, came.elapsed())
    }
}

/// What is wanted of librdkafka's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// How old they are.
    pub age: Duration,
    /// The brokers, by name.
    pub brokers: Vec<Broker>,
    /// The topics, by name.
    pub topics: Vec<Topic>,
    /// Records sent to Kafka.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Records in librdkafka's queues.
    pub queued: u64,
}

/// A connection to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Host, port and number.
    pub name: String,
    /// The number; -1 for one of the configuration of which none is known yet.
    pub id: i32,
    /// librdkafka's word: `UP`, `DOWN`, `CONNECT`, `INIT` and so on.
    pub state: String,
    /// Round-trip time of requests within the last interval, in us: the average and the 99th percentile.
    pub rtt_avg_us: u64,
    /// See `rtt_avg_us`.
    pub rtt_p99_us: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Requests that could not be sent.
    pub errors: u64,
    /// Requests that were not answered in time.
    pub timeouts: u64,
    /// Requests that wait for their answer.
    pub waiting: u64,
}

/// A topic of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// Records in a batch, within the last interval.
    pub batch_records_avg: u64,
    /// Bytes in a batch, within the last interval.
    pub batch_bytes_avg: u64,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    brokers: BTreeMap<String, BrokerText>,
    #[serde(default)]
    topics: BTreeMap<String, TopicText>,
    txmsgs: u64,
    txmsg_bytes: u64,
    msg_cnt: u64,
}

#[derive(Deserialize)]
struct BrokerText {
    nodeid: i32,
    state: String,
    /// `configured`, `learned`, `internal` or `logical`. The last two are no brokers.
    source: String,
    rtt: Window,
    tx: u64,
    txretries: u64,
    txerrs: u64,
    req_timeouts: u64,
    waitresp_cnt: u64,
}

#[derive(Deserialize)]
struct TopicText {
    batchcnt: Window,
    batchsize: Window,
    #[allow(clippy::zero_sized_map_values, reason = "serde has no set of the keys of a map")]
    partitions: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Window {
    avg: i64,
    p99: i64,
}

impl Statistics {
    fn parse(text: &str, age: Duration) -> Option<Self> {
        let text: Text = serde_json::from_str(text).ok()?;
        let brokers: Vec<Broker> = text
            .brokers
            .into_iter()
            .filter(|(_, broker)| matches!(broker.source.as_str(), "configured" | "learned"))
            .map(|(name, broker)| Broker {
                name,
                id: broker.nodeid,
                state: broker.state,
                rtt_avg_us: unsigned(broker.rtt.avg),
                rtt_p99_us: unsigned(broker.rtt.p99),
                requests: broker.tx,
                retries: broker.txretries,
                errors: broker.txerrs,
                timeouts: broker.req_timeouts,
                waiting: broker.waitresp_cnt,
            })
            .collect();
        let topics = text.topics.into_iter().map(|(name, topic)| Topic {
            name,
            // One more, numbered -1, is for records that have no partition yet.
            partitions: topic.partitions.keys().filter(|number| *number != "-1").count(),
            batch_records_avg: unsigned(topic.batchcnt.avg),
            batch_bytes_avg: unsigned(topic.batchsize.avg),
        });
        let retries = brokers.iter().map(|broker| broker.retries).sum();
        let topics = topics.collect();
        let (sent, sent_bytes, queued) = (text.txmsgs, text.txmsg_bytes, text.msg_cnt);
        Some(Self { age, brokers, topics, sent, sent_bytes, retries, queued })
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As librdkafka 2.12 writes it, shortened.
    const TEXT: &str = r#"{"name":"emq_plugin_kafka#producer-1","type":"producer","msg_cnt":3,"tx":12,"tx_bytes":345,
        "txmsgs":8,"txmsg_bytes":2048,"brokers":{
        "127.0.0.1:9092/1":{"name":"127.0.0.1:9092/1","nodeid":1,"nodename":"127.0.0.1:9092","source":"learned","state":"UP",
            "waitresp_cnt":2,"tx":9,"txerrs":1,"txretries":4,"req_timeouts":5,
            "rtt":{"min":1,"max":9,"avg":700,"p50":6,"p99":900,"p99_99":9}},
        "GroupCoordinator":{"nodeid":-1,"source":"logical","state":"INIT","waitresp_cnt":0,"tx":0,"txerrs":0,"txretries":0,
            "req_timeouts":0,"rtt":{"avg":0,"p99":0}}},
        "topics":{"t":{"topic":"t","batchsize":{"avg":512,"p99":600},"batchcnt":{"avg":4,"p99":5},
            "partitions":{"0":{"partition":0},"1":{"partition":1},"-1":{"partition":-1}}}}}"#;

    #[test]
    fn reads_what_is_wanted() {
        let read = Statistics::parse(TEXT, Duration::from_secs(1)).expect("statistics");
        assert_eq!((read.sent, read.sent_bytes, read.retries, read.queued), (8, 2048, 4, 3));
        let topic = Topic { name: "t".to_owned(), partitions: 2, batch_records_avg: 4, batch_bytes_avg: 512 };
        assert_eq!(read.topics, [topic]);
        let [broker] = read.brokers.as_slice() else { panic!("{:?}", read.brokers) };
        assert_eq!((broker.name.as_str(), broker.id, broker.state.as_str()), ("127.0.0.1:9092/1", 1, "UP"));
        assert_eq!((broker.rtt_avg_us, broker.rtt_p99_us, broker.requests), (700, 900, 9));
        assert_eq!((broker.retries, broker.errors, broker.timeouts, broker.waiting), (4, 1, 5, 2));
    }

    #[test]
    fn there_is_nothing_to_read_before_the_first_text_or_in_another() {
        let latest = Latest::default();
        assert_eq!(latest.read(), None);
        latest.put("{}");
        assert_eq!(latest.read(), None);
        latest.put(TEXT);
        assert!(latest.read().is_some_and(|read| read.age < Duration::from_secs(5)));
    }
}
