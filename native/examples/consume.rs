//! Reads records from the beginning of a topic and prints them as `dev/kafka/kafka consume` does. Only for the mock cluster:
//! a real Kafka is read by its own consumer.
//!
//! `consume BOOTSTRAP TOPIC COUNT TIMEOUT_S`

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;

const USAGE: &str = "usage: consume BOOTSTRAP TOPIC COUNT TIMEOUT_S";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or(USAGE);
    let (bootstrap, topic) = (next()?, next()?);
    let count: usize = next()?.parse()?;
    let deadline = Instant::now() + Duration::from_secs(next()?.parse()?);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "consume")
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(&[topic.as_str()])?;
    let mut seen = 0;
    while seen < count {
        if Instant::now() >= deadline {
            return Err(format!("only {seen} of {count} records arrived in time").into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        // A topic that does not exist yet is no reason to give up before the deadline.
        let Ok(message) = message else { continue };
        let text = |bytes: Option<&[u8]>| bytes.map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned());
        println!(
            "CreateTime:{}\tPartition:{}\tOffset:{}\tNO_HEADERS\t{}\t{}",
            message.timestamp().to_millis().unwrap_or(-1),
            message.partition(),
            message.offset(),
            text(message.key()),
            text(message.payload())
        );
        seen += 1;
    }
    Ok(())
}
