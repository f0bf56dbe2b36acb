//! The NIFs. Everything that knows rustler is here, in `terms` and in `atoms`.

use std::time::Duration;

use once_cell::sync::Lazy;
use rustler::{Atom, Binary, Encoder, Env, ListIterator, NifResult, Term};

use crate::atoms;
use crate::config::Settings;
use crate::event::Event;
use crate::handle::{Handle, Status};
use crate::metrics::{DropReason, Snapshot};
use crate::pipeline::Outcome;
use crate::terms::{Events, decode_events, hook_atom};

/// The one global producer, and the counters that outlive it.
static HANDLE: Lazy<Handle> = Lazy::new(Handle::default);

/// A record of this size costs about 10 us, one percent of a time slice.
const BYTES_PER_PERCENT: usize = 16 * 1024;

/// The records of a packet with several topics are made on a normal scheduler up to this much: 64 topics of a client with an
/// ordinary name.
const LIGHT_BYTES: usize = 128 * 1024;

/// What one of them costs beside the client's name, in bytes read.
const TOPIC_COST: usize = 2048;

rustler::init!("emq_plugin_kafka_nif");

/// Queues the records of an event. Total: any term has an outcome, and is counted. `heavy` means that nothing was done, because
/// it would take too long here: `produce_large` is to be called.
#[rustler::nif]
fn produce<'a>(env: Env<'a>, event: Term<'a>) -> Term<'a> {
    let outcome = submit(event, false);
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
fn produce_large<'a>(env: Env<'a>, event: Term<'a>) -> Term<'a> {
    outcome_term(env, submit(event, true))
}

fn submit(event: Term<'_>, patient: bool) -> Outcome {
    match decode_events(event) {
        Some(Events::One(event)) => HANDLE.submit(&event, patient),
        // Each has the same client's name in it, and no payload.
        Some(Events::Many(events)) if !patient && cost(&events) > LIGHT_BYTES => Outcome::Heavy,
        Some(Events::Many(events)) => {
            events.iter().fold(Outcome::Ignored, |sum, event| match (sum, HANDLE.submit(event, true)) {
                (Outcome::Queued(before), Outcome::Queued(bytes)) => Outcome::Queued(before + bytes),
                (Outcome::Dropped(reason), _) => Outcome::Dropped(reason),
                (_, outcome) => outcome,
            })
        }
        None => HANDLE.bad_event(),
    }
}

fn cost(events: &[Event<'_>]) -> usize {
    let name = events.first().map_or(0, |event| event.client_id.len());
    events.len().saturating_mul(TOPIC_COST.saturating_add(name))
}

fn outcome_term(env: Env<'_>, outcome: Outcome) -> Term<'_> {
    match outcome {
        Outcome::Queued(_) => atoms::ok().encode(env),
        Outcome::Ignored => atoms::ignored().encode(env),
        Outcome::Heavy => atoms::heavy().encode(env),
        Outcome::Dropped(reason) => (atoms::error(), reason_atom(reason)).encode(env),
    }
}

fn reason_atom(reason: DropReason) -> Atom {
    match reason {
        DropReason::BadEvent => atoms::bad_event(),
        DropReason::Closed => atoms::closed(),
        DropReason::QueueFull => atoms::queue_full(),
        DropReason::TooLarge => atoms::too_large(),
        DropReason::UnknownTopic => atoms::unknown_topic(),
        DropReason::Fatal => atoms::fatal(),
        DropReason::Purged => atoms::purged(),
        DropReason::Refused => atoms::refused(),
        DropReason::MissingField => atoms::missing_field(),
    }
}

/// Opens the producer: `ok`, `already_open`, or `{error, [Problem]}`.
#[rustler::nif(schedule = "DirtyIo")]
fn open<'a>(env: Env<'a>, settings: ListIterator<'a>, node: Binary<'a>) -> NifResult<Term<'a>> {
    let settings = match parse_settings(settings)? {
        Ok(settings) => settings,
        Err(problems) => return Ok((atoms::error(), problems).encode(env)),
    };
    Ok(match HANDLE.open(settings, &String::from_utf8_lossy(node.as_slice())) {
        Ok(true) => atoms::ok().encode(env),
        Ok(false) => atoms::already_open().encode(env),
        Err(error) => (atoms::error(), vec![error.to_string()]).encode(env),
    })
}

/// Checks settings without opening anything: `{ok, [{Key, Value}]}`, secrets replaced, or `{error, [Problem]}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn check<'a>(env: Env<'a>, settings: ListIterator<'a>) -> NifResult<Term<'a>> {
    Ok(match parse_settings(settings)? {
        Ok(settings) => (atoms::ok(), settings.redacted()).encode(env),
        Err(problems) => (atoms::error(), problems).encode(env),
    })
}

