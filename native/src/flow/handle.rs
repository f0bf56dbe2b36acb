//! The one handle that everybody shares: the pipeline that is open at the moment, if any, and what outlives it.
//!
//! Any thread may submit at any time, also while another opens, closes or exchanges the pipeline: it finds one, or counts
//! `dropped.closed`.

mod lifecycle;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use emq_kafka_spool::Stats;

use crate::account::notices::Notices;
use crate::account::shared::Shared;
use crate::account::waiters::WaiterId;
use crate::config::Settings;
use crate::event::{Event, EventKind};
use crate::flow::count_only::CountOnly;
use crate::flow::endpoint::{Endpoint, Listening};
use crate::flow::flush::{Flush, FlushError};
use crate::flow::outcome::{Outcome, Publisher};
use crate::flow::pipeline::Pipeline;
use crate::flow::replay::Replay;
use crate::flow::routes::RuleReport;
use crate::flow::view::{Gate, View};
use crate::kafka::statistics::Statistics;
use crate::metrics::{DropReason, Metrics};
use crate::spool::store::Store;

pub use lifecycle::{Closed, Degraded, ReloadError};

/// Whether the plugin forwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// No producer is open.
    Closed,
    /// A producer is open, with these settings (secrets replaced).
    Open(Vec<(String, String)>),
    /// A producer is open, but can go on no more.
    Fatal(Vec<(String, String)>),
    /// A producer is open, and is to be replaced at once by one that isolates a topic.
    Spoiled(Vec<(String, String)>),
    /// Settings are wrong: no producer is open, and records go to the spool.
    Spooling,
}

/// What belongs to an open pipeline and is nobody's business in a hook.
struct Open {
    pipeline: Arc<Pipeline>,
    store: Option<Arc<Store>>,
    replay: Option<Replay>,
    /// Whether the producer has ended, and records go to the spool only.
    suspended: bool,
}

/// The pipeline that is open at the moment, if any, and what outlives it.
#[derive(Default)]
pub struct Handle {
    gate: Arc<ArcSwapOption<Gate>>,
    /// Who counts while there is no pipeline because settings are wrong.
    count_only: Arc<ArcSwapOption<CountOnly>>,
    /// The same for callbacks that find everything closed. None until the first close.
    closed: ArcSwapOption<CountOnly>,
    /// Held by whoever opens, closes or exchanges.
    lifecycle: Mutex<Lifecycle>,
    /// Whether the last pipeline disconnected publishers whose records were not safe: one that comes while there is none is not
    /// acknowledged either.
    disconnects: AtomicBool,
    /// Held by whoever flushes.
    flushing: Mutex<()>,
    /// Where Prometheus finds the metrics, if anywhere.
    endpoint: Option<Box<dyn Endpoint>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Lifecycle {
    open: Option<Open>,
    /// Where the records are that are counted as spooled.
    spool_dir: Option<PathBuf>,
}

impl Handle {
    /// A handle whose metrics are at this endpoint while something is open. The default one has none.
    #[must_use]
    pub fn new(endpoint: impl Endpoint + 'static) -> Self {
        Self { endpoint: Some(Box::new(endpoint)), ..Self::default() }
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// What waits to be logged.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.shared.notices
    }

    /// What outlives the pipelines.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Waits until Kafka has all that is queued and spooled now.
    ///
    /// Waits: never call it on a normal scheduler.
    ///
    /// # Errors
    ///
    /// Why it has not.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let begun = Instant::now();
        // One at a time: there are two rounds.
        let _one = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut flush = match self.gate.load().as_deref() {
            Some(Gate(pipeline)) => Flush::begin(pipeline),
            None => return Err(FlushError::Closed),
        };
        flush.wait(timeout.saturating_sub(begun.elapsed()))
    }

    /// Turns an event into its records. Takes microseconds, never waits: it says when its caller should. `dirty` is a caller who
    /// does not mind a few milliseconds: a dirty scheduler.
    pub fn submit(&self, event: &Event<'_>, publisher: &Publisher<'_>, dirty: bool) -> Outcome {
        let gate = self.gate.load();
        let Some(Gate(pipeline)) = gate.as_deref() else {
            return match self.count_only.load().as_deref() {
                Some(count_only) => count_only.submit(event, publisher),
                None => self.closed(event, publisher),
            };
        };
        if !dirty && pipeline.is_heavy(event) {
            return Outcome::TooLong;
        }
        pipeline.submit(event, publisher)
    }

    /// A callback that was on its way when the pipeline was closed, or whose hook stays while the broker stops.
    fn closed(&self, event: &Event<'_>, publisher: &Publisher<'_>) -> Outcome {
        if let Some(closed) = self.closed.load().as_deref() {
            return closed.submit(event, publisher);
        }
        let reason = DropReason::Closed;
        self.shared.metrics.dropped(reason);
        publisher.turn_away(&self.shared.waiters, reason, self.disconnects())
    }

    /// A caller that was told to wait for room waits no longer; if it was told of some, it finds that in its mailbox.
    pub fn unblock(&self, id: WaiterId) {
        self.shared.waiters.unblock(id);
    }

    /// The events that some rule wants; none while nothing is open and nobody counts.
    #[must_use]
    pub fn events(&self) -> Vec<EventKind> {
        if let Some(Gate(pipeline)) = self.gate.load().as_deref() {
            return pipeline.events();
        }
        self.count_only.load().as_deref().map_or_else(Vec::new, CountOnly::events)
    }

    /// Whether a publisher whose record is not safe is disconnected: by some rule of the pipeline that is open, or else of the last one.
    #[must_use]
    pub fn disconnects(&self) -> bool {
        self.disconnects.load(Ordering::Acquire)
    }

    /// Counts a hook call that was no event.
    pub fn bad_event(&self) -> Outcome {
        self.shared.metrics.dropped(DropReason::BadEvent);
        Outcome::Dropped(DropReason::BadEvent.name().into())
    }

    /// Whether a producer is open, and with what.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.gate.load().as_deref() {
            None => Status::Closed,
            Some(Gate(pipeline)) if pipeline.is_spoiled() => Status::Spoiled(pipeline.shown_settings()),
            Some(Gate(pipeline)) if !pipeline.settings().has_servers() => Status::Spooling,
            Some(Gate(pipeline)) if pipeline.is_fatal() => Status::Fatal(pipeline.shown_settings()),
            Some(Gate(pipeline)) => Status::Open(pipeline.shown_settings()),
        }
    }

    /// Whether a producer is open, or about to be. Never waits.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lifecycle.try_lock().map_or(true, |lifecycle| lifecycle.open.is_some())
    }

    /// A look at what is open.
    #[must_use]
    pub fn view(&self) -> View {
        let (gate, count_only) = (Arc::clone(&self.gate), Arc::clone(&self.count_only));
        View { gate, count_only, shared: Arc::clone(&self.shared) }
    }

    /// See `View::settings`.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.view().settings()
    }

    /// See `View::rules`.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleReport> {
        self.view().rules()
    }

    /// See `View::statistics`.
    #[must_use]
    pub fn statistics(&self) -> Option<Statistics> {
        self.view().statistics()
    }

    /// See `View::spool`.
    #[must_use]
    pub fn spool(&self) -> Option<Stats> {
        self.view().spool()
    }

    /// Whether Prometheus finds the metrics, and where.
    #[must_use]
    pub fn listening(&self) -> Listening {
        self.endpoint.as_ref().map_or(Listening::Off, |endpoint| endpoint.listening())
    }

    fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
