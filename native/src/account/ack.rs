//! Who wants an acknowledgement of a record, and when.

use crate::account::waiters::WaiterId;

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckAt {
    /// The record is on disk.
    Disk,
    /// Kafka has acknowledged the record.
    Kafka,
}

/// Who waits for a record, if anybody, and for what.
pub type Ack = Option<(WaiterId, AckAt)>;