fn parse_settings(terms: ListIterator<'_>) -> NifResult<Result<Settings, Vec<String>>> {
    let pairs: Vec<(String, String)> = terms.map(Term::decode).collect::<NifResult<_>>()?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Settings::parse(pairs).map_err(|errors| errors.iter().map(ToString::to_string).collect()))
}

/// Closes the producer: `{ok, GivenUp}`, or `{error, closed}` when none was open.
#[rustler::nif(schedule = "DirtyIo")]
fn close(env: Env<'_>, timeout_ms: u64) -> Term<'_> {
    match HANDLE.close(Duration::from_millis(timeout_ms)) {
        Some(closed) => (atoms::ok(), closed.given_up).encode(env),
        None => (atoms::error(), atoms::closed()).encode(env),
    }
}

/// `closed`, `{open, Settings}` or `{fatal, Settings}`.
#[rustler::nif]
fn status(env: Env<'_>) -> Term<'_> {
    match HANDLE.status() {
        Status::Closed => atoms::closed().encode(env),
        Status::Open(settings) => (atoms::open(), settings).encode(env),
        Status::Fatal(settings) => (atoms::fatal(), settings).encode(env),
    }
}

/// All counters at one instant, as a map.
#[rustler::nif]
fn stats(env: Env<'_>) -> NifResult<Term<'_>> {
    let snapshot = HANDLE.metrics().snapshot();
    let (failed, dropped) = (snapshot.failed_total(), snapshot.dropped_total());
    let Snapshot { accepted, success, failed: failed_by, dropped: dropped_by, queued, queued_bytes, redirected } =
        snapshot;
    let dropped_by = DropReason::ALL.map(|reason| (reason_atom(reason), dropped_by.get(&reason).copied().unwrap_or(0)));
    Term::map_from_pairs(
        env,
        &[
            (atoms::accepted(), accepted.encode(env)),
            (atoms::success(), success.encode(env)),
            (atoms::failed(), failed.encode(env)),
            (atoms::failed_by(), Term::map_from_pairs(env, &Vec::from_iter(failed_by))?),
            (atoms::dropped(), dropped.encode(env)),
            (atoms::dropped_by(), Term::map_from_pairs(env, &dropped_by)?),
            // No spool in this version: nothing can be in it.
            (atoms::spooled(), 0.encode(env)),
            (atoms::queued(), queued.encode(env)),
            (atoms::queued_bytes(), queued_bytes.encode(env)),
            (atoms::redirected(), redirected.encode(env)),
        ],
    )
}

/// The hooks that some rule needs; none while no producer is open.
#[rustler::nif]
fn hooks(env: Env<'_>) -> Term<'_> {
    HANDLE.events().into_iter().map(hook_atom).collect::<Vec<_>>().encode(env)
}

/// Takes what waits to be logged: `[{Kind, Text, Count}]`.
#[rustler::nif]
fn take_notices(env: Env<'_>) -> Term<'_> {
    let notices = HANDLE.notices().take();
    notices.into_iter().map(|notice| (notice.kind, notice.text, notice.count)).collect::<Vec<_>>().encode(env)
}
