//! The NIFs. Nothing outside of this room knows rustler. This file has the ones that hooks call.

mod atoms;
mod build;
mod counters;
mod fields;
mod init;
mod life;
mod observe;
mod operate;
mod settings;
mod terms;

use std::cell::RefCell;
use std::time::Duration;

use once_cell::sync::Lazy;
use rustler::{Atom, Encoder, Env, LocalPid, OwnedEnv, Term};

use crate::account::waiters::{Answer, Caller, WaiterId};
use crate::event::Event;
use crate::exporter::Exporter;
use crate::flow::handle::Handle;
use crate::flow::outcome::{Outcome, Publisher};
use crate::metrics::DropReason;
use crate::nif::counters::reason_atom;
use crate::nif::terms::{Events, decode_events};

/// The one global producer, and the counters that outlive it.
static HANDLE: Lazy<Handle> = Lazy::new(|| Handle::new(Exporter::default()));

/// A record of this size costs about 10 us, one percent of a time slice.
const BYTES_PER_PERCENT: usize = 16 * 1024;

/// The records of a packet with several topics are made on a normal scheduler up to this much: 64 topics of a client with an
/// ordinary name.
const LIGHT_BYTES: usize = 128 * 1024;

/// What one of them costs beside the client's name, in bytes read.
const TOPIC_COST: usize = 2048;

/// Takes an event in. Total: any term has an outcome, and is counted. `heavy` means that nothing was done, because it would take
/// too long here: `produce_large` is to be called. `wait`: the caller may wait.
#[rustler::nif]
fn produce<'a>(env: Env<'a>, event: Term<'a>, wait: Atom) -> Term<'a> {
    let outcome = submit(env, event, wait, false);
    if let Outcome::Queued(bytes) = outcome
        && bytes > BYTES_PER_PERCENT
    {
        let percent = i32::try_from(bytes / BYTES_PER_PERCENT).unwrap_or(100).min(100);
        rustler::schedule::consume_timeslice(env, percent);
    }
    outcome_term(env, outcome)
}

/// The same on a dirty scheduler.
#[rustler::nif(schedule = "DirtyCpu")]
fn produce_large<'a>(env: Env<'a>, event: Term<'a>, wait: Atom) -> Term<'a> {
    outcome_term(env, submit(env, event, wait, true))
}

/// After the caller was told of room: the same event again, from the record on that found none.
#[rustler::nif(schedule = "DirtyCpu")]
fn produce_rest<'a>(env: Env<'a>, event: Term<'a>, id: WaiterId, from: usize) -> Term<'a> {
    outcome_term(env, submit_again(env, event, id, from, false))
}

/// After the caller has waited for room in vain: what finds none now is dropped.
#[rustler::nif(schedule = "DirtyCpu")]
fn give_up<'a>(env: Env<'a>, event: Term<'a>, id: WaiterId, from: usize) -> Term<'a> {
    outcome_term(env, submit_again(env, event, id, from, true))
}

/// After the caller has waited in vain: `cancelled`, or `answered`, where the answer is in its mailbox.
#[rustler::nif]
fn cancel(id: WaiterId) -> Atom {
    if HANDLE.shared().waiters.cancel(id) { atoms::cancelled() } else { atoms::answered() }
}

fn submit<'a>(env: Env<'a>, event: Term<'a>, wait: Atom, dirty: bool) -> Outcome {
    let caller = || Box::new(Process(env.pid())) as Box<dyn Caller>;
    match decode_events(event, dirty) {
        Some(Events::Long) => Outcome::TooLong,
        Some(Events::One(event)) if wait == atoms::wait() => HANDLE.submit(&event, &Publisher::CanWait(&caller), dirty),
        Some(Events::One(event)) => HANDLE.submit(&event, &Publisher::CannotWait, dirty),
        // Each has the same client's name in it, and no payload.
        Some(Events::Many(events)) if !dirty && cost(&events) > LIGHT_BYTES => Outcome::TooLong,
        Some(Events::Many(events)) => events.iter().fold(Outcome::Ignored, |sum, event| {
            match (sum, HANDLE.submit(event, &Publisher::CannotWait, true)) {
                (Outcome::Queued(before), Outcome::Queued(bytes)) => Outcome::Queued(before + bytes),
                (Outcome::Dropped(reason), _) => Outcome::Dropped(reason),
                (_, outcome) => outcome,
            }
        }),
        None => HANDLE.bad_event(),
    }
}

fn submit_again<'a>(env: Env<'a>, event: Term<'a>, id: WaiterId, from: usize, last: bool) -> Outcome {
    let caller = || Box::new(Process(env.pid())) as Box<dyn Caller>;
    HANDLE.unblock(id);
    match decode_events(event, true) {
        Some(Events::One(event)) => HANDLE.submit(&event, &Publisher::Retry { caller: &caller, id, from, last }, true),
        Some(Events::Many(_) | Events::Long) | None => {
            HANDLE.shared().waiters.withdraw(id);
            HANDLE.bad_event()
        }
    }
}

fn cost(events: &[Event<'_>]) -> usize {
    let name = events.first().map_or(0, |event| event.client_id.len());
    let extra: usize = events.iter().map(Event::extra_size).sum();
    events.len().saturating_mul(TOPIC_COST.saturating_add(name)).saturating_add(extra)
}

/// A process that waits.
struct Process(LocalPid);

impl Caller for Process {
    fn tell(&self, id: WaiterId, answer: &Answer) {
        thread_local! {
            static MESSAGE: RefCell<OwnedEnv> = RefCell::new(OwnedEnv::new());
        }
        let send = |message: &RefCell<OwnedEnv>| {
            // A process that is gone hears nothing. Nobody else can have borrowed it: sending calls nothing of ours.
            if let Ok(mut message) = message.try_borrow_mut() {
                message.send_and_clear(&self.0, |env| (atoms::emq_plugin_kafka(), id, answer_term(env, answer))).ok();
            }
        };
        MESSAGE.try_with(send).ok();
    }
}

fn answer_term<'a>(env: Env<'a>, answer: &Answer) -> Term<'a> {
    match answer {
        Answer::Safe => atoms::ok().encode(env),
        Answer::Room => atoms::room().encode(env),
        Answer::Refused(refusal) => (atoms::error(), refusal_term(env, refusal)).encode(env),
    }
}

/// A reason of ours is an atom; the names of Kafka's errors, of which there are many, are binaries.
fn refusal_term<'a>(env: Env<'a>, refusal: &str) -> Term<'a> {
    match DropReason::ALL.into_iter().find(|reason| reason.name() == refusal) {
        Some(reason) => reason_atom(reason).encode(env),
        None => refusal.encode(env),
    }
}

fn outcome_term(env: Env<'_>, outcome: Outcome) -> Term<'_> {
    let milliseconds = |timeout: Duration| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Queued(_) => atoms::ok().encode(env),
        Outcome::Ignored => atoms::ignored().encode(env),
        Outcome::TooLong => atoms::heavy().encode(env),
        Outcome::Dropped(reason) => (atoms::error(), refusal_term(env, &reason)).encode(env),
        Outcome::Refused(reason) => (atoms::refused(), refusal_term(env, &reason)).encode(env),
        Outcome::Wait { id, timeout, disconnects } => {
            let on_failure = if disconnects { atoms::disconnect() } else { atoms::continue_() };
            (atoms::wait(), id, milliseconds(timeout), on_failure).encode(env)
        }
        Outcome::Full { id, timeout, from } => (atoms::full(), id, milliseconds(timeout), from).encode(env),
    }
}
