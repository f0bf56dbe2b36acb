//! The spool as the plugin uses it: two logs of the crate `emq_kafka_spool`.
//!
//! The main log takes new records. The other, `handover/`, takes what a producer gave back when it was closed: records that
//! came straight from hooks before the main log's unread ones, which therefore cannot simply be appended to it. Replay reads
//! both and merges them by the order of the records (see `replay`).

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use emq_kafka_spool::{AppendError, Reader, Recovery, Spool, State, Stats};

use crate::account::ack::{Ack, AckAt};
use crate::account::returned::Returned;
use crate::account::shared::{Origin, Shared};
use crate::config::{Settings, SpoolSettings};
use crate::metrics::{DropReason, Location};
use crate::spool::handover::Handover;
use crate::spool::life;
pub use crate::spool::log::OpenError;
use crate::spool::log::{self, patiently, token};

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

/// The open spool.
pub struct Store {
    main: Spool,
    handover: Handover,
    settings: SpoolSettings,
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
        let (main, found) = log::open(&spool, spool.dir.clone(), spool.max_size - handover_size, shared)?;
        let life = life::next_life(&spool.dir)?;
        let (handover, found_there) = Handover::open(&spool, handover_size, shared)?;
        let store = Self { main, handover, settings: spool, life, shared: Arc::clone(shared) };
        let recoveries: Vec<_> = std::iter::once(found).chain(found_there).collect();
        before_count();
        store.report(&recoveries);
        Ok(store)
    }

    fn report(&self, recoveries: &[Recovery]) {
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
        life::order(self.life, order)
    }

    /// Whether everything in the spool was handed to a producer: a new record need not queue behind it.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.main.is_drained() && !self.handover.is_pending()
    }

    /// What is in it now.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        Watermark {
            main: self.main.last(),
            handover: self.handover.log().map(|log| (Arc::downgrade(&log), log.last())),
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
        let appended = self.main.append_then(&[head, value], token(ack), |sequence| {
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
        let log = self.handover.opened();
        let kept = |record: &Returned| log.as_ref().is_some_and(|log| self.handover.keep(log, record));
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
        Ok((self.handover.reader()?, self.main.reader()))
    }

    /// A producer was handed all of the handover log.
    pub fn handover_read(&self) {
        self.handover.read();
    }

    /// Kafka has, or will never have, these records.
    pub fn ack(&self, main: &[u64], handover: &[u64]) {
        if !main.is_empty() {
            self.main.ack(main);
        }
        if !handover.is_empty()
            && let Some(log) = self.handover.log()
        {
            log.ack(handover);
        }
    }

    /// How full it is: both logs together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let main = self.main.stats();
        match self.handover.log().map(|log| log.stats()) {
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
        self.handover.close();
        log::close(&self.main, &self.shared);
    }
}

fn drop_reason(error: AppendError) -> DropReason {
    match error {
        AppendError::Full => DropReason::SpoolFull,
        AppendError::TooLarge => DropReason::TooLarge,
        AppendError::Failed => DropReason::SpoolError,
        AppendError::Closed => DropReason::Closed,
    }
}
