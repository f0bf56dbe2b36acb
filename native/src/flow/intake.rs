//! Where a finished record goes: to the spool, or straight to the producer.
//!
//! - The spool holds records that no producer has seen, or everything goes through it (`spool = always`): to the spool, behind
//!   them.
//! - Otherwise to the producer; when that is full, to the spool.
//! - While producers are exchanged, records are held in memory, within the bound of the queue, until it is known what must be
//!   sent before them.
//!
//! One client's events come from one process, one after the other; so its records stay in their order on each of these ways.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::account::ack::Ack;
use crate::account::returned::Returned;
use crate::account::shared::{Origin, Shared};
use crate::flow::held::{Held, HeldRecords};
use crate::kafka::produce::{Record, Refused};
use crate::kafka::producer::Producer;
use crate::metrics::{DropReason, Location};
use crate::record::stored::Stored;
use crate::rules::topic::KafkaTopic;
use crate::spool::store::Store;

/// What is wanted of a record.
#[derive(Debug, Clone, Copy, Default)]
pub struct TakeOptions {
    /// Who waits for it, and until when.
    pub ack: Ack,
    /// Whether it must be on disk first.
    pub durable: bool,
    /// Whether its publisher may wait for room. One that finds none is not counted: it comes again.
    pub may_block: bool,
}

/// The way in.
pub struct Intake {
    producer: Producer,
    store: Option<Arc<Store>>,
    always: bool,
    shared: Arc<Shared>,
    held: HeldRecords,
    /// Whether records go to the spool only, because the producer is about to be closed for good.
    closing: AtomicBool,
}

impl Intake {
    /// The way to this producer, or, where `always` is set, through the spool. It holds what comes until it is released.
    #[must_use]
    pub fn new(producer: Producer, store: Option<Arc<Store>>, always: bool, shared: Arc<Shared>) -> Self {
        Self { producer, store, always, shared, held: HeldRecords::default(), closing: AtomicBool::new(false) }
    }

    /// The producer at its end.
    #[must_use]
    pub const fn producer(&self) -> &Producer {
        &self.producer
    }

    /// The spool, where there is one.
    #[must_use]
    pub const fn store(&self) -> Option<&Arc<Store>> {
        self.store.as_ref()
    }

