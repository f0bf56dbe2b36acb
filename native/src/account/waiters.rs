//! Callers that wait until their records are safe, or until there is room.
//!
//! A caller has one number for one event, however many records the event becomes, and is answered at most once. What answers
//! and what gives up meet under one lock: after `cancel` has said that nobody was answered, no message will come; where it
//! says otherwise, the message is in the caller's mailbox already.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Locks, so that callers do not wait for each other.
const SHARDS: usize = 16;

/// A caller gives up by itself at its deadline. One that is not heard of for so long afterwards has died.
const GRACE: Duration = Duration::from_secs(10);

/// Why a record is not safe: a reason's or an error's name.
pub type Refusal = Cow<'static, str>;

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All its records are where their rules want them.
    Safe,
    /// One of them is not, and will not be.
    Refused(Refusal),
    /// There may be room now.
    Room,
}

/// Who waits. Told from threads that no VM owns.
pub trait Caller: Send {
    /// Sends an answer. Never waits; a caller that is gone hears nothing.
    fn tell(&self, id: u64, answer: &Answer);
}

/// A caller's number.
pub type WaiterId = u64;

struct Waiter {
    caller: Box<dyn Caller>,
    /// Records whose fate is open.
    open: usize,
    refused: Option<Refusal>,
    /// Whether all records of the event are counted in `open`. Before that, the caller is not waiting yet.
    sealed: bool,
    /// Whether the caller ends its connection unless all is well.
    disconnects: bool,
    deadline: Instant,
}

/// All callers that wait.
pub struct Waiters {
    next: AtomicU64,
    max: AtomicUsize,
    count: AtomicUsize,
    shards: [Mutex<HashMap<WaiterId, Waiter>>; SHARDS],
    /// Those that wait for room, in the order in which they came.
    blocked: Mutex<VecDeque<WaiterId>>,
    blocked_count: AtomicUsize,
    timeouts: AtomicU64,
    disconnected: AtomicU64,
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(1),
            max: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
            blocked: Mutex::default(),
            blocked_count: AtomicUsize::new(0),
            timeouts: AtomicU64::new(0),
            disconnected: AtomicU64::new(0),
        }
    }
}

impl Waiters {
    /// How many may wait at once.
    pub fn resize(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How often a caller waited in vain until its deadline.
    #[must_use]
    pub fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }

    /// How many publishers were, or are to be, disconnected, because a record of theirs was not safe in time.
    #[must_use]
    pub fn disconnected(&self) -> u64 {
        self.disconnected.load(Ordering::Relaxed)
    }

    /// A publisher is to be disconnected.
    pub fn count_disconnected(&self) {
        self.disconnected.fetch_add(1, Ordering::Relaxed);
    }

