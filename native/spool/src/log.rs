//! What the writer, the readers and the acknowledgers share.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::ack::Acks;
use crate::segment::{Segment, unix_ms};
use crate::{Config, Events, State};

/// Marks of when records came are kept this far apart, or farther when there are many.
const MARK_MS: u64 = 1000;
const MARKS: usize = 4096;

/// Records that wait for the writer. Its lock is the append lock.
#[derive(Debug)]
pub(crate) struct Pending {
    pub bytes: Vec<u8>,
    /// Who waits, under the record's sequence number.
    pub tokens: Vec<(u64, u64)>,
    pub next: u64,
    pub state: State,
    pub closed: bool,
    /// A record was refused since the writer last took what was pending.
    pub refused: bool,
    /// A segment can be freed.
    pub reclaim: bool,
}

/// A segment in the log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub segment: Arc<Segment>,
    /// The last record of it that is on disk (one less than its first when there is none), and where that ends.
    pub last: u64,
    pub end: u64,
    /// Of the file.
    pub size: u64,
    /// Nothing is written to it any more.
    pub sealed: bool,
    /// Its file may be used again.
    pub reusable: bool,
}

/// The segments, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub segments: VecDeque<Entry>,
    /// The last record on disk.
    pub durable: u64,
    /// From which record on which time (Unix ms) is right.
    marks: VecDeque<(u64, u64)>,
    pub closed: bool,
}

impl Log {
    /// The segment with the record `sequence`, or the first one behind it.
    pub fn at(&self, sequence: u64) -> Option<&Entry> {
        let index = self.segments.partition_point(|entry| entry.last < sequence);
        self.segments.iter().skip(index).find(|entry| entry.last >= sequence)
    }

    /// The oldest segment, when nothing in it is needed any more.
    pub fn done(&self, watermark: u64) -> Option<&Entry> {
        self.segments.front().filter(|entry| entry.sealed && entry.last <= watermark)
    }

    pub fn mark(&mut self, sequence: u64, time: u64) {
        if self.marks.back().is_some_and(|(_, last)| time < last + MARK_MS) {
            return;
        }
        if self.marks.len() >= MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.marks.push_back((sequence, time));
    }

    fn oldest(&mut self, watermark: u64) -> Option<u64> {
        // What is not on disk yet has no mark.
        if self.durable <= watermark {
            return None;
        }
        while self.marks.get(1).is_some_and(|(sequence, _)| *sequence <= watermark + 1) {
            self.marks.pop_front();
        }
        self.marks.front().map(|(_, time)| unix_ms().saturating_sub(*time))
    }
}

/// Everything but what only the writer has.
pub(crate) struct Shared {
    pub config: Config,
    pub events: Arc<dyn Events>,
    pub pending: Mutex<Pending>,
    pub work: Condvar,
    pub log: Mutex<Log>,
    pub readable: Condvar,
    pub acks: Mutex<Acks>,
    /// The last record that a reader has still to hand over, and the last one handed over.
    pub appended: AtomicU64,
    pub handed: AtomicU64,
    pub reading: AtomicBool,
    pub used: Arc<AtomicU64>,
    pub lock: File,
}

impl Shared {
    /// Acknowledges records that nobody will ever read, and says how many of them had not been acknowledged.
    pub fn give_up(&self, from: u64, to: u64) -> u64 {
        let mut acks = lock(&self.acks);
        let news = acks.set_all(from, to);
        let result = acks.persist();
        let watermark = acks.watermark();
        drop(acks);
        self.acknowledged(watermark, result);
        news
    }

    /// Tells about an acknowledgement that was not written, and has the writer free what can be freed.
    pub fn acknowledged(&self, watermark: u64, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.events.notice("ack", format!("cannot write acknowledgements: {error}; a crash now causes duplicates"));
        }
        if lock(&self.log).done(watermark).is_some() {
            lock(&self.pending).reclaim = true;
            self.work.notify_one();
        }
    }

    pub fn oldest(&self, watermark: u64) -> Option<u64> {
        lock(&self.log).oldest(watermark)
    }

    pub fn watermark(&self) -> u64 {
        lock(&self.acks).watermark()
    }

    /// Everything up to `sequence` has been handed over.
    pub fn handed(&self, sequence: u64) {
        self.handed.fetch_max(sequence, Ordering::AcqRel);
    }
}

/// What a panicking holder left is whole: no lock is held across code of others but for `append_then`'s closure, which
/// comes last.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
