//! The plugin's settings, checked.
//!
//! Settings arrive as text under the names of the application environment; errors name the key that the operator
//! wrote in `etc/emq_plugin_kafka.conf`. Everything wrong is reported at once, not the first thing only.

mod files;
mod fingerprint;
pub mod kept;
mod listener;
mod modes;
pub mod names;
mod partial;
mod passthrough;
mod pem;
mod secret;
mod security;
mod servers;
mod shown;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use thiserror::Error;

use crate::config::names::{Key, Naming};
use crate::event::EventKind;
use crate::record::encode::PayloadEncoding;
use crate::rules::rule::{self, Destination, FormatName, OnFailure, PRODUCES, Rule};
use crate::rules::topic::KafkaTopic;

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

const ENCODINGS: [(&str, PayloadEncoding); 3] =
    [("auto", PayloadEncoding::Auto), ("utf8", PayloadEncoding::Utf8), ("base64", PayloadEncoding::Base64)];
/// A template is a rule's own.
const FORMATS: [(&str, FormatName); 3] = {
    let [json, raw, cloudevents, _template] = rule::FORMATS;
    [json, raw, cloudevents]
};
const FAILURES: [(&str, Option<OnFailure>); 3] = {
    let [(goes_on, continues), (ends, disconnects)] = rule::FAILURES;
    [("auto", None), (goes_on, Some(continues)), (ends, Some(disconnects))]
};
const SPOOLS: [(&str, SpoolMode); 3] =
    [("off", SpoolMode::Off), ("overflow", SpoolMode::Overflow), ("always", SpoolMode::Always)];
const OVERFLOWS: [(&str, bool); 2] = [("drop_new", false), ("block", true)];
const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const ACKS: [&str; 3] = ["all", "1", "0"];
const PARTITIONERS: [&str; 7] =
    ["murmur2_random", "murmur2", "consistent_random", "consistent", "fnv1a_random", "fnv1a", "random"];
/// librdkafka's `log_level` 0 to 7, which are syslog's.
const LOG_LEVELS: [RDKafkaLogLevel; 8] = [
    RDKafkaLogLevel::Emerg,
    RDKafkaLogLevel::Alert,
    RDKafkaLogLevel::Critical,
    RDKafkaLogLevel::Error,
    RDKafkaLogLevel::Warning,
    RDKafkaLogLevel::Notice,
    RDKafkaLogLevel::Info,
    RDKafkaLogLevel::Debug,
];
/// What librdkafka takes for `queue.buffering.max.messages`, less the room that we leave above our own bound.
const MESSAGES: RangeInclusive<u64> = 1..=1_000_000_000;
/// Each topic costs librdkafka memory and metadata on every refresh.
const DYNAMIC_TOPICS: RangeInclusive<u64> = 0..=10_000;
/// From one small record to a terabyte.
const BYTES: RangeInclusive<u64> = 1024..=1 << 40;
/// Each waiting publisher is a client's connection.
const WAITERS: RangeInclusive<u64> = 1..=10_000_000;
/// A client's keepalive runs out long before ten minutes.
const PRODUCE_MS: RangeInclusive<u64> = 0..=600_000;
/// Of a spool, in bytes: from what holds a few segments to a petabyte.
const SPOOL_BYTES: RangeInclusive<u64> = 4 << 20..=1 << 50;
/// Of a segment, in bytes.
const SEGMENT_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 30;
/// Longer, and a crash costs a minute of records that nobody waited for.
const SYNC_MS: RangeInclusive<u64> = 0..=60_000;
/// How often librdkafka tells its own numbers. That costs it some microseconds a partition.
const STATISTICS_MS: &str = "5000";
/// What librdkafka takes for `linger.ms`.
const LINGER_MS: RangeInclusive<u64> = 0..=900_000;
/// A broker that hangs in its stop for longer would be killed by its supervisor.
const SHUTDOWN_MS: RangeInclusive<u64> = 0..=600_000;

