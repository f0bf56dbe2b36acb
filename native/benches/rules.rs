//! What rules cost the client process that runs the hook.
//!
//! `submit` is the whole of what the hook calls: match, render, and hand over to librdkafka, which copies the record. Kafka is
//! left out: nobody listens at the server's address, and the queue is large. So that it never fills, the pipeline is closed
//! (which gives the records up) and opened again, untimed, after each 20,000 records. librdkafka's threads still take a part
//! of the second core for that queue.
//!
//! - `match`: N rules of which none matches; two levels of each filter are compared before it fails. Nothing is made.
//! - `one_of`: N rules of which the last matches: the same, and one record.
//! - `all_of`: N rules that all match: N records of one event, the JSON made once.
//! - `format`: one rule, each format. `encode`: the JSON alone, no Kafka. `path`: one payload field.
//!
//! `cargo bench -p emq_plugin_kafka_nif --bench rules`; results in bench/README.md.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::context::Context;
use emq_plugin_kafka_nif::encode::{Encoder, PayloadEncoding};
use emq_plugin_kafka_nif::event::{Detail, Event, EventKind, Message};
use emq_plugin_kafka_nif::handle::Handle;
use emq_plugin_kafka_nif::payload_path::{Step, find};
use emq_plugin_kafka_nif::pipeline::{Outcome, Publisher};

const TOPIC: &[u8] = b"sensors/device-1234/temperature";
/// So many records are queued at most.
const BATCH: u64 = 20_000;

fn publish<'a>(topic: &'a [u8], payload: &'a [u8]) -> Event<'a> {
    let id = Some(&[0, 6, 96, 222, 91, 92, 206, 203, 110, 199, 0, 0, 5, 96, 0, 1][..]);
    let message = Message { topic, payload, qos: 1, dup: false, retain: false, id, timestamp: 1_700_000_000_000 };
    let detail = Detail::Message(message, None);
    Event { kind: EventKind::MessagePublish, client_id: b"device-1234", username: Some(b"fleet"), detail }
}

/// JSON as a device sends it, of about this size.
fn payload(size: usize) -> Vec<u8> {
    let mut text = r#"{"device":{"id":"1234"},"readings":["#.to_owned();
    while text.len() + 12 < size {
        text.push_str("21.5,\"C\", ");
    }
    text.push_str("0]}");
    text.into_bytes()
}

/// Rules that fail at the second level, and `matching` ones behind them.
fn rules(failing: usize, matching: usize, rule: &str) -> Vec<(String, String)> {
    let name = |n| format!("hook.message.publish.{n:04}");
    let failing = (0..failing).map(|n| (name(n), format!(r#"{{"filter":"sensors/other-{n}/#"}}"#)));
    let matching = (0..matching).map(|n| (name(9000 + n), rule.to_owned()));
    failing.chain(matching).collect()
}

fn open(handle: &Handle, rules: &[(String, String)]) {
    let base = [("server", "127.0.0.1:1"), ("topic", "bench"), ("spool", "off"), ("queue_max_messages", "1000000")];
    let more = rules.iter().map(|(name, rule)| (name.as_str(), rule.as_str()));
    let settings = Settings::parse(base.into_iter().chain(more)).expect("settings");
    assert!(handle.open(settings, "emq@127.0.0.1").expect("opened"));
}

/// The time of `iterations` events that make `records` records each.
fn time(handle: &Handle, rules: &[(String, String)], records: u64, event: &Event<'_>, iterations: u64) -> Duration {
    let mut left = iterations;
    let mut spent = Duration::ZERO;
    while left > 0 {
        let now = left.min(BATCH / records);
        open(handle, rules);
        let start = Instant::now();
        for _ in 0..now {
            let outcome = handle.submit(black_box(event), &Publisher::Hurried, true);
            assert!(matches!(outcome, Outcome::Queued(_)), "{outcome:?}");
        }
        spent += start.elapsed();
        handle.close(Duration::ZERO);
        left -= now;
    }
    spent
}

fn matching(c: &mut Criterion) {
    let payload = payload(200);
    let event = publish(TOPIC, &payload);
    let mut group = c.benchmark_group("match");
    for number in [1, 10, 100, 1000] {
        let handle = Handle::default();
        open(&handle, &rules(number, 0, ""));
        group.throughput(Throughput::Elements(number as u64));
        group.bench_function(BenchmarkId::from_parameter(number), |b| {
            b.iter(|| assert_eq!(handle.submit(black_box(&event), &Publisher::Hurried, false), Outcome::Ignored));
        });
        handle.close(Duration::ZERO);
    }
    group.finish();
}

fn submitting(c: &mut Criterion) {
    let payload = payload(200);
    let event = publish(TOPIC, &payload);
    for (name, all) in [("one_of", false), ("all_of", true)] {
        let mut group = c.benchmark_group(name);
        for number in [1, 10, 100] {
            let (failing, matching) = if all { (0, number) } else { (number - 1, 1) };
            let rules = rules(failing, matching, r#"{"filter":"sensors/+/temperature"}"#);
            let handle = Handle::default();
            group.bench_function(BenchmarkId::from_parameter(number), |b| {
                b.iter_custom(|iterations| time(&handle, &rules, matching as u64, &event, iterations));
            });
        }
        group.finish();
    }
}

fn formats(c: &mut Criterion) {
    let payload = payload(200);
    let event = publish(TOPIC, &payload);
    let mut group = c.benchmark_group("format");
    for (name, rule) in [
        ("json", "{}"),
        ("raw", r#"{"format":"raw"}"#),
        ("cloudevents", r#"{"format":"cloudevents"}"#),
        ("cloudevents_binary", r#"{"format":"cloudevents","mode":"binary"}"#),
        ("template", r#"{"value":{"c":"${clientid}","t":"${topic}","p":"${payload}"}}"#),
        ("template_of_a_field", r#"{"value":{"c":"${clientid}","d":"${payload.device.id}"}}"#),
        ("topic_of_a_level", r#"{"topic":"d.${topic[1]}"}"#),
    ] {
        let rules = rules(0, 1, rule);
        let handle = Handle::default();
        group.bench_function(name, |b| b.iter_custom(|iterations| time(&handle, &rules, 1, &event, iterations)));
    }
    group.finish();
}

fn encoding(c: &mut Criterion) {
    let encoder = Encoder::new(PayloadEncoding::Auto, "emq@127.0.0.1");
    let mut group = c.benchmark_group("encode");
    let mut out = Vec::new();
    for size in [200, 1024, 16 * 1024] {
        for (name, payload) in [("json", payload(size)), ("binary", vec![0xff; size])] {
            let event = publish(TOPIC, &payload);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    out.clear();
                    encoder.encode(&Context::new(black_box(&event), "emq@127.0.0.1", 1_700_000_000_000), &mut out);
                    out.len()
                });
            });
        }
    }
    group.finish();
}

fn paths(c: &mut Criterion) {
    let path = [Step::Member("device".to_owned()), Step::Member("id".to_owned())];
    let mut group = c.benchmark_group("path");
    // As many members as a payload of the size that a normal scheduler still reads can have.
    let members = format!("{{{}\"device\":{{\"id\":1}}}}", "\"\":0,".repeat(25_000)).into_bytes();
    for (name, payload) in
        [("200", payload(200)), ("16384", payload(16 * 1024)), ("131072", payload(128 * 1024)), ("hostile", members)]
    {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(name, |b| b.iter(|| find(black_box(&payload), &path).expect("found")));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = encoding, paths, matching, submitting, formats
}
criterion_main!(benches);
