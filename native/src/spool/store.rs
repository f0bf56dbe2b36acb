//! The spool as the plugin uses it: two logs of the crate `emq_kafka_spool`.
//!
//! The main log takes new records. The other, `handover/`, takes what a producer gave back when it was closed: records that
//! came straight from hooks before the main log's unread ones, which therefore cannot simply be appended to it. Replay reads
//! both and merges them by the order of the records (see `replay`).

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use emq_kafka_spool::{AppendError, Config, Events, Reader, Recovery, Spool, State, Stats};
use thiserror::Error;

use crate::account::returned::Returned;
use crate::account::shared::{Origin, Shared};
use crate::account::waiters::WaiterId;
use crate::config::names::Key;
use crate::config::{Settings, SpoolSettings};
use crate::metrics::{DropReason, Location};

/// Orders of records count from zero in each life of the VM; above them stands the number of the life.
const LIFE_SHIFT: u32 = 44;

/// In a token: its caller waits for Kafka, not for the disk. It is told only if the disk loses the record.
const WAITS_FOR_KAFKA: u64 = 1 << 63;

/// How long a stop waits for a disk that is slow, for each record.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckAt {
    /// The record is on disk.
    Disk,
    /// Kafka has acknowledged the record.
    Kafka,
}

/// Who waits for a record, if anybody, and for what.
pub type Ack = Option<(WaiterId, AckAt)>;

/// Where the spool is and how much new records may take there, in whole segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// The directory, as it is configured.
    pub dir: PathBuf,
    /// Bytes of segments with records.
    pub occupied: u64,
    /// Bytes that these may reach.
    pub limit: u64,
}

/// What was in the spool at some time: the last record of each log.
pub struct Watermark {
    main: u64,
    handover: Option<(Weak<Spool>, u64)>,
}

/// Why the spool cannot be used.
#[derive(Debug, Error)]
#[error("{key}: {0}", key = Key("spool.dir"))]
pub struct OpenError(String);

/// The open spool.
pub struct Store {
    main: Spool,
    handover: Mutex<Option<Arc<Spool>>>,
    /// Whether the handover log has records that no producer was handed yet.
    handover_pending: AtomicBool,
    /// Whether the handover log has got records since it was opened.
    handover_written: AtomicBool,
    settings: SpoolSettings,
    handover_size: u64,
    life: u64,
    shared: Arc<Shared>,
}

impl Store {
    /// Opens the spool and counts what is in it, after `before_count`.
    ///
    /// # Errors
    ///
    /// The directory cannot be used: another process has it, it is not writable, or a newer version wrote it.
    pub fn open(settings: &Settings, shared: &Arc<Shared>, before_count: impl FnOnce()) -> Result<Self, OpenError> {
        let spool = settings.spool.clone();
        // What a producer can give back is bounded by its queue. It must not squeeze out the main log, though.
        let handover_size = (settings.max_bytes as u64 + 2 * spool.segment_size).min(spool.max_size / 2);
        let dir = spool.dir.clone();
        let events = || Arc::new(SpoolEvents(Arc::clone(shared)));
        let refused = |error: emq_kafka_spool::OpenError| OpenError(error.to_string());
        let config = log_config(&spool, dir.clone(), spool.max_size - handover_size);
        let (main, found) = Spool::open(config, events()).map_err(refused)?;
        let life = next_life(&dir).map_err(|error| OpenError(format!("{}: {error}", dir.join(LIFE_FILE).display())))?;
        let mut store = Self {
            main,
            handover: Mutex::new(None),
            handover_pending: AtomicBool::new(false),
            handover_written: AtomicBool::new(false),
            settings: spool,
            handover_size,
            life,
            shared: Arc::clone(shared),
        };
        let mut recoveries = vec![found];
        if store.handover_dir().exists() {
            recoveries.push(store.open_handover().map_err(refused)?);
        }
        before_count();
        store.report(&recoveries);
        Ok(store)
    }

    fn report(&mut self, recoveries: &[Recovery]) {
        let records = recoveries.iter().map(|recovery| recovery.records).sum();
        let lost = recoveries.iter().map(|recovery| recovery.lost).sum();
        self.shared.metrics.spool_opened(records, lost);
        for (number, note) in recoveries.iter().flat_map(|recovery| &recovery.notes).enumerate() {
            self.shared.notices.push(&format!("spool recovery {number}"), format!("spool: {note}"));
        }
        if records > 0 {
            let dir = self.settings.dir.display();
            let text = format!("spool: {records} records wait in {dir} and are sent first");
            self.shared.notices.push("spool recovery", text);
        }
    }

    /// A record's place in the order of all records that this directory has seen.
    #[must_use]
    pub const fn order(&self, order: u64) -> u64 {
        (self.life << LIFE_SHIFT) + order
    }

