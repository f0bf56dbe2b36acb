//! The settings that decide what is kept where, when a publisher waits, and what goes together.

use std::path::PathBuf;
use std::time::Duration;

use super::{SettingError, Settings};
use crate::config::names::Key;
use crate::rules::rule::{OnFailure, Produce};

/// When the hook of a client's `QoS` 1 message returns, and what if that takes too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceSettings {
    /// `produce`. Default `async`.
    pub mode: Produce,
    /// `produce.timeout`: how long a publisher waits at most. Default 5 s.
    pub timeout: Duration,
    /// `produce.max_waiters`: how many publishers wait at once. Default 10,000.
    pub max_waiters: usize,
    /// `on_failure`. Default (`auto`): continue for async, disconnect for durable and sync.
    pub on_failure: Option<OnFailure>,
    /// `overflow = block`: a publisher waits for room where memory and spool are full. Default: its record is dropped.
    pub block: bool,
}

impl Default for ProduceSettings {
    fn default() -> Self {
        let timeout = Duration::from_secs(5);
        Self { mode: Produce::Async, timeout, max_waiters: 10_000, on_failure: None, block: false }
    }
}

/// What goes to disk, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    /// `spool`. Default `overflow`.
    pub mode: SpoolMode,
    /// `spool.dir`. Default `data/kafka_spool`, in EMQ's directory.
    pub dir: PathBuf,
    /// `spool.max_size` in bytes. Default 10 GB.
    pub max_size: u64,
    /// `spool.segment_size` in bytes. Default 64 MB.
    pub segment_size: u64,
    /// `spool.sync_interval`: how long a record that nobody waits for may be written and not yet synced. Default 5 ms.
    pub sync_interval: Duration,
}

/// Which records go to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolMode {
    /// None.
    Off,
    /// What memory or Kafka would not take.
    Overflow,
    /// All, before they are sent.
    Always,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            mode: SpoolMode::Overflow,
            dir: PathBuf::from("data/kafka_spool"),
            max_size: 10 << 30,
            segment_size: 64 << 20,
            sync_interval: Duration::from_millis(5),
        }
    }
}

impl Settings {
    /// Settings that do not go together.
    pub(super) fn conflicts(&self) -> Vec<SettingError> {
        let mut errors = Vec::new();
        let spool = &self.spool;
        if spool.mode == SpoolMode::Off && self.uses(Produce::Durable) {
            let problem =
                format!("is off, but {} or a rule's produce is durable, which needs the spool", Key("produce"));
            errors.push(SettingError::new("spool", problem));
        }
        if spool.mode != SpoolMode::Off && spool.max_size < 4 * spool.segment_size {
            let least = 4 * spool.segment_size;
            let problem = format!(
                "expected at least {least} bytes, four times {}, got {}",
                Key("spool.segment_size"),
                spool.max_size
            );
            errors.push(SettingError::new("spool.max_size", problem));
        }
        let times_out =
            self.rdkafka.iter().find(|(name, _)| matches!(name.as_str(), "message.timeout.ms" | "delivery.timeout.ms"));
        if spool.mode != SpoolMode::Off
            && let Some((name, _)) = times_out
        {
            let problem = format!(
                "must be 0 while {} is on, because a record that times out would be sent again after newer ones; remove it",
                Key("spool")
            );
            errors.push(SettingError::new(&format!("rdkafka.{name}"), problem));
        }
        errors
    }

    /// Whether some rule, or none at all but the default, is produced in this mode.
    fn uses(&self, mode: Produce) -> bool {
        let modes = self.rules.iter().map(|rule| rule.produce.unwrap_or(self.produce.mode));
        if self.rules.is_empty() { self.produce.mode == mode } else { modes.into_iter().any(|used| used == mode) }
    }

    /// Whether every record goes to disk before it is sent.
    #[must_use]
    pub fn spools_always(&self) -> bool {
        self.spool.mode == SpoolMode::Always || self.uses(Produce::Durable)
    }

    /// `linger`, chosen where it is `auto`.
    pub(super) fn linger(&self) -> Duration {
        let automatic = if self.uses(Produce::Sync) { Duration::ZERO } else { Duration::from_millis(5) };
        self.linger.unwrap_or(automatic)
    }
}
