//! How many records librdkafka has, counted in two rounds that take turns: who waits for what is there now ends the round, and waits
//! for it alone, while new records are of the next.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metrics::striped::Striped;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// The first, and every second one after it.
    Even,
    /// The others.
    Odd,
}

/// The records of both rounds.
#[derive(Debug, Default)]
pub struct Rounds {
    /// 0 or 1.
    current: AtomicUsize,
    even: Striped,
    odd: Striped,
}

impl Rounds {
    /// A record enters; of this round it is.
    pub fn enter(&self) -> Round {
        let round = self.current();
        self.records(round).add(1);
        round
    }

    /// So many records of a round have left.
    pub fn leave(&self, round: Round, records: usize) {
        self.records(round).sub(records);
    }

    /// How many records of a round there are. Right for a round that has ended; of the current one, some may be counted late.
    #[must_use]
    pub fn count(&self, round: Round) -> usize {
        self.records(round).sum()
    }

    /// How many there are of both. Right when nobody enters.
    #[must_use]
    pub fn total(&self) -> usize {
        self.count(Round::Even) + self.count(Round::Odd)
    }

    /// The round that records enter now.
    #[must_use]
    pub fn current(&self) -> Round {
        if self.current.load(Ordering::Acquire) == 0 { Round::Even } else { Round::Odd }
    }

    /// Ends the current round, and begins the other, of which nothing may be there.
    pub fn turn(&self) -> Round {
        let ended = self.current();
        self.current.store(usize::from(ended == Round::Even), Ordering::Release);
        ended
    }

    const fn records(&self, round: Round) -> &Striped {
        match round {
            Round::Even => &self.even,
            Round::Odd => &self.odd,
        }
    }
}

impl Round {
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
        let rounds = Rounds::default();
        let (first, _) = (rounds.enter(), rounds.enter());
        let ended = rounds.turn();
        let later = rounds.enter();
        assert_eq!((ended, later), (first, first.other()));
        assert_eq!((rounds.count(first), rounds.count(later), rounds.total()), (2, 1, 3));
        rounds.leave(first, 2);
        assert_eq!((rounds.count(first), rounds.total()), (0, 1));
        assert_eq!(rounds.turn(), later, "they take turns");
    }
}
