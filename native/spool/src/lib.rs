//! A crash-safe segmented log: what is kept on disk until Kafka has it.
//!
//! ```text
//! append -> pending buffer -> writer thread (write, fdatasync) -> segments -> Reader -> ... -> ack -> segments freed
//! ```
//!
//! What it promises:
//!
//! - A record is [`Events::committed`] only when an fdatasync has covered it, and only then a [`Reader`] sees it.
//! - Every committed record that was not acknowledged is read again after any crash, in order, once per start, unless the
//!   disk has lost it: then it is counted as lost, by [`Recovery::lost`] or [`Events::corrupt`].
//! - Nothing else is read: not what is torn, not what an earlier use left in a recycled file.
//! - An acknowledgement survives the death of the process; a power loss may undo the latest ones, which means duplicates.
//!
//! A directory holds `NUMBER.seg` (segments in use), `NUMBER.free` (kept for their next use), `ACK` and `LOCK`, and perhaps
//! `NUMBER.bad`: a segment whose header was damaged, kept for whoever wants to look at it.

mod ack;
mod error;
mod frame;
mod interface;
mod log;
mod reader;
mod recovery;
mod scan;
mod segment;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

pub use error::{AppendError, CloseError, OpenError, ReadError};
pub use interface::{Config, Events, Recovery, State, Stats};
pub use reader::{Batch, Reader};

use frame::FRAME;
use log::{Pending, Shared, lock};

/// The version of the files, in the header of each. One that a later version wrote is refused and left as it is.
pub const FORMAT: u32 = frame::VERSION;

/// An open spool. Share it in an `Arc`.
pub struct Spool {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<u64>>>,
    limit: usize,
}

/// The most that may wait for the writer.
const PENDING: u64 = 64 * 1024 * 1024;

