//! Serves the hooks while no record can be made or kept: settings are wrong, or the pipeline is closed. It counts the events of each
//! readable rule, and refuses publishers whose rule wants the record safe first.

use std::sync::Arc;

use crate::account::shared::Shared;
use crate::config::Wanted;
use crate::event::context::Context;
use crate::event::time::now;
use crate::event::{Event, EventKind};
use crate::flow::outcome::{Outcome, Publisher};
use crate::flow::routes::RuleReport;
use crate::metrics::{DropReason, RuleCounters};
use crate::rules::route::matches;

/// The rules that cannot be followed.
#[derive(Clone)]
pub struct CountOnly {
    rules: Vec<(Wanted, Arc<RuleCounters>)>,
    reason: DropReason,
    node: String,
    shared: Arc<Shared>,
}

impl CountOnly {
    /// For the node named `node`. `reason`: why the events become no records.
    #[must_use]
    pub fn new(wanted: Vec<Wanted>, reason: DropReason, node: &str, shared: Arc<Shared>) -> Self {
        let of_rule = |wanted: Wanted| {
            let counters = shared.metrics.rules.counters(wanted.rule.kind, &wanted.name);
            (wanted, counters)
        };
        let rules = wanted.into_iter().map(of_rule).collect();
        Self { rules, reason, node: node.to_owned(), shared }
    }

    /// The same, for another reason.
    #[must_use]
    pub fn because(&self, reason: DropReason) -> Self {
        Self { reason, ..self.clone() }
    }

    /// Counts the records that the event would have become.
    #[must_use]
    pub fn submit(&self, event: &Event<'_>, publisher: &Publisher<'_>) -> Outcome {
        let context = Context::new(event, &self.node, now());
        let (mut any, mut disconnects) = (false, false);
        for (wanted, counters) in self.rules.iter().filter(|(wanted, _)| matches(&wanted.rule, &context)) {
            any = true;
            disconnects |= wanted.disconnects;
            counters.matched();
            counters.dropped();
            self.shared.metrics.dropped(self.reason);
        }
        let outcome = publisher.turn_away(&self.shared.waiters, self.reason, disconnects);
        if any { outcome } else { Outcome::Ignored }
    }

    /// The events that some rule wants.
    #[must_use]
    pub fn events(&self) -> Vec<EventKind> {
        let wants = |kind: &EventKind| self.rules.iter().any(|(wanted, _)| wanted.rule.kind == *kind);
        EventKind::ALL.into_iter().filter(wants).collect()
    }

    /// Whether some publisher is not acknowledged.
    #[must_use]
    pub fn disconnects(&self) -> bool {
        self.rules.iter().any(|(wanted, _)| wanted.disconnects)
    }

    /// The rules, as far as they can be read.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleReport> {
        let report = |(wanted, counters): &(Wanted, Arc<RuleCounters>)| {
            let (matched, dropped) = counters.counts();
            let (event, name, definition) = (wanted.rule.kind, wanted.name.clone(), wanted.definition.clone());
            RuleReport { event, name, matched, dropped, definition }
        };
        self.rules.iter().map(report).collect()
    }
}
