//! Settings out of text. Everything wrong is reported at once, not the first thing only.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::values::{ENCODINGS, FAILURES, FORMATS, OVERFLOWS, SPOOLS, milliseconds, named, number, one_of};
use super::{RULE, SettingError, Settings, listener, passthrough, servers};
use crate::config::names::{Key, Naming};
use crate::event::EventKind;
use crate::rules::rule::{PRODUCES, Rule};
use crate::rules::topic::KafkaTopic;

const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const ACKS: [&str; 3] = ["all", "1", "0"];
const PARTITIONERS: [&str; 7] =
    ["murmur2_random", "murmur2", "consistent_random", "consistent", "fnv1a_random", "fnv1a", "random"];
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
                "must be all while {key} is on, got {}; set all, or {key} = off",
                settings.acks,
                key = Key("idempotence")
            );
            errors.push(SettingError::new("acks", problem));
        }
        errors.extend(settings.conflicts());
        errors.extend(settings.other_listeners());
        errors.extend(settings.secure());
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
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
                    format!("unknown setting; all settings are in {}", Naming::file()),
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
            format!("unknown event {event:?}; expected one of {known}")
        })?;
        Rule::parse(kind, json, self.format)
    }
}

/// The same JSON with its members in order and no spaces.
fn plain_json(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).map_or_else(|_| json.to_owned(), |value| value.to_string())
}