    /// Whether a record has a chance, asked before it is encoded: `bytes` is the least that its value will have.
    ///
    /// # Errors
    ///
    /// The reason why it has none.
    pub fn admit(&self, bytes: usize, durable: bool) -> Result<(), DropReason> {
        if !self.producer.may_fit(bytes) {
            return Err(DropReason::TooLarge);
        }
        match &self.store {
            None if self.shared.budget.is_full() => Err(DropReason::QueueFull),
            // In this order: asking the spool takes its lock.
            Some(store) if durable || !store.is_drained() || self.shared.budget.is_full() => {
                store.refusal().map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    /// Takes a record in and counts it: in memory, in the spool, or dropped for a reason. Never waits.
    ///
    /// # Errors
    ///
    /// The reason why it was not taken. It is counted as dropped, unless the caller may wait for room, and there is none.
    pub fn take(&self, record: &Record<'_>, options: TakeOptions) -> Result<(), DropReason> {
        if self.held.is_holding()
            && let Some(result) = self.hold(record, options, false)
        {
            return result;
        }
        if let Some(store) = &self.store
            && self.goes_to_spool(store, options.durable)
        {
            match self.append(store, record, options.ack, || self.shared.metrics.spooled()) {
                Ok(()) => return Ok(()),
                // A disk that is full or broken need not cost what memory can take, as long as nothing is to come before it.
                Err(DropReason::SpoolFull | DropReason::SpoolError)
                    if !options.durable && store.is_drained() && !self.closing.load(Ordering::Acquire) => {}
                Err(reason) => return self.dropped(reason, options),
            }
        }
        self.produce(record, options)
    }

    fn goes_to_spool(&self, store: &Store, durable: bool) -> bool {
        self.always || durable || !store.is_drained() || self.closing.load(Ordering::Acquire)
    }

    /// Straight to the producer; where that is full, to the spool.
    fn produce(&self, record: &Record<'_>, options: TakeOptions) -> Result<(), DropReason> {
        let cost = record.cost();
        if !self.shared.budget.reserve(cost) {
            return match &self.store {
                None => self.dropped(DropReason::QueueFull, options),
                Some(store) => self
                    .append(store, record, options.ack, || self.shared.metrics.spooled())
                    .or_else(|reason| self.dropped(reason, options)),
            };
        }
        self.shared.metrics.queued(cost);
        match self.producer.produce(record, options.ack.map(|(waiter, _)| waiter)) {
            Ok(()) => Ok(()),
            Err(Refused::Fatal) => {
                self.start_holding();
                self.hold(record, options, true).unwrap_or(Ok(()))
            }
            Err(Refused::Full) => {
                self.shared.budget.release(1, cost);
                let spilled =
                    self.store.as_ref().ok_or(DropReason::QueueFull).and_then(|store| {
                        self.append(store, record, options.ack, || self.shared.metrics.spilled(cost))
                    });
                spilled.inspect_err(|reason| self.shared.metrics.dropped_from(*reason, Location::Memory(cost)))
            }
            Err(refused @ Refused::Final(_)) => self.refuse(record, options.ack, refused),
        }
    }

    /// The client will never send it: its dead letter may do.
    fn refuse(&self, record: &Record<'_>, ack: Ack, refused: Refused) -> Result<(), DropReason> {
        let reason = refused.reason();
        let Refused::Final(verdict) = refused else { return Err(reason) };
        let client = self.producer.client();
        let origin = Origin::Direct(self.shared.next_order());
        let has_letter = client.dead_letters.is_some();
        if let Some((waiter, _)) = ack
            && has_letter
        {
            self.shared.tickets.insert(origin.pack(), waiter);
        }
        let words = verdict.name().to_owned();
        client.refuse(&record.stored(0), origin, verdict, &words);
        if has_letter { Ok(()) } else { Err(reason) }
    }

    fn append(&self, store: &Store, record: &Record<'_>, ack: Ack, count: impl FnOnce()) -> Result<(), DropReason> {
        with_buffer(|head| {
            let order = store.order(self.shared.next_order());
            record.stored(order).write_head(head);
            store.append(head, record.value.unwrap_or_default(), ack, count)
        })
    }

    fn dropped(&self, reason: DropReason, options: TakeOptions) -> Result<(), DropReason> {
        if !(options.may_block && reason.is_full()) {
            self.shared.metrics.dropped(reason);
        }
        Err(reason)
    }

    /// Keeps a record until it is known what goes before it. None: nothing is held any more. `counted`: it has its room in the
    /// budget and is counted.
    fn hold(&self, record: &Record<'_>, options: TakeOptions, counted: bool) -> Option<Result<(), DropReason>> {
        self.held
            .hold(counted, || {
                let cost = record.cost();
                if !counted {
                    if !self.shared.budget.reserve(cost) {
                        return Err(DropReason::QueueFull);
                    }
                    self.shared.metrics.queued(cost);
                }
                let order = self.shared.next_order();
                let stored = record.stored(self.producer.client().stored_order(order)).to_bytes();
                Ok(Held { order, stored, cost, ack: options.ack, durable: options.durable })
            })
            .map(|held| held.or_else(|reason| self.dropped(reason, options)))
    }

    /// From now on, records are held.
    pub fn start_holding(&self) {
        self.held.start();
    }

    /// From now on, records go to the spool only.
    pub fn start_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Whether records are held, and those that go before them are still to come.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.held.is_holding()
    }

    /// How many records are held.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.held.count()
    }

    /// What is held, as if a producer had given it back.
    #[must_use]
    pub fn take_held(&self) -> Vec<Returned> {
        self.held.take().into_iter().map(Returned::from).collect()
    }

    /// Lets the records in that were held, after `first`, and all that come from now on.
    pub fn release(&self, first: Vec<Returned>) {
        for record in first {
            self.admit_held(&record.into());
        }
        while let Some(batch) = self.held.next_batch() {
            for record in batch {
                self.admit_held(&record);
            }
        }
    }

    /// A held record goes where it would have gone. It has its room in the budget, and is counted as queued.
    fn admit_held(&self, held: &Held) {
        let to_spool = self.store.as_ref().filter(|store| self.goes_to_spool(store, held.durable));
        let result = match to_spool {
            Some(store) => self.append_held(store, held),
            None => self.produce_held(held),
        };
        if let Err(reason) = result {
            self.shared.metrics.dropped_from(reason, Location::Memory(held.cost));
            if let Some((waiter, _)) = held.ack {
                self.shared.waiters.settle(waiter, Err(reason.name().into()));
            }
        }
    }

    fn append_held(&self, store: &Store, held: &Held) -> Result<(), DropReason> {
        self.shared.budget.release(1, held.cost);
        store.append_returned_bytes(&held.stored, held.ack, held.cost)
    }

    fn produce_held(&self, held: &Held) -> Result<(), DropReason> {
        let refused = |reason| {
            self.shared.budget.release(1, held.cost);
            reason
        };
        let record = Stored::read(&held.stored).map_err(|_| refused(DropReason::Refused))?;
        let topic = KafkaTopic::new(record.topic).map_err(|_| refused(DropReason::Refused))?;
        let topic = self.producer.open_topic(&topic).map_err(|_| refused(DropReason::Refused))?;
        let record = Record::of(&record, &topic);
        match self.producer.produce(&record, held.ack.map(|(waiter, _)| waiter)) {
            Ok(()) => Ok(()),
            // Settled there, one way or the other.
            Err(refusal @ Refused::Final(_)) => self.refuse(&record, held.ack, refusal).or(Ok(())),
            Err(refusal) => match &self.store {
                Some(store) => self.append_held(store, held),
                None => Err(refused(refusal.reason())),
            },
        }
    }
}

fn with_buffer<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static HEAD: RefCell<Vec<u8>> = RefCell::default();
    }
    // Taken out and put back, so that nothing can find it borrowed.
    let mut head = HEAD.try_with(RefCell::take).unwrap_or_default();
    head.clear();
    let result = write(&mut head);
    HEAD.try_with(|kept| kept.replace(head)).ok();
    result
}
