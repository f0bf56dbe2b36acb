//! What can be seen beside the counters: status, hooks, notices; rules, topics and times; librdkafka's own numbers.

use rustler::{Atom, Encoder, Env, NifMap, Term};

use super::HANDLE;
use crate::account::notices::Level;
use crate::flow::endpoint::Listening;
use crate::flow::handle::Status;
use crate::flow::routes::RuleReport;
use crate::kafka::statistics::{self, Statistics};
use crate::nif::atoms;
use crate::nif::terms::hook_atom;

/// `closed`, `spooling`, `{open, Settings}`, `{fatal, Settings}` or `{spoiled, Settings}`.
#[rustler::nif]
fn status(env: Env<'_>) -> Term<'_> {
    match HANDLE.status() {
        Status::Closed => atoms::closed().encode(env),
        Status::Spooling => atoms::spooling().encode(env),
        Status::Open(settings) => (atoms::open(), settings).encode(env),
        Status::Fatal(settings) => (atoms::fatal(), settings).encode(env),
        Status::Spoiled(settings) => (atoms::spoiled(), settings).encode(env),
    }
}

/// The hooks that some rule needs; none while no producer is open.
#[rustler::nif]
fn hooks(env: Env<'_>) -> Term<'_> {
    HANDLE.events().into_iter().map(hook_atom).collect::<Vec<_>>().encode(env)
}

/// Takes what waits to be logged: `[{Level, Kind, Text, Count}]`.
#[rustler::nif]
fn take_notices(env: Env<'_>) -> Term<'_> {
    let notices = HANDLE.notices().take();
    let level = |level| match level {
        Level::Error => atoms::error(),
        Level::Warning => atoms::warning(),
        Level::Info => atoms::info(),
    };
    let terms = notices.into_iter().map(|notice| (level(notice.level), notice.kind, notice.text, notice.count));
    terms.collect::<Vec<_>>().encode(env)
}

#[derive(NifMap)]
struct RuleMap {
    event: Atom,
    name: String,
    matched: u64,
    dropped: u64,
    definition: String,
}

/// The rules in the order in which they are tried, and what each has done; none while no producer is open.
#[rustler::nif]
fn rules() -> Vec<RuleMap> {
    HANDLE.rules().into_iter().map(RuleMap::from).collect()
}

impl From<RuleReport> for RuleMap {
    fn from(report: RuleReport) -> Self {
        let RuleReport { event, name, matched, dropped, definition } = report;
        Self { event: hook_atom(event), name, matched, dropped, definition }
    }
}

#[derive(NifMap)]
struct TopicCountsMap {
    name: String,
    success: u64,
    failed: u64,
    isolated: bool,
}

/// What Kafka has taken and refused, by topic, and whether the topic is isolated.
#[rustler::nif]
fn topics() -> Vec<TopicCountsMap> {
    let counts = HANDLE.metrics().topics.counts();
    let isolated_topics = HANDLE.shared().isolated_topics.names();
    counts
        .into_iter()
        .map(|(name, counts)| TopicCountsMap {
            isolated: isolated_topics.contains(&name),
            name,
            success: counts.success,
            failed: counts.failed,
        })
        .collect()
}

#[derive(NifMap)]
struct LatencyMap<'a> {
    count: u64,
    sum_ms: u64,
    buckets: Vec<(Term<'a>, u64)>,
}

/// How long it took from the hook to Kafka's acknowledgement.
#[rustler::nif]
fn latency(env: Env<'_>) -> LatencyMap<'_> {
    let times = HANDLE.metrics().latency.snapshot();
    let bound = |bound: Option<u64>| bound.map_or_else(|| atoms::infinity().encode(env), |ms| ms.encode(env));
    let buckets = times.cumulative().into_iter().map(|(upper, records)| (bound(upper), records)).collect();
    LatencyMap { count: times.count(), sum_ms: times.sum_ms(), buckets }
}

#[derive(NifMap)]
struct StatisticsMap {
    age_ms: u64,
    brokers: Vec<BrokerMap>,
    topics: Vec<TopicMap>,
    sent: u64,
    sent_bytes: u64,
    retries: u64,
    queued: u64,
}

#[derive(NifMap)]
struct BrokerMap {
    name: String,
    id: i32,
    state: String,
    rtt_avg_us: u64,
    rtt_p99_us: u64,
    requests: u64,
    retries: u64,
    errors: u64,
    timeouts: u64,
    waiting: u64,
}

#[derive(NifMap)]
struct TopicMap {
    name: String,
    partitions: usize,
    batch_records_avg: u64,
    batch_bytes_avg: u64,
}

/// librdkafka's own numbers, or `none`.
#[rustler::nif(schedule = "DirtyCpu")]
fn librdkafka(env: Env<'_>) -> Term<'_> {
    match HANDLE.statistics() {
        Some(statistics) => StatisticsMap::from(statistics).encode(env),
        None => atoms::none().encode(env),
    }
}

impl From<Statistics> for StatisticsMap {
    fn from(statistics: Statistics) -> Self {
        let Statistics { age, brokers, topics, sent, sent_bytes, retries, queued } = statistics;
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let brokers = brokers.into_iter().map(BrokerMap::from).collect();
        let topics = topics.into_iter().map(TopicMap::from).collect();
        Self { age_ms, brokers, topics, sent, sent_bytes, retries, queued }
    }
}

impl From<statistics::Broker> for BrokerMap {
    fn from(broker: statistics::Broker) -> Self {
        let statistics::Broker {
            name,
            id,
            state,
            rtt_avg_us,
            rtt_p99_us,
            requests,
            retries,
            errors,
            timeouts,
            waiting,
        } = broker;
        Self { name, id, state, rtt_avg_us, rtt_p99_us, requests, retries, errors, timeouts, waiting }
    }
}

impl From<statistics::Topic> for TopicMap {
    fn from(topic: statistics::Topic) -> Self {
        let statistics::Topic { name, partitions, batch_records_avg, batch_bytes_avg } = topic;
        Self { name, partitions, batch_records_avg, batch_bytes_avg }
    }
}

/// Whether Prometheus finds the metrics: `off`, `{at, Address}` or `{error, Problem}`.
#[rustler::nif]
fn listening(env: Env<'_>) -> Term<'_> {
    match HANDLE.listening() {
        Listening::Off => atoms::off().encode(env),
        Listening::At(address) => (atoms::at(), address.to_string()).encode(env),
        Listening::Failed(problem) => (atoms::error(), problem).encode(env),
    }
}
