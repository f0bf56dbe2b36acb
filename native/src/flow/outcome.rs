//! What a hook is told of its event, and who asks.

use std::time::Duration;

use crate::account::waiters::{Caller, Refusal, WaiterId, Waiters};
use crate::metrics::DropReason;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All its records are taken in; this many bytes were encoded.
    Queued(usize),
    /// No rule wants it.
    Ignored,
    /// A record was dropped, for this reason.
    Dropped(Refusal),
    /// A record was dropped, for this reason, and its rule wants the publisher disconnected.
    Refused(Refusal),
    /// The caller is to wait for an answer with this number.
    Wait {
        /// The number.
        id: WaiterId,
        /// How long, at most.
        timeout: Duration,
        /// Whether the publisher is disconnected unless all is well.
        disconnects: bool,
    },
    /// There is no room. The caller is to wait until it is told of some, and come again from this record on.
    Full {
        /// The number that it is told with, and comes again with.
        id: WaiterId,
        /// How long, at most.
        timeout: Duration,
        /// The record that found no room, counted over the rules that match.
        from: usize,
    },
    /// Nothing was done: this takes longer than a normal scheduler should be held. Ask again on a dirty one.
    TooLong,
}

/// Who publishes.
pub enum Publisher<'c> {
    /// Somebody who cannot wait.
    CannotWait,
    /// A client's connection, which can.
    CanWait(&'c dyn Fn() -> Box<dyn Caller>),
    /// The same, after it was told of room for record `from`, or, where this is its `last` try, not.
    Retry {
        /// Makes it a caller.
        caller: &'c dyn Fn() -> Box<dyn Caller>,
        /// Its number.
        id: WaiterId,
        /// The record that found no room.
        from: usize,
        /// Whether it waits for room no longer.
        last: bool,
    },
}

impl Publisher<'_> {
    /// Its event becomes no record, for this reason, which is counted elsewhere. Whether it `disconnects` is its rules'.
    pub fn turn_away(&self, waiters: &Waiters, reason: DropReason, disconnects: bool) -> Outcome {
        if let Self::Retry { id, .. } = self {
            waiters.withdraw(*id);
        }
        if matches!(self, Self::CannotWait) || !disconnects {
            return Outcome::Dropped(reason.name().into());
        }
        waiters.count_disconnected();
        Outcome::Refused(reason.name().into())
    }
}
