//! What a spool is opened with, and what it tells.

use std::path::PathBuf;
use std::time::Duration;

/// Where and how much.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory; made (0700) if it is not there. One spool at a time.
    pub dir: PathBuf,
    /// Bytes that all segment files together may take, recycled ones included.
    pub max_size: u64,
    /// Bytes of a segment file, and so of the largest record. From 4 KiB to 1 GiB and a thousandth to a quarter of
    /// `max_size` (each is an open file); brought into these bounds.
    pub segment_size: u64,
    /// When nobody waits, an fdatasync at most this often; 0: after each write.
    pub sync_interval: Duration,
}

/// What the spool tells, on the writer's thread (`corrupt`: the reader's; a failed `ack`: its caller's). No lock is held.
/// A panic in there ends the writer: then the spool takes nothing more.
pub trait Events: Send + Sync {
    /// The records that carried these tokens are on disk.
    fn committed(&self, tokens: &[u64]);
    /// So many accepted records could not be written and are gone; `tokens` are those of them that were waited for.
    fn lost(&self, records: u64, tokens: &[u64], error: &str);
    /// So many records that were on disk, `recovered` ones perhaps, cannot be read any more and are gone.
    fn corrupt(&self, records: u64, text: &str);
    /// After [`crate::AppendError::Full`] or [`crate::AppendError::Failed`]: it is worth trying again.
    fn room(&self) {}
    /// Something that the operator should know. Kinds: `poisoned`, `full`, `failed`, `ok` (after these two), `ack`,
    /// `reclaim`. Not limited in number: the receiver does that, by kind.
    fn notice(&self, kind: &str, text: String);
}

/// Can it write?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Yes.
    Ok,
    /// `max_size` is reached or the disk is full. Tried again every 100 ms and when a segment is freed.
    Full,
    /// The disk reports errors. Tried again every second.
    Failed,
}

impl State {
    /// In statistics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

/// What `open` found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that will be read: on disk and not acknowledged.
    pub records: u64,
    /// Records that were on disk, were not acknowledged, and are not there any more.
    pub lost: u64,
    /// For the operator: each damage, with file, byte offset and sequence numbers.
    pub notes: Vec<String>,
}

/// The spool at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Records that are not acknowledged, those in memory included.
    pub records: u64,
    /// Bytes of all segment files, and their limit.
    pub bytes: u64,
    /// See [`Config::max_size`].
    pub max_bytes: u64,
    /// Segments with records.
    pub segments: usize,
    /// Age of the oldest record on disk that is not acknowledged, to about a second; of one from an earlier run the age of
    /// its segment.
    pub oldest_ms: Option<u64>,
    /// Can it write?
    pub state: State,
}
