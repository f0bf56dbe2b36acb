//! What the records of one event add up to for its publisher: whether it waits, is refused, or comes again.

use std::time::Duration;

use crate::account::ack::Ack;
use crate::account::waiters::{Caller, WaiterId, Waiters};
use crate::config::ProduceSettings;
use crate::flow::outcome::{Outcome, Publisher};
use crate::flow::routes::Route;
use crate::metrics::DropReason;

/// An event on its way through the rules.
pub struct Submission<'c> {
    waiters: &'c Waiters,
    timeout: Duration,
    caller: Option<&'c dyn Fn() -> Box<dyn Caller>>,
    /// Whether the publisher may wait for room.
    pub may_block: bool,
    waiter: Option<WaiterId>,
    /// Whether a rule of a record that is waited for wants the publisher disconnected.
    disconnects: bool,
    bytes: Option<usize>,
    dropped: Option<DropReason>,
    refused: Option<DropReason>,
    /// The record that found no room before, and the first of this try.
    pub from: Option<usize>,
}

impl<'c> Submission<'c> {
    /// No record yet.
    #[must_use]
    pub fn new(publisher: &Publisher<'c>, settings: &ProduceSettings, waiters: &'c Waiters) -> Self {
        let block = settings.block;
        let (caller, waiter, from, may_block) = match *publisher {
            Publisher::CannotWait => (None, None, None, false),
            Publisher::CanWait(caller) => (Some(caller), None, None, block),
            Publisher::Retry { caller, id, from, last } => (Some(caller), Some(id), Some(from), block && !last),
        };
        Self {
            waiters,
            timeout: settings.timeout,
            caller,
            may_block,
            waiter,
            disconnects: false,
            bytes: None,
            dropped: None,
            refused: None,
            from,
        }
    }

    /// Who waits for the next record, if its rule wants that.
    ///
    /// # Errors
    ///
    /// Too many wait already, and the rule wants the publisher disconnected then: its client will send the message again, so one
    /// refusal is enough, and there is no record.
    pub fn ack(&mut self, route: &Route) -> Result<Ack, DropReason> {
        let Some(at) = route.ack_at().filter(|_| self.caller.is_some()) else { return Ok(None) };
        match self.waiter() {
            Some(id) => {
                self.disconnects |= route.disconnects;
                self.waiters.expect(id);
                Ok(Some((id, at)))
            }
            None if route.disconnects => {
                self.refused = Some(DropReason::WaitersFull);
                Err(DropReason::WaitersFull)
            }
            None => Ok(None),
        }
    }

    /// A record of so many bytes was taken in.
    pub fn taken(&mut self, bytes: usize) {
        self.bytes = Some(self.bytes.unwrap_or_default() + bytes);
    }

    /// There is no room for a record. Some(number): the publisher waits until it is told of some. None: too many wait already.
    pub fn block(&mut self, ack: Ack) -> Option<WaiterId> {
        let blocked = self.waiter();
        // The record is not open any more: it comes again.
        if let (Some(id), Some((waiting, _))) = (blocked, ack) {
            debug_assert_eq!(id, waiting);
            self.waiters.settle(id, Ok(()));
        }
        blocked.inspect(|id| self.waiters.block(*id))
    }

    /// A record was dropped.
    pub fn dropped(&mut self, route: &Route, ack: Ack, reason: DropReason) {
        if let Some((id, _)) = ack {
            self.waiters.settle(id, Err(reason.name().into()));
        }
        self.dropped = Some(reason);
        // A template that found nothing finds nothing at the next try either.
        if route.disconnects && self.caller.is_some() && reason != DropReason::MissingField {
            self.refused = Some(reason);
        }
    }

    /// The caller's number, given when it is first needed.
    fn waiter(&mut self) -> Option<WaiterId> {
        if self.waiter.is_none()
            && let Some(caller) = self.caller
        {
            self.waiter = self.waiters.begin(self.timeout, caller);
        }
        self.waiter
    }

    /// The publisher waits for room for this record.
    #[must_use]
    pub const fn full(&self, id: WaiterId, record: usize) -> Outcome {
        Outcome::Full { id, timeout: self.timeout, from: record }
    }

    /// All records have been tried.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        if let Some(reason) = self.refused {
            if let Some(id) = self.waiter {
                self.waiters.withdraw(id);
            }
            self.waiters.count_disconnected();
            return Outcome::Refused(reason.name().into());
        }
        if let Some(id) = self.waiter {
            match self.waiters.seal(id, self.disconnects) {
                None => return Outcome::Wait { id, timeout: self.timeout, disconnects: self.disconnects },
                Some(Err(refusal)) if self.disconnects => {
                    self.waiters.count_disconnected();
                    return Outcome::Refused(refusal);
                }
                Some(Err(refusal)) => return Outcome::Dropped(refusal),
                Some(Ok(())) => {}
            }
        }
        match (self.dropped, self.bytes) {
            (Some(reason), _) => Outcome::Dropped(reason.name().into()),
            (None, Some(bytes)) => Outcome::Queued(bytes),
            (None, None) => Outcome::Ignored,
        }
    }
}
