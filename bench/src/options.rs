//! The command lines of the benchmark's programs: words `key=value`.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Calls `set` with the key and the value of each word.
///
/// # Errors
/// A word that is no `key=value`, and what `set` refuses; each with the word.
pub fn parse(
    words: impl Iterator<Item = String>,
    mut set: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), String> {
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("{word}: not a key=value"))?;
        set(key, value).map_err(|reason| format!("{word}: {reason}"))?;
    }
    Ok(())
}

/// # Errors
/// The value is no such number.
pub fn number<N: FromStr<Err: Display>>(value: &str) -> Result<N, String> {
    value.parse().map_err(|reason: N::Err| reason.to_string())
}

/// # Errors
/// The value is no number of seconds, or a negative one.
pub fn seconds(value: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number(value)?).map_err(|reason| reason.to_string())
}
