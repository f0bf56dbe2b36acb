//! What a start finds.
//!
//! Only the last segment is read whole, and those before a missing one: how far the others go stands in the header of the
//! next one, and their records are verified when they are read. So a start with gigabytes of backlog is quick.
//!
//! No segment that was found is ever written to again, but for what is cut off its end.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::ack::Acks;
use crate::error::OpenError;
use crate::frame::{BadHeader, HEADER, Header, VERSION};
use crate::log::{Entry, Log};
use crate::scan::{Gap, Scan};
use crate::segment::{Files, Segment, read_up_to};
use crate::{Config, Recovery};

/// What a spool starts with.
pub(crate) struct Found {
    pub lock: File,
    pub files: Files,
    pub log: Log,
    pub acks: Acks,
    pub next: u64,
    pub used: Arc<AtomicU64>,
    pub report: Recovery,
}

pub(crate) fn recover(config: &Config) -> Result<Found, OpenError> {
    let dir = &config.dir;
    let lock = lock_directory(dir)?;
    let used = Arc::new(AtomicU64::new(0));
    let mut files =
        Files::new(dir, config.segment_size, config.max_size, Arc::clone(&used)).map_err(OpenError::at(dir))?;
    let (segments, others) = read_headers(&files)?;
    let (acks, known) = Acks::open(&dir.join("ACK"))?;
    // Up to here nothing has been changed.
    let mut recovery = Recoverer { acks, log: Log::default(), report: Recovery::default() };
    for (number, file) in others {
        files.number = files.number.max(number + 1);
        match file {
            Other::Free(path, size) => {
                used.fetch_add(size, Ordering::Relaxed);
                files.keep(path, size, true);
            }
            Other::Damaged(path) => recovery.set_aside(&path, &files.path(number, "bad"), "its header is damaged")?,
        }
    }
    let segments = recovery.in_order(&mut files, segments)?;
    if !known {
        recovery.begin(&segments);
    }
    let next = recovery.segments(&mut files, segments)?;
    let Recoverer { mut acks, log, mut report } = recovery;
    acks.set_all(log.durable + 1, next - 1);
    report.records = (next - 1).saturating_sub(acks.watermark()).saturating_sub(acks.beyond());
    let synced = acks.checkpoint().and_then(|file| file.sync_all()).and_then(|()| files.sync_names());
    synced.map_err(OpenError::at(dir))?;
    Ok(Found { lock, files, log, acks, next, used, report })
}

fn lock_directory(dir: &Path) -> Result<File, OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(OpenError::at(dir))?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        // Its entry there: best effort, it may not be ours to read.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    let path = dir.join("LOCK");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(OpenError::at(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.into())),
        Err(TryLockError::Error(error)) => Err(OpenError::at(path)(error)),
    }
}

/// A file that is no usable segment.
enum Other {
    Free(PathBuf, u64),
    Damaged(PathBuf),
}

type Numbered<T> = Vec<(u64, T)>;

/// The segments in their order, and the rest.
fn read_headers(files: &Files) -> Result<(Vec<Segment>, Numbered<Other>), OpenError> {
    let (mut segments, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(&files.dir).map_err(OpenError::at(&files.dir))? {
        let path = entry.map_err(OpenError::at(&files.dir))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 20);
        let Some(number) = stem.and_then(|stem| stem.parse::<u64>().ok()) else { continue };
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("free") => {
                let size = fs::metadata(&path).map_err(OpenError::at(&path))?.len();
                others.push((number, Other::Free(path, size)));
            }
            Some("seg") => match read_header(number, &path)? {
                Some(segment) => segments.push(segment),
                None => others.push((number, Other::Damaged(path))),
            },
            _ => {}
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok((segments, others))
}

fn read_header(number: u64, path: &Path) -> Result<Option<Segment>, OpenError> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(OpenError::at(path))?;
    let mut bytes = [0; HEADER];
    read_up_to(&file, &mut bytes, 0).map_err(OpenError::at(path))?;
    match Header::decode(&bytes) {
        Ok(header) => Ok(Some(Segment { number, path: path.into(), file, header, freed: AtomicBool::new(false) })),
        Err(BadHeader::Version(version)) => Err(OpenError::Version { path: path.into(), version, ours: VERSION }),
        Err(BadHeader::Damaged) => Ok(None),
    }
}

struct Recoverer {
    acks: Acks,
    log: Log,
    report: Recovery,
}

impl Recoverer {
    fn note(&mut self, text: String) {
        self.report.notes.push(text);
    }

    fn set_aside(&mut self, path: &Path, bad: &Path, why: &str) -> Result<(), OpenError> {
        fs::rename(path, bad).map_err(OpenError::at(path))?;
        self.note(format!("{}: {why}; it is kept as {}", path.display(), bad.display()));
        Ok(())
    }

