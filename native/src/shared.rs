//! What outlives the producers that come and go: counters, notices, callers that wait, the bound of the memory queue, and the
//! order of all records.

use crate::budget::Budget;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::rounds::Round;
use crate::waiters::{Tickets, Waiters};

/// Shared by everything that handles records.
pub struct Shared {
    /// The counters.
    pub metrics: Metrics,
    /// What waits to be logged.
    pub notices: Notices,
    /// Callers that wait.
    pub waiters: Waiters,
    /// Which records they wait for.
    pub tickets: Tickets,
    /// The bound of the memory queue, and the order of all records.
    pub budget: Budget,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            metrics: Metrics::default(),
            notices: Notices::default(),
            waiters: Waiters::default(),
            tickets: Tickets::default(),
            budget: Budget::new(0, 0),
        }
    }
}

impl Shared {
    /// Sets the bounds that the settings give.
    pub fn resize(&self, settings: &Settings) {
        self.budget.resize(settings.max_messages, settings.max_bytes);
        self.waiters.resize(settings.produce.max_waiters);
        self.metrics.topics.resize(settings);
    }

    /// The next place in the order of all records since the library was loaded.
    pub fn next_order(&self) -> u64 {
        self.budget.next_order()
    }
}

/// Where a record in librdkafka came from, which tells what is to be done when it is delivered. Packed into the one number that
/// librdkafka keeps for each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Straight from a hook: its place in the order.
    Direct(u64),
    /// The spool's main log: its sequence number there.
    Main(u64),
    /// The spool's log of what a producer gave back: its sequence number there.
    Handover(u64),
    /// The copy for the dead letter topic: its place in the order.
    DeadLetter(u64),
}

// What librdkafka keeps is a pointer.
const _: () = assert!(usize::BITS == 64, "the plugin is for 64-bit processors");

const TAG_SHIFT: u32 = 62;
const ROUND: u64 = 1 << 61;
const NUMBER: u64 = ROUND - 1;

/// The round of a record that is in librdkafka, beside its origin.
#[must_use]
pub const fn with_round(packed: u64, round: Round) -> u64 {
    match round {
        Round::Even => packed & !ROUND,
        Round::Odd => packed | ROUND,
    }
}

/// The two, apart.
#[must_use]
pub const fn without_round(packed: u64) -> (u64, Round) {
    (packed & !ROUND, if packed & ROUND == 0 { Round::Even } else { Round::Odd })
}

impl Origin {
    /// As one number.
    #[must_use]
    pub const fn pack(self) -> u64 {
        let (tag, number) = match self {
            Self::Direct(number) => (0, number),
            Self::Main(number) => (1, number),
            Self::Handover(number) => (2, number),
            Self::DeadLetter(number) => (3, number),
        };
        (tag << TAG_SHIFT) | (number & NUMBER)
    }

    /// From that number.
    #[must_use]
    pub const fn unpack(packed: u64) -> Self {
        let number = packed & NUMBER;
        match packed >> TAG_SHIFT {
            0 => Self::Direct(number),
            1 => Self::Main(number),
            2 => Self::Handover(number),
            _ => Self::DeadLetter(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_survives_packing() {
        for origin in [Origin::Direct(0), Origin::Main(NUMBER), Origin::Handover(7), Origin::DeadLetter(1 << 60)] {
            assert_eq!(Origin::unpack(origin.pack()), origin);
            for round in [Round::Even, Round::Odd] {
                assert_eq!(without_round(with_round(origin.pack(), round)), (origin.pack(), round));
            }
        }
    }
}