impl Settings {
    /// Reads settings by the names of the application environment; what is missing has its default.
    ///
    /// # Errors
    ///
    /// Every setting that is unknown or cannot be used. Files of passwords are read, certificates looked for.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<SettingError>> {
        let mut settings = Self::default();
        // Rules last: what they leave out comes from the other settings.
        let (rules, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name.starts_with(RULE));
        let mut errors: Vec<SettingError> =
            others.into_iter().chain(rules).filter_map(|(name, value)| settings.set(name, value).err()).collect();
        if settings.idempotence && settings.acks != "all" {
            let problem = format!(
                "must be all while {} is on, got {}; switch idempotence off or leave acks alone",
                Key("idempotence"),
                settings.acks
            );
            errors.push(SettingError::new("acks", problem));
        }
        errors.extend(settings.conflicts());
        errors.extend(settings.other_listeners());
        errors.extend(settings.secure());
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        if let Some(property) = name.strip_prefix("rdkafka.") {
            passthrough::check(property, value).map_err(|problem| SettingError::new(name, problem))?;
            self.rdkafka.push((property.to_owned(), value.to_owned()));
            return Ok(());
        }
        if let Some(rule_name) = name.strip_prefix(RULE) {
            let rule = self.rule(rule_name, value).map_err(|problem| SettingError::new(name, problem))?;
            self.rules.push(rule);
            self.rule_texts.push((rule_name.to_owned(), plain_json(value)));
            return Ok(());
        }
        if let Some(result) = self.security.set(name, value) {
            return result;
        }
        match name {
            "server" => {
                (self.servers, self.listeners) = servers::parse(value).map_err(|e| SettingError::new(name, e))?;
            }
            "topic" => {
                KafkaTopic::new(value).map_err(|e| SettingError::new(name, e))?;
                value.clone_into(&mut self.topic);
            }
            "encode_payload" => self.encode_payload = named(name, value, &ENCODINGS)?,
            "format" => self.format = named(name, value, &FORMATS)?,
            "topic_max_dynamic" => {
                self.max_dynamic_topics = number("topic.max_dynamic", value, &DYNAMIC_TOPICS, "a number of topics")?;
            }
            "queue_max_messages" => {
                self.max_messages = number("queue.max_messages", value, &MESSAGES, "a number of records")?;
            }
            "queue_max_size" => self.max_bytes = number("queue.max_size", value, &BYTES, "a size in bytes")?,
            "produce" => self.produce.mode = named(name, value, &PRODUCES)?,
            "produce_timeout" => self.produce.timeout = milliseconds("produce.timeout", value, &PRODUCE_MS)?,
            "produce_max_waiters" => {
                self.produce.max_waiters = number("produce.max_waiters", value, &WAITERS, "a number of publishers")?;
            }
            "on_failure" => self.produce.on_failure = named(name, value, &FAILURES)?,
            "overflow" => self.produce.block = named(name, value, &OVERFLOWS)?,
            "spool" => self.spool.mode = named(name, value, &SPOOLS)?,
            "spool_dir" if value.is_empty() => {
                return Err(SettingError::new("spool.dir", "expected a directory, got nothing"));
            }
            "spool_dir" => self.spool.dir = PathBuf::from(value),
            "spool_max_size" => {
                self.spool.max_size = number("spool.max_size", value, &SPOOL_BYTES, "a size in bytes")?;
            }
            "spool_segment_size" => {
                self.spool.segment_size = number("spool.segment_size", value, &SEGMENT_BYTES, "a size in bytes")?;
            }
            "spool_sync_interval" => {
                self.spool.sync_interval = milliseconds("spool.sync_interval", value, &SYNC_MS)?;
            }
            "dead_letter_topic" => {
                KafkaTopic::new(value).map_err(|e| SettingError::new("dead_letter.topic", e))?;
                self.dead_letter_topic = Some(value.to_owned());
            }
            "linger" if value == "auto" => self.linger = None,
            "linger" => self.linger = Some(milliseconds(name, value, &LINGER_MS)?),
            "compression" => self.compression = one_of(name, value, &COMPRESSIONS)?,
            "acks" => self.acks = one_of(name, value, &ACKS)?,
            "idempotence" => self.idempotence = one_of(name, value, &["true", "false"])? == "true",
            "partitioner" => self.partitioner = one_of(name, value, &PARTITIONERS)?,
            "shutdown_timeout" => self.shutdown_timeout = milliseconds(name, value, &SHUTDOWN_MS)?,
            "metrics_listener" => {
                self.metrics_listener =
                    listener::parse(value).map_err(|problem| SettingError::new("metrics.listener", problem))?;
            }
            unknown => {
                return Err(SettingError::new(
                    unknown,
                    format!("unknown setting; see {} for those there are", Naming::file()),
                ));
            }
        }
        Ok(())
    }

    /// `EVENT.NAME` and the rule's JSON.
    fn rule(&self, name: &str, json: &str) -> Result<Rule, String> {
        let event = name.rsplit_once('.').map_or(name, |(event, _)| event);
        let kind = EventKind::from_name(event).ok_or_else(|| {
            let known = EventKind::ALL.map(EventKind::name).join(", ");
            format!("there is no event {event:?}; there are {known}")
        })?;
        Rule::parse(kind, json, self.format)
    }

    /// The settings in librdkafka's terms.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        if self.has_servers() {
            config.set("bootstrap.servers", &self.servers);
        }
        config
            .set("client.id", "emq_plugin_kafka")
            .set("linger.ms", self.linger().as_millis().to_string())
            .set("compression.type", &self.compression)
            .set("acks", &self.acks)
            .set("enable.idempotence", self.idempotence.to_string())
            .set("partitioner", &self.partitioner)
            // The bound that counts is ours, which counts keys and overhead too. librdkafka still holds a message
            // for a moment after its delivery report, so its own bound must not be the first to be reached.
            .set("queue.buffering.max.messages", (self.max_messages * 2).to_string())
            .set("queue.buffering.max.kbytes", (self.max_bytes / 512 + 1024).min(2_147_483_647).to_string())
            // A record waits for Kafka for as long as it takes: what bounds the queue is its size. (librdkafka's
            // default would give up after five minutes of an outage.)
            .set("message.timeout.ms", "0")
            // librdkafka's own numbers, such as the brokers' round-trip times; 0 switches them off.
            .set("statistics.interval.ms", STATISTICS_MS);
        for (name, value) in self.security.properties() {
            config.set(name, value);
        }
        for (name, value) in &self.rdkafka {
            config.set(name, value);
        }
        if self.keeps_order() {
            // A refused batch ends the producer at once, so that nothing overtakes its records: the next producer sends them again,
            // in parts.
            config.set("enable.gapless.guarantee", "true");
        }
        config.set_log_level(self.log_level());
        config
    }

    /// Whether the producer is idempotent, which the order of a key's records needs.
    #[must_use]
    pub fn keeps_order(&self) -> bool {
        let set = self.rdkafka.iter().rev().find(|(name, _)| name == "enable.idempotence");
        set.map_or(self.idempotence, |(_, value)| matches!(value.as_str(), "true" | "t" | "1"))
    }

    /// Whether the operator asked librdkafka for its log.
    #[must_use]
    pub fn wants_log(&self) -> bool {
        self.rdkafka.iter().any(|(name, _)| name == "log_level" || name == "debug")
    }

    /// As far as the lines that are told in other words, unless the operator asked librdkafka for another level: it has some
    /// of them at Info.
    fn log_level(&self) -> RDKafkaLogLevel {
        let property = |wanted: &str| self.rdkafka.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let level = property("log_level").and_then(|level| level.parse::<usize>().ok());
        match (level.and_then(|level| LOG_LEVELS.get(level)), property("debug")) {
            (Some(level), _) => *level,
            (None, Some(_)) => RDKafkaLogLevel::Debug,
            (None, None) => RDKafkaLogLevel::Info,
        }
    }

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

    /// How long a record may wait for others of its batch, whichever setting says so.
    #[must_use]
    pub fn linger_ms(&self) -> Option<u64> {
        let config = self.client_config().create_native_config().ok()?;
        // As librdkafka knows it: it has a second name for it.
        let linger: f64 = config.get("linger.ms").ok()?.parse().ok()?;
        u64::try_from(Duration::try_from_secs_f64(linger / 1000.0).ok()?.as_millis()).ok()
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

    /// The settings under the names of the configuration file, secrets replaced.
    #[must_use]
    pub fn redacted(&self) -> Vec<(String, String)> {
        let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
        let mut list: Vec<(String, String)> = [
            ("server", self.servers.clone()),
            ("topic", self.topic.clone()),
            ("encode_payload", name_of(&ENCODINGS, self.encode_payload)),
            ("format", name_of(&FORMATS, self.format)),
            ("topic.max_dynamic", self.max_dynamic_topics.to_string()),
            ("queue.max_messages", self.max_messages.to_string()),
            ("queue.max_size", self.max_bytes.to_string()),
            ("produce", name_of(&PRODUCES, self.produce.mode)),
            ("produce.timeout", milliseconds(self.produce.timeout)),
            ("produce.max_waiters", self.produce.max_waiters.to_string()),
            ("on_failure", name_of(&FAILURES, self.produce.on_failure)),
            ("overflow", name_of(&OVERFLOWS, self.produce.block)),
            ("spool", self.shown_spool()),
            ("spool.dir", self.spool.dir.display().to_string()),
            ("spool.max_size", self.spool.max_size.to_string()),
            ("spool.segment_size", self.spool.segment_size.to_string()),
            ("spool.sync_interval", milliseconds(self.spool.sync_interval)),
            ("dead_letter.topic", self.dead_letter_topic.clone().unwrap_or_else(|| "none".to_owned())),
            ("linger", self.linger.map_or_else(|| format!("auto ({})", milliseconds(self.linger())), milliseconds)),
            ("compression", self.compression.clone()),
            ("acks", self.acks.clone()),
            ("idempotence", if self.idempotence { "on" } else { "off" }.to_owned()),
            ("partitioner", self.partitioner.clone()),
            ("shutdown_timeout", milliseconds(self.shutdown_timeout)),
            (listener::KEY, self.metrics_listener.as_ref().map_or_else(|| "off".to_owned(), ToString::to_string)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        list.extend(self.security.shown());
        list.extend(
            self.rdkafka.iter().map(|(name, value)| (format!("rdkafka.{name}"), passthrough::redact(name, value))),
        );
        list
    }
}

impl Settings {
    /// `spool`, and what is in force where that is more.
    fn shown_spool(&self) -> String {
        let configured = name_of(&SPOOLS, self.spool.mode);
        if self.spool.mode == SpoolMode::Overflow && self.spools_always() {
            format!("{configured} (always: something is durable)")
        } else {
            configured
        }
    }
}

/// The same JSON with its members in order and no spaces.
fn plain_json(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).map_or_else(|_| json.to_owned(), |value| value.to_string())
}

fn name_of<T: Copy + PartialEq>(names: &[(&str, T)], value: T) -> String {
    names.iter().find(|(_, named)| *named == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The choice of this name.
fn one_of_names<T: Copy>(choices: &[(&str, T)], name: Option<&str>) -> Option<T> {
    choices.iter().find(|(known, _)| Some(*known) == name).map(|(_, choice)| *choice)
}

fn named<T: Copy>(key: &str, value: &str, choices: &[(&str, T)]) -> Result<T, SettingError> {
    one_of_names(choices, Some(value)).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        not_one_of(key, value, &names)
    })
}

fn one_of(key: &str, value: &str, choices: &[&str]) -> Result<String, SettingError> {
    if choices.contains(&value) { Ok(value.to_owned()) } else { Err(not_one_of(key, value, choices)) }
}

fn not_one_of(key: &str, value: &str, choices: &[&str]) -> SettingError {
    SettingError::new(key, format!("expected one of {}, got {value:?}", choices.join(", ")))
}

fn number<T: TryFrom<u64>>(key: &str, value: &str, range: &RangeInclusive<u64>, what: &str) -> Result<T, SettingError> {
    u64::from_str(value)
        .ok()
        .filter(|number| range.contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            SettingError::new(key, format!("expected {what} from {from} to {to}, got {value:?}"))
        })
}

fn milliseconds(key: &str, value: &str, range: &RangeInclusive<u64>) -> Result<Duration, SettingError> {
    number(key, value, range, "a duration in milliseconds").map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
