//! The one thread that writes: takes what is pending, writes it, syncs it, and tells who waited.
//!
//! What is not synced yet stays in memory (`held`). So a write or fdatasync that fails costs nothing: nobody has seen
//! those records, the segment is never written to again, and all of them go into a fresh one. An fdatasync is never
//! tried again on the same file: after the first error the kernel may call pages clean that it has dropped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::State;
use crate::ack::Acks;
use crate::frame::{FRAME, HEADER, Head, seal};
use crate::log::{Entry, Shared, lock};
use crate::segment::{Files, Segment, no_space, unix_ms};

/// How long records nobody waits for may wait for others, at most.
const TICK: Duration = Duration::from_millis(5);
/// This much is written at once although nobody waits.
pub(crate) const WRITE_AT: usize = 256 * 1024;
/// This much is synced although nobody waits.
const SYNC_AT: usize = 8 * 1024 * 1024;
/// So much is written ahead of records that somebody waits for.
const AHEAD: u64 = 1024 * 1024;
/// Capacity that a buffer keeps after a burst.
const KEEP: usize = 4 * 1024 * 1024;
const FULL_RETRY: Duration = Duration::from_millis(100);
const FAILED_RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    shared: Arc<Shared>,
    files: Files,
    active: Option<Active>,
    /// Frames that are not synced yet; the first `written` bytes are in the active segment, up to the record `last`.
    held: Vec<u8>,
    written: usize,
    last: u64,
    tokens: Vec<(u64, u64)>,
    durable: u64,
    sync_at: Option<Instant>,
    wrote_at: Instant,
    synced_at: Instant,
    noted: Arc<File>,
    /// In the states Full and Failed.
    retry_at: Option<Instant>,
    lost: u64,
}

struct Active {
    segment: Arc<Segment>,
    size: u64,
    /// Where the next frame goes, and where the last synced one ends.
    offset: u64,
    synced: u64,
    /// Up to where its blocks have been written, with records or ahead of them.
    ready: u64,
}

impl Active {
    /// Makes room for a write up to `end` whose sync is waited for. A block that was allocated and never written makes each
    /// fdatasync write the file's own data too, and that take three to five times as long (`bench/README.md`): so a stretch of
    /// zeros is written at once, whose sync is that of the records before it.
    fn prepare(&mut self, end: u64) -> io::Result<()> {
        if end <= self.ready {
            return Ok(());
        }
        let ready = (end + AHEAD).min(self.size);
        let zeros = vec![0; usize::try_from(ready - end).unwrap_or(0)];
        self.segment.file.write_all_at(&zeros, end)?;
        self.ready = ready;
        Ok(())
    }
}

/// What there is to do. Each may be so without the others.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)]
struct Work {
    reclaim: bool,
    flush: bool,
    close: bool,
    room: bool,
}

fn due(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}

impl Writer {
    pub fn new(shared: Arc<Shared>, files: Files, durable: u64) -> Self {
        let long_ago = Instant::now();
        let noted = lock(&shared.acks).file();
        Self {
            shared,
            wrote_at: long_ago,
            synced_at: long_ago,
            noted,
            files,
            active: None,
            held: Vec::new(),
            written: 0,
            last: durable,
            tokens: Vec::new(),
            durable,
            sync_at: None,
            retry_at: None,
            lost: 0,
        }
    }

    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Until the spool is closed. How many records could not be kept then.
    pub fn run(mut self) -> u64 {
        loop {
            let work = self.wait();
            if work.reclaim {
                self.reclaim();
            }
            if work.room && self.retry_at.is_none() {
                self.shared.events.room();
            }
            let lost = self.lost;
            if work.flush {
                self.flush(work.close);
            }
            if work.close {
                self.lose(&io::Error::other("the spool was closed before there was room for them"));
                return self.lost - lost;
            }
        }
    }

