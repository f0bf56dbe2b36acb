//! The one handle that everybody shares: the pipeline that is open at the moment, if any, and the counters, which stay.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::config::Settings;
use crate::event::{Event, EventKind};
use crate::metrics::{DropReason, Metrics};
use crate::notices::Notices;
use crate::pipeline::{Outcome, Pipeline};
use crate::produce::{OpenError, Producer};

/// How long a close waits for calls that still use the pipeline. Each takes microseconds.
const CALLERS_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the plugin forwards.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// No producer is open.
    Closed,
    /// A producer is open, with these settings (secrets replaced).
    Open(Vec<(String, String)>),
    /// A producer is open, but librdkafka says that it can go on no more.
    Fatal(Vec<(String, String)>),
}

/// What a close left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Records that were given up, each counted as `dropped.purged`.
    pub given_up: usize,
}

/// The pipeline that is open at the moment, if any, and the counters, which stay.
///
/// Any thread may submit at any time, also while another opens or closes: it finds the pipeline or counts
/// `dropped.closed`.
#[derive(Default)]
pub struct Handle {
    current: ArcSwapOption<Pipeline>,
    /// Held by whoever opens or closes.
    lifecycle: Mutex<()>,
    metrics: Arc<Metrics>,
    notices: Arc<Notices>,
}

impl Handle {
    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What waits to be logged.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Opens the pipeline for the node named `node`. Returns false, and changes nothing, when it is open already.
    ///
    /// # Errors
    ///
    /// What librdkafka or the operating system refused.
    pub fn open(&self, settings: Settings, node: &str) -> Result<bool, OpenError> {
        let _alone = self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner);
        if self.current.load().is_some() {
            return Ok(false);
        }
        let producer = Producer::open(&settings, Arc::clone(&self.metrics), Arc::clone(&self.notices))?;
        self.current.store(Some(Arc::new(Pipeline::new(settings, producer, node)?)));
        Ok(true)
    }

    /// Closes the pipeline: from now on events count as `dropped.closed`; what is queued is delivered within
    /// `timeout` or given up. None when nothing was open.
    ///
    /// Waits: never call it on a normal scheduler.
    pub fn close(&self, timeout: Duration) -> Option<Closed> {
        let _alone = self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pipeline = self.current.swap(None)?;
        // Calls that found the pipeline before the swap are still using it, for microseconds. The last user must be
        // us: whoever drops the producer waits for its threads, and a scheduler must not.
        let deadline = Instant::now() + CALLERS_TIMEOUT;
        loop {
            match Arc::try_unwrap(pipeline) {
                Ok(pipeline) => return Some(Closed { given_up: pipeline.close(timeout) }),
                Err(shared) if Instant::now() < deadline => {
                    pipeline = shared;
                    std::thread::yield_now();
                }
                Err(shared) => {
                    // A caller that never came back. Leaking its producer is the only safe thing left.
                    let text = "a caller is stuck in the producer, which therefore was not closed";
                    self.notices.push("stuck", text.to_owned());
                    std::mem::forget(shared);
                    return Some(Closed { given_up: 0 });
                }
            }
        }
    }

    /// Turns an event into its records and queues them. Takes microseconds, never waits. `patient` is a caller who does not
    /// mind a few milliseconds: a dirty scheduler.
    pub fn submit(&self, event: &Event<'_>, patient: bool) -> Outcome {
        let pipeline = self.current.load();
        let Some(pipeline) = pipeline.as_deref() else {
            self.metrics.dropped(DropReason::Closed);
            return Outcome::Dropped(DropReason::Closed);
        };
        if !patient && pipeline.is_heavy(event) {
            return Outcome::Heavy;
        }
        pipeline.submit(event, &self.metrics)
    }

    /// The events that some rule wants; none while nothing is open.
    #[must_use]
    pub fn events(&self) -> Vec<EventKind> {
        self.current.load().as_deref().map_or_else(Vec::new, Pipeline::events)
    }

    /// Counts a hook call that was no event.
    pub fn bad_event(&self) -> Outcome {
        self.metrics.dropped(DropReason::BadEvent);
        Outcome::Dropped(DropReason::BadEvent)
    }

    /// Whether a producer is open, and with what.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.current.load().as_deref() {
            None => Status::Closed,
            Some(pipeline) if pipeline.is_fatal() => Status::Fatal(pipeline.settings()),
            Some(pipeline) => Status::Open(pipeline.settings()),
        }
    }
}
