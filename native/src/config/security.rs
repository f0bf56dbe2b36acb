//! How the plugin proves who it is, and how Kafka must: `security.protocol`, `ssl.*`, `sasl.*`.
//!
//! The names are librdkafka's, and a `rdkafka.PROPERTY` of the same name wins: what goes together is checked for what is in
//! force in the end, whichever way it was set.

mod checks;
mod contents;

use super::SettingError;
use super::secret::{HIDDEN, Secret};
use super::values::{named, one_of};

/// A secret that is in the conf file, or in a file of its own, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct SecretSource {
    given: Option<Secret>,
    file: Option<String>,
    /// What was read from the file.
    read: Option<Secret>,
}

impl SecretSource {
    fn secret(&self) -> Option<&Secret> {
        self.read.as_ref().or(self.given.as_ref())
    }

    fn is_set(&self) -> bool {
        self.given.is_some() || self.file.is_some()
    }
}

/// `security.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

const PROTOCOLS: [(&str, Protocol); 4] = [
    ("plaintext", Protocol::Plaintext),
    ("ssl", Protocol::Ssl),
    ("sasl_plaintext", Protocol::SaslPlaintext),
    ("sasl_ssl", Protocol::SaslSsl),
];

impl Protocol {
    const fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    const fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// As librdkafka reads it: in any case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, protocol)| *protocol)
    }

    pub(super) fn name(self) -> &'static str {
        PROTOCOLS.iter().find(|(_, protocol)| *protocol == self).map_or("", |(name, _)| name)
    }
}

const MECHANISMS: [&str; 5] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER"];

/// What a mechanism needs that is built in on demand only, and whether it is.
const BUILT_IN: [(&str, &str, bool); 2] =
    [("GSSAPI", "gssapi", cfg!(feature = "gssapi")), ("OAUTHBEARER", "oidc", cfg!(feature = "oidc"))];

/// The security settings. `default()` is no security: what Kafka itself begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecuritySettings {
    protocol: Protocol,
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    key_password: SecretSource,
    /// `ssl.endpoint.identification.algorithm = https`.
    checks_host: bool,
    mechanism: Option<String>,
    username: Option<String>,
    password: SecretSource,
    /// What the operator should know although it works.
    warnings: Vec<String>,
}

impl Default for SecuritySettings {
    fn default() -> Self {
        Self {
            protocol: Protocol::Plaintext,
            ca: None,
            certificate: None,
            key: None,
            key_password: SecretSource::default(),
            checks_host: true,
            mechanism: None,
            username: None,
            password: SecretSource::default(),
            warnings: Vec::new(),
        }
    }
}

const CA: &str = "ssl.ca.location";
const CERTIFICATE: &str = "ssl.certificate.location";
const KEY: &str = "ssl.key.location";
const KEY_PASSWORD: &str = "ssl.key.password";
const KEY_PASSWORD_FILE: &str = "ssl.key.password_file";
const ENDPOINT: &str = "ssl.endpoint.identification.algorithm";
const MECHANISM: &str = "sasl.mechanism";
const USERNAME: &str = "sasl.username";
const PASSWORD: &str = "sasl.password";
const PASSWORD_FILE: &str = "sasl.password_file";
const PROTOCOL: &str = "security.protocol";

impl SecuritySettings {
    /// The key of the protocol of all connections.
    pub(super) const PROTOCOL: &'static str = PROTOCOL;

    /// Takes a setting of these under its name in the application environment. None: it is none of these.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Option<Result<(), SettingError>> {
        // Empty is unset: so the dashboard clears a field.
        let text = (!value.is_empty()).then(|| value.to_owned());
        match name {
            "security_protocol" => {
                return Some(named(PROTOCOL, value, &PROTOCOLS).map(|protocol| self.protocol = protocol));
            }
            "ssl_endpoint_identification_algorithm" => {
                return Some(
                    one_of(ENDPOINT, value, &["https", "none"]).map(|choice| self.checks_host = choice == "https"),
                );
            }
            "sasl_mechanism" if text.is_some() => {
                return Some(one_of(MECHANISM, value, &MECHANISMS).map(|mechanism| self.mechanism = Some(mechanism)));
            }
            "sasl_mechanism" => self.mechanism = None,
            "ssl_ca_location" => self.ca = text,
            "ssl_certificate_location" => self.certificate = text,
            "ssl_key_location" => self.key = text,
            "ssl_key_password" => self.key_password.given = text.map(Secret::new),
            "ssl_key_password_file" => self.key_password.file = text,
            "sasl_username" => self.username = text,
            "sasl_password" => self.password.given = text.map(Secret::new),
            "sasl_password_file" => self.password.file = text,
            _ => return None,
        }
        Some(Ok(()))
    }

    /// These settings in librdkafka's terms.
    pub(super) fn properties(&self) -> Vec<(&'static str, &str)> {
        let mut properties = vec![(PROTOCOL, self.protocol.name())];
        let mut add = |name, value: Option<&'static str>| properties.extend(value.map(|value| (name, value)));
        add(ENDPOINT, self.protocol.is_tls().then_some(if self.checks_host { "https" } else { "none" }));
        add("sasl.oauthbearer.method", (self.mechanism.as_deref() == Some("OAUTHBEARER")).then_some("oidc"));
        // Without it, librdkafka runs kinit by a shell in the broker, with names from the settings in the command. A property of
        // builds with Kerberos only.
        add("sasl.kerberos.min.time.before.relogin", cfg!(feature = "gssapi").then_some("0"));
        let given = [
            // OpenSSL may be inside this library, and then does not know where this machine keeps its authorities.
            (CA, self.ca.as_deref().or_else(|| self.protocol.is_tls().then_some("probe"))),
            (CERTIFICATE, self.certificate.as_deref()),
            (KEY, self.key.as_deref()),
            (KEY_PASSWORD, self.key_password.secret().map(Secret::reveal)),
            (MECHANISM, self.mechanism.as_deref()),
            (USERNAME, self.username.as_deref()),
            (PASSWORD, self.password.secret().map(Secret::reveal)),
        ];
        properties.extend(given.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
        properties
    }

    /// The secrets, each by the key that it comes from.
    pub(super) fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        let sources = [
            (KEY_PASSWORD, &self.key_password.given),
            (KEY_PASSWORD_FILE, &self.key_password.read),
            (PASSWORD, &self.password.given),
            (PASSWORD_FILE, &self.password.read),
        ];
        sources.into_iter().filter_map(|(key, secret)| secret.as_ref().map(|secret| (key, secret))).collect()
    }

    /// What is set, as it may be shown.
    pub(super) fn shown(&self) -> Vec<(String, String)> {
        let hidden = |source: &SecretSource| source.given.as_ref().map(|_| HIDDEN);
        [
            (PROTOCOL, Some(self.protocol.name())),
            (CA, self.ca.as_deref().or_else(|| self.protocol.is_tls().then_some("probe"))),
            (CERTIFICATE, self.certificate.as_deref()),
            (KEY, self.key.as_deref()),
            (KEY_PASSWORD, hidden(&self.key_password)),
            (KEY_PASSWORD_FILE, self.key_password.file.as_deref()),
            (ENDPOINT, self.protocol.is_tls().then_some(if self.checks_host { "https" } else { "none" })),
            (MECHANISM, self.mechanism.as_deref()),
            (USERNAME, self.username.as_deref()),
            (PASSWORD, hidden(&self.password)),
            (PASSWORD_FILE, self.password.file.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.to_owned())))
        .collect()
    }
}

#[cfg(test)]
mod tests;
