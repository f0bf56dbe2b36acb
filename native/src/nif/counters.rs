//! All counters at one instant.

use emq_kafka_spool::State;
use rustler::{Atom, Encoder, Env, NifResult, Term};

use super::HANDLE;
use crate::metrics::DropReason;
use crate::nif::atoms;

/// The atom of a drop reason.
pub fn reason_atom(reason: DropReason) -> Atom {
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
        DropReason::SpoolFull => atoms::spool_full(),
        DropReason::SpoolError => atoms::spool_error(),
        DropReason::Corrupt => atoms::corrupt(),
        DropReason::LeftBehind => atoms::left_behind(),
        DropReason::WaitersFull => atoms::waiters_full(),
        DropReason::Degraded => atoms::degraded(),
    }
}

/// All counters at one instant, as a map.
#[rustler::nif]
fn stats(env: Env<'_>) -> NifResult<Term<'_>> {
    let snapshot = HANDLE.metrics().snapshot();
    let waiters = &HANDLE.shared().waiters;
    let dropped_by =
        DropReason::ALL.map(|reason| (reason_atom(reason), snapshot.dropped.get(&reason).copied().unwrap_or(0)));
    Term::map_from_pairs(
        env,
        &[
            (atoms::accepted(), snapshot.accepted.encode(env)),
            (atoms::success(), snapshot.success.encode(env)),
            (atoms::failed(), snapshot.failed_total().encode(env)),
            (atoms::failed_by(), Term::map_from_pairs(env, &Vec::from_iter(&snapshot.failed))?),
            (atoms::dropped(), snapshot.dropped_total().encode(env)),
            (atoms::dropped_by(), Term::map_from_pairs(env, &dropped_by)?),
            (atoms::spooled(), snapshot.spooled.encode(env)),
            (atoms::queued(), snapshot.queued.encode(env)),
            (atoms::queued_bytes(), snapshot.queued_bytes.encode(env)),
            (atoms::redirected(), snapshot.redirected.encode(env)),
            (atoms::recovered(), snapshot.recovered.encode(env)),
            (atoms::dead_lettered(), snapshot.dead_lettered.encode(env)),
            (atoms::unseen(), HANDLE.metrics().unseen.count().encode(env)),
            (atoms::waiting(), waiters.count().encode(env)),
            (atoms::wait_timeouts(), waiters.timeouts().encode(env)),
            (atoms::disconnected(), waiters.disconnected().encode(env)),
            (atoms::spool(), spool_term(env)?),
        ],
    )
}

fn spool_term(env: Env<'_>) -> NifResult<Term<'_>> {
    let Some(spool) = HANDLE.spool() else { return Ok(atoms::off().encode(env)) };
    let state = match spool.state {
        State::Ok => atoms::ok(),
        State::Full => atoms::full(),
        State::Failed => atoms::failed(),
    };
    Term::map_from_pairs(
        env,
        &[
            (atoms::records(), spool.records.encode(env)),
            (atoms::bytes(), spool.bytes.encode(env)),
            (atoms::max_bytes(), spool.max_bytes.encode(env)),
            (atoms::segments(), spool.segments.encode(env)),
            (atoms::oldest_ms(), spool.oldest_ms.unwrap_or(0).encode(env)),
            (atoms::state(), state.encode(env)),
        ],
    )
}
