//! What both logs of the spool have in common: how they are opened and closed, and what they tell.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emq_kafka_spool::{AppendError, Config, Events, Recovery, Spool, State};
use thiserror::Error;

use crate::account::ack::{Ack, AckAt};
use crate::account::shared::Shared;
use crate::config::SpoolSettings;
use crate::config::names::Key;
use crate::metrics::DropReason;

/// In a token: its caller waits for Kafka, not for the disk. It is told only if the disk loses the record.
const WAITS_FOR_KAFKA: u64 = 1 << 63;

/// How long a stop waits for a slow disk, for each record.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many publishers try again when the spool has room again; others follow as the producer's queue moves.
const ROOM_FOR: usize = 1000;

/// Why the spool cannot be used.
#[derive(Debug, Error)]
#[error("{key}: {0}", key = Key("spool.dir"))]
pub struct OpenError(pub(super) String);

/// Opens a log in `dir`.
pub fn open(
    settings: &SpoolSettings,
    dir: PathBuf,
    max_size: u64,
    shared: &Arc<Shared>,
) -> Result<(Spool, Recovery), OpenError> {
    let config = Config { dir, max_size, segment_size: settings.segment_size, sync_interval: settings.sync_interval };
    Spool::open(config, Arc::new(LogEvents(Arc::clone(shared)))).map_err(|error| OpenError(error.to_string()))
}

/// Writes everything to disk and lets go of the directory.
pub fn close(log: &Spool, shared: &Shared) {
    if let Err(error) = log.close() {
        shared.notices.push("spool", format!("spool: {error}"));
    }
}

/// What a log gives back when the record is on disk, or lost.
#[must_use]
pub fn token(ack: Ack) -> u64 {
    match ack {
        None => 0,
        Some((waiter, AckAt::Disk)) => waiter,
        Some((waiter, AckAt::Kafka)) => waiter | WAITS_FOR_KAFKA,
    }
}

/// Records in memory come faster than a disk writes: a moment helps, unless there is no room on it.
pub fn patiently<T>(log: &Spool, append: impl Fn() -> Result<T, AppendError>) -> Result<T, AppendError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match append() {
            Err(AppendError::Full) if log.stats().state == State::Ok && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// What the logs tell.
struct LogEvents(Arc<Shared>);

impl Events for LogEvents {
    fn committed(&self, tokens: &[u64]) {
        for token in tokens.iter().filter(|token| **token & WAITS_FOR_KAFKA == 0) {
            self.0.waiters.settle(*token, Ok(()));
        }
    }

    fn lost(&self, records: u64, tokens: &[u64], error: &str) {
        self.0.metrics.spool_lost(records, DropReason::SpoolError);
        self.0.notices.push("spool lost", format!("spool: {records} records are lost: {error}"));
        for token in tokens {
            self.0.waiters.settle(token & !WAITS_FOR_KAFKA, Err(DropReason::SpoolError.name().into()));
        }
    }

    fn corrupt(&self, records: u64, text: &str) {
        self.0.metrics.spool_lost(records, DropReason::Corrupt);
        self.0.notices.push("spool corrupt", format!("spool: {records} records are lost: {text}"));
    }

    fn room(&self) {
        self.0.waiters.tell_of_room(ROOM_FOR);
    }

    fn notice(&self, kind: &str, text: String) {
        self.0.notices.push(&format!("spool {kind}"), format!("spool: {text}"));
    }
}
