//! Whether security settings can work: their files are there, and they go together.

use super::{
    BUILT_IN, CA, CERTIFICATE, KEY, KEY_PASSWORD, KEY_PASSWORD_FILE, MECHANISM, MECHANISMS, PASSWORD, PASSWORD_FILE,
    PROTOCOL, Protocol, USERNAME,
};
use crate::config::files::{self, Readers};
use crate::config::names::Key;
use crate::config::{SettingError, Settings};

impl Settings {
    /// Reads the files that the security settings name, and says what cannot work.
    pub(in crate::config) fn secure(&mut self) -> Vec<SettingError> {
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        let security = &mut self.security;
        let sources = [
            (&mut security.key_password, KEY_PASSWORD, KEY_PASSWORD_FILE),
            (&mut security.password, PASSWORD, PASSWORD_FILE),
        ];
        for (source, key, file_key) in sources {
            let Some(path) = &source.file else { continue };
            if source.given.is_some() {
                let problem = format!("is set, and {} too: set only one of them", Key(file_key));
                errors.push(SettingError::new(key, problem));
                continue;
            }
            match files::secret(path) {
                Ok((secret, readers)) => {
                    source.read = Some(secret);
                    warnings.extend(too_many(file_key, path, readers));
                }
                Err(problem) => errors.push(SettingError::new(file_key, problem)),
            }
        }
        for (key, path) in [(CA, &security.ca), (CERTIFICATE, &security.certificate), (KEY, &security.key)] {
            let Some(path) = path else { continue };
            // librdkafka's own word for: look where systems keep them.
            if key == CA && path == "probe" {
                continue;
            }
            match files::readable(path, key == CA) {
                Ok(readers) if key == KEY => warnings.extend(too_many(key, path, readers)),
                Ok(_) => {}
                Err(problem) => errors.push(SettingError::new(key, problem)),
            }
        }
        self.security.warnings = warnings;
        errors.extend(self.insecure());
        if errors.is_empty() {
            errors.extend(self.unusable());
        }
        errors
    }

    /// What the operator should know although it works.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.security.warnings
    }

    /// What is in force: librdkafka's property where it is given, else our setting.
    pub(super) fn in_force(&self, property: &str) -> Option<&str> {
        let given = self.rdkafka.iter().rev().find(|(name, _)| name == property).map(|(_, value)| value.as_str());
        let ours =
            || self.security.properties().into_iter().find(|(name, _)| *name == property).map(|(_, value)| value);
        given.or_else(ours)
    }

    /// The mechanism and the user name of the login, if there is one: to tell of a login that Kafka refused.
    #[must_use]
    pub fn login(&self) -> (Option<&str>, Option<&str>) {
        (self.in_force("sasl.mechanisms").or_else(|| self.in_force(MECHANISM)), self.in_force(USERNAME))
    }

    /// Whether Kafka gets a login.
    #[must_use]
    pub fn logs_in(&self) -> bool {
        self.in_force(PROTOCOL).and_then(Protocol::from_name).is_some_and(Protocol::is_sasl)
    }

    /// The protocol of all connections.
    pub(in crate::config) fn protocol(&self) -> Protocol {
        // What librdkafka would not know was refused when it was set.
        self.in_force(PROTOCOL).and_then(Protocol::from_name).unwrap_or(self.security.protocol)
    }

    /// Combinations that cannot work.
    fn insecure(&self) -> Vec<SettingError> {
        let mut errors = Vec::new();
        let mut add = |key: &str, problem: String| errors.push(SettingError::new(key, problem));
        let protocol = self.protocol();
        let name = protocol.name();
        let (security, set) = (&self.security, |property| self.in_force(property).is_some());
        let for_tls = [
            (CA, security.ca.is_some()),
            (CERTIFICATE, security.certificate.is_some()),
            (KEY, security.key.is_some()),
            (KEY_PASSWORD, security.key_password.given.is_some()),
            (KEY_PASSWORD_FILE, security.key_password.file.is_some()),
        ];
        let for_login = [
            (MECHANISM, security.mechanism.is_some()),
            (USERNAME, security.username.is_some()),
            (PASSWORD, security.password.given.is_some()),
            (PASSWORD_FILE, security.password.file.is_some()),
        ];
        for (key, _) in for_tls.iter().filter(|(_, is_set)| *is_set && !protocol.is_tls()) {
            add(key, format!("is set, but {} is {name}: it needs ssl or sasl_ssl", Key(PROTOCOL)));
        }
        for (key, _) in for_login.iter().filter(|(_, is_set)| *is_set && !protocol.is_sasl()) {
            add(key, format!("is set, but {} is {name}: it needs sasl_plaintext or sasl_ssl", Key(PROTOCOL)));
        }
        let (certificate, key) = (set(CERTIFICATE) || set("ssl.certificate.pem"), set(KEY) || set("ssl.key.pem"));
        if protocol.is_tls() && !set("ssl.keystore.location") {
            let needed = |by: &str| format!("is missing: {} needs it", Key(by));
            if key && !certificate {
                add(CERTIFICATE, needed(KEY));
            }
            if certificate && !key {
                add(KEY, needed(CERTIFICATE));
            }
            if security.key_password.is_set() && !key {
                add(KEY, needed(KEY_PASSWORD));
            }
        }
        if !protocol.is_sasl() {
            return errors;
        }
        let Some(mechanism) = self.login().0 else {
            let some = MECHANISMS.join(", ");
            add(MECHANISM, format!("is missing: {} is {name}; expected one of {some}", Key(PROTOCOL)));
            return errors;
        };
        // Only of ours: librdkafka has more kinds of OAUTHBEARER, and says itself what it lacks.
        let ours = self.security.mechanism.as_deref();
        if let Some((_, feature, false)) = BUILT_IN.iter().find(|(known, ..)| Some(*known) == ours) {
            let problem = format!(
                "{mechanism} is not built into this library: expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, or a build \
                 with `make FEATURES={feature}`"
            );
            add(MECHANISM, problem);
        }
        if BUILT_IN.iter().all(|(known, ..)| *known != mechanism) {
            let why = format!("is missing: {} = {mechanism} needs it", Key(MECHANISM));
            if !set(USERNAME) {
                add(USERNAME, why.clone());
            }
            if !set(PASSWORD) && !security.password.is_set() {
                add(PASSWORD, format!("{why} (or {})", Key(PASSWORD_FILE)));
            }
        }
        errors
    }
}

/// A secret that others may read is no reason to stop forwarding, as a refusal would: containers mount secrets readable by all
/// (Docker 0444, Kubernetes 0644), where there are no others. So it is told at every start and reload.
fn too_many(key: &str, path: &str, readers: Readers) -> Option<String> {
    let Readers::Others(mode) = readers else { return None };
    Some(format!(
        "{}: {path:?} can be read or changed by other users of this machine (mode {mode:04o}); expected 0600 or 0400",
        Key(key)
    ))
}
