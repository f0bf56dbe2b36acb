//! Settings as they may be shown, compared and kept: without secrets.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use once_cell::sync::Lazy;

use super::values::{ENCODINGS, FAILURES, FORMATS, OVERFLOWS, SPOOLS, name_of};
use super::{RULE, Settings, SpoolMode, listener, passthrough};
use crate::rules::rule::PRODUCES;

/// Secrets by their names in the application environment. Those of librdkafka's own properties are known by `passthrough`.
const SECRETS: [&str; 2] = ["sasl_password", "ssl_key_password"];

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Under its name in the configuration file, without the prefix.
    pub key: String,
    /// Its value, a secret replaced.
    pub value: String,
    /// Whether that is what a configuration without it means.
    pub is_default: bool,
    /// Of a secret, or a file with one: different secrets have different numbers. It is made with a random key of this VM, so that
    /// nobody can guess a secret by it.
    pub mark: Option<u64>,
}

impl Settings {
    /// All settings and rules.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        let defaults = Self::default().redacted();
        let marks = self.marks();
        let mark = |key: &str| marks.iter().find(|(marked, _)| marked == key).map(|(_, mark)| *mark);
        let rules = self.rule_texts.iter().map(|(name, json)| (format!("{RULE}{name}"), json.clone()));
        let settings = self.redacted().into_iter().chain(rules);
        settings
            .map(|(key, value)| {
                let (is_default, mark) = (defaults.contains(&(key.clone(), value.clone())), mark(&key));
                Shown { key, value, is_default, mark }
            })
            .collect()
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

    /// `spool`, and what is in force where that is more.
    fn shown_spool(&self) -> String {
        let configured = name_of(&SPOOLS, self.spool.mode);
        if self.spool.mode == SpoolMode::Overflow && self.spools_always() {
            format!("{configured} (always: something is durable)")
        } else {
            configured
        }
    }

    fn marks(&self) -> Vec<(String, u64)> {
        let of_security =
            self.security.secrets().into_iter().map(|(key, secret)| (key.to_owned(), of(secret.reveal())));
        let properties = self.rdkafka.iter().filter(|(name, _)| passthrough::is_secret(name));
        of_security.chain(properties.map(|(name, value)| (format!("rdkafka.{name}"), of(value)))).collect()
    }
}

fn of(secret: &str) -> u64 {
    static KEYS: Lazy<RandomState> = Lazy::new(RandomState::new);
    KEYS.hash_one(secret)
}

/// Settings by their names in the application environment, apart: those that may be written down, and the names of those that
/// may not.
#[must_use]
pub fn without_secrets(pairs: Vec<(String, String)>) -> (Vec<(String, String)>, Vec<String>) {
    let is_secret = |name: &str| match name.strip_prefix("rdkafka.") {
        Some(property) => passthrough::is_secret(property),
        None => SECRETS.contains(&name),
    };
    // Unset in the dashboard.
    let pairs = pairs.into_iter().filter(|(name, value)| !(is_secret(name) && value.is_empty()));
    let (secrets, kept): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| is_secret(name));
    (kept, secrets.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(&str, &str)]) -> Vec<Shown> {
        Settings::parse(pairs.iter().copied()).expect("valid").shown()
    }

    fn of_key<'s>(shown: &'s [Shown], key: &str) -> &'s Shown {
        shown.iter().find(|setting| setting.key == key).expect(key)
    }

    #[test]
    fn rules_are_among_them_and_defaults_are_told() {
        let rule = r#"{"topic":"u"}"#;
        let shown = shown(&[("topic", "t"), ("hook.message.publish.1", rule)]);
        assert_eq!(of_key(&shown, "hook.message.publish.1").value, rule);
        assert!(!of_key(&shown, "topic").is_default);
        assert!(of_key(&shown, "server").is_default);
    }

    #[test]
    fn another_secret_is_seen_and_none_is_shown() {
        for key in ["sasl.password", "rdkafka.sasl.password"] {
            let login = [
                ("security_protocol", "sasl_plaintext"),
                ("sasl_mechanism", "PLAIN"),
                ("sasl_username", "u"),
                ("sasl_password", "given"),
            ];
            let name = if key == "sasl.password" { "sasl_password" } else { key };
            let with = |secret| shown(&[&login[..], &[(name, secret)]].concat());
            let (one, same, other) = (with("canary-1"), with("canary-1"), with("canary-2"));
            assert_eq!(of_key(&one, key), of_key(&same, key));
            assert_ne!(of_key(&one, key).mark, of_key(&other, key).mark);
            assert_eq!(of_key(&one, key).value, of_key(&other, key).value);
            assert!(!format!("{one:?}").contains("canary"));
        }
    }

    #[test]
    fn what_is_kept_has_references_and_no_secrets() {
        let pairs = [
            ("topic", "t"),
            ("sasl_password", "canary"),
            ("ssl_key_password", ""),
            ("sasl_password_file", "etc/password"),
            ("rdkafka.ssl.key.pem", "canary"),
            ("rdkafka.socket.timeout.ms", "1"),
        ];
        let (kept, left_out) = without_secrets(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let kept: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kept, ["topic", "sasl_password_file", "rdkafka.socket.timeout.ms"]);
        assert_eq!(left_out, ["sasl_password", "rdkafka.ssl.key.pem"]);
    }
}