    /// Whether everything in the spool was handed to a producer: a new record need not queue behind it.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.main.is_drained() && !self.handover_pending.load(Ordering::Acquire)
    }

    /// What is in it now.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        Watermark {
            main: self.main.last(),
            handover: self.handover_log().as_ref().map(|log| (Arc::downgrade(log), log.last())),
        }
    }

    /// How many of the records of that time may still be there.
    #[must_use]
    pub fn left(&self, watermark: &Watermark) -> u64 {
        // A log that is gone was empty.
        let handover = watermark.handover.as_ref().and_then(|(log, last)| log.upgrade().map(|log| log.left(*last)));
        self.main.left(watermark.main) + handover.unwrap_or(0)
    }

    /// Whether the main log takes a record.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.main.has_room(0)
    }

    /// Why the main log takes nothing now, if that is so.
    #[must_use]
    pub fn refusal(&self) -> Option<DropReason> {
        if self.has_room() {
            return None;
        }
        let failed = self.main.stats().state == State::Failed;
        Some(if failed { DropReason::SpoolError } else { DropReason::SpoolFull })
    }

    /// Appends a record to the main log, counted by `count` before anybody can read it.
    ///
    /// # Errors
    ///
    /// The reason to drop it for.
    pub fn append(&self, head: &[u8], value: &[u8], ack: Ack, count: impl FnOnce()) -> Result<(), DropReason> {
        self.append_to_main(head, value, ack, count).map_err(drop_reason)
    }

    /// Appends a record that was in memory, of this cost there. Waits for a disk that does not keep up.
    ///
    /// # Errors
    ///
    /// The reason to drop it for.
    pub fn append_returned_bytes(&self, stored: &[u8], ack: Ack, cost: usize) -> Result<(), DropReason> {
        let append = || self.append_to_main(stored, &[], ack, || self.shared.metrics.spilled(cost));
        patiently(&self.main, append).map_err(drop_reason)
    }

    fn append_to_main(&self, head: &[u8], value: &[u8], ack: Ack, count: impl FnOnce()) -> Result<(), AppendError> {
        let token = match ack {
            None => 0,
            Some((waiter, AckAt::Disk)) => waiter,
            Some((waiter, AckAt::Kafka)) => waiter | WAITS_FOR_KAFKA,
        };
        let appended = self.main.append_then(&[head, value], token, |sequence| {
            if let Some((waiter, AckAt::Kafka)) = ack {
                self.shared.tickets.insert(Origin::Main(sequence).pack(), waiter);
            }
            count();
        });
        appended.map(|_| ())
    }

    /// Keeps what a closed producer gave back, in its order. Returns how many records were lost.
    ///
    /// Waits for the disk.
    pub fn hand_over(&self, returned: Vec<Returned>) -> usize {
        if returned.is_empty() {
            return 0;
        }
        let opened = self.handover_log().as_ref().map(Arc::clone);
        let log = match opened {
            Some(log) => Some(log),
            None => match self.open_handover() {
                Ok(_) => self.handover_log().as_ref().map(Arc::clone),
                Err(error) => {
                    self.shared.notices.push("spool", format!("spool: {error}"));
                    None
                }
            },
        };
        let kept = |record: &Returned| {
            let Some(log) = &log else { return false };
            let token = record.waiter.map_or(0, |waiter| waiter | WAITS_FOR_KAFKA);
            let appended = patiently(log, || {
                log.append_then(&[&record.stored], token, |sequence| {
                    if let Some(waiter) = record.waiter {
                        self.shared.tickets.insert(Origin::Handover(sequence).pack(), waiter);
                    }
                    self.shared.metrics.spilled(record.cost);
                })
            });
            if appended.is_ok() {
                self.handover_pending.store(true, Ordering::Release);
                self.handover_written.store(true, Ordering::Release);
                self.shared.budget.release(1, record.cost);
            }
            appended.is_ok()
        };
        // Out of its order, rather than lost.
        returned.into_iter().filter(|record| !kept(record) && !self.append_returned(record)).count()
    }

    /// Appends records that were held back while they could not be produced. Returns how many were lost.
    pub fn append_all(&self, records: Vec<Returned>) -> usize {
        records.into_iter().filter(|record| !self.append_returned(record)).count()
    }

    /// Whether the main log took it. Settled either way.
    fn append_returned(&self, record: &Returned) -> bool {
        let ack = record.waiter.map(|waiter| (waiter, AckAt::Kafka));
        self.shared.budget.release(1, record.cost);
        let result = self.append_returned_bytes(&record.stored, ack, record.cost);
        if let Err(reason) = result {
            self.shared.metrics.dropped_from(reason, Location::Memory(record.cost));
            if let Some(waiter) = record.waiter {
                self.shared.waiters.settle(waiter, Err(reason.name().into()));
            }
        }
        result.is_ok()
    }

    /// The readers of both logs, from the first unacknowledged record on: for a new producer, when the old one is gone. A
    /// handover log that was written to is closed and opened for that, so that all of it is on disk.
    ///
    /// # Errors
    ///
    /// The handover log cannot be opened again.
    pub fn readers(&self) -> Result<(Option<Reader>, Option<Reader>), OpenError> {
        if self.handover_written.swap(false, Ordering::AcqRel) {
            let written = self.handover_log().take();
            if let Some(log) = written {
                self.close_log(&log);
            }
            self.open_handover().map_err(|error| OpenError(error.to_string()))?;
        }
        let handover = self.handover_log().as_ref().and_then(|log| log.reader());
        self.handover_pending.store(handover.is_some(), Ordering::Release);
        Ok((handover, self.main.reader()))
    }

    /// A producer was handed all of the handover log.
    pub fn handover_read(&self) {
        self.handover_pending.store(false, Ordering::Release);
    }

    /// Kafka has, or will never have, these records.
    pub fn ack(&self, main: &[u64], handover: &[u64]) {
        if !main.is_empty() {
            self.main.ack(main);
        }
        if !handover.is_empty()
            && let Some(log) = self.handover_log().as_ref()
        {
            log.ack(handover);
        }
    }

    /// How full it is: both logs together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let main = self.main.stats();
        match self.handover_log().as_ref().map(|log| log.stats()) {
            None => Stats { max_bytes: self.settings.max_size, ..main },
            Some(handover) => Stats {
                records: main.records + handover.records,
                bytes: main.bytes + handover.bytes,
                max_bytes: self.settings.max_size,
                segments: main.segments + handover.segments,
                oldest_ms: main.oldest_ms.max(handover.oldest_ms),
                state: if main.state == State::Ok { handover.state } else { main.state },
            },
        }
    }

    /// What new records take of what they may: a part of `spool.max_size` is set aside for what a stop hands over.
    #[must_use]
    pub fn room(&self) -> Capacity {
        let (occupied, limit) = self.main.occupied();
        Capacity { dir: self.settings.dir.clone(), occupied, limit }
    }

    /// Writes everything to disk and lets go of the directory.
    pub fn close(&self) {
        if let Some(log) = self.handover_log().take() {
            self.close_log(&log);
        }
        self.close_log(&self.main);
    }

    fn close_log(&self, log: &Spool) {
        if let Err(error) = log.close() {
            self.shared.notices.push("spool", format!("spool: {error}"));
        }
    }

    fn handover_dir(&self) -> PathBuf {
        self.settings.dir.join("handover")
    }

    fn open_handover(&self) -> Result<Recovery, emq_kafka_spool::OpenError> {
        let config = log_config(&self.settings, self.handover_dir(), self.handover_size);
        let (log, found) = Spool::open(config, Arc::new(SpoolEvents(Arc::clone(&self.shared))))?;
        *self.handover_log() = Some(Arc::new(log));
        Ok(found)
    }

    fn handover_log(&self) -> MutexGuard<'_, Option<Arc<Spool>>> {
        self.handover.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records in memory come faster than a disk writes: a moment helps, unless there is no room on it.
