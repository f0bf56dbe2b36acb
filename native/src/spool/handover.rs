//! The log of the records that a producer gave back when it was closed. They came straight from hooks, before the main log's unread
//! ones, so they cannot be appended to it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emq_kafka_spool::{Reader, Recovery, Spool};

use crate::account::ack::AckAt;
use crate::account::returned::Returned;
use crate::account::shared::{Origin, Shared};
use crate::config::SpoolSettings;
use crate::spool::log::{self, OpenError, patiently};

/// The log, opened when it is first needed.
pub struct Handover {
    log: Mutex<Option<Arc<Spool>>>,
    /// Whether it has records that no producer was handed yet.
    pending: AtomicBool,
    /// Whether it has got records since it was opened.
    written: AtomicBool,
    settings: SpoolSettings,
    max_size: u64,
    shared: Arc<Shared>,
}

impl Handover {
    /// Opens the log if it is there.
    ///
    /// # Errors
    ///
    /// It is there, and cannot be used.
    pub fn open(
        settings: &SpoolSettings,
        max_size: u64,
        shared: &Arc<Shared>,
    ) -> Result<(Self, Option<Recovery>), OpenError> {
        let handover = Self {
            log: Mutex::default(),
            pending: AtomicBool::new(false),
            written: AtomicBool::new(false),
            settings: settings.clone(),
            max_size,
            shared: Arc::clone(shared),
        };
        let found = if handover.dir().exists() { Some(handover.open_log()?) } else { None };
        Ok((handover, found))
    }

    /// Whether it has records that no producer was handed yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// A producer was handed all of it.
    pub fn read(&self) {
        self.pending.store(false, Ordering::Release);
    }

    /// The log, if it is open.
    #[must_use]
    pub fn log(&self) -> Option<Arc<Spool>> {
        self.locked().clone()
    }

    /// The log, opened if it is not.
    #[must_use]
    pub fn opened(&self) -> Option<Arc<Spool>> {
        if self.log().is_none()
            && let Err(error) = self.open_log()
        {
            self.shared.notices.push("spool", format!("spool: {}", error.0));
        }
        self.log()
    }

    /// Whether the log took a record that a producer gave back. Waits for a disk that does not keep up.
    pub fn keep(&self, log: &Spool, record: &Returned) -> bool {
        let token = log::token(record.waiter.map(|waiter| (waiter, AckAt::Kafka)));
        let appended = patiently(log, || {
            log.append_then(&[&record.stored], token, |sequence| {
                if let Some(waiter) = record.waiter {
                    self.shared.tickets.insert(Origin::Handover(sequence).pack(), waiter);
                }
                self.shared.metrics.spilled(record.cost);
            })
        });
        if appended.is_ok() {
            self.pending.store(true, Ordering::Release);
            self.written.store(true, Ordering::Release);
            self.shared.budget.release(1, record.cost);
        }
        appended.is_ok()
    }

    /// Its reader, from the first unacknowledged record on. A log that was written to is closed and opened for that, so that all of
    /// it is on disk.
    ///
    /// # Errors
    ///
    /// It cannot be opened again.
    pub fn reader(&self) -> Result<Option<Reader>, OpenError> {
        if self.written.swap(false, Ordering::AcqRel) {
            self.close();
            self.open_log()?;
        }
        let reader = self.log().and_then(|log| log.reader());
        self.pending.store(reader.is_some(), Ordering::Release);
        Ok(reader)
    }

    /// Writes everything to disk and lets go of the directory.
    pub fn close(&self) {
        let log = self.locked().take();
        if let Some(log) = log {
            log::close(&log, &self.shared);
        }
    }

    fn open_log(&self) -> Result<Recovery, OpenError> {
        let (log, found) = log::open(&self.settings, self.dir(), self.max_size, &self.shared)?;
        *self.locked() = Some(Arc::new(log));
        Ok(found)
    }

    fn dir(&self) -> PathBuf {
        self.settings.dir.join("handover")
    }

    fn locked(&self) -> MutexGuard<'_, Option<Arc<Spool>>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
