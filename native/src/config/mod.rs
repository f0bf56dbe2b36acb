//! The plugin's settings, checked.
//!
//! Settings arrive as text under the names of the application environment; errors name the key that the operator
//! wrote in `etc/emq_plugin_kafka.conf`. Everything wrong is reported at once, not the first thing only.

mod client;
mod files;
mod fingerprint;
pub mod kept;
mod listener;
mod modes;
pub mod names;
mod parse;
mod partial;
mod passthrough;
mod pem;
mod secret;
mod security;
mod servers;
mod shown;
mod values;

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;

use crate::config::names::Key;
use crate::record::encode::PayloadEncoding;
use crate::rules::rule::{Destination, FormatName, PRODUCES, Rule};
use values::name_of;

pub use listener::ListenAddress;
pub use modes::{ProduceSettings, SpoolMode, SpoolSettings};
pub use partial::{Partial, Wanted};
pub use secret::Secret;
pub use security::SecuritySettings;
pub use shown::{Shown, without_secrets};

/// What the key of a rule begins with.
const RULE: &str = "hook.";

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {problem}", Key(key))]
pub struct SettingError {
    /// The key, without the prefix.
    pub key: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

impl SettingError {
    fn new(key: &str, problem: impl Display) -> Self {
        Self { key: key.to_owned(), problem: problem.to_string() }
    }
}

/// Everything that can be configured. `Settings::default()` is what an empty configuration means.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `server`: the Kafka brokers to ask first, as librdkafka wants them. Default `127.0.0.1:9092`.
    pub servers: String,
    /// The protocols that were written before some of them.
    listeners: Vec<servers::Listener>,
    /// `topic`: the Kafka topic of all records. Default `test`.
    pub topic: String,
    /// `encode_payload`. Default `auto`.
    pub encode_payload: PayloadEncoding,
    /// `format` of rules that name none. Default `json`.
    pub format: FormatName,
    /// `hook.EVENT.NAME`: which events become records, and how. Default: the old plugin's five events.
    pub rules: Vec<Rule>,
    /// The same as they are written, `EVENT.NAME` and JSON with its spacing and order put right.
    pub rule_texts: Vec<(String, String)>,
    /// `topic.max_dynamic`: how many topics templates may make. Default 1000.
    pub max_dynamic_topics: usize,
    /// `queue.max_messages`: how many records wait in memory at most. Default 100,000.
    pub max_messages: usize,
    /// `queue.max_size`: how many bytes they may take. Default 256 MB.
    pub max_bytes: usize,
    /// `produce`, `produce.timeout`, `produce.max_waiters`, `on_failure`, `overflow`.
    pub produce: ProduceSettings,
    /// `spool`, `spool.dir` and so on.
    pub spool: SpoolSettings,
    /// `dead_letter.topic`: where copies of records go that Kafka will never take. Default: nowhere.
    pub dead_letter_topic: Option<String>,
    /// `security.protocol`, `ssl.*`, `sasl.*`.
    pub security: SecuritySettings,
    /// `linger`: how long librdkafka waits for a batch to fill. Default (`auto`): 5 ms; 0 where a publisher waits for Kafka.
    pub linger: Option<Duration>,
    /// `compression`: none, gzip, snappy, lz4 or zstd. Default `lz4`.
    pub compression: String,
    /// `acks`: all, 1 or 0. Default `all`.
    pub acks: String,
    /// `idempotence`: no duplicates and no reordering by retries. Default on.
    pub idempotence: bool,
    /// `partitioner`: librdkafka's name of one. Default `murmur2_random`, the Java client's.
    pub partitioner: String,
    /// `shutdown_timeout`: how long a stop may drain. Default 10 s.
    pub shutdown_timeout: Duration,
    /// `metrics.listener`: where Prometheus finds the metrics. Default: nowhere.
    pub metrics_listener: Option<ListenAddress>,
    /// `rdkafka.PROPERTY`: librdkafka's own properties, by name. They win over the settings above.
    pub rdkafka: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            servers: "127.0.0.1:9092".to_owned(),
            listeners: Vec::new(),
            topic: "test".to_owned(),
            encode_payload: PayloadEncoding::Auto,
            format: FormatName::Json,
            rules: Vec::new(),
            rule_texts: Vec::new(),
            max_dynamic_topics: 1000,
            max_messages: 100_000,
            max_bytes: 256 << 20,
            produce: ProduceSettings::default(),
            spool: SpoolSettings::default(),
            dead_letter_topic: None,
            security: SecuritySettings::default(),
            linger: None,
            compression: "lz4".to_owned(),
            acks: "all".to_owned(),
            idempotence: true,
            partitioner: "murmur2_random".to_owned(),
            shutdown_timeout: Duration::from_secs(10),
            metrics_listener: None,
            rdkafka: Vec::new(),
        }
    }
}

impl Settings {
    /// The Kafka topics that records go to by name.
    #[must_use]
    pub fn fixed_topics(&self) -> Vec<String> {
        let of_rule = |rule: &Rule| match &rule.topic {
            Some(Destination::Fixed(topic)) => Some(topic.as_str().to_owned()),
            Some(Destination::Template(_)) | None => None,
        };
        let mut topics: Vec<_> = self.rules.iter().filter_map(of_rule).collect();
        topics.push(self.topic.clone());
        topics
    }

    /// The rules that have another mode than the setting `produce`, by name, and theirs.
    #[must_use]
    pub fn other_modes(&self) -> Vec<(String, String)> {
        let rules = self.rule_texts.iter().zip(&self.rules);
        let other = |(text, rule): (&(String, String), &Rule)| {
            let mode = rule.produce.filter(|mode| *mode != self.produce.mode)?;
            Some((text.0.clone(), name_of(&PRODUCES, mode)))
        };
        rules.filter_map(other).collect()
    }
}

#[cfg(test)]
mod tests;
