//! The example `appender` as a process, and what it printed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// Where cargo put it. `cargo test` builds examples; with `--test` alone it does not.
pub fn appender() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples/appender");
    assert!(path.exists(), "{} is not there: cargo build -p emq_kafka_spool --examples", path.display());
    path
}

/// `strace -f` with these options in front of it.
pub fn traced(options: &[OsString]) -> Command {
    let mut command = Command::new("strace");
    command.arg("-f").args(options).arg(appender());
    command
}

/// What it printed, by record.
#[derive(Debug, Default, Clone)]
pub struct Printed {
    pub committed: BTreeSet<u64>,
    pub lost: BTreeSet<u64>,
    pub refused: BTreeSet<u64>,
    /// Handed to `ack`, and those of them for which it returned.
    pub acking: BTreeSet<u64>,
    pub acked: BTreeSet<u64>,
    pub notices: Vec<String>,
    pub done: bool,
}

impl Printed {
    pub fn parse(text: &str) -> Self {
        let mut printed = Self::default();
        // What the end cut short was not said.
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            printed.line(line);
        }
        printed
    }

    pub fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers = || rest.split(' ').filter(|word| !word.is_empty()).map(|word| word.parse::<u64>().unwrap());
        match word {
            "committed" => self.committed.extend(numbers()),
            "lost" => self.lost.extend(numbers()),
            "acking" => self.acking.extend(numbers()),
            "acked" => self.acked.extend(numbers()),
            "refused" => self.refused.extend(rest.split(' ').next().map(|word| word.parse::<u64>().unwrap())),
            "notice" => self.notices.push(rest.to_owned()),
            "done" => self.done = true,
            _ => {}
        }
    }

    pub fn noticed(&self, kind: &str) -> bool {
        self.notices.iter().any(|notice| notice.starts_with(kind))
    }
}

/// The oracle: `records`, as read after a start, against what was printed before it.
pub fn judge(records: &[(u64, Vec<u8>)], printed: &Printed) -> Result<Vec<u64>, String> {
    let mut numbers = Vec::new();
    for (sequence, record) in records {
        let number = super::payload::number(record).ok_or(format!("record {sequence} is not what was written"))?;
        if numbers.last().is_some_and(|last| *last >= number) {
            return Err(format!("{number} comes after {:?}", numbers.last()));
        }
        numbers.push(number);
    }
    let found: BTreeSet<u64> = numbers.iter().copied().collect();
    let missing: Vec<_> =
        printed.committed.iter().filter(|n| !printed.acking.contains(n) && !found.contains(n)).collect();
    if missing.is_empty() { Ok(numbers) } else { Err(format!("committed, not acknowledged, and gone: {missing:?}")) }
}
