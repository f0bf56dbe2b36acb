//! From an event to a record in the producer's queue, and the one handle that everybody shares.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;

use crate::config::Settings;
use crate::encode::Encoder;
use crate::event::Event;
use crate::metrics::{DropReason, Metrics};
use crate::notices::Notices;
use crate::produce::{OpenError, Producer};
use crate::route::route;

/// A thread's encoding buffer keeps up to this much; what a rare large record needed beyond it is given back.
const KEPT_BUFFER: usize = 1 << 20;

/// How long a close waits for calls that still use the pipeline. Each takes microseconds.
const CALLERS_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything a record passes on its way.
struct Pipeline {
    encoder: Encoder,
    producer: Producer,
    settings: Settings,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its record is queued; this many bytes were encoded.
    Queued(usize),
    /// No record is made of such an event.
    Ignored,
    /// Its record was dropped.
    Dropped(DropReason),
}

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
        let encoder = Encoder::new(settings.encode_payload, node);
        self.current.store(Some(Arc::new(Pipeline { encoder, producer, settings })));
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
                Ok(Pipeline { producer, .. }) => return Some(Closed { given_up: producer.close(timeout) }),
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

    /// Turns an event into a record and queues it. Takes microseconds, never waits.
    pub fn submit(&self, event: &Event<'_>) -> Outcome {
        let pipeline = self.current.load();
        let Some(pipeline) = pipeline.as_deref() else {
            self.metrics.dropped(DropReason::Closed);
            return Outcome::Dropped(DropReason::Closed);
        };
        let Some(route) = route(event) else { return Outcome::Ignored };
        if let Err(reason) = pipeline.producer.admit(least_size(event)) {
            self.metrics.dropped(reason);
            return Outcome::Dropped(reason);
        }
        let ts = now();
        with_buffer(|buffer| {
            pipeline.encoder.encode(event, ts, buffer);
            match pipeline.producer.produce(route.key, buffer, ts) {
                Ok(()) => Outcome::Queued(buffer.len()),
                Err(reason) => Outcome::Dropped(reason),
            }
        })
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
            Some(pipeline) if pipeline.producer.is_fatal() => Status::Fatal(pipeline.settings.redacted()),
            Some(pipeline) => Status::Open(pipeline.settings.redacted()),
        }
    }
}

/// The value of a record is at least as large as the payload in it.
fn least_size(event: &Event<'_>) -> usize {
    match event {
        Event::Publish(message) => message.payload.len(),
        _ => 0,
    }
}

/// Runs `encode` with the thread's empty buffer.
fn with_buffer<T>(encode: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out and put back, so that nothing can find it borrowed; a thread being torn down has none to keep.
    let mut buffer = BUFFER.try_with(RefCell::take).unwrap_or_default();
    buffer.clear();
    let result = encode(&mut buffer);
    if buffer.capacity() <= KEPT_BUFFER {
        BUFFER.try_with(|kept| kept.replace(buffer)).ok();
    }
    result
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
