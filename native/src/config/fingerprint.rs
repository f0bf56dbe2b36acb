//! A short name of the settings: two nodes that show the same one forward the same events in the same way.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Settings;
use super::listener::KEY;

/// Enough to tell some hundred nodes apart, and short enough to compare by eye.
const SHOWN_BYTES: usize = 6;

impl Settings {
    /// A hash of the settings in force, defaults included, in whatever order and spacing they were written. Where a node is
    /// watched is its own business.
    ///
    /// Secrets are left out. It is shown to everybody who may see a status or a metric, and whoever knows the other settings could
    /// try passwords against it at leisure. Nodes with different passwords have the same hash: one of them fails to log in.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut lines: Vec<String> = self
            .redacted()
            .into_iter()
            .filter(|(name, _)| name != KEY)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        lines.extend(self.rule_texts.iter().map(|(name, rule)| format!("hook.{name}={rule}")));
        lines.sort_unstable();
        let mut hash = Sha256::new();
        for line in lines {
            // No value has a NUL: two lines are never taken for one.
            hash.update(line);
            hash.update([0]);
        }
        let mut shown = String::new();
        for byte in hash.finalize().iter().take(SHOWN_BYTES) {
            write!(shown, "{byte:02x}").unwrap_or_default();
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    fn fingerprint(pairs: &[(&str, &str)]) -> String {
        Settings::parse(pairs.iter().copied()).expect("valid").fingerprint()
    }

    #[test]
    fn order_spacing_and_defaults_make_no_difference() {
        let one =
            [("topic", "t"), ("hook.message.publish.1", r#"{"topic":"a","key":"k"}"#), ("rdkafka.linger.ms", "7")];
        let two = [
            ("rdkafka.linger.ms", "7"),
            ("hook.message.publish.1", r#"{ "key": "k", "topic": "a" }"#),
            ("compression", "lz4"),
            ("topic", "t"),
        ];
        assert_eq!(fingerprint(&one), fingerprint(&two));
        assert_eq!(fingerprint(&one).len(), 12);
    }

    #[test]
    fn what_is_forwarded_elsewhere_or_otherwise_has_another() {
        let base: &[(&str, &str)] = &[("topic", "t"), ("hook.message.publish.1", "{}")];
        for other in [
            [("topic", "u"), ("hook.message.publish.1", "{}")],
            [("topic", "t"), ("hook.message.publish.2", "{}")],
            [("topic", "t"), ("hook.message.publish.1", r#"{"key":""}"#)],
            [("topic", "t"), ("hook.client.connected.1", "{}")],
        ] {
            assert_ne!(fingerprint(base), fingerprint(&other), "{other:?}");
        }
    }

    #[test]
    fn secrets_are_not_in_it() {
        assert_eq!(fingerprint(&[("rdkafka.sasl.password", "a")]), fingerprint(&[("rdkafka.sasl.password", "b")]));
        assert_ne!(fingerprint(&[("rdkafka.sasl.username", "a")]), fingerprint(&[("rdkafka.sasl.username", "b")]));
    }
}
