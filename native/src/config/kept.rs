//! The last settings that worked, in a file beside the spool, for a start that finds wrong ones.
//!
//! The file has no secret. It has the names of password files. Of a password in the clear it has the setting's name only; a start
//! takes the password from the new settings, if they have one for the same user or key.

use std::fs::{File, OpenOptions, remove_file, rename};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::config::names::Key;
use crate::config::{Settings, without_secrets};

/// The file's format. A plugin that knows a later one reads all earlier ones.
const FORMAT: u32 = 1;

/// More than any settings take.
const MAX_BYTES: u64 = 16 << 20;

/// For its owner alone.
const MODE: u32 = 0o600;

/// Names and values.
type Pairs = Vec<(String, String)>;

/// A password, and what says whose it is.
const BELONGS_TO: [(&str, &str); 2] = [("sasl_password", "sasl_username"), ("ssl_key_password", "ssl_key_location")];

#[derive(Serialize, Deserialize)]
struct Envelope {
    format: u32,
    /// Of `kept`, as it is written.
    sha256: String,
    kept: Kept,
}

/// Only the format of an envelope.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// Settings that worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The plugin that they worked with.
    pub version: String,
    /// By their names in the application environment, without secrets.
    pub settings: Pairs,
    /// The names of the secrets.
    pub left_out: Vec<String>,
    /// As they are shown.
    pub shown: Pairs,
}

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub enum KeptError {
    /// The operating system says no.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
    /// A newer version of the plugin wrote it.
    #[error("{0}: written by a newer version of the plugin (format {1}, expected {FORMAT})")]
    Newer(PathBuf, u32),
    /// It is not what was written.
    #[error("{0}: damaged")]
    Damaged(PathBuf),
    /// A secret is missing.
    #[error(
        "the last settings that worked need {key}, which is not saved, and the new settings have none for the same user or key: put \
         the password into a file",
        key = Key(.0)
    )]
    Secret(String),
}

/// The name in the conf file of one in the application environment.
fn conf_name(name: &str) -> String {
    if name.starts_with("rdkafka.") { name.to_owned() } else { name.replace('_', ".") }
}

