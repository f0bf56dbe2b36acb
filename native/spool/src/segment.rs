//! The files of the log: made, used, freed and used again.
//!
//! A segment in use is called `NUMBER.seg`, one that waits for its next use `NUMBER.free`. A file gets the first name
//! only when its new header is synced, and loses it before its header may change: a name never vouches for another use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::frame::{HEADER, Header};

/// Freed segments that are kept for their next use.
const SPARES: usize = 2;

/// One use of a file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub number: u64,
    pub path: PathBuf,
    pub file: File,
    pub header: Header,
    /// All of it is acknowledged, and the file may have been given to another use: what it holds means nothing any more.
    pub freed: AtomicBool,
}

/// The directory and its files.
#[derive(Debug)]
pub(crate) struct Files {
    pub dir: PathBuf,
    handle: File,
    segment_size: u64,
    max_size: u64,
    /// Bytes of all segment files.
    used: Arc<AtomicU64>,
    /// The number of the next segment. Used or not, no other one gets it.
    pub number: u64,
    spares: Vec<PathBuf>,
}

impl Files {
    pub fn new(dir: &Path, segment_size: u64, max_size: u64, used: Arc<AtomicU64>) -> io::Result<Self> {
        let handle = File::open(dir)?;
        Ok(Self { dir: dir.into(), handle, segment_size, max_size, used, number: 1, spares: Vec::new() })
    }

    /// Counts a file that was found.
    pub fn add_used(&self, size: u64) {
        self.used.fetch_add(size, Ordering::Relaxed);
    }

    /// Makes the names in the directory as durable as the files.
    pub fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    pub fn path(&self, number: u64, kind: &str) -> PathBuf {
        self.dir.join(format!("{number:020}.{kind}"))
    }

    /// A fresh segment, durable before anything is written to it.
    pub fn start(&mut self, first: u64, follows: u64) -> io::Result<Segment> {
        let number = self.number;
        let (path, file) = match self.spares.pop() {
            Some(path) => (path.clone(), OpenOptions::new().read(true).write(true).open(path)),
            None => self.create(number)?,
        };
        let started = file.and_then(|file| self.begin(number, &path, file, first, follows));
        if started.is_err() {
            // Under either name it is none of ours now.
            self.number += 1;
            self.delete(&path, self.segment_size);
            self.delete_name(&self.path(number, "seg"));
        }
        started
    }

    fn begin(&mut self, number: u64, path: &Path, file: File, first: u64, follows: u64) -> io::Result<Segment> {
        let mut epoch = [0; 8];
        getrandom(&mut epoch, GetRandomFlags::empty())?;
        let header = Header { epoch: u64::from_le_bytes(epoch), first, follows, created: unix_ms() };
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        let named = self.path(number, "seg");
        fs::rename(path, &named)?;
        self.sync_names()?;
        self.number += 1;
        Ok(Segment { number, path: named, file, header, freed: AtomicBool::new(false) })
    }

    fn create(&mut self, number: u64) -> io::Result<(PathBuf, io::Result<File>)> {
        if self.used.load(Ordering::Relaxed) + self.segment_size > self.max_size {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the segments have reached the spool's max_size"));
        }
        let path = self.path(number, "free");
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        self.used.fetch_add(self.segment_size, Ordering::Relaxed);
        let allocated = allocate(&file, self.segment_size);
        Ok((path, allocated.map(|()| file)))
    }

    /// Takes a segment out of use: to be recycled, or deleted. The caller syncs the names when it is done.
    pub fn release(&mut self, segment: &Segment, size: u64, reusable: bool) -> io::Result<()> {
        segment.freed.store(true, Ordering::Release);
        let free = self.path(segment.number, "free");
        fs::rename(&segment.path, &free)?;
        self.keep(free, size, reusable);
        Ok(())
    }

    /// Keeps a file that is out of use for its next one, if it is of use and there are not enough of them.
    pub fn keep(&mut self, path: PathBuf, size: u64, reusable: bool) {
        if reusable && size == self.segment_size && self.spares.len() < SPARES {
            self.spares.push(path);
        } else {
            self.delete(&path, size);
        }
    }

    /// Deletes the files that wait for their next use.
    pub fn discard_spares(&mut self) {
        for path in std::mem::take(&mut self.spares) {
            self.delete(&path, self.segment_size);
        }
    }

    fn delete(&self, path: &Path, size: u64) {
        self.delete_name(path);
        self.used.fetch_sub(size, Ordering::Relaxed);
    }

    /// Without an answer: what cannot be deleted is found again at the next start, and does no harm.
    #[allow(clippy::unused_self)]
    fn delete_name(&self, path: &Path) {
        let _ = fs::remove_file(path);
    }

    /// Cuts a file, and says how long it is now.
    pub fn cut(&self, segment: &Segment, size: u64, to: u64) -> io::Result<u64> {
        segment.file.set_len(to)?;
        self.used.fetch_sub(size.saturating_sub(to), Ordering::Relaxed);
        Ok(to)
    }
}

/// Room on disk for all of it, so that a full disk shows here and not in the middle of a record.
fn allocate(file: &File, size: u64) -> io::Result<()> {
    loop {
        return match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
            Err(Errno::INTR) => continue,
            // A file system that cannot: a full disk will show when it is written.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(size),
            other => other.map_err(io::Error::from),
        };
    }
}

/// Bytes of a segment that are for records.
pub(crate) const fn room(segment_size: u64) -> u64 {
    segment_size - HEADER as u64
}

/// The disk has no room: an ordinary state, and none of the file's fault.
pub(crate) fn no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Reads until the end of the file or of the buffer.
pub(crate) fn read_up_to(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
