//! What each stage of the way of a publish costs by itself, so that a regression is seen in its stage.
//!
//! - `match`: N rules of which none matches; two levels of each filter are compared before it fails. Nothing is made.
//! - `encode`: the JSON of a publish. Payloads: `text` with few quotes, `json` with many, `binary` (which becomes base64).
//! - `escape`: a JSON string by the escaper of `escape.rs`, and by the vectorised crate json-escape-simd, of the same text:
//!   JSON, prose, and text in which nothing needs an escape. It is the evidence for having an escaper of our own.
//! - `spool_append`: a record of 350 bytes that nobody waits for is handed to the spool. Its writer is busy meanwhile: it
//!   takes turns at the lock and a part of the second core. So that it never fills, everything is read and acknowledged,
//!   untimed, after each 20,000 records.
//!
//! Not here:
//!
//! - Decoding. To read an Erlang term needs a VM, which a program of cargo's is not. The row `decode` of `make bench` (an event
//!   that no rule wants, group `stages` of bench/rows.py) has the hook call, the decoding and the matching inside a VM.
//! - librdkafka's part, and the whole of what the hook calls by numbers of rules and by format: `rules.rs`.
//! - The disk: `cargo run --release -p emq_kafka_spool --example bench`.
//!
//! `cargo bench -p emq_plugin_kafka_nif --bench stages`; results in bench/README.md.
#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that cannot go on fails")]

mod common;

use std::hint::black_box;
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{TOPIC, open, publish, rules};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use emq_kafka_spool::{Batch, Config, Events, Reader, Spool};
use emq_plugin_kafka_nif::event::context::Context;
use emq_plugin_kafka_nif::event::json::write_string;
use emq_plugin_kafka_nif::flow::handle::Handle;
use emq_plugin_kafka_nif::flow::outcome::{Outcome, Publisher};
use emq_plugin_kafka_nif::record::encode::{Encoder, PayloadEncoding};

/// What a device sends, a quote in every four bytes. The records of `make bench` are made of it, too.
const JSON: &str = r#"{"t":21.5,"h":40.1,"id":"s-0001","ok":true,"seq":123456,"x":"ab"}"#;
/// Three bytes of 134 need an escape.
const PROSE: &str = "The pump in hall 4 says \"pressure low\" again; it was restarted at noon, and has run \
                     without a fault since. Someone should look at it.\n";
/// None does.
const PLAIN: &str = "temperature 21.5 C, humidity 40.1 %, sensor s-0001 in hall 4, battery 87 %; ";
/// As the default JSON of a small publish has.
const RECORD: usize = 350;
/// So many records are in the spool at most: 7 MB, a ninth of what may wait for its writer.
const BATCH: u64 = 20_000;

/// So many bytes of a text that is repeated.
fn repeated(text: &str, size: usize) -> String {
    text.chars().cycle().take(size).collect()
}

fn matching(c: &mut Criterion) {
    let payload = repeated(JSON, 200);
    let event = publish(TOPIC, payload.as_bytes());
    let mut group = c.benchmark_group("match");
    for number in [1, 10, 100, 1000] {
        let handle = Handle::default();
        open(&handle, &rules(number, 0, ""));
        group.throughput(Throughput::Elements(number as u64));
        group.bench_function(BenchmarkId::from_parameter(number), |b| {
            b.iter(|| assert_eq!(handle.submit(black_box(&event), &Publisher::CannotWait, false), Outcome::Ignored));
        });
        handle.close(Duration::ZERO);
    }
    group.finish();
}