fn patiently<T>(log: &Spool, append: impl Fn() -> Result<T, AppendError>) -> Result<T, AppendError> {
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

fn log_config(settings: &SpoolSettings, dir: PathBuf, max_size: u64) -> Config {
    Config { dir, max_size, segment_size: settings.segment_size, sync_interval: settings.sync_interval }
}

fn drop_reason(error: AppendError) -> DropReason {
    match error {
        AppendError::Full => DropReason::SpoolFull,
        AppendError::TooLarge => DropReason::TooLarge,
        AppendError::Failed => DropReason::SpoolError,
        AppendError::Closed => DropReason::Closed,
    }
}

/// How many publishers try again when the spool has room again; others follow as the producer's queue moves.
const ROOM_FOR: usize = 1000;

const LIFE_FILE: &str = "life";

/// The number of this life of the plugin with this directory, written down before it is used.
fn next_life(dir: &Path) -> std::io::Result<u64> {
    let path = dir.join(LIFE_FILE);
    let last = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().map_err(std::io::Error::other)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let life = last + 1;
    let new = dir.join("life.new");
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    std::io::Write::write_all(&mut &file, format!("{life}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, &path)?;
    std::fs::File::open(dir)?.sync_all()?;
    Ok(life)
}

/// What the logs tell.
struct SpoolEvents(Arc<Shared>);

impl Events for SpoolEvents {
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
