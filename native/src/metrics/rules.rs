//! What each rule has done. By event and name, so that a rule keeps its counters when it is changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::EventKind;
use crate::metrics::striped::Striped;

/// The counters of one rule. Every scheduler counts here, each on a cache line of its own.
#[derive(Debug, Default)]
pub struct RuleCounters {
    matched: Striped,
    dropped: Striped,
}

impl RuleCounters {
    /// The rule wanted an event.
    pub fn matched(&self) {
        self.matched.add(1);
    }

    /// A record of the rule was given up on its way in.
    pub fn dropped(&self) {
        self.dropped.add(1);
    }

    /// How many events the rule wanted, and how many of its records were given up on their way in.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        // In this order: what is dropped was matched before.
        let dropped = self.dropped.sum();
        (self.matched.sum() as u64, dropped as u64)
    }
}

/// The counters of all rules, those of the producers that are gone included until `keep` is called.
#[derive(Debug, Default)]
pub struct RuleTable(Mutex<BTreeMap<(EventKind, String), Arc<RuleCounters>>>);

impl RuleTable {
    /// The counters of a rule: those that it has, or new ones.
    #[must_use]
    pub fn counters(&self, kind: EventKind, name: &str) -> Arc<RuleCounters> {
        Arc::clone(self.lock().entry((kind, name.to_owned())).or_default())
    }

    /// Forgets the counters of all rules but these.
    pub fn keep<'r>(&self, rules: impl IntoIterator<Item = (EventKind, &'r str)>) {
        let mut table = self.lock();
        let mut last = std::mem::take(&mut *table);
        for (kind, name) in rules {
            if let Some((rule, counters)) = last.remove_entry(&(kind, name.to_owned())) {
                table.insert(rule, counters);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(EventKind, String), Arc<RuleCounters>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISH: EventKind = EventKind::MessagePublish;

    #[test]
    fn a_rule_keeps_its_counters_for_as_long_as_it_is_there() {
        let table = RuleTable::default();
        table.counters(PUBLISH, "a").matched();
        table.counters(PUBLISH, "a").dropped();
        table.counters(PUBLISH, "b").matched();
        table.counters(EventKind::MessageAcked, "b").matched();
        table.keep([(PUBLISH, "a"), (PUBLISH, "new")]);
        assert_eq!(table.counters(PUBLISH, "a").counts(), (1, 1));
        for (kind, gone) in [(PUBLISH, "b"), (EventKind::MessageAcked, "b"), (PUBLISH, "new")] {
            assert_eq!(table.counters(kind, gone).counts(), (0, 0), "{kind:?} {gone}");
        }
    }
}
