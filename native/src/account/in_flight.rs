//! How many records librdkafka has, counted in two epochs that take turns: who waits for what is there now ends the epoch, and waits
//! for it alone, while new records are of the next.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metrics::striped::Striped;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    /// The first, and every second one after it.
    Even,
    /// The others.
    Odd,
}

/// The records of both epochs.
#[derive(Debug, Default)]
pub struct InFlight {
    /// 0 or 1.
    current: AtomicUsize,
    even: Striped,
    odd: Striped,
}

impl InFlight {
    /// A record enters; of this epoch it is.
    pub fn enter(&self) -> Epoch {
        let epoch = self.current();
        self.records(epoch).add(1);
        epoch
    }

    /// So many records of a epoch have left.
    pub fn leave(&self, epoch: Epoch, records: usize) {
        self.records(epoch).sub(records);
    }

    /// How many records of a epoch there are. Right for a epoch that has ended; of the current one, some may be counted late.
    #[must_use]
    pub fn count(&self, epoch: Epoch) -> usize {
        self.records(epoch).sum()
    }

    /// How many there are of both. Right when nobody enters.
    #[must_use]
    pub fn total(&self) -> usize {
        self.count(Epoch::Even) + self.count(Epoch::Odd)
    }

    /// The epoch that records enter now.
    #[must_use]
    pub fn current(&self) -> Epoch {
        if self.current.load(Ordering::Acquire) == 0 { Epoch::Even } else { Epoch::Odd }
    }

    /// Ends the current epoch, and begins the other, of which nothing may be there.
    pub fn turn(&self) -> Epoch {
        let ended = self.current();
        self.current.store(usize::from(ended == Epoch::Even), Ordering::Release);
        ended
    }

    const fn records(&self, epoch: Epoch) -> &Striped {
        match epoch {
            Epoch::Even => &self.even,
            Epoch::Odd => &self.odd,
        }
    }
}

impl Epoch {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_enters_after_a_turn_is_of_the_other_round() {
        let epochs = InFlight::default();
        let (first, _) = (epochs.enter(), epochs.enter());
        let ended = epochs.turn();
        let later = epochs.enter();
        assert_eq!((ended, later), (first, first.other()));
        assert_eq!((epochs.count(first), epochs.count(later), epochs.total()), (2, 1, 3));
        epochs.leave(first, 2);
        assert_eq!((epochs.count(first), epochs.total()), (0, 1));
        assert_eq!(epochs.turn(), later, "they take turns");
    }
}