impl Kept {
    /// What may be written of settings that work.
    #[must_use]
    pub fn new(pairs: Pairs, settings: &Settings) -> Self {
        let (kept, left_out) = without_secrets(pairs);
        let shown = settings.shown().into_iter().map(|setting| (setting.key, setting.value)).collect();
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), settings: kept, left_out, shown }
    }

    /// Writes them, unless they are there already. Whole, or not at all, also where the power fails.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn write(&self, path: &Path) -> Result<(), KeptError> {
        if matches!(Self::read(path), Ok(Some(there)) if there == *self) {
            return Ok(());
        }
        self.replace(path).map_err(|error| KeptError::Io(path.to_owned(), error))
    }

    fn replace(&self, path: &Path) -> std::io::Result<()> {
        let envelope = Envelope { format: FORMAT, sha256: self.checksum()?, kept: self.clone() };
        let text = serde_json::to_string_pretty(&envelope)?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        // One that a crash has left may have another mode.
        remove_file(&temporary).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        rename(&temporary, path)?;
        match path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Reads them. None where there are none.
    ///
    /// # Errors
    ///
    /// Why the file is of no use.
    pub fn read(path: &Path) -> Result<Option<Self>, KeptError> {
        let io = |error| KeptError::Io(path.to_owned(), error);
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(io)?,
        };
        let mut text = String::new();
        let damaged = || KeptError::Damaged(path.to_owned());
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => damaged(),
            _ => io(error),
        })?;
        let Form { format } = serde_json::from_str(&text).map_err(|_| damaged())?;
        if format > FORMAT {
            return Err(KeptError::Newer(path.to_owned(), format));
        }
        let Envelope { sha256, kept, .. } = serde_json::from_str(&text).map_err(|_| damaged())?;
        match kept.checksum() {
            Ok(checksum) if checksum == sha256 => Ok(Some(kept)),
            _ => Err(damaged()),
        }
    }

    fn checksum(&self) -> serde_json::Result<String> {
        Ok(format!("{:x}", Sha256::digest(serde_json::to_string(self)?)))
    }

    /// These settings, with the secrets of the settings `now`.
    ///
    /// # Errors
    ///
    /// A secret is missing.
    pub fn with_secrets_of(&self, now: &[(String, String)]) -> Result<Pairs, KeptError> {
        let find = |pairs: &[(String, String)], name: &str| {
            pairs.iter().find(|(found, value)| found == name && !value.is_empty()).map(|(_, value)| value.clone())
        };
        let belongs = |secret: &str| {
            let owner = BELONGS_TO.iter().find(|(name, _)| *name == secret);
            owner.is_none_or(|(_, owner)| find(&self.settings, owner) == find(now, owner))
        };
        let mut pairs = self.settings.clone();
        for name in &self.left_out {
            let secret = find(now, name).filter(|_| belongs(name));
            pairs.push((name.clone(), secret.ok_or_else(|| KeptError::Secret(conf_name(name)))?));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn file() -> PathBuf {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("emq_kafka_kept_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        std::env::temp_dir().join(name).join("data").join("settings")
    }

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const LOGIN: [(&str, &str); 5] = [
        ("topic", "t"),
        ("security_protocol", "sasl_plaintext"),
        ("sasl_mechanism", "PLAIN"),
        ("sasl_username", "u"),
        ("sasl_password", "canary"),
    ];

    fn kept() -> Kept {
        Kept::new(pairs(&LOGIN), &Settings::parse(LOGIN).expect("valid"))
    }

    #[test]
    fn settings_are_read_as_they_were_written_for_their_owner_alone_and_without_secrets() {
        let file = file();
        assert_eq!(Kept::read(&file).expect("none yet"), None);
        kept().write(&file).expect("written");
        assert_eq!(Kept::read(&file).expect("read"), Some(kept()));
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o7777, 0o600);
        let text = std::fs::read_to_string(&file).expect("text");
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(std::fs::read_dir(file.parent().expect("a directory")).expect("listed").count(), 1);
    }

    #[test]
    fn what_a_crash_left_half_written_is_in_nobodys_way() {
        let file = file();
        kept().write(&file).expect("written");
        std::fs::write(file.with_extension("new"), "half").expect("left");
        let other = [("topic", "other")];
        Kept::new(pairs(&other), &Settings::parse(other).expect("valid")).write(&file).expect("written");
        assert_eq!(Kept::read(&file).expect("read").expect("there").settings, pairs(&other));
    }

    #[test]
    fn what_is_damaged_or_of_the_future_is_told_and_not_used() {
        let file = file();
        kept().write(&file).expect("written");
        let text = std::fs::read_to_string(&file).expect("text");
        for damaged in [text.replace("\"t\"", "\"u\""), text.replace('}', ""), String::new()] {
            std::fs::write(&file, damaged).expect("damaged");
            assert!(matches!(Kept::read(&file), Err(KeptError::Damaged(_))));
        }
        std::fs::write(&file, r#"{"format": 2, "more": []}"#).expect("of the future");
        assert!(matches!(Kept::read(&file), Err(KeptError::Newer(_, 2))));
        kept().write(&file).expect("written over it");
        assert!(matches!(Kept::read(&file), Ok(Some(_))));
    }

    #[test]
    fn a_password_is_taken_from_the_settings_of_now_where_it_is_the_same_users() {
        let now = |user, password| pairs(&[("sasl_username", user), ("sasl_password", password), ("topic", "a b")]);
        let filled = kept().with_secrets_of(&now("u", "new")).expect("the same user");
        let filled: Vec<_> = filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(Settings::parse(filled.iter().copied()).expect("valid").topic, "t");
        assert_eq!(filled.last(), Some(&("sasl_password", "new")));
        for now in [now("other", "new"), now("u", ""), Vec::new()] {
            let error = kept().with_secrets_of(&now).expect_err("no password").to_string();
            assert!(error.contains("sasl.password"), "{error}");
        }
    }
}
