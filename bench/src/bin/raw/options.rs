//! What the command line asks for.

use std::num::NonZero;
use std::time::Duration;

use emq_plugin_kafka_bench::options::{number, parse, seconds};
use rdkafka::ClientConfig;

use crate::headers;

/// Of the plugin's queue, and so of this one.
const QUEUE_KBYTES: u32 = 262_144;

/// Whether a thread waits for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Async,
    Sync,
}

/// All but the topic have a default.
#[derive(Debug, Clone)]
pub struct Options {
    /// `servers=127.0.0.1:9092`
    pub servers: String,
    /// `topic=NAME`
    pub topic: String,
    /// `payload_bytes=200`: of the MQTT payload in each record.
    pub payload_bytes: usize,
    /// `processes=1`: threads.
    pub processes: NonZero<usize>,
    /// `mode=async`, or `sync`: each thread waits for its record before the next.
    pub mode: Mode,
    /// `seconds=2`: how long the threads work.
    pub seconds: Duration,
    /// `keys=1000`: different keys, each of one thread.
    pub keys: usize,
    /// `window=100000`: records that librdkafka holds at most.
    pub window: u32,
    /// `latency=off`, or `on`.
    pub latency: bool,
    /// `headers=0`: of each record, 11 at most.
    pub headers: usize,
    /// `compression=lz4`
    pub compression: String,
    /// `linger_ms=5`; 0 where threads wait, as the plugin has it.
    pub linger_ms: Option<u32>,
    /// `rdkafka.PROPERTY=VALUE`: librdkafka's own. They win.
    pub rdkafka: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: "127.0.0.1:9092".into(),
            topic: String::new(),
            payload_bytes: 200,
            processes: NonZero::<usize>::MIN,
            mode: Mode::Async,
            seconds: Duration::from_secs(2),
            keys: 1000,
            window: 100_000,
            latency: false,
            headers: 0,
            compression: "lz4".into(),
            linger_ms: None,
            rdkafka: Vec::new(),
        }
    }
}

impl Options {
    /// # Errors
    /// A word that is no `key=value`, an unknown key, a value of the wrong kind, no topic, fewer keys than threads.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        parse(words, |key, value| options.set(key, value))?;
        if options.topic.is_empty() {
            return Err("topic=NAME is missing".into());
        }
        if options.headers > headers::MOST {
            return Err(format!("at most {} headers", headers::MOST));
        }
        if options.keys < options.processes.get() {
            return Err(format!("{} keys are not enough for {} threads", options.keys, options.processes));
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if let Some(property) = key.strip_prefix("rdkafka.") {
            self.rdkafka.push((property.into(), value.into()));
            return Ok(());
        }
        match key {
            "servers" => self.servers = value.into(),
            "topic" => self.topic = value.into(),
            "payload_bytes" => self.payload_bytes = number(value)?,
            "processes" => self.processes = number(value)?,
            "mode" => self.mode = mode(value)?,
            "seconds" => self.seconds = seconds(value)?,
            "keys" => self.keys = number(value)?,
            "window" => self.window = number(value)?,
            "latency" => self.latency = switch(value)?,
            "headers" => self.headers = number(value)?,
            "compression" => self.compression = value.into(),
            "linger_ms" => self.linger_ms = Some(number(value)?),
            // Every program of the benchmark is told these; this one has no use for them.
            "partitions" | "settings" => {}
            _ => return Err("no such key".into()),
        }
        Ok(())
    }

    /// The plugin's settings, in librdkafka's terms.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let linger_ms = self.linger_ms.unwrap_or(if self.mode == Mode::Sync { 0 } else { 5 });
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("client.id", "bench_raw")
            .set("linger.ms", linger_ms.to_string())
            .set("compression.type", &self.compression)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", self.window.to_string())
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES.to_string())
            .set("message.timeout.ms", "0");
        for (property, value) in &self.rdkafka {
            config.set(property, value);
        }
        config
    }
}

fn mode(value: &str) -> Result<Mode, String> {
    match value {
        "async" => Ok(Mode::Async),
        "sync" => Ok(Mode::Sync),
        _ => Err("neither async nor sync".into()),
    }
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("neither on nor off".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(words.iter().map(ToString::to_string))
    }

    #[test]
    fn properties_of_librdkafka_win() {
        let options = parse(&["topic=t", "linger_ms=7", "rdkafka.linger.ms=50", "window=9"]).unwrap();
        let config = options.client_config();
        assert_eq!(config.get("linger.ms"), Some("50"));
        assert_eq!(config.get("queue.buffering.max.messages"), Some("9"));
    }

    #[test]
    fn who_waits_does_not_linger() {
        let linger = |mode| parse(&["topic=t", mode]).unwrap().client_config().get("linger.ms").map(str::to_owned);
        assert_eq!(linger("mode=sync").as_deref(), Some("0"));
        assert_eq!(linger("mode=async").as_deref(), Some("5"));
    }

    #[test]
    fn a_mistake_is_named() {
        for (words, reason) in [
            (&["topic=t", "fast"][..], "not a key=value"),
            (&["topic=t", "qos=2"], "no such key"),
            (&["topic=t", "mode=durable"], "neither async nor sync"),
            (&["keys=5"], "topic=NAME"),
            (&["topic=t", "keys=5", "processes=6"], "not enough"),
            (&["topic=t", "headers=12"], "at most 11"),
        ] {
            assert!(parse(words).unwrap_err().contains(reason), "{words:?}");
        }
    }
}
