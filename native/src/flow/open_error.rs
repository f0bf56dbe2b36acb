//! Why nothing could be opened.

use thiserror::Error;

use crate::kafka::open_error::OpenError as NoProducer;
use crate::spool::store::OpenError as NoSpool;

/// Why nothing could be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no producer.
    #[error(transparent)]
    Producer(#[from] NoProducer),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] NoSpool),
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