impl Spool {
    /// Opens the directory, takes its lock, and finds out what is there. Reads the headers and the last segment.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(mut config: Config, events: Arc<dyn Events>) -> Result<(Self, Recovery), OpenError> {
        let (least, most) = (config.max_size / 1000, config.max_size / 4);
        config.segment_size = config.segment_size.max(least).min(most).clamp(4096, 1 << 30);
        let found = recovery::recover(&config)?;
        let limit = usize::try_from(PENDING).unwrap_or(usize::MAX);
        let dir = config.dir.clone();
        let durable = found.log.durable;
        let pending = Pending {
            bytes: Vec::new(),
            tokens: Vec::new(),
            next: found.next,
            state: State::Ok,
            closed: false,
            refused: false,
            reclaim: true,
        };
        let shared = Arc::new(Shared {
            config,
            events,
            pending: Mutex::new(pending),
            work: Condvar::new(),
            readable: Condvar::new(),
            appended: AtomicU64::new(durable),
            handed: AtomicU64::new(found.acks.watermark()),
            log: Mutex::new(found.log),
            acks: Mutex::new(found.acks),
            reading: AtomicBool::new(false),
            used: found.used,
            lock: found.lock,
        });
        let writer = writer::Writer::new(Arc::clone(&shared), found.files, durable);
        let thread = thread::Builder::new().name("emq_kafka_spool".to_owned()).spawn(move || {
            let _gone = Gone(writer.shared());
            writer.run()
        });
        let thread = thread.map_err(OpenError::at(dir))?;
        Ok((Self { shared, writer: Mutex::new(Some(thread)), limit }, found.report))
    }

    /// Takes a record in, the `parts` one after the other, and gives it a number. With a `token` other than 0 somebody
    /// waits: [`Events::committed`] or [`Events::lost`] will name it. Never waits for the disk.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]; nothing was taken in then.
    pub fn append(&self, parts: &[&[u8]], token: u64) -> Result<u64, AppendError> {
        self.append_then(parts, token, |_| ())
    }

    /// As [`Self::append`], and calls `with_sequence` with the number before anybody can see the record. The lock that all
    /// appends take is held meanwhile: it must be quick, and call nothing of this spool.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]; nothing was taken in then.
    pub fn append_then(
        &self,
        parts: &[&[u8]],
        token: u64,
        with_sequence: impl FnOnce(u64),
    ) -> Result<u64, AppendError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let size = FRAME + length;
        if size as u64 > segment::room(self.shared.config.segment_size) {
            return Err(AppendError::TooLarge);
        }
        let length = u32::try_from(length).map_err(|_| AppendError::TooLarge)?;
        let mut pending = lock(&self.shared.pending);
        let room = Self::room(&pending, self.limit, size);
        if let Err(error) = room {
            pending.refused = true;
            return Err(error);
        }
        let sequence = pending.next;
        let before = (pending.bytes.len(), pending.tokens.len());
        pending.next += 1;
        frame::push(&mut pending.bytes, sequence, length, parts);
        if token != 0 {
            pending.tokens.push((sequence, token));
        }
        self.shared.appended.store(sequence, Ordering::Release);
        let filled = before.0 < writer::WRITE_AT && pending.bytes.len() >= writer::WRITE_AT;
        let wake = before.0 == 0 || (before.1 == 0 && token != 0) || filled;
        with_sequence(sequence);
        drop(pending);
        if wake {
            self.shared.work.notify_one();
        }
        Ok(sequence)
    }

    fn room(pending: &Pending, limit: usize, size: usize) -> Result<(), AppendError> {
        match pending.state {
            _ if pending.closed => Err(AppendError::Closed),
            State::Full => Err(AppendError::Full),
            State::Failed => Err(AppendError::Failed),
            State::Ok if pending.bytes.len() + size > limit => Err(AppendError::Full),
            State::Ok => Ok(()),
        }
    }

    /// Would a record of so many bytes be taken in now? If not, [`Events::room`] will tell when to ask again.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let mut pending = lock(&self.shared.pending);
        let room = Self::room(&pending, self.limit, FRAME + bytes).is_ok();
        pending.refused |= !room;
        room
    }

    /// Is there nothing that a reader has still to hand over? Two atomic loads.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.shared.handed.load(Ordering::Acquire) >= self.shared.appended.load(Ordering::Acquire)
    }

    /// The reader; `None` while there is another one. It begins after the acknowledgement watermark, and what is
    /// acknowledged beyond that is left out.
    #[must_use]
    pub fn reader(&self) -> Option<Reader> {
        let taken = self.shared.reading.swap(true, Ordering::AcqRel);
        (!taken).then(|| Reader::new(Arc::clone(&self.shared)))
    }

    /// These records need not be kept. In any order, more than once if need be; numbers never read are ignored. One small
    /// write for all of them.
    pub fn ack(&self, sequences: &[u64]) {
        let durable = lock(&self.shared.log).durable;
        let mut acks = lock(&self.shared.acks);
        let mut news = false;
        for sequence in sequences.iter().filter(|sequence| **sequence <= durable) {
            news |= acks.set(*sequence);
        }
        if !news {
            return;
        }
        let result = acks.persist();
        let watermark = acks.watermark();
        drop(acks);
        self.shared.acknowledged(watermark, result);
    }

    /// Bytes that the segments with records take, and how many all of them may. Files that wait for their next use are not
    /// in it.
    #[must_use]
    pub fn occupied(&self) -> (u64, u64) {
        let segments = lock(&self.shared.log).segments.len() as u64;
        (segments * self.shared.config.segment_size, self.shared.config.max_size)
    }

    /// The number of the last record that was appended.
    #[must_use]
    pub fn last(&self) -> u64 {
        lock(&self.shared.pending).next - 1
    }

    /// How many records up to this number are not known to be acknowledged: none, if all of them are.
    #[must_use]
    pub fn left(&self, last: u64) -> u64 {
        last.saturating_sub(lock(&self.shared.acks).watermark())
    }

    /// The spool at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (next, state) = {
            let pending = lock(&self.shared.pending);
            (pending.next, pending.state)
        };
        let (watermark, beyond) = {
            let acks = lock(&self.shared.acks);
            (acks.watermark(), acks.beyond())
        };
        let records = (next - 1).saturating_sub(watermark).saturating_sub(beyond);
        let segments = lock(&self.shared.log).segments.len();
        Stats {
            records,
            bytes: self.shared.used.load(Ordering::Relaxed),
            max_bytes: self.shared.config.max_size,
            segments,
            oldest_ms: if records == 0 { None } else { self.shared.oldest(watermark) },
            state,
        }
    }

    /// Writes and syncs everything, the acknowledgements too, and lets go of the directory. A second call does nothing.
    ///
    /// # Errors
    ///
    /// [`CloseError`]; it is closed all the same.
    pub fn close(&self) -> Result<(), CloseError> {
        let mut writer = lock(&self.writer);
        let Some(thread) = writer.take() else { return Ok(()) };
        self.shut();
        // A panic of the receiver's in `Events` ended the writer: what was pending then is not known to be on disk.
        let lost = thread.join().unwrap_or(0);
        let mut acks = lock(&self.shared.acks);
        let synced = acks.checkpoint().and_then(|file| file.sync_data());
        acks.close();
        drop(acks);
        let unlocked = self.shared.lock.unlock();
        match lost {
            0 => synced.and(unlocked).map_err(CloseError::Acks),
            lost => Err(CloseError::Lost(lost)),
        }
    }

    fn shut(&self) {
        lock(&self.shared.pending).closed = true;
        self.shared.work.notify_one();
        lock(&self.shared.log).closed = true;
        self.shared.readable.notify_all();
    }
}

/// However the writer ends, nothing is taken in after it.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut pending = lock(&self.0.pending);
        if !pending.closed {
            pending.state = State::Failed;
        }
    }
}

impl Drop for Spool {
    /// Without `close` the writer still writes what is pending and ends, but nobody waits for it.
    fn drop(&mut self) {
        self.shut();
    }
}
