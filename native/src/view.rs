//! What may be seen of the pipeline that is open: for the command line, the shell and the metrics endpoint. Whoever looks is never
//! in the way of who opens or closes.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use emq_kafka_spool::Stats;

use crate::config::Settings;
use crate::pipeline::{Pipeline, RuleReport};
use crate::shared::Shared;
use crate::statistics::Statistics;
use crate::store::Room;

/// What callers enter: exchanged when nobody of those who are inside may see what comes.
pub struct Gate(pub Arc<Pipeline>);

/// A look at the pipeline that is open at the moment, if any, and at what outlives it.
#[derive(Clone, Default)]
pub struct View {
    /// The pipeline.
    pub gate: Arc<ArcSwapOption<Gate>>,
    /// What outlives it.
    pub shared: Arc<Shared>,
}

impl View {
    /// The rules, in the order in which they are tried; none while nothing is open.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleReport> {
        self.gate.load().as_deref().map_or_else(Vec::new, |Gate(pipeline)| pipeline.rules())
    }

    /// librdkafka's own numbers. None while nothing is open, before the first ones came, and where they are switched off.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        // Reading them takes a while, for which nobody is to be in the way of a close.
        let latest = match self.gate.load().as_deref() {
            Some(Gate(pipeline)) => Arc::clone(&pipeline.intake().producer().client().statistics),
            None => return None,
        };
        latest.read()
    }

    /// The settings in force. None while nothing is open.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.gate.load().as_deref().map(|Gate(pipeline)| pipeline.settings().clone())
    }

    /// How full the spool is. None where there is none.
    #[must_use]
    pub fn spool(&self) -> Option<Stats> {
        let gate = self.gate.load();
        gate.as_deref().and_then(|Gate(pipeline)| pipeline.intake().store().map(|store| store.stats()))
    }

    /// How much room the spool has. None where there is none.
    #[must_use]
    pub fn spool_room(&self) -> Option<Room> {
        let gate = self.gate.load();
        gate.as_deref().and_then(|Gate(pipeline)| pipeline.intake().store().map(|store| store.room()))
    }
}