    /// A number for a caller who waits up to `timeout`, or none where too many wait already.
    pub fn begin(&self, timeout: Duration, caller: impl FnOnce() -> Box<dyn Caller>) -> Option<WaiterId> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.max.load(Ordering::Relaxed) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let deadline = Instant::now() + timeout;
        let waiter = Waiter { caller: caller(), open: 0, refused: None, sealed: false, disconnects: false, deadline };
        self.shard(id).insert(id, waiter);
        Some(id)
    }

    /// One more record of this caller's event.
    pub fn expect(&self, id: WaiterId) {
        if let Some(waiter) = self.shard(id).get_mut(&id) {
            waiter.open += 1;
        }
    }

    /// One of its records is safe, or will never be.
    pub fn settle(&self, id: WaiterId, fate: Result<(), Refusal>) {
        let mut shard = self.shard(id);
        let Some(waiter) = shard.get_mut(&id) else { return };
        waiter.open = waiter.open.saturating_sub(1);
        if let Err(refusal) = fate {
            waiter.refused.get_or_insert(refusal);
        }
        if waiter.sealed
            && let Some(answer) = waiter.answer()
        {
            self.told(&mut shard, id, &answer);
        }
    }

    /// The event has no more records. Some(fate) where it is settled already: the caller need not wait. `disconnects`: it ends
    /// its connection unless all is well.
    pub fn seal(&self, id: WaiterId, disconnects: bool) -> Option<Result<(), Refusal>> {
        let mut shard = self.shard(id);
        let waiter = shard.get_mut(&id)?;
        waiter.sealed = true;
        waiter.disconnects = disconnects;
        let answer = waiter.answer()?;
        self.remove(&mut shard, id);
        match answer {
            Answer::Refused(refusal) => Some(Err(refusal)),
            Answer::Safe | Answer::Room => Some(Ok(())),
        }
    }

    /// The caller has waited in vain. False: it was answered, and finds that in its mailbox.
    pub fn cancel(&self, id: WaiterId) -> bool {
        let Some(waiter) = self.forget(id) else { return false };
        self.timeouts.fetch_add(1, Ordering::Relaxed);
        if waiter.disconnects {
            self.count_disconnected();
        }
        true
    }

    /// The caller will not wait after all.
    pub fn withdraw(&self, id: WaiterId) {
        self.forget(id);
    }

    fn forget(&self, id: WaiterId) -> Option<Waiter> {
        self.unblock(id);
        let mut shard = self.shard(id);
        self.remove(&mut shard, id)
    }

    /// Forgets callers that died while they waited.
    pub fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.len();
            shard.retain(|_, waiter| waiter.deadline + GRACE > now);
            self.count.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
    }

    /// How many wait for room.
    #[must_use]
    pub fn blocked_count(&self) -> usize {
        self.blocked_count.load(Ordering::SeqCst)
    }

    /// The caller waits for room.
    pub fn block(&self, id: WaiterId) {
        self.blocked().push_back(id);
        self.blocked_count.fetch_add(1, Ordering::SeqCst);
    }

    /// The caller waits for room no longer; if it was told of some, it finds that in its mailbox.
    pub fn unblock(&self, id: WaiterId) {
        if self.blocked_count.load(Ordering::SeqCst) > 0 {
            let mut blocked = self.blocked();
            let before = blocked.len();
            blocked.retain(|waiting| *waiting != id);
            self.blocked_count.fetch_sub(before - blocked.len(), Ordering::SeqCst);
        }
    }

    /// Tells up to `count` of those that wait for room, the longest waiting first.
    pub fn tell_of_room(&self, count: usize) {
        if self.blocked_count() == 0 {
            return;
        }
        let mut blocked = self.blocked();
        let count = count.min(blocked.len());
        self.blocked_count.fetch_sub(count, Ordering::SeqCst);
        // Told under the lock: see `unblock`.
        for id in blocked.drain(..count) {
            if let Some(waiter) = self.shard(id).get(&id) {
                waiter.caller.tell(id, &Answer::Room);
            }
        }
    }

    /// Answers everybody: nothing more will come. Who waits for room is told of some, and learns the rest when it comes again.
    pub fn refuse_all(&self, refusal: &'static str) {
        self.tell_of_room(usize::MAX);
        for shard in &self.shards {
            let mut shard = lock(shard);
            let waiting: Vec<_> = shard.iter().filter(|(_, waiter)| waiter.sealed).map(|(id, _)| *id).collect();
            for id in waiting {
                self.told(&mut shard, id, &Answer::Refused(Cow::Borrowed(refusal)));
            }
            // Those that are not waiting yet learn it when they begin to.
            for waiter in shard.values_mut() {
                waiter.refused.get_or_insert(Cow::Borrowed(refusal));
            }
        }
    }

    fn told(&self, shard: &mut HashMap<WaiterId, Waiter>, id: WaiterId, answer: &Answer) {
        if let Some(waiter) = self.remove(shard, id) {
            if waiter.disconnects && matches!(answer, Answer::Refused(_)) {
                self.count_disconnected();
            }
            waiter.caller.tell(id, answer);
        }
    }

    fn remove(&self, shard: &mut HashMap<WaiterId, Waiter>, id: WaiterId) -> Option<Waiter> {
        let removed = shard.remove(&id)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(removed)
    }

    fn shard(&self, id: WaiterId) -> MutexGuard<'_, HashMap<WaiterId, Waiter>> {
        let mine = usize::try_from(id).unwrap_or_default() % SHARDS;
        self.shards.get(mine).map_or_else(|| lock(&self.shards[0]), lock)
    }

    fn blocked(&self) -> MutexGuard<'_, VecDeque<WaiterId>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// What the caller is to be told, once it is known: the first refusal, or that all is well.
    fn answer(&self) -> Option<Answer> {
        match &self.refused {
            Some(refusal) => Some(Answer::Refused(refusal.clone())),
            None if self.open == 0 => Some(Answer::Safe),
            None => None,
        }
    }
}

