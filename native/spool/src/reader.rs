//! Reading back what is on disk, in order.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::error::ReadError;
use crate::log::{Entry, Shared, lock};
use crate::scan::{self, Gap, Scan};

/// So often an unreadable place is reported as an error before it is given up.
const PATIENCE: u32 = 3;

/// Records read together, and the buffer they are in. Reuse it.
#[derive(Debug, Default)]
pub struct Batch {
    buffer: Vec<u8>,
    entries: Vec<scan::Entry>,
}

impl Batch {
    /// The sequence numbers and the records, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.entries.iter().filter_map(|entry| Some((entry.sequence, self.buffer.get(entry.payload.clone())?)))
    }

    /// The record at this place, with its number.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(u64, &[u8])> {
        let entry = self.entries.get(index)?;
        Some((entry.sequence, self.buffer.get(entry.payload.clone())?))
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Reads what is durable and not acknowledged, from the oldest on. A spool has one at a time; dropping it lets another one
/// begin, with everything that is not acknowledged.
pub struct Reader {
    shared: Arc<Shared>,
    scan: Option<Scan>,
    /// Everything before this has been read, or need not be.
    next: u64,
    /// The last record that was handed out by `read`.
    yielded: u64,
    failures: u32,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let watermark = shared.watermark();
        shared.handed.store(watermark, Ordering::Release);
        Self { shared, scan: None, next: watermark + 1, yielded: 0, failures: 0 }
    }

    /// Fills the batch with the next records, about half a megabyte; `false` when none came within `timeout`.
    /// Acknowledged ones are left out. Damaged ones are too, and reported to [`Events::corrupt`](crate::Events::corrupt).
    ///
    /// # Errors
    ///
    /// [`ReadError::Closed`] after `close`; [`ReadError::Io`] when the disk would not, three times in a row at most.
    pub fn read(&mut self, batch: &mut Batch, timeout: Duration) -> Result<bool, ReadError> {
        let deadline = Instant::now() + timeout;
        batch.entries.clear();
        while let Some(entry) = self.wait(deadline)? {
            self.read_segment(&entry, batch)?;
            let acks = lock(&self.shared.acks);
            batch.entries.retain(|entry| !acks.contains(entry.sequence));
            drop(acks);
            if let Some(last) = batch.entries.last() {
                self.yielded = last.sequence;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All records up to and including `sequence` have been handed to the producer.
    pub fn handed(&self, sequence: u64) {
        // What was left out behind the last one counts with it.
        self.shared.handed(if sequence >= self.yielded { self.next - 1 } else { sequence });
    }

    /// The segment with the next record, once it is on disk.
    fn wait(&mut self, deadline: Instant) -> Result<Option<Entry>, ReadError> {
        let shared = Arc::clone(&self.shared);
        loop {
            self.next = self.next.max(shared.watermark() + 1);
            if shared.handed.load(Ordering::Acquire) >= self.yielded {
                shared.handed(self.next - 1);
            }
            let log = lock(&shared.log);
            if log.closed {
                return Err(ReadError::Closed);
            }
            if let Some(entry) = log.at(self.next) {
                return Ok(Some(entry.clone()));
            }
            let timeout = deadline.saturating_duration_since(Instant::now());
            if timeout.is_zero() {
                return Ok(None);
            }
            drop(shared.readable.wait_timeout(log, timeout).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn read_segment(&mut self, entry: &Entry, batch: &mut Batch) -> Result<(), ReadError> {
        let scan = match &mut self.scan {
            Some(scan) if Arc::ptr_eq(&scan.segment, &entry.segment) => scan,
            other => other.insert(Scan::new(Arc::clone(&entry.segment))),
        };
        let patient = self.failures < PATIENCE;
        let read = scan.chunk(&mut batch.buffer, &mut batch.entries, entry.end, entry.last, patient);
        let mut gap = match read {
            Ok(gap) => gap,
            Err(source) => {
                self.failures += 1;
                return Err(ReadError::Io { path: entry.segment.path.clone(), source });
            }
        };
        self.failures = 0;
        if gap.is_none() && batch.entries.is_empty() {
            gap = Some(Gap { from: scan.next, to: entry.last, offset: scan.offset });
            scan.next = entry.last + 1;
        }
        if let Some(gap) = gap {
            if entry.segment.freed.load(Ordering::Acquire) {
                // Not damage: the file is in its next use already.
                scan.next = entry.last + 1;
            } else {
                let missing = self.shared.give_up(gap.from, gap.to);
                if missing > 0 {
                    self.shared.events.corrupt(missing, &gap.describe(&entry.segment.path, missing));
                }
            }
        }
        self.next = self.next.max(scan.next);
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.reading.store(false, Ordering::Release);
    }
}
