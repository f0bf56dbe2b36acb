//! What rules cost the client process that runs the hook.
//!
//! `submit` is the whole of what the hook calls: match, render, and hand over to librdkafka, which copies the record. Kafka is
//! left out: nobody listens at the server's address, and the queue is large. So that it never fills, the pipeline is closed
//! (which gives the records up) and opened again, untimed, after each 20,000 records. librdkafka's threads still take a part
//! of the second core for that queue.
//!
//! - `one_of`: N rules of which the last matches: one record. Two levels of each other filter are compared before it fails.
//! - `all_of`: N rules that all match: N records of one event, the JSON made once.
//! - `format`: one rule, each format. `path`: one payload field.
//!
//! Rules of which none matches, and the JSON alone, are in `stages.rs`.
//!
//! `cargo bench -p emq_plugin_kafka_nif --bench rules`; results in bench/README.md.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that cannot go on fails")]

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{TOPIC, open, publish, rules};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use emq_plugin_kafka_nif::event::Event;
use emq_plugin_kafka_nif::flow::handle::Handle;
use emq_plugin_kafka_nif::flow::outcome::{Outcome, Publisher};
use emq_plugin_kafka_nif::rules::payload_path::{Step, find};

/// So many records are queued at most.
const BATCH: u64 = 20_000;

/// JSON as a device sends it, of about this size.
fn payload(size: usize) -> Vec<u8> {
    let mut text = r#"{"device":{"id":"1234"},"readings":["#.to_owned();
    while text.len() + 12 < size {
        text.push_str("21.5,\"C\", ");
    }
    text.push_str("0]}");
    text.into_bytes()
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
            let outcome = handle.submit(black_box(event), &Publisher::CannotWait, true);
            assert!(matches!(outcome, Outcome::Queued(_)), "{outcome:?}");
        }
        spent += start.elapsed();
        handle.close(Duration::ZERO);
        left -= now;
    }
    spent
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
    targets = paths, submitting, formats
}
criterion_main!(benches);
