//! The settings in librdkafka's terms.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::Settings;

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
/// How often librdkafka tells its own numbers. That costs it some microseconds a partition.
const STATISTICS_MS: &str = "5000";

impl Settings {
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

    /// How long a record may wait for others of its batch, whichever setting says so.
    #[must_use]
    pub fn linger_ms(&self) -> Option<u64> {
        let config = self.client_config().create_native_config().ok()?;
        // As librdkafka knows it: it has a second name for it.
        let linger: f64 = config.get("linger.ms").ok()?.parse().ok()?;
        u64::try_from(Duration::try_from_secs_f64(linger / 1000.0).ok()?.as_millis()).ok()
    }
}
