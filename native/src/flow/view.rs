//! What may be seen of the pipeline that is open: for the command line, the shell and the metrics endpoint. Whoever looks is never
//! in the way of who opens or closes.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use emq_kafka_spool::Stats;

use crate::account::shared::Shared;
use crate::config::Settings;
use crate::flow::count_only::CountOnly;
use crate::flow::pipeline::Pipeline;
use crate::flow::routes::RuleReport;
use crate::kafka::statistics::Statistics;
use crate::spool::store::Capacity;

/// What callers enter: exchanged when nobody of those who are inside may see what comes.
pub struct Gate(pub Arc<Pipeline>);

/// A look at the pipeline that is open at the moment, if any, and at what outlives it.
#[derive(Clone, Default)]
pub struct View {
    /// The pipeline.
    pub gate: Arc<ArcSwapOption<Gate>>,
    /// Who counts while there is none because settings are wrong.
    pub count_only: Arc<ArcSwapOption<CountOnly>>,
    /// What outlives it.
    pub shared: Arc<Shared>,
}

impl View {
    /// The rules, in the order in which they are tried; none while nothing is open and nobody counts.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleReport> {
        if let Some(Gate(pipeline)) = self.gate.load().as_deref() {
            return pipeline.rules();
        }
        self.count_only.load().as_deref().map_or_else(Vec::new, CountOnly::rules)
    }

    /// Whether settings are wrong, and nothing is sent to Kafka.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        match self.gate.load().as_deref() {
            Some(Gate(pipeline)) => !pipeline.settings().has_servers(),
            None => self.count_only.load().is_some(),
        }
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

    /// The settings in force. None while nothing is sent.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        let settings = self.gate.load().as_deref().map(|Gate(pipeline)| pipeline.settings().clone());
        settings.filter(Settings::has_servers)
    }

    /// How full the spool is. None where there is none.
    #[must_use]
    pub fn spool(&self) -> Option<Stats> {
        let gate = self.gate.load();
        gate.as_deref().and_then(|Gate(pipeline)| pipeline.intake().store().map(|store| store.stats()))
    }

    /// How much room the spool has. None where there is none.
    #[must_use]
    pub fn spool_room(&self) -> Option<Capacity> {
        let gate = self.gate.load();
        gate.as_deref().and_then(|Gate(pipeline)| pipeline.intake().store().map(|store| store.room()))
    }
}
