//! What outlives the producers that come and go: counters, notices, callers that wait, the bound of the memory queue, and the
//! order of all records.

use std::sync::atomic::AtomicBool;

use crate::account::budget::Budget;
use crate::account::in_flight::Epoch;
use crate::account::isolated_topics::IsolatedTopics;
use crate::account::notices::Notices;
use crate::account::tickets::Tickets;
use crate::account::waiters::Waiters;
use crate::config::Settings;
use crate::metrics::Metrics;

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
    /// Topics that the next producer isolates.
    pub isolated_topics: IsolatedTopics,
    /// Whether wrong settings are refused.
    pub settings_refused: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            metrics: Metrics::default(),
            notices: Notices::default(),
            waiters: Waiters::default(),
            tickets: Tickets::default(),
            budget: Budget::new(0, 0),
            isolated_topics: IsolatedTopics::default(),
            settings_refused: AtomicBool::new(false),
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
const EPOCH: u64 = 1 << 61;
const FIRST: u64 = 1 << 60;
const NUMBER: u64 = FIRST - 1;

/// What librdkafka keeps for a record: its origin, its epoch, and whether it is the first of its key (see `key_order`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(u64);

impl Number {
    /// Of a record that entered in this epoch.
    #[must_use]
    pub const fn new(origin: Origin, epoch: Epoch) -> Self {
        match epoch {
            Epoch::Even => Self(origin.pack()),
            Epoch::Odd => Self(origin.pack() | EPOCH),
        }
    }

    /// As librdkafka gave it back.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    /// As librdkafka takes it.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As the first of its key, or not.
    #[must_use]
    pub const fn as_first(self, first: bool) -> Self {
        if first { Self(self.0 | FIRST) } else { Self(self.0 & !FIRST) }
    }

    /// Whether it is the first of its key.
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.0 & FIRST != 0
    }

    /// Where it came from.
    #[must_use]
    pub const fn origin(self) -> Origin {
        Origin::unpack(self.0 & !EPOCH & !FIRST)
    }

    /// The epoch that it entered in.
    #[must_use]
    pub const fn epoch(self) -> Epoch {
        if self.0 & EPOCH == 0 { Epoch::Even } else { Epoch::Odd }
    }
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
        for origin in [Origin::Direct(0), Origin::Main(NUMBER), Origin::Handover(7), Origin::DeadLetter(1 << 59)] {
            assert_eq!(Origin::unpack(origin.pack()), origin);
            for (epoch, first) in [(Epoch::Even, false), (Epoch::Odd, false), (Epoch::Even, true), (Epoch::Odd, true)] {
                let number = Number::of(Number::new(origin, epoch).as_first(first).get());
                assert_eq!((number.origin(), number.epoch(), number.is_first()), (origin, epoch, first));
                assert!(!number.as_first(false).is_first());
            }
        }
    }
}
