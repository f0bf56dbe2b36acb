//! Waiting until Kafka has what is queued and spooled now. What comes meanwhile is not waited for: under traffic that never stops,
//! a flush ends all the same.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::account::in_flight::Epoch;
use crate::flow::pipeline::Pipeline;
use crate::spool::store::{Store, Watermark};

/// How long one look lasts at most.
const LOOK: Duration = Duration::from_millis(50);

/// Why not everything is with Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FlushError {
    /// Nothing is open.
    #[error("the plugin is not running")]
    Closed,
    /// A reload, a stop or a failure has taken the producer away meanwhile.
    #[error("the producer was closed or replaced")]
    Replaced,
    /// So many records still wait.
    #[error("{0} records still wait")]
    Timeout(u64),
}

/// What was there when a flush began.
pub struct Flush {
    pipeline: Weak<Pipeline>,
    store: Option<Arc<Store>>,
    watermark: Option<Watermark>,
    /// Of librdkafka's records: none before the epoch of an earlier flush, that was not waited for to its end, is empty.
    epoch: Option<Epoch>,
}

impl Flush {
    /// Begins with what is there now.
    #[must_use]
    pub fn begin(pipeline: &Arc<Pipeline>) -> Self {
        let store = pipeline.intake().store().cloned();
        let watermark = store.as_ref().map(|store| store.watermark());
        Self { pipeline: Arc::downgrade(pipeline), store, watermark, epoch: None }
    }

    /// Waits until all of it has left, in looks between which a closing producer may go.
    ///
    /// # Errors
    ///
    /// Why it has not.
    pub fn wait(&mut self, timeout: Duration) -> Result<(), FlushError> {
        let deadline = Instant::now() + timeout;
        loop {
            let pipeline = self.pipeline.upgrade().ok_or(FlushError::Replaced)?;
            // Before the look: what a reload takes over from the producer before is in no count while it is on its way.
            let is_holding = pipeline.intake().is_holding();
            let left = self.look(&pipeline);
            // After the look: a producer that ends gives back what it has, and then has nothing.
            if pipeline.intake().producer().client().ending.load(Ordering::Acquire) {
                return Err(FlushError::Replaced);
            }
            if left == 0 && !is_holding {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(FlushError::Timeout(left.min(waiting(&pipeline))));
            }
            if left == 0 {
                std::thread::sleep(LOOK / 5);
            }
        }
    }

    /// How many records are left, at the end of a moment in which librdkafka sends without lingering.
    fn look(&mut self, pipeline: &Pipeline) -> u64 {
        let producer = pipeline.intake().producer();
        let epochs = &producer.client().in_librdkafka;
        if self.epoch.is_none() && epochs.count(epochs.current().other()) == 0 {
            self.epoch = Some(epochs.turn());
        }
        let left = || {
            let in_memory = self.epoch.map_or_else(|| epochs.total(), |epoch| epochs.count(epoch));
            let in_spool =
                self.store.as_ref().zip(self.watermark.as_ref()).map_or(0, |(store, watermark)| store.left(watermark));
            // What is held has no place yet.
            u64::try_from(in_memory + pipeline.intake().held_count()).unwrap_or(u64::MAX) + in_spool
        };
        if left() == 0 {
            return 0;
        }
        let begun = Instant::now();
        producer.push(LOOK);
        // librdkafka may have nothing to send while the spool is still read.
        std::thread::sleep((LOOK / 5).saturating_sub(begun.elapsed()));
        left()
    }
}

/// All records that have no end yet. One of the spool that librdkafka has, too, counts once.
fn waiting(pipeline: &Pipeline) -> u64 {
    let counters = pipeline.shared().metrics.snapshot();
    u64::try_from(counters.queued.saturating_add(counters.spooled)).unwrap_or(0)
}