/// A panicking holder leaves at worst a caller that waits until its deadline.
fn lock(shard: &Mutex<HashMap<WaiterId, Waiter>>) -> MutexGuard<'_, HashMap<WaiterId, Waiter>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Mailbox(Arc<Mutex<Vec<Answer>>>);

    impl Caller for Mailbox {
        fn tell(&self, _id: u64, answer: &Answer) {
            self.0.lock().expect("no panic").push(answer.clone());
        }
    }

    impl Mailbox {
        fn begin(&self, waiters: &Waiters) -> Option<WaiterId> {
            waiters.begin(Duration::from_secs(5), || Box::new(self.clone()))
        }

        fn take(&self) -> Vec<Answer> {
            std::mem::take(&mut *self.0.lock().expect("no panic"))
        }
    }

    fn waiters(max: usize) -> Waiters {
        let waiters = Waiters::default();
        waiters.resize(max);
        waiters
    }

    #[test]
    fn is_answered_once_when_all_records_are_safe() {
        let (waiters, mailbox) = (waiters(1), Mailbox::default());
        let id = mailbox.begin(&waiters).expect("room");
        waiters.expect(id);
        waiters.expect(id);
        assert_eq!(waiters.seal(id, true), None);
        waiters.settle(id, Ok(()));
        assert_eq!(mailbox.take(), []);
        waiters.settle(id, Ok(()));
        waiters.settle(id, Ok(()));
        assert_eq!(mailbox.take(), [Answer::Safe]);
        assert_eq!(waiters.count(), 0);
    }

    #[test]
    fn the_first_refusal_answers() {
        let (waiters, mailbox) = (waiters(1), Mailbox::default());
        let id = mailbox.begin(&waiters).expect("room");
        waiters.expect(id);
        waiters.expect(id);
        assert_eq!(waiters.seal(id, true), None);
        waiters.settle(id, Err("spool_error".into()));
        waiters.settle(id, Ok(()));
        assert_eq!(mailbox.take(), [Answer::Refused("spool_error".into())]);
    }

    #[test]
    fn what_is_settled_before_the_wait_needs_no_message() {
        let (waiters, mailbox) = (waiters(2), Mailbox::default());
        let safe = mailbox.begin(&waiters).expect("room");
        waiters.expect(safe);
        waiters.settle(safe, Ok(()));
        assert_eq!(waiters.seal(safe, true), Some(Ok(())));
        let refused = mailbox.begin(&waiters).expect("room");
        waiters.expect(refused);
        waiters.settle(refused, Err("x".into()));
        assert_eq!(waiters.seal(refused, true), Some(Err("x".into())));
        assert_eq!((mailbox.take(), waiters.count()), (vec![], 0));
    }

    #[test]
    fn who_gave_up_hears_nothing_more() {
        let (waiters, mailbox) = (waiters(2), Mailbox::default());
        let id = mailbox.begin(&waiters).expect("room");
        waiters.expect(id);
        assert_eq!(waiters.seal(id, true), None);
        assert!(waiters.cancel(id));
        waiters.settle(id, Ok(()));
        assert_eq!(mailbox.take(), []);
        let answered = mailbox.begin(&waiters).expect("room");
        waiters.expect(answered);
        assert_eq!(waiters.seal(answered, true), None);
        waiters.settle(answered, Ok(()));
        assert!(!waiters.cancel(answered), "the answer is in the mailbox");
        assert_eq!(mailbox.take(), [Answer::Safe]);
    }

    #[test]
    fn timeouts_and_disconnects_are_counted() {
        let (waiters, mailbox) = (waiters(3), Mailbox::default());
        let ids: Vec<_> = (0..3).filter_map(|_| mailbox.begin(&waiters)).collect();
        for id in &ids {
            waiters.expect(*id);
        }
        assert_eq!(
            (waiters.seal(ids[0], true), waiters.seal(ids[1], false), waiters.seal(ids[2], true)),
            (None, None, None)
        );
        assert!(waiters.cancel(ids[0]) && waiters.cancel(ids[1]));
        waiters.settle(ids[2], Err("x".into()));
        assert_eq!((waiters.timeouts(), waiters.disconnected()), (2, 2));
    }

    #[test]
    fn who_died_while_waiting_takes_no_place_for_ever() {
        let (waiters, mailbox) = (waiters(1), Mailbox::default());
        mailbox.begin(&waiters).expect("room");
        waiters.sweep(Instant::now());
        assert_eq!(waiters.count(), 1);
        waiters.sweep(Instant::now() + Duration::from_mins(1));
        assert_eq!(waiters.count(), 0);
    }

    #[test]
    fn no_more_than_the_bound_wait() {
        let (waiters, mailbox) = (waiters(1), Mailbox::default());
        let id = mailbox.begin(&waiters).expect("room");
        assert_eq!(mailbox.begin(&waiters), None);
        assert!(waiters.cancel(id));
        assert!(mailbox.begin(&waiters).is_some());
    }

    #[test]
    fn room_is_told_in_the_order_of_asking_and_ends_no_wait() {
        let (waiters, first, second) = (waiters(9), Mailbox::default(), Mailbox::default());
        let ids = [first.begin(&waiters).expect("room"), second.begin(&waiters).expect("room")];
        for id in ids {
            waiters.block(id);
        }
        waiters.tell_of_room(1);
        assert_eq!((first.take(), second.take()), (vec![Answer::Room], vec![]));
        waiters.unblock(ids[1]);
        waiters.tell_of_room(9);
        assert_eq!(second.take(), []);
        assert_eq!(waiters.count(), 2);
    }

    #[test]
    fn a_stop_answers_everybody() {
        let (waiters, waiting, coming) = (waiters(9), Mailbox::default(), Mailbox::default());
        let id = waiting.begin(&waiters).expect("room");
        waiters.expect(id);
        assert_eq!(waiters.seal(id, true), None);
        let late = coming.begin(&waiters).expect("room");
        waiters.expect(late);
        let blocked = Mailbox::default();
        waiters.block(blocked.begin(&waiters).expect("room"));
        waiters.refuse_all("closed");
        assert_eq!(blocked.take(), [Answer::Room]);
        assert_eq!(waiting.take(), [Answer::Refused("closed".into())]);
        assert_eq!(coming.take(), []);
        assert_eq!(waiters.seal(late, true), Some(Err("closed".into())));
        assert_eq!(waiters.count(), 1, "the one that comes again");
    }
}
