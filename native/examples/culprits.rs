//! How fast records arrive in a topic that refuses some of them, and whether the others all arrive, in their order: against a real
//! Kafka.
//!
//! `culprits BOOTSTRAP TOPIC RECORDS BAD_EVERY MODE [SIZE]`: TOPIC is compacted (`cleanup.policy=compact`), so that Kafka refuses a
//! record without a key. Each `BAD_EVERY`th record has none (0: none is bad). MODE is `off` (no spool), `async`, `always` or
//! `durable`. SIZE is the payload's, in bytes. Prints records/s and what is wrong, and fails where something is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::event::{Detail, Event, EventKind, Message as Published};
use emq_plugin_kafka_nif::flow::handle::{Handle, Status};
use emq_plugin_kafka_nif::flow::outcome::{Outcome, Publisher};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const USAGE: &str = "usage: culprits BOOTSTRAP TOPIC RECORDS BAD_EVERY MODE [SIZE]";
const KEYS: u64 = 10;
const PATIENCE: Duration = Duration::from_mins(5);

type Anything = Box<dyn std::error::Error>;

fn main() -> Result<(), Anything> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [bootstrap, topic, records, bad_every, mode, rest @ ..] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let (records, bad_every): (u64, u64) = (records.parse()?, bad_every.parse()?);
    let size = rest.first().map_or(Ok(200), |size| size.parse::<usize>())?;
    let dir = std::env::temp_dir().join(format!("culprits-{}", std::process::id()));
    let handle = Arc::new(Handle::default());
    let begins = ends_of(bootstrap, topic)?;
    handle.open(settings(bootstrap, topic, mode, dir.to_str().ok_or("no UTF-8")?)?, "n@h")?;
    let (sender, spoiled) = channel();
    handle.shared().isolated_topics.on_change(move || sender.send(Instant::now()).unwrap_or_default());
    let owner = Arc::clone(&handle);
    std::thread::spawn(move || {
        for rung in spoiled {
            let begun = Instant::now();
            let result = owner.reopen();
            println!("reopened: {result:?}, {:?} after the bell, {:?}", begun - rung, begun.elapsed());
        }
    });
    let is_bad = |number: u64| bad_every > 0 && number % bad_every == bad_every - 1;
    let begun = Instant::now();
    for number in 0..records {
        publish(&handle, number, is_bad(number), size);
    }
    let published = begun.elapsed();
    let deadline = begun + PATIENCE;
    let last = loop {
        let now = handle.metrics().snapshot();
        if now.success + now.failed_total() + now.dropped_total() == records {
            break now;
        }
        if Instant::now() > deadline {
            return Err(format!("not settled: {now:?} {:?}", handle.status() == Status::Closed).into());
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{mode} bad_every={bad_every} records={records}: {:.0} records/s ({published:?} to publish), success {} failed {:?} dropped {:?}",
        f64::from(u32::try_from(records)?) / seconds,
        last.success,
        last.failed,
        last.dropped
    );
    for notice in handle.notices().take() {
        println!("notice {}: {}", notice.kind, notice.text);
    }
    handle.close(Duration::from_secs(10));
    std::fs::remove_dir_all(&dir).ok();
    let good = (0..records).filter(|number| !is_bad(*number)).count();
    if last.failed.get("invalid_record").copied().unwrap_or_default() != records - good as u64 {
        return Err("other records were refused than those that Kafka must refuse, or for another reason".into());
    }
    check(bootstrap, topic, &begins, good, last.success)
}

fn settings(bootstrap: &str, topic: &str, mode: &str, dir: &str) -> Result<Settings, Anything> {
    let rule = format!(r#"{{"filter":"u/#","topic":"{topic}","key":"${{username}}","format":"raw"}}"#);
    let (produce, spool) = match mode {
        "off" => ("async", "off"),
        "async" => ("async", "overflow"),
        "always" => ("async", "always"),
        "durable" => ("durable", "overflow"),
        _ => return Err(USAGE.into()),
    };
    let pairs = [
        ("server", bootstrap),
        ("hook.message.publish.1", &rule),
        ("produce", produce),
        ("spool", spool),
        ("spool_dir", dir),
        ("compression", "none"),
        ("queue_max_messages", "1000000"),
        ("queue_max_size", "1000000000"),
    ];
    Settings::parse(pairs).map_err(|errors| format!("{errors:?}").into())
}

fn publish(handle: &Handle, number: u64, bad: bool, size: usize) {
    let username = format!("u{}", number % KEYS);
    let payload = format!("{number}:{}", "x".repeat(size.saturating_sub(8)));
    let message =
        Published { topic: b"u/1", payload: payload.as_bytes(), qos: 1, timestamp: 1, ..Published::default() };
    let event = Event {
        kind: EventKind::MessagePublish,
        client_id: b"c",
        username: (!bad).then_some(username.as_bytes()),
        detail: Detail::Message(message, None),
        extra: Vec::new(),
    };
    match handle.submit(&event, &Publisher::CannotWait, true) {
        Outcome::Queued(_) => {}
        outcome => println!("record {number}: {outcome:?}"),
    }
}

fn consumer(bootstrap: &str) -> Result<BaseConsumer, Anything> {
    Ok(ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", "culprits").create()?)
}

/// Where the partitions end.
fn ends_of(bootstrap: &str, topic: &str) -> Result<Vec<(i32, i64)>, Anything> {
    let consumer = consumer(bootstrap)?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let partitions =
        metadata.topics().first().ok_or("no topic")?.partitions().iter().map(rdkafka::metadata::MetadataPartition::id);
    partitions.map(|id| Ok((id, consumer.fetch_watermarks(topic, id, Duration::from_secs(10))?.1))).collect()
}

/// Whether all good records are there once, in the order of their keys.
fn check(bootstrap: &str, topic: &str, begins: &[(i32, i64)], good: usize, success: u64) -> Result<(), Anything> {
    let consumer = consumer(bootstrap)?;
    let mut assignment = TopicPartitionList::new();
    for (partition, offset) in begins {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.assign(&assignment)?;
    let mut left: i64 = ends_of(bootstrap, topic)?.iter().zip(begins).map(|((_, end), (_, begin))| end - begin).sum();
    let (mut last, mut breaks, mut seen): (HashMap<Vec<u8>, u64>, usize, usize) = (HashMap::new(), 0, 0);
    let mut numbers = std::collections::HashSet::new();
    let deadline = Instant::now() + PATIENCE;
    while left > 0 {
        if Instant::now() > deadline {
            return Err(format!("{left} records could not be read").into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message?;
        let text = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        let number: u64 = text.split(':').next().unwrap_or_default().parse()?;
        let key = message.key().unwrap_or_default().to_vec();
        if last.insert(key, number).is_some_and(|before| before > number) {
            breaks += 1;
        }
        numbers.insert(number);
        seen += 1;
        left -= 1;
    }
    println!("in Kafka: {seen} records, {} of {good} good ones, {breaks} breaks of order", numbers.len());
    if numbers.len() == good && seen == good && breaks == 0 && success == seen as u64 {
        Ok(())
    } else {
        Err("WRONG".into())
    }
}
