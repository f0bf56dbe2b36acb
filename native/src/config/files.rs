//! The files that settings name: read with words for all that can be wrong.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use super::secret::Secret;

/// The longest secret. A file that is larger is another one.
const MAX_SECRET: u64 = 64 * 1024;

/// The largest file of certificates that is looked at: all authorities of a system take a fifth of it.
const MAX_CERTIFICATES: u64 = 1024 * 1024;

/// Permissions of the file's group and of all others.
const OTHERS: u32 = 0o077;

/// Who may read or change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone.
    Owner,
    /// Others, too: its mode.
    Others(u32),
}

/// The secret in a file, which is one line.
pub fn secret(path: &str) -> Result<(Secret, Readers), String> {
    let (file, metadata) = open(path, false)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot read {path:?}: {e}"))?;
    let problem = |problem: &str| Err(format!("{path:?} {problem}: expected a file with the password on one line"));
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_SECRET {
        return problem("is larger than 64 KB");
    }
    let Ok(text) = String::from_utf8(bytes) else { return problem("is not UTF-8") };
    // Editors end the last line; nobody means that to be part of the password.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    match text {
        "" => problem("is empty"),
        _ if text.contains('\n') => problem("has more than one line"),
        _ if text.contains('\0') => problem("has a NUL character"),
        // librdkafka cuts that, and the login would fail for no visible reason.
        _ if text.starts_with(char::is_whitespace) => problem("begins with a space, which librdkafka removes"),
        _ => Ok((Secret::new(text), readers(&metadata))),
    }
}

/// All that is in a file of certificates or keys.
pub fn content(path: &str) -> Result<Vec<u8>, String> {
    let (file, _) = open(path, false)?;
    let mut bytes = Vec::new();
    file.take(MAX_CERTIFICATES).read_to_end(&mut bytes).map_err(|e| format!("cannot read {path:?}: {e}"))?;
    Ok(bytes)
}

/// Whether a file is there and can be read.
pub fn readable(path: &str, or_directory: bool) -> Result<Readers, String> {
    open(path, or_directory).map(|(_, metadata)| readers(&metadata))
}

/// Looked at before it is opened: opening a pipe would wait for its other end.
fn open(path: &str, or_directory: bool) -> Result<(File, Metadata), String> {
    let metadata = std::fs::metadata(path).map_err(|e| format!("cannot read {path:?}{}: {e}", below(path)))?;
    if !(metadata.is_file() || or_directory && metadata.is_dir()) {
        return Err(format!("{path:?} is not a file"));
    }
    let file = File::open(path).map_err(|e| format!("cannot read {path:?}: {e}"))?;
    Ok((file, metadata))
}

/// Where a relative path was looked for.
fn below(path: &str) -> String {
    if path.starts_with('/') {
        return String::new();
    }
    std::env::current_dir().map_or_else(|_| String::new(), |directory| format!(" below {}", directory.display()))
}

fn readers(metadata: &Metadata) -> Readers {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 { Readers::Owner } else { Readers::Others(mode) }
}
