//! What Linux tells of processes.

use std::fs;
use std::time::Duration;

use crate::Failure;

/// A process, by its id.
pub struct Process(pub u32);

/// Linux gives these times in hundredths of a second, whatever its own clock does.
const TICK: Duration = Duration::from_millis(10);

impl Process {
    /// What it has used, all its threads, in user and kernel.
    ///
    /// # Errors
    /// It is gone.
    pub fn cpu_time(&self) -> Result<Duration, Failure> {
        let path = format!("/proc/{}/stat", self.0);
        let stat = fs::read_to_string(&path).map_err(|reason| format!("{path}: {reason}"))?;
        ticks(&stat).map(|ticks| TICK * ticks).ok_or_else(|| format!("{path} has no times: {stat}").into())
    }
}

/// Fields 14 and 15; the second is a name in parentheses, which may contain anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    Some(times.next()?.parse::<u32>().ok()? + times.next()?.parse::<u32>().ok()?)
}

/// Lets threads that are started from now on sleep to the microsecond; Linux otherwise adds up to 50, to save wake-ups.
///
/// # Errors
/// /proc cannot be written.
pub fn sleep_precisely() -> Result<(), Failure> {
    let path = "/proc/self/timerslack_ns";
    fs::write(path, "1").map_err(|reason| format!("{path}: {reason}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_any_name() {
        assert_eq!(ticks("7 (a) 1 (b) S 1 7 7 0 -1 4194304 90 0 0 0 12 30 0 0 20 0 1 0"), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_process_that_is_gone_is_named() {
        let said = Process(u32::MAX).cpu_time().unwrap_err().to_string();
        assert!(said.contains("/proc/4294967295/stat"), "{said}");
    }
}
