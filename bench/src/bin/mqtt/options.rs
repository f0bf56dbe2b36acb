//! What the command line asks for.

use std::num::NonZero;
use std::time::Duration;

use emq_plugin_kafka_bench::options::{number, parse, seconds};

/// All have a default.
#[derive(Debug, Clone)]
pub struct Options {
    /// `server=127.0.0.1:1883`
    pub server: String,
    /// `clients=1`: connections, a thread each, two with a rate.
    pub clients: u32,
    /// `window=100`: PUBLISH packets that a client leaves unacknowledged at most.
    pub window: NonZero<u16>,
    /// `payload_bytes=200`: text like JSON sensor data.
    pub payload_bytes: usize,
    /// `warmup=1`: seconds before anything counts.
    pub warmup: Duration,
    /// `seconds=5`: then this long.
    pub seconds: Duration,
    /// `topic=sensors/%c/temp`: `%c` is the number of the client, counted from 1.
    pub topic: String,
    /// `rate=N`: messages a second, of all clients together; none: as many as the broker takes.
    pub rate: Option<NonZero<u32>>,
    /// `pid=N`: the broker's process, to tell what CPU time a message costs it.
    pub pid: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server: "127.0.0.1:1883".into(),
            clients: 1,
            window: NonZero::<u16>::MIN.saturating_add(99),
            payload_bytes: 200,
            warmup: Duration::from_secs(1),
            seconds: Duration::from_secs(5),
            topic: "sensors/%c/temp".into(),
            rate: None,
            pid: None,
        }
    }
}

impl Options {
    /// # Errors
    /// A word that is no `key=value`, an unknown key, a value of the wrong kind.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        parse(words, |key, value| options.set(key, value))?;
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "server" => self.server = value.into(),
            "clients" => self.clients = number(value)?,
            "window" => self.window = number(value)?,
            "payload_bytes" => self.payload_bytes = number(value)?,
            "warmup" => self.warmup = seconds(value)?,
            "seconds" => self.seconds = seconds(value)?,
            "topic" => self.topic = value.into(),
            "rate" => self.rate = Some(number(value)?),
            "pid" => self.pid = Some(number(value)?),
            _ => return Err("no such key".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(words.iter().map(ToString::to_string))
    }

    #[test]
    fn what_is_given_wins_over_the_defaults() {
        let options = parse(&["clients=7", "rate=5000", "seconds=0.5"]).unwrap();
        assert_eq!((options.clients, options.rate.map(NonZero::get)), (7, Some(5000)));
        assert_eq!(options.seconds, Duration::from_millis(500));
        assert_eq!(options.window.get(), 100);
    }

    #[test]
    fn a_mistake_is_named() {
        for (word, reason) in [("fast", "not a key=value"), ("qos=2", "no such key"), ("window=0", "zero")] {
            let said = parse(&[word]).unwrap_err();
            assert!(said.contains(word) && said.contains(reason), "{said}");
        }
    }
}
