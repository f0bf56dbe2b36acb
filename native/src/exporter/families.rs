//! Which metrics there are. docs/metrics.md has the table.
//!
//! Labels are names of the configuration, of the cluster, and of Kafka topics, whose number is bounded where clients make them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use emq_kafka_spool::State;

use super::text::Families;
use crate::flow::view::View;
use crate::kafka::errors::USUAL;
use crate::kafka::errors::error_name;
use crate::kafka::statistics::{Broker, Statistics};
use crate::metrics::{DropReason, Snapshot};

const MILLISECONDS: f64 = 1e3;
const MICROSECONDS: f64 = 1e6;

/// All metrics as they are now.
pub fn collect(view: &View) -> Families {
    let mut families = Families::default();
    records(&mut families, &view.shared.metrics.snapshot());
    let help = "Messages published while no hook of the plugin was registered.";
    families.counter("messages_unseen_total", help, view.shared.metrics.unseen.count());
    rules(&mut families, view);
    topics(&mut families, view);
    latency(&mut families, view);
    publishers(&mut families, view);
    spool(&mut families, view);
    if let Some(statistics) = view.statistics() {
        brokers(&mut families, &statistics);
    }
    info(&mut families, view);
    families
}

fn records(families: &mut Families, snapshot: &Snapshot) {
    families.counter("records_accepted_total", "Records accepted.", snapshot.accepted);
    families.counter("records_success_total", "Records that Kafka acknowledged.", snapshot.success);
    let mut failed = families.counters("records_failed_total", "Records that Kafka refused for good, by its error.");
    // From the start, so that the first one is seen in a rate.
    let mut by_error: BTreeMap<String, u64> = USUAL.iter().map(|error| (error_name(*error), 0)).collect();
    by_error.extend(snapshot.failed.iter().map(|(error, records)| (error.clone(), *records)));
    for (error, records) in &by_error {
        failed.add(&[("error", error)], *records);
    }
    let mut dropped = families.counters("records_dropped_total", "Records dropped by the plugin, by reason.");
    for reason in DropReason::ALL {
        dropped.add(&[("reason", reason.name())], snapshot.dropped.get(&reason).copied().unwrap_or(0));
    }
    let help = "Records sent to the default topic because their own topic is not usable.";
    families.counter("records_redirected_total", help, snapshot.redirected);
    let help = "Records found in the spool after a restart of the broker.";
    families.counter("records_recovered_total", help, snapshot.recovered);
    let help = "Records with a copy in the dead letter topic.";
    families.counter("records_dead_lettered_total", help, snapshot.dead_lettered);
    families.gauge("records_queued", "Records in memory only, waiting for Kafka.", signed(snapshot.queued));
    families.gauge("records_spooled", "Records in the spool, waiting for Kafka.", signed(snapshot.spooled));
    let help = "Memory of the queued records, in bytes.";
    families.gauge("queue_bytes", help, signed(snapshot.queued_bytes));
}

fn rules(families: &mut Families, view: &View) {
    let mut rules = view.rules();
    // A series may be there once, or the scraper refuses all; two settings of one name, which no conf file makes, share counters.
    let mut seen = BTreeSet::new();
    rules.retain(|rule| seen.insert((rule.event, rule.name.clone())));
    let mut matched = families.counters("rule_matched_total", "Events that a rule matched.");
    for rule in &rules {
        matched.add(&[("event", rule.event.name()), ("rule", &rule.name)], rule.matched);
    }
    let mut dropped =
        families.counters("rule_dropped_total", "Records of a rule that were dropped before they were queued.");
    for rule in &rules {
        dropped.add(&[("event", rule.event.name()), ("rule", &rule.name)], rule.dropped);
    }
}

fn topics(families: &mut Families, view: &View) {
    let topics = view.shared.metrics.topics.counts();
    let mut success = families.counters("topic_success_total", "Records of a Kafka topic that Kafka acknowledged.");
    for (topic, counts) in &topics {
        success.add(&[("topic", topic)], counts.success);
    }
    let mut failed = families.counters("topic_failed_total", "Records of a Kafka topic that Kafka refused for good.");
    for (topic, counts) in &topics {
        failed.add(&[("topic", topic)], counts.failed);
    }
    let isolated_topics = view.shared.isolated_topics.names();
    if !isolated_topics.is_empty() {
        let help = "1 for an isolated topic: Kafka refused some of its records.";
        let mut isolated = families.gauges("topic_isolated", help);
        for topic in &isolated_topics {
            isolated.add(&[("topic", topic)], 1.0);
        }
    }
}

fn latency(families: &mut Families, view: &View) {
    let times = view.shared.metrics.latency.snapshot();
    // The last one, without a bound, is that of all, which the encoder makes.
    let bounded = times.cumulative().into_iter().filter_map(|(bound, records)| Some((bound?, records)));
    let buckets: Vec<_> = bounded.map(|(bound, records)| (float(bound) / MILLISECONDS, records)).collect();
    let help = "Time from the hook to Kafka's acknowledgement, time in the spool included, in seconds.";
    families.histogram("ack_latency_seconds", help, &buckets, times.count(), float(times.sum_ms()) / MILLISECONDS);
}

