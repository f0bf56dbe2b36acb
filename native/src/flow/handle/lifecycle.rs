//! The life of the pipeline: opened, exchanged, suspended, closed, or kept to the spool while settings are wrong.
//!
//! One change at a time, under the lock of `lifecycle`. Each may wait, for the disk or for Kafka: none is for a normal scheduler.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Handle, Lifecycle, Open};
use crate::config::names::Key;
use crate::config::{ListenAddress, Partial, Settings, SpoolMode};
use crate::flow::count_only::CountOnly;
use crate::flow::intake::Intake;
use crate::flow::open_error::OpenError;
use crate::flow::pipeline::Pipeline;
use crate::flow::replay::Replay;
use crate::flow::view::Gate;
use crate::kafka::open_error::OpenError as NoProducer;
use crate::kafka::producer::Producer;
use crate::metrics::{DropReason, Location};
use crate::spool::store::Store;

/// How long a change waits for calls that still use the old pipeline. Each takes microseconds.
const CALLERS_TIMEOUT: Duration = Duration::from_secs(5);

/// What becomes of records while settings are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Degraded {
    /// They go to the spool.
    Spooling,
    /// They are counted: none can be made, or, for this reason, none be kept.
    Counting(Option<String>),
}

/// What a close left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Records that were given up, each counted as dropped.
    pub given_up: usize,
    /// Records that wait in the spool for the next start.
    pub spooled: u64,
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Nothing is open.
    #[error("the plugin is not running")]
    Closed,
    /// A spool is opened and closed with the plugin.
    #[error("{} cannot be changed while the plugin runs: stop and start the plugin", Key(.0))]
    Spool(&'static str),
    /// The new producer could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Handle {
    /// Opens the pipeline for the node named `node`. Returns false, and changes nothing, when it is open already.
    ///
    /// # Errors
    ///
    /// What librdkafka, the operating system or the spool refused.
    pub fn open(&self, settings: Settings, node: &str) -> Result<bool, OpenError> {
        let mut lifecycle = self.lifecycle();
        if lifecycle.open.is_some() {
            return Ok(false);
        }
        self.open_in(&mut lifecycle, settings, node)?;
        Ok(true)
    }

    fn open_in(&self, lifecycle: &mut Lifecycle, settings: Settings, node: &str) -> Result<(), OpenError> {
        // Before the spool, which may take long to open: librdkafka refuses what is wrong at once.
        settings.client_config().create_native_config().map_err(NoProducer::from)?;
        let dir = match settings.spool.mode {
            SpoolMode::Off => None,
            SpoolMode::Overflow | SpoolMode::Always => Some(settings.spool.dir.clone()),
        };
        let last_dir = lifecycle.spool_dir.clone().filter(|last| Some(last) != dir.as_ref());
        // Only where it is left: one that cannot be opened is tried, and the last one goes on.
        let leave = || self.leave_behind(last_dir);
        let store = if dir.is_some() {
            Some(Arc::new(Store::open(&settings, &self.shared, leave)?))
        } else {
            leave();
            None
        };
        lifecycle.spool_dir = dir;
        self.shared.resize(&settings);
        let opened = self.pipeline(settings, store.clone(), node).and_then(|pipeline| {
            let replay = start_replay(&pipeline, store.as_ref())?;
            Ok(Open { pipeline, store: store.clone(), replay, suspended: false })
        });
        match opened {
            Ok(open) => {
                open.pipeline.intake().release(Vec::new());
                self.disconnects.store(open.pipeline.disconnects(), Ordering::Release);
                self.gate.store(Some(Arc::new(Gate(Arc::clone(&open.pipeline)))));
                self.count_only.store(None);
                open.pipeline.forget_other_rules();
                self.listen(open.pipeline.settings().metrics_listener.as_ref());
                lifecycle.open = Some(open);
                Ok(())
            }
            Err(error) => {
                if let Some(store) = &store {
                    store.close();
                }
                Err(error)
            }
        }
    }

    /// With wrong settings: records go to the spool, or are counted, until an `open` or a `reload` succeeds. A pipeline that is
    /// open stays, unless it was opened here: it gets the new settings if they are sound.
    ///
    /// Waits: never call it on a normal scheduler.
    pub fn degrade(&self, partial: Partial, node: &str) -> Degraded {
        let mut lifecycle = self.lifecycle();
        let Partial { settings, is_sound, wanted } = partial;
        let listener = settings.metrics_listener.clone();
        if let Some(open) = lifecycle.open.as_mut() {
            if is_sound && !open.suspended && !open.pipeline.settings().has_servers() {
                // Refused where the spool is to be another one.
                self.exchange(open, settings, node).ok();
            }
            return Degraded::Spooling;
        }
        let why = if is_sound {
            match self.open_in(&mut lifecycle, settings, node) {
                Ok(()) => return Degraded::Spooling,
                Err(error) => Some(error.to_string()),
            }
        } else {
            None
        };
        let count_only = CountOnly::new(wanted, DropReason::Degraded, node, Arc::clone(&self.shared));
        self.disconnects.store(count_only.disconnects(), Ordering::Release);
        self.count_only.store(Some(Arc::new(count_only)));
        self.listen(listener.as_ref());
        Degraded::Counting(why)
    }

    fn pipeline(&self, settings: Settings, store: Option<Arc<Store>>, node: &str) -> Result<Arc<Pipeline>, OpenError> {
        let producer = Producer::open(&settings, Arc::clone(&self.shared), store.clone())?;
        let intake = Intake::new(producer, store, settings.spools_always(), Arc::clone(&self.shared));
        Ok(Arc::new(Pipeline::new(settings, intake, Arc::clone(&self.shared), node)?))
    }

    /// Prometheus finds the metrics there from now on, or nowhere.
    fn listen(&self, wanted: Option<&ListenAddress>) {
        let Some(endpoint) = &self.endpoint else { return };
        match wanted {
            Some(address) => endpoint.listen(address, &self.view()),
            None => endpoint.stop(),
        }
    }

    fn leave_behind(&self, dir: Option<PathBuf>) {
        let Some(dir) = dir else { return };
        let left = self.shared.metrics.spool_left_behind();
        if left > 0 {
            let text = format!("{left} records stay in {}, which is no longer in use", dir.display());
            self.shared.notices.push("spool left behind", format!("spool: {text}"));
        }
    }

    /// With a spool: from now on, records go there, and what the producer has not delivered is handed over to it. None where
    /// there is no spool, or nothing is open.
    ///
    /// Waits: never call it on a normal scheduler.
    pub fn suspend(&self) -> Option<u64> {
        let mut lifecycle = self.lifecycle();
        let open = lifecycle.open.as_mut()?;
        open.store.as_ref()?;
        self.end_producer(open, Duration::ZERO);
        Some(u64::try_from(self.shared.metrics.snapshot().spooled).unwrap_or(0))
    }

    /// Closes the pipeline: from now on events that a rule wants count as `dropped.closed`. What is queued goes to the spool; where there is none,
    /// it is delivered within `timeout` or given up. None when nothing was open.
    ///
    /// Waits: never call it on a normal scheduler.
    pub fn close(&self, timeout: Duration) -> Option<Closed> {
        let mut lifecycle = self.lifecycle();
        if let Some(counting) = self.count_only.swap(None) {
            self.closed.store(Some(Arc::new(counting.because(DropReason::Closed))));
            self.listen(None);
        }
        let mut open = lifecycle.open.take()?;
        let (wanted, node) = (open.pipeline.wanted(), open.pipeline.node());
        let closed = CountOnly::new(wanted, DropReason::Closed, node, Arc::clone(&self.shared));
        self.closed.store(Some(Arc::new(closed)));
        let given_up = if open.store.is_some() {
            let given_up = self.end_producer(&mut open, Duration::ZERO);
            self.empty(None);
            given_up
        } else {
            // Nothing can take what comes now: the producer is to be emptied.
            self.empty(None);
            self.end_producer(&mut open, timeout)
        };
        // First: what waits for the disk gets its answer from there.
        if let Some(store) = &open.store {
            store.close();
        }
        self.shared.waiters.refuse_all(DropReason::Closed.name());
        self.shared.tickets.clear();
        let spooled = u64::try_from(self.shared.metrics.snapshot().spooled).unwrap_or(0);
        // Last: how it goes can be watched.
        self.listen(None);
        Some(Closed { given_up, spooled })
    }

    /// Ends the producer of an open pipeline, once. Returns how many records were given up.
    fn end_producer(&self, open: &mut Open, timeout: Duration) -> usize {
        if open.suspended {
            return 0;
        }
        open.suspended = true;
        let intake = open.pipeline.intake();
        intake.start_holding();
        if self.gate.load().is_some() {
            // Who is inside may still be on the way to the producer. Who comes is held.
            self.empty(Some(&open.pipeline));
        }
        if let Some(replay) = open.replay.take() {
            replay.stop();
        }
        let mut returned = intake.producer().end(timeout);
        let Some(store) = &open.store else {
            returned.extend(intake.take_held());
            for record in &returned {
                self.shared.budget.release(1, record.cost);
                self.shared.metrics.dropped_from(DropReason::Purged, Location::Memory(record.cost));
                if let Some(waiter) = record.waiter {
                    self.shared.waiters.settle(waiter, Err(DropReason::Purged.name().into()));
                }
            }
            return returned.len();
        };
        let lost = store.hand_over(returned);
        intake.start_closing();
        intake.release(Vec::new());
        lost
    }

    /// Exchanges settings, node name and producer, without a gap: what comes meanwhile is held, and goes to the new producer after
    /// what the old one gave back.
    ///
    /// Waits: never call it on a normal scheduler.
    ///
    /// # Errors
    ///
    /// Why nothing was changed.
    pub fn reload(&self, settings: Settings, node: &str) -> Result<(), ReloadError> {
        // The topics may be correct now.
        let isolated_topics = self.shared.isolated_topics.take();
        self.exchange_open(settings, node).inspect_err(|_| self.shared.isolated_topics.extend(isolated_topics))
    }

    fn exchange_open(&self, settings: Settings, node: &str) -> Result<(), ReloadError> {
        let mut lifecycle = self.lifecycle();
        let open = lifecycle.open.as_mut().filter(|open| !open.suspended).ok_or(ReloadError::Closed)?;
        self.exchange(open, settings, node)
    }

    fn exchange(&self, open: &mut Open, settings: Settings, node: &str) -> Result<(), ReloadError> {
        same_spool(open.pipeline.settings(), &settings)?;
        // Everything that can fail comes first.
        let next = self.pipeline(settings, open.store.clone(), node)?;
        let last = std::mem::replace(&mut open.pipeline, Arc::clone(&next));
        self.shared.resize(next.settings());
        self.disconnects.store(next.disconnects(), Ordering::Release);
        self.empty(Some(&next));
        if let Some(replay) = open.replay.take() {
            replay.stop();
        }
        let mut returned = last.intake().producer().end(Duration::ZERO);
        let held = last.intake().take_held();
        match &open.store {
            Some(store) => {
                store.hand_over(returned);
                store.append_all(held);
                returned = Vec::new();
            }
            None => returned.extend(held),
        }
        // First: from then on the spool knows what its next reader has not handed over, and what is held queues behind that.
        let replay = start_replay(&next, open.store.as_ref());
        // Even where the spool cannot be read: what is held must go on.
        next.intake().release(returned);
        next.forget_other_rules();
        self.listen(next.settings().metrics_listener.as_ref());
        open.replay = replay?;
        Ok(())
    }

    /// Exchanges a producer that has failed for good, or that is spoiled; the settings stay.
    ///
    /// Waits: never call it on a normal scheduler.
    ///
    /// # Errors
    ///
    /// As `reload`.
    pub fn reopen(&self) -> Result<(), ReloadError> {
        let current = self.lifecycle().open.as_ref().map(|open| Arc::clone(&open.pipeline));
        let current = current.ok_or(ReloadError::Closed)?;
        let (settings, node) = (current.settings().clone(), current.node().to_owned());
        drop(current);
        self.exchange_open(settings, &node)
    }

    /// Lets callers in to another pipeline, or to none, and waits until nobody is inside the last one.
    fn empty(&self, next: Option<&Arc<Pipeline>>) {
        let next = next.map(|pipeline| Arc::new(Gate(Arc::clone(pipeline))));
        let Some(mut last) = self.gate.swap(next) else { return };
        let deadline = Instant::now() + CALLERS_TIMEOUT;
        while let Err(shared) = Arc::try_unwrap(last) {
            if Instant::now() > deadline {
                // A caller that never came back still holds its pipeline, which so outlives it.
                let text = "a hook call hangs in the producer; the close does not wait for it";
                return self.shared.notices.push("stuck", text.to_owned());
            }
            last = shared;
            std::thread::yield_now();
        }
    }
}

