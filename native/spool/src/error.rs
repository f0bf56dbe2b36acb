//! What can go wrong, one enum a caller's question.

use std::io;
use std::path::PathBuf;

/// Why a directory could not be opened as a spool. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another spool of this one, holds the lock.
    #[error("{} is in use by another process: each node needs a spool directory of its own", .0.display())]
    InUse(PathBuf),
    /// Written by a later version of this software; left alone.
    #[error("{} has format version {version}, but this plugin reads version {ours}: it stays unchanged", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: u32,
        /// What is understood here.
        ours: u32,
    },
    /// The operating system's answer.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

impl OpenError {
    /// For `map_err`: the answer, and whom it is about.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Why a record was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// `max_size` is reached, the disk is full, or it does not keep up.
    #[error("the spool is full")]
    Full,
    /// The disk refuses to write.
    #[error("the spool cannot write to its disk")]
    Failed,
    /// Larger than a segment.
    #[error("the record is larger than a segment of the spool")]
    TooLarge,
    /// After `close`.
    #[error("the spool is closed")]
    Closed,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// After `close`.
    #[error("the spool is closed")]
    Closed,
    /// The disk's answer. Worth another try after a pause: what stays unreadable is given up after the third.
    #[error("{}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
}

/// A close that could not bring everything to disk.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// Records were lost, and reported to [`Events::lost`](crate::Events::lost).
    #[error("{0} records could not be written")]
    Lost(u64),
    /// The acknowledgements of this run may be missing: duplicates at the next start.
    #[error("the acknowledgements could not be written: {0}")]
    Acks(io::Error),
}
