//! A record between two producers.

use crate::account::waiters::WaiterId;

/// A record that librdkafka gave back undelivered, to be produced by another producer.
#[derive(Debug)]
pub struct Returned {
    /// Its place in the order of all records.
    pub order: u64,
    /// The record, as `Stored`.
    pub stored: Vec<u8>,
    /// The room that it still has in the budget.
    pub cost: usize,
    /// Who waits for it.
    pub waiter: Option<WaiterId>,
}