    /// Without acknowledgements: from the first record on.
    fn begin(&mut self, segments: &[Segment]) {
        if let Some(first) = segments.first() {
            self.acks.begin_at(first.header.follows);
            self.note(
                "the acknowledgements are missing or damaged: records that Kafka has may be sent again".to_owned(),
            );
        }
    }

    /// Leaves out what cannot have come about here: a copy in the wrong place, perhaps, or names that a disk mixed up.
    fn in_order(&mut self, files: &mut Files, segments: Vec<Segment>) -> Result<Vec<Segment>, OpenError> {
        let mut kept: Vec<Segment> = Vec::with_capacity(segments.len());
        for segment in segments {
            files.number = files.number.max(segment.number + 1);
            if kept.last().is_some_and(|before| before.header.first > segment.header.first) {
                self.set_aside(
                    &segment.path,
                    &files.path(segment.number, "bad"),
                    "it is older than the one before it",
                )?;
            } else {
                kept.push(segment);
            }
        }
        Ok(kept)
    }

    /// Takes the segments into the log. The answer is the number of the next record: beyond each one that was ever seen.
    fn segments(&mut self, files: &mut Files, segments: Vec<Segment>) -> Result<u64, OpenError> {
        let noted = self.acks.noted_durable();
        // Of freed segments the watermark is all there is.
        let mut last = self.acks.watermark();
        let mut highest = last.max(self.acks.highest()).max(noted);
        let mut place = files.dir.clone();
        let mut segments = segments.into_iter().peekable();
        while let Some(segment) = segments.next() {
            let Header { first, follows, created, .. } = segment.header;
            if self.log.segments.back().is_some_and(|before| before.segment.header.first > first) {
                self.set_aside(
                    &segment.path,
                    &files.path(segment.number, "bad"),
                    "it is older than the one before it",
                )?;
                continue;
            }
            if follows > last {
                self.missing(&place, "a segment is missing after it", last + 1, follows);
            }
            if first > follows + 1 {
                self.acks.set_all(follows + 1, first - 1);
            }
            let next = segments.peek().map(|next| (next.number, next.header.follows));
            let size = segment.file.metadata().map_err(OpenError::at(&segment.path))?.len();
            let consecutive = next.is_some_and(|(number, _)| number == segment.number + 1);
            let limit = next.map(|(_, follows)| follows);
            place.clone_from(&segment.path);
            let segment = Arc::new(segment);
            let mut entry = Entry { segment, last: first - 1, end: size, size, sealed: true, reusable: true };
            match limit {
                Some(follows) if consecutive => entry.last = entry.last.max(follows),
                _ => self.scan(&mut entry, limit)?,
            }
            files.add_used(entry.size);
            last = entry.last;
            highest = highest.max(last).max(first - 1);
            self.log.mark(first, created);
            self.log.segments.push_back(entry);
        }
        if noted > last {
            self.missing(&place, "its end is missing, or a segment after it", last + 1, noted);
        }
        self.log.durable = last;
        Ok(highest + 1)
    }

    /// Reads a whole segment, and cuts it behind its last record if it is the last one.
    fn scan(&mut self, entry: &mut Entry, limit: Option<u64>) -> Result<(), OpenError> {
        let path = entry.segment.path.clone();
        let mut scan = Scan::new(Arc::clone(&entry.segment));
        let (mut buffer, mut entries) = (Vec::new(), Vec::new());
        loop {
            entries.clear();
            let gap = scan.chunk(&mut buffer, &mut entries, entry.size, limit.unwrap_or(u64::MAX - 1), false);
            match gap.map_err(OpenError::at(&path))? {
                Some(gap) => self.gap(&path, &gap),
                None if entries.is_empty() => break,
                None => {}
            }
        }
        (entry.last, entry.end) = (scan.next - 1, scan.offset);
        if limit.is_none() {
            let file = &entry.segment.file;
            // What is in the page cache only has to be on disk before it is shown to anybody.
            file.set_len(entry.end).and_then(|()| file.sync_all()).map_err(OpenError::at(&path))?;
            entry.size = entry.end;
        }
        Ok(())
    }

    fn gap(&mut self, path: &Path, gap: &Gap) {
        let missing = self.acks.set_all(gap.from, gap.to);
        if missing > 0 {
            self.report.lost += missing;
            self.note(gap.describe(path, missing));
        }
    }

    fn missing(&mut self, path: &Path, what: &str, from: u64, to: u64) {
        let missing = self.acks.set_all(from, to);
        if missing > 0 {
            self.report.lost += missing;
            self.note(format!("{}: {what}: of the records {from} to {to}, {missing} are lost", path.display()));
        }
    }
}
