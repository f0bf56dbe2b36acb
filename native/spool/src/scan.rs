//! Reading a segment from front to back, past what is damaged.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::frame::{FRAME, Found, HEADER, Head, find, next_candidate};
use crate::segment::{Segment, read_up_to};

/// Read at once, unless one record is larger.
const CHUNK: u64 = 512 * 1024;
/// What is tried by itself where more could not be read.
const PAGE: usize = 4096;

/// A record in a buffer.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub sequence: u64,
    pub payload: Range<usize>,
}

/// Records that should have been there and are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub from: u64,
    pub to: u64,
    /// Where in the file the damage begins.
    pub offset: u64,
}

impl Gap {
    /// For the operator.
    pub fn describe(&self, path: &Path, missing: u64) -> String {
        let Self { from, to, offset } = self;
        format!(
            "{}: damaged at byte {offset}: of the records {from} to {to}, {missing} that were not acknowledged are lost",
            path.display()
        )
    }
}

/// A place in a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    pub segment: Arc<Segment>,
    pub offset: u64,
    /// The record expected there.
    pub next: u64,
}

impl Scan {
    pub fn new(segment: Arc<Segment>) -> Self {
        let next = segment.header.first;
        Self { segment, offset: HEADER as u64, next }
    }

    /// Reads the next records into `buffer` and `entries`, up to the record `last` and the offset `end`. A gap is passed
    /// by itself. With no record and no gap the segment is at its end: `next` says whether that is `last`.
    ///
    /// `patient`: an unreadable page is an error, to be tried again; else it is damage.
    pub fn chunk(
        &mut self,
        buffer: &mut Vec<u8>,
        entries: &mut Vec<Entry>,
        end: u64,
        last: u64,
        patient: bool,
    ) -> io::Result<Option<Gap>> {
        let mut want = CHUNK;
        loop {
            let left = end.saturating_sub(self.offset);
            self.load(buffer, self.offset, want.min(left), patient)?;
            let mut at = 0;
            let mut found = Found::Other;
            while self.next <= last {
                let bytes = buffer.get(at..).unwrap_or_default();
                found = find(bytes, self.segment.header.epoch, self.next);
                let Found::Record(size) = found else { break };
                entries.push(Entry { sequence: self.next, payload: at + FRAME..at + size });
                at += size;
                self.next += 1;
            }
            self.offset += at as u64;
            if at > 0 || self.next > last {
                return Ok(None);
            }
            match found {
                Found::Short(size) if size as u64 <= left && size as u64 > want => want = size as u64,
                _ => return self.skip(buffer, end, last, patient),
            }
        }
    }

    /// Goes on at the next record that is whole, if there is one.
    fn skip(&mut self, buffer: &mut Vec<u8>, end: u64, last: u64, patient: bool) -> io::Result<Option<Gap>> {
        let mut offset = self.offset;
        let mut want = CHUNK;
        while end.saturating_sub(offset) > FRAME as u64 {
            let length = want.min(end - offset);
            self.load(buffer, offset, length, patient)?;
            let Some(at) = next_candidate(buffer, self.segment.header.epoch) else {
                // The bytes of a frame's head may lie on both sides of the border.
                offset += length.saturating_sub(FRAME as u64).max(1);
                want = CHUNK;
                continue;
            };
            let bytes = buffer.get(at..).unwrap_or_default();
            let sequence = Head::of(bytes).map_or(0, |head| head.sequence);
            let plausible = sequence > self.next && sequence <= last;
            match find(bytes, self.segment.header.epoch, sequence) {
                Found::Record(_) if plausible => {
                    let gap = Gap { from: self.next, to: sequence - 1, offset: self.offset };
                    (self.offset, self.next) = (offset + at as u64, sequence);
                    return Ok(Some(gap));
                }
                // The candidate begins one byte after the next start.
                Found::Short(size) if (size == FRAME || plausible) && offset + (at + size) as u64 <= end => {
                    offset += at as u64 - 1;
                    want = CHUNK.max(size as u64 + 1);
                }
                _ => {
                    offset += at as u64;
                    want = CHUNK;
                }
            }
        }
        Ok(None)
    }

    fn load(&self, buffer: &mut Vec<u8>, offset: u64, length: u64, patient: bool) -> io::Result<()> {
        buffer.clear();
        buffer.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        match self.segment.file.read_exact_at(buffer, offset) {
            Err(error) if patient && error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            Err(_) => {
                for (page, start) in buffer.chunks_mut(PAGE).zip((offset..).step_by(PAGE)) {
                    if read_up_to(&self.segment.file, page, start).is_err() {
                        page.fill(0);
                    }
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