/// Before records are let in. Without a server there is nobody to send them to: they all go to the spool, and stay there.
fn start_replay(pipeline: &Pipeline, store: Option<&Arc<Store>>) -> Result<Option<Replay>, OpenError> {
    if !pipeline.settings().has_servers() {
        pipeline.intake().start_closing();
        return Ok(None);
    }
    store.map(|store| Replay::start(pipeline.intake().producer().client(), store)).transpose()
}

/// A reload keeps the spool open: it cannot become another.
fn same_spool(last: &Settings, next: &Settings) -> Result<(), ReloadError> {
    let (last, next) = (&last.spool, &next.spool);
    if (last.mode == SpoolMode::Off) != (next.mode == SpoolMode::Off) {
        return Err(ReloadError::Spool("spool"));
    }
    if last.mode == SpoolMode::Off {
        return Ok(());
    }
    let changed = [
        (last.dir != next.dir, "spool.dir"),
        (last.max_size != next.max_size, "spool.max_size"),
        (last.segment_size != next.segment_size, "spool.segment_size"),
        (last.sync_interval != next.sync_interval, "spool.sync_interval"),
    ];
    changed.iter().find(|(changed, _)| *changed).map_or(Ok(()), |(_, key)| Err(ReloadError::Spool(key)))
}