    /// Waits for something to do, and takes what is pending if it is to be written.
    fn wait(&mut self) -> Work {
        let shared = Arc::clone(&self.shared);
        let tick = shared.config.sync_interval.min(TICK);
        let write_at = self.wrote_at + tick;
        let mut pending = lock(&shared.pending);
        loop {
            let reclaim = std::mem::take(&mut pending.reclaim);
            let mut work = Work { reclaim, close: pending.closed, ..Work::default() };
            if self.retry_at.is_some() {
                work.flush = due(self.retry_at) || (reclaim && pending.state == State::Full);
            } else if !pending.bytes.is_empty() {
                let wanted = !pending.tokens.is_empty() || pending.bytes.len() >= WRITE_AT || tick.is_zero();
                work.flush = wanted || due(Some(write_at));
            }
            work.flush |= work.close || due(self.sync_at);
            if work.flush {
                work.room = std::mem::take(&mut pending.refused);
                if self.held.is_empty() {
                    std::mem::swap(&mut self.held, &mut pending.bytes);
                } else {
                    self.held.extend_from_slice(&pending.bytes);
                    pending.bytes.clear();
                }
                self.tokens.append(&mut pending.tokens);
            }
            if work.flush || work.reclaim {
                return work;
            }
            let write_at = (!pending.bytes.is_empty()).then_some(write_at);
            let next = [self.retry_at.or(write_at), self.sync_at].into_iter().flatten().min();
            pending = match next {
                None => shared.work.wait(pending).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let timeout = at.saturating_duration_since(Instant::now());
                    shared.work.wait_timeout(pending, timeout).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Brings what is held to disk, and decides what a failure means.
    fn flush(&mut self, close: bool) {
        let wanted = !self.tokens.is_empty() || self.held.len() >= SYNC_AT;
        let sync = close || wanted || self.synced_at.elapsed() >= self.shared.config.sync_interval;
        let mut result = self.try_flush(sync);
        if result.as_ref().is_err_and(|error| !no_space(error)) {
            result = self.try_flush(true);
        }
        match result {
            Ok(()) => self.enter(State::Ok, "records are written again"),
            Err(error) if no_space(&error) => {
                self.retry_at = Some(Instant::now() + FULL_RETRY);
                self.enter(State::Full, &error.to_string());
            }
            Err(error) => {
                self.retry_at = Some(Instant::now() + FAILED_RETRY);
                self.enter(State::Failed, &error.to_string());
                self.lose(&error);
            }
        }
    }

    fn try_flush(&mut self, sync: bool) -> io::Result<()> {
        if self.held.is_empty() && self.retry_at.is_some() && self.active.is_none() {
            // After a failure, with nothing to write: is the disk back?
            self.start(self.files_next())?;
        }
        while let Some(frames) = self.held.get_mut(self.written..).filter(|frames| !frames.is_empty()) {
            let Some(active) = &mut self.active else {
                let first = Head::of(frames).map_or(self.durable + 1, |head| head.sequence);
                self.start(first)?;
                continue;
            };
            let Some((size, last)) = seal(frames, active.segment.header.epoch, active.size - active.offset) else {
                self.sync()?;
                self.retire();
                continue;
            };
            let bytes = frames.get(..size).unwrap_or_default();
            let end = active.offset + size as u64;
            let prepared = if self.tokens.is_empty() { Ok(()) } else { active.prepare(end) };
            match prepared.and_then(|()| active.segment.file.write_all_at(bytes, active.offset)) {
                Err(error) if no_space(&error) => {
                    // The kernel took nothing of it, so it may be tried again here; what it took before is none the worse.
                    self.sync()?;
                    return Err(error);
                }
                Err(error) => return Err(self.poison(error, "write")),
                Ok(()) => {}
            }
            active.offset = end;
            self.written += size;
            self.last = last;
        }
        self.wrote_at = Instant::now();
        if sync {
            return self.sync();
        }
        self.sync_at = Some(self.synced_at + self.shared.config.sync_interval);
        Ok(())
    }

    /// The number of the next record when none is held.
    fn files_next(&self) -> u64 {
        lock(&self.shared.pending).next
    }

    fn start(&mut self, first: u64) -> io::Result<()> {
        self.reclaim();
        let segment = Arc::new(self.files.start(first, self.durable)?);
        let size = self.shared.config.segment_size;
        let start = HEADER as u64;
        let entry =
            Entry { segment: Arc::clone(&segment), last: first - 1, end: start, size, sealed: false, reusable: true };
        lock(&self.shared.log).segments.push_back(entry);
        self.active = Some(Active { segment, size, offset: start, synced: start, ready: start });
        Ok(())
    }

    /// Makes what is written durable, and tells everybody.
    fn sync(&mut self) -> io::Result<()> {
        self.sync_at = None;
        let Some(active) = self.active.as_mut().filter(|_| self.written > 0) else { return Ok(()) };
        if let Err(error) = active.segment.file.sync_data() {
            return Err(self.poison(error, "fdatasync"));
        }
        active.synced = active.offset;
        self.synced_at = Instant::now();
        if let Err(error) = Acks::note_durable(&self.noted, self.last) {
            self.shared.events.notice("ack", format!("the number of the last record was not written: {error}"));
        }
        let mut log = lock(&self.shared.log);
        log.mark(self.durable + 1, unix_ms());
        log.durable = self.last;
        if let Some(entry) = log.segments.back_mut() {
            (entry.last, entry.end) = (self.last, active.synced);
        }
        drop(log);
        self.shared.readable.notify_all();
        self.durable = self.last;
        self.held.drain(..self.written);
        if self.held.is_empty() && self.written < KEEP {
            self.held.shrink_to(KEEP);
        }
        self.written = 0;
        let count = self.tokens.partition_point(|(sequence, _)| *sequence <= self.last);
        let tokens: Vec<u64> = self.tokens.drain(..count).map(|(_, token)| token).collect();
        if !tokens.is_empty() {
            self.shared.events.committed(&tokens);
        }
        Ok(())
    }

    /// Leaves a segment that is full and synced.
    fn retire(&mut self) {
        if self.active.take().is_some()
            && let Some(entry) = lock(&self.shared.log).segments.back_mut()
        {
            entry.sealed = true;
        }
    }

    /// Leaves a segment that could not be written. What it holds of records that are not synced must never count: it is
    /// cut off, and should that fail, the next segment's header says where this one ended.
    fn poison(&mut self, error: io::Error, what: &str) -> io::Error {
        (self.written, self.sync_at) = (0, None);
        let Some(active) = self.active.take() else { return error };
        let cut = self.files.cut(&active.segment, active.size, active.synced);
        if let Some(entry) = lock(&self.shared.log).segments.back_mut() {
            (entry.sealed, entry.reusable) = (true, false);
            entry.size = cut.as_ref().map_or(entry.size, |size| *size);
        }
        let path = active.segment.path.display();
        let cut = cut.map_or_else(|error| format!("could not be cut back ({error})"), |_| "was cut back".to_owned());
        let text = format!(
            "{what} failed on {path}: {error}; the file is closed, and {cut} to its {} synced bytes",
            active.synced
        );
        self.shared.events.notice("poisoned", text);
        error
    }

    /// Gives up what is held.
    fn lose(&mut self, error: &io::Error) {
        let mut rest = self.held.as_slice();
        let first = Head::of(rest).map(|head| head.sequence);
        let mut range = None;
        while let Some(head) = Head::of(rest) {
            range = first.map(|first| (first, head.sequence));
            rest = rest.get(FRAME + head.length..).unwrap_or_default();
        }
        let Some((from, to)) = range else { return };
        self.held.clear();
        self.written = 0;
        // Numbers have no gaps within a segment.
        self.retire();
        let tokens: Vec<u64> = self.tokens.drain(..).map(|(_, token)| token).collect();
        let pending = lock(&self.shared.pending);
        if pending.bytes.is_empty() {
            // Nothing is left for a reader to hand over.
            self.shared.appended.store(self.durable, std::sync::atomic::Ordering::Release);
        }
        drop(pending);
        self.shared.give_up(from, to);
        self.lost += to - from + 1;
        self.shared.events.lost(to - from + 1, &tokens, &error.to_string());
    }

    fn enter(&mut self, state: State, why: &str) {
        if state == State::Ok {
            self.retry_at = None;
        }
        let mut pending = lock(&self.shared.pending);
        let before = std::mem::replace(&mut pending.state, state);
        drop(pending);
        if before != state {
            let dir = self.files.dir.display();
            self.shared.events.notice(state.name(), format!("the spool in {dir} is {}: {why}", state.name()));
            if state == State::Ok {
                self.shared.events.room();
            }
        }
    }

    /// Frees the segments that the watermark has passed. The watermark is made durable before: a crash must not bring
    /// the impression that their records are missing.
    fn reclaim(&mut self) {
        let watermark = self.shared.watermark();
        if lock(&self.shared.log).done(watermark).is_none() {
            return;
        }
        let checkpoint = lock(&self.shared.acks).checkpoint();
        let mut result = checkpoint.and_then(|file| file.sync_data());
        while result.is_ok() {
            let mut log = lock(&self.shared.log);
            let Some(entry) = log.done(watermark).cloned() else { break };
            log.segments.pop_front();
            drop(log);
            result = self.files.release(&entry.segment, entry.size, entry.reusable);
        }
        if let Err(error) = result.and_then(|()| self.files.sync_names()) {
            // Under which name a crash leaves them is not known: they must not get a new header.
            self.files.discard_spares();
            self.shared.events.notice("reclaim", format!("a segment could not be freed: {error}"));
        }
    }
}
