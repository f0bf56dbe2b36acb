//! What the tests share.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

pub mod child;
pub mod payload;
pub mod strace;
pub mod trace;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use emq_kafka_spool::{Batch, Config, Events, Reader, Recovery, Spool};

pub const SEGMENT: u64 = 64 * 1024;

pub fn config(dir: &Path) -> Config {
    Config { dir: dir.into(), max_size: 16 * SEGMENT, segment_size: SEGMENT, sync_interval: Duration::from_millis(1) }
}

pub fn open(config: &Config) -> (Spool, Arc<Told>, Recovery) {
    let told = Arc::new(Told::default());
    let (spool, recovery) = Spool::open(config.clone(), told.clone()).unwrap();
    (spool, told, recovery)
}

/// What a spool told.
#[derive(Default)]
pub struct Told {
    inner: Mutex<Inner>,
    more: Condvar,
}

#[derive(Default)]
struct Inner {
    committed: Vec<u64>,
    lost: u64,
    lost_tokens: Vec<u64>,
    corrupt: u64,
    texts: Vec<String>,
    kinds: Vec<String>,
    rooms: u64,
}

impl Told {
    pub fn wait_committed(&self, count: usize) {
        let mut inner = self.inner.lock().unwrap();
        while inner.committed.len() < count {
            let (guard, timeout) = self.more.wait_timeout(inner, Duration::from_mins(1)).unwrap();
            inner = guard;
            assert!(!timeout.timed_out(), "only {} of {count} were committed", inner.committed.len());
        }
    }

    pub fn committed(&self) -> Vec<u64> {
        self.inner.lock().unwrap().committed.clone()
    }

    pub fn lost(&self) -> u64 {
        self.inner.lock().unwrap().lost
    }

    pub fn lost_tokens(&self) -> Vec<u64> {
        self.inner.lock().unwrap().lost_tokens.clone()
    }

    pub fn corrupt(&self) -> u64 {
        self.inner.lock().unwrap().corrupt
    }

    pub fn texts(&self) -> Vec<String> {
        self.inner.lock().unwrap().texts.clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.inner.lock().unwrap().kinds.clone()
    }

    pub fn rooms(&self) -> u64 {
        self.inner.lock().unwrap().rooms
    }
}

impl Events for Told {
    fn committed(&self, tokens: &[u64]) {
        self.inner.lock().unwrap().committed.extend(tokens);
        self.more.notify_all();
    }

    fn lost(&self, records: u64, tokens: &[u64], error: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.lost += records;
        inner.lost_tokens.extend(tokens);
        inner.texts.push(error.to_owned());
    }

    fn corrupt(&self, records: u64, text: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.corrupt += records;
        inner.texts.push(text.to_owned());
    }

    fn room(&self) {
        self.inner.lock().unwrap().rooms += 1;
    }

    fn notice(&self, kind: &str, text: String) {
        let mut inner = self.inner.lock().unwrap();
        inner.kinds.push(kind.to_owned());
        inner.texts.push(text);
    }
}

/// Reads until so many records came; fails when they do not come.
pub fn drain(reader: &mut Reader, count: usize) -> Vec<(u64, Vec<u8>)> {
    let mut batch = Batch::default();
    let mut records = Vec::new();
    while records.len() < count {
        assert!(reader.read(&mut batch, Duration::from_mins(1)).unwrap(), "only {} of {count} came", records.len());
        records.extend(batch.iter().map(|(sequence, record)| (sequence, record.to_vec())));
    }
    records
}

/// Reads what there is.
pub fn read_all(spool: &Spool) -> Vec<(u64, Vec<u8>)> {
    let mut reader = spool.reader().unwrap();
    let mut batch = Batch::default();
    let mut records = Vec::new();
    while reader.read(&mut batch, Duration::ZERO).unwrap() {
        records.extend(batch.iter().map(|(sequence, record)| (sequence, record.to_vec())));
    }
    records
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn segment_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let segments = files.filter(|file| file.path().extension().is_some());
    // One may be freed while they are counted.
    segments.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// The segments in use, oldest first.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "seg")).collect();
    segments.sort();
    segments
}

/// A directory that goes when this is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn temp_dir() -> TempDir {
    temp_dir_in(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// In memory where that can be had: for what does not depend on a disk.
pub fn quick_temp_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { temp_dir_in(memory) } else { temp_dir() }
}

pub fn temp_dir_in(parent: &Path) -> TempDir {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = parent.join(format!("spool-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    TempDir(path)
}
