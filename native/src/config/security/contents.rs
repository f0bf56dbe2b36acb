//! What is in the files of certificates and keys.

use std::path::Path;

use super::{CA, CERTIFICATE, KEY, KEY_PASSWORD};
use crate::config::names::Key;
use crate::config::pem;
use crate::config::{SettingError, Settings};

impl Settings {
    /// What of certificates and key cannot be used. The files are there.
    pub(super) fn unusable(&mut self) -> Vec<SettingError> {
        let mut errors = Vec::new();
        let mut add = |key, problem: String| errors.push(SettingError::new(key, problem));
        let security = &self.security;
        let ca = security.ca.as_deref().filter(|path| *path != "probe" && !Path::new(path).is_dir());
        if let Some(Err(problem)) = ca.map(pem::certificates) {
            add(CA, problem);
        }
        // What librdkafka's own properties say of them is librdkafka's to check.
        let (Some(certificate), Some(key)) = (&security.certificate, &security.key) else { return errors };
        let own = match pem::certificates(certificate) {
            Ok(certificates) => certificates.into_iter().next(),
            Err(problem) => {
                add(CERTIFICATE, problem);
                None
            }
        };
        match (own, pem::key(key, self.in_force(KEY_PASSWORD))) {
            (_, Err(problem)) => add(KEY, problem),
            (Some(own), Ok(private)) => {
                if own.public_key().is_ok_and(|public| !public.public_eq(&private)) {
                    add(KEY, format!("{key:?} is not the key of the certificate in {}", Key(CERTIFICATE)));
                }
                if let Some(problem) = pem::is_out_of_date(&own) {
                    let warning = format!("{}: {certificate:?} {problem}: Kafka will refuse it", Key(CERTIFICATE));
                    self.security.warnings.push(warning);
                }
            }
            (None, Ok(_)) => {}
        }
        errors
    }
}