fn encoding(c: &mut Criterion) {
    let encoder = Encoder::new(PayloadEncoding::Auto, "emq@127.0.0.1");
    let mut group = c.benchmark_group("encode");
    let mut out = Vec::new();
    for size in [200, 1024, 16 * 1024] {
        let text = repeated(PROSE, size).into_bytes();
        let json = repeated(JSON, size).into_bytes();
        for (name, payload) in [("text", text), ("json", json), ("binary", vec![0xff; size])] {
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

/// Appends a text as a JSON string.
type Escaper = fn(&mut Vec<u8>, &str);

fn escaping(c: &mut Criterion) {
    let escapers: [(&str, Escaper); 2] =
        [("ours", write_string), ("simd", |out, text| json_escape_simd::escape_into(text, out))];
    let mut group = c.benchmark_group("escape");
    for (name, text) in [("json", JSON), ("prose", PROSE), ("plain", PLAIN)] {
        for size in [10, 64, 200, 1024, 16 * 1024] {
            let text = repeated(text, size);
            let [ours, simd] = escapers.map(|(_, escape)| {
                let mut out = Vec::new();
                escape(&mut out, &text);
                out
            });
            assert_eq!(ours, simd);
            group.throughput(Throughput::Bytes(size as u64));
            for (escaper, escape) in escapers {
                let mut out = Vec::new();
                group.bench_function(BenchmarkId::new(format!("{name}/{escaper}"), size), |b| {
                    b.iter(|| {
                        out.clear();
                        escape(&mut out, black_box(&text));
                        out.len()
                    });
                });
            }
        }
    }
    group.finish();
}

/// What the spool tells. A record that is gone would be waited for without end.
struct Told;

impl Events for Told {
    fn committed(&self, _tokens: &[u64]) {}

    fn lost(&self, records: u64, _tokens: &[u64], error: &str) {
        eprintln!("{records} lost: {error}");
        process::exit(1);
    }

    fn corrupt(&self, records: u64, text: &str) {
        eprintln!("{records} corrupt: {text}");
        process::exit(1);
    }

    fn notice(&self, kind: &str, text: String) {
        eprintln!("{kind}: {text}");
    }
}

/// The time of so many appends.
fn append(spool: &Spool, reader: &mut Reader, record: &[u8], records: u64) -> Duration {
    let mut left = records;
    let mut spent = Duration::ZERO;
    while left > 0 {
        let now = left.min(BATCH);
        let start = Instant::now();
        for _ in 0..now {
            spool.append(&[black_box(record)], 0).expect("room");
        }
        spent += start.elapsed();
        acknowledge(spool, reader, now);
        left -= now;
    }
    spent
}

fn acknowledge(spool: &Spool, reader: &mut Reader, records: u64) {
    let mut batch = Batch::default();
    let mut left = records;
    while left > 0 {
        if reader.read(&mut batch, Duration::from_secs(1)).expect("read") {
            let sequences: Vec<u64> = batch.iter().map(|(sequence, _)| sequence).collect();
            spool.ack(&sequences);
            left -= sequences.len() as u64;
        }
    }
}

fn appending(c: &mut Criterion) {
    // On the disk of the build, where a directory for temporary files may be memory.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stages-{}", process::id()));
    let config =
        Config { dir: dir.clone(), max_size: 1 << 30, segment_size: 64 << 20, sync_interval: Duration::from_millis(5) };
    let (spool, _) = Spool::open(config, Arc::new(Told)).expect("opened");
    let mut reader = spool.reader().expect("the only one");
    let record = [b'x'; RECORD];
    let mut group = c.benchmark_group("spool_append");
    group.throughput(Throughput::Bytes(RECORD as u64));
    // Samples alike, each of BATCH and more: the first records are taken in before the writer wakes.
    group.sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(2));
    group.bench_function(BenchmarkId::from_parameter(RECORD), |b| {
        b.iter_custom(|records| append(&spool, &mut reader, &record, records));
    });
    group.finish();
    drop(reader);
    spool.close().expect("closed");
    std::fs::remove_dir_all(dir).expect("removed");
}

/// Few resamples: with as many as criterion takes of itself, most of the run would be statistics.
fn short() -> Criterion {
    let criterion = Criterion::default().sample_size(20).nresamples(10_000);
    criterion.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = short();
    targets = matching, encoding, escaping, appending
}
criterion_main!(benches);
