//! The `rdkafka.PROPERTY` settings: librdkafka's own properties, but for some.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::secret::HIDDEN;
use crate::config::names::Key;

/// Properties that may not be set, by prefix or whole name, and why. A configuration can be changed over the broker's
/// REST interface: what loads or runs code must not be reachable from there. What breaks the accounting is refused too.
const REFUSED: [(&str, &str); 18] = [
    ("plugin.library.paths", "it loads code into the broker"),
    ("interceptors", "it loads code into the broker"),
    ("ssl.engine", "it loads code into the broker"),
    ("ssl_engine", "it loads code into the broker"),
    ("ssl.providers", "it loads code into the broker"),
    ("sasl.kerberos.kinit.cmd", "it runs a command"),
    // Other properties become part of that command.
    ("sasl.kerberos.min.time.before.relogin", "it runs a command"),
    ("test.mock.", "it replaces Kafka by a mock"),
    ("delivery.report.only.error", "the accounting needs every delivery report"),
    ("enabled_events", "the accounting needs every delivery report"),
    ("log.queue", "the plugin serves the log itself"),
    ("opaque", "it is a pointer inside the plugin"),
    ("default_topic_conf", "it is a pointer inside the plugin"),
    ("msg_order_cmp", "it is a pointer inside the plugin"),
    ("resolve_cb", "it is a pointer inside the plugin"),
    ("transactional.id", "the plugin does not use transactions"),
    ("bootstrap.servers", INSTEAD),
    ("metadata.broker.list", INSTEAD),
];

/// The names of librdkafka's that our own setting stands for.
const INSTEAD: &str = "the plugin has a setting for it";

/// Checks one property, by our list and then by librdkafka itself.
pub fn check(property: &str, value: &str) -> Result<(), String> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| property.starts_with(refused)) {
        let instead = if *why == INSTEAD { format!(": {}", Key("server")) } else { String::new() };
        return Err(format!("this property of librdkafka is not allowed here: {why}{instead}"));
    }
    if property.ends_with("_cb") {
        return Err("this property of librdkafka is not allowed here: it is a pointer inside the plugin".to_owned());
    }
    match ClientConfig::new().set(property, value).create_native_config() {
        Ok(_) => Ok(()),
        // librdkafka's own words. They quote the value, which may be a secret.
        Err(KafkaError::ClientConfig(_, words, _, _)) if is_secret(property) => Err(words.replace(value, HIDDEN)),
        Err(KafkaError::ClientConfig(_, words, _, _)) => Err(words),
        Err(KafkaError::Nul(_)) => Err("has a NUL character".to_owned()),
        Err(other) => Err(other.to_string()),
    }
}

/// The value as it may be shown.
pub fn redact(property: &str, value: &str) -> String {
    if is_secret(property) { HIDDEN.to_owned() } else { value.to_owned() }
}

/// Whether nobody may see its value.
pub fn is_secret(property: &str) -> bool {
    ["password", "passphrase", "secret", "key.pem", "oauthbearer.config", "private.key"]
        .iter()
        .any(|word| property.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_any_property_that_librdkafka_takes() {
        for (property, value) in [
            ("socket.timeout.ms", "1000"),
            ("ssl.endpoint.identification.algorithm", "https"),
            ("request.timeout.ms", "10"),
            ("sasl.password", "x"),
        ] {
            assert_eq!(check(property, value), Ok(()), "{property}");
        }
    }

    #[test]
    fn reports_a_wrong_property_in_librdkafkas_words() {
        assert_eq!(check("no.such", "1"), Err("No such configuration property: \"no.such\"".to_owned()));
        let error = check("socket.timeout.ms", "soon").expect_err("a word is no number");
        assert!(error.contains("socket.timeout.ms"), "{error}");
    }

    #[test]
    fn refuses_what_runs_code_or_breaks_the_accounting() {
        for property in [
            "plugin.library.paths",
            "test.mock.num.brokers",
            "test.mock.broker.rtt",
            "delivery.report.only.error",
            "dr_cb",
            "dr_msg_cb",
            "error_cb",
            "oauthbearer_token_refresh_cb",
            "opaque",
            "interceptors",
            "ssl.engine.location",
            "ssl.providers",
            "sasl.kerberos.kinit.cmd",
            "sasl.kerberos.min.time.before.relogin",
            "enabled_events",
            "transactional.id",
            "bootstrap.servers",
        ] {
            let error = check(property, "1").expect_err(property);
            assert!(error.contains("not allowed"), "{property}: {error}");
        }
    }

    #[test]
    fn hides_secrets() {
        for property in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            assert_eq!(redact(property, "canary"), HIDDEN);
        }
        assert_eq!(redact("client.id", "me"), "me");
    }
}