fn publishers(families: &mut Families, view: &View) {
    let waiters = &view.shared.waiters;
    let waiting = u64::try_from(waiters.count()).unwrap_or(u64::MAX);
    families.gauge("publishers_waiting", "Publishers that wait for an acknowledgement.", float(waiting));
    families.counter("wait_timeouts_total", "Publishers whose wait timed out.", waiters.timeouts());
    families.counter(
        "disconnected_total",
        "Publishers disconnected without an acknowledgement.",
        waiters.disconnected(),
    );
}

fn spool(families: &mut Families, view: &View) {
    let Some(spool) = view.spool() else { return };
    families.gauge("spool_bytes", "Disk space of the spool, in bytes.", float(spool.bytes));
    families.gauge("spool_max_bytes", "Maximum disk space of the spool, in bytes.", float(spool.max_bytes));
    let segments = u64::try_from(spool.segments).unwrap_or(u64::MAX);
    families.gauge("spool_segments", "Files of the spool that have records.", float(segments));
    let oldest = float(spool.oldest_ms.unwrap_or(0)) / MILLISECONDS;
    families.gauge("spool_oldest_seconds", "Age of the oldest record in the spool, in seconds; 0 for none.", oldest);
    let mut states = families.gauges("spool_state", "1 for the current state of the spool, 0 for the others.");
    for (name, is_it) in [
        ("ok", matches!(spool.state, State::Ok)),
        ("full", matches!(spool.state, State::Full)),
        ("failed", matches!(spool.state, State::Failed)),
    ] {
        states.add(&[("state", name)], f64::from(u8::from(is_it)));
    }
}

type OfBroker = fn(&Broker) -> u64;

/// librdkafka's own numbers, some seconds old.
fn brokers(families: &mut Families, statistics: &Statistics) {
    let brokers = &statistics.brokers;
    let mut up = families.gauges("broker_up", "1 for a connected Kafka broker, 0 for others.");
    for broker in brokers {
        up.add(&[("broker", &broker.name)], f64::from(u8::from(broker.state == "UP")));
    }
    let help = "Average round-trip time of recent requests to a broker, in seconds.";
    let mut rtt = families.gauges("broker_rtt_seconds", help);
    for broker in brokers {
        rtt.add(&[("broker", &broker.name)], float(broker.rtt_avg_us) / MICROSECONDS);
    }
    let help = "99th percentile of the round-trip time of recent requests to a broker, in seconds.";
    let mut rtt = families.gauges("broker_rtt_p99_seconds", help);
    for broker in brokers {
        rtt.add(&[("broker", &broker.name)], float(broker.rtt_p99_us) / MICROSECONDS);
    }
    let mut waiting = families.gauges("broker_requests_waiting", "Requests that wait for a broker's answer.");
    for broker in brokers {
        waiting.add(&[("broker", &broker.name)], float(broker.waiting));
    }
    let counters: [(&str, &str, OfBroker); 4] = [
        ("broker_requests_total", "Requests sent to a broker.", |broker| broker.requests),
        ("broker_retries_total", "Requests sent again to a broker.", |broker| broker.retries),
        ("broker_errors_total", "Requests that could not be sent to a broker.", |broker| broker.errors),
        ("broker_timeouts_total", "Requests that a broker did not answer in time.", |broker| broker.timeouts),
    ];
    for (name, help, number) in counters {
        let mut family = families.counters(name, help);
        for broker in brokers {
            family.add(&[("broker", &broker.name)], number(broker));
        }
    }
    let age = statistics.age.as_secs_f64();
    families.gauge("statistics_age_seconds", "Age of librdkafka's statistics, in seconds.", age);
}

fn info(families: &mut Families, view: &View) {
    let refused = view.shared.settings_refused.load(Ordering::Relaxed);
    let help = "1 while the plugin refuses wrong settings, otherwise 0.";
    families.gauge("settings_refused", help, f64::from(u8::from(refused)));
    let help = "1 while nothing is sent to Kafka because settings are wrong, otherwise 0.";
    families.gauge("degraded", help, f64::from(u8::from(view.is_degraded())));
    let librdkafka = rdkafka::util::get_rdkafka_version().1;
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("librdkafka", librdkafka.as_str())];
    families.gauges("build_info", "1. The plugin's version, and librdkafka's.").add(&labels, 1.0);
    if let Some(settings) = view.settings() {
        let help = "1. A hash of the settings, to compare nodes.";
        families.gauges("config_info", help).add(&[("hash", &settings.fingerprint())], 1.0);
        let most = u64::try_from(settings.max_bytes).unwrap_or(u64::MAX);
        families.gauge("queue_max_bytes", "Maximum memory of the queued records, in bytes.", float(most));
        let most = u64::try_from(settings.max_messages).unwrap_or(u64::MAX);
        families.gauge("queue_max_records", "Maximum number of queued records.", float(most));
    }
}

/// As Prometheus has numbers.
#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

/// As `float`.
#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn signed(number: i64) -> f64 {
    number as f64
}
