//! The NIFs. Everything that knows rustler is here, in `terms` and in `atoms`.

mod atoms;
mod build;
mod fields;
mod init;
mod observe;
mod operate;
mod settings;
mod terms;

use std::cell::RefCell;
use std::time::Duration;

use emq_kafka_spool::State;
use once_cell::sync::Lazy;
use rustler::{Atom, Binary, Encoder, Env, ListIterator, LocalPid, NifResult, OwnedEnv, Term};

use crate::account::notices::Level;
use crate::account::waiters::{Answer, Caller, WaiterId};
use crate::config::Settings;
use crate::config::names::{Key, Naming};
use crate::event::Event;
use crate::exporter::Exporter;
use crate::flow::handle::{Closed, Handle, ReloadError, Status};
use crate::flow::outcome::{Outcome, Publisher};
use crate::metrics::DropReason;
use crate::nif::terms::{Events, decode_events, hook_atom};

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

/// Runs what ends, or makes, threads that answer callers: messages to them cannot be sent from a thread of the VM.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("emq_kafka_life".to_owned()).spawn_scoped(scope, work).ok()?;
        thread.join().ok()
    })
}

/// Opens the producer: `ok`, `already_open`, or `{error, [Problem]}`.
#[rustler::nif(schedule = "DirtyIo")]
fn open<'a>(env: Env<'a>, settings: ListIterator<'a>, node: Binary<'a>) -> NifResult<Term<'a>> {
    let settings = match parse_settings(settings)? {
        Ok(settings) => settings,
        Err(problems) => return Ok((atoms::error(), problems).encode(env)),
    };
    let node = String::from_utf8_lossy(node.as_slice()).into_owned();
    ring_for(env.pid());
    Ok(match apart(|| HANDLE.open(settings, &node)) {
        Some(Ok(true)) => atoms::ok().encode(env),
        Some(Ok(false)) => atoms::already_open().encode(env),
        Some(Err(error)) => (atoms::error(), vec![error.to_string()]).encode(env),
        None => no_thread(env),
    })
}

/// Has the process told, by `{emq_plugin_kafka, spoiled}`, when the producer is to be exchanged by `reopen` at once. The message
/// comes from a thread of ours: sending fails on one of the VM's.
fn ring_for(owner: LocalPid) {
    HANDLE.shared().isolated_topics.on_change(move || {
        OwnedEnv::new().send_and_clear(&owner, |_| (atoms::emq_plugin_kafka(), atoms::spoiled())).ok();
    });
}

fn no_thread(env: Env<'_>) -> Term<'_> {
    (atoms::error(), vec!["the operating system refused a thread".to_owned()]).encode(env)
}

/// Exchanges the settings without a gap: `ok`, or `{error, [Problem]}`, and nothing has changed.
#[rustler::nif(schedule = "DirtyIo")]
fn reload<'a>(env: Env<'a>, settings: ListIterator<'a>, node: Binary<'a>) -> NifResult<Term<'a>> {
    let settings = match parse_settings(settings)? {
        Ok(settings) => settings,
        Err(problems) => return Ok((atoms::error(), problems).encode(env)),
    };
    let node = String::from_utf8_lossy(node.as_slice()).into_owned();
    Ok(reloaded(env, apart(|| HANDLE.reload(settings, &node))))
}

/// Exchanges a producer that has failed for good: `ok` or `{error, [Problem]}`.
#[rustler::nif(schedule = "DirtyIo")]
fn reopen(env: Env<'_>) -> Term<'_> {
    reloaded(env, apart(|| HANDLE.reopen()))
}

fn reloaded(env: Env<'_>, result: Option<Result<(), ReloadError>>) -> Term<'_> {
    match result {
        Some(Ok(())) => atoms::ok().encode(env),
        Some(Err(error)) => (atoms::error(), vec![error.to_string()]).encode(env),
        None => no_thread(env),
    }
}

/// Hands the producer's backlog to the spool, where all records go from now on: `{ok, Spooled}`, or `{error, no_spool}`.
#[rustler::nif(schedule = "DirtyIo")]
fn suspend(env: Env<'_>) -> Term<'_> {
    match apart(|| HANDLE.suspend()).flatten() {
        Some(spooled) => (atoms::ok(), spooled).encode(env),
        None => (atoms::error(), atoms::no_spool()).encode(env),
    }
}

/// What texts call a setting from now on: `conf` for the key in a conf file, `hocon` for the field of EMQX 5's configuration.
#[rustler::nif]
fn name_settings(naming: Atom) -> Atom {
    let naming = if naming == atoms::hocon() { Naming::Hocon } else { Naming::Conf };
    naming.use_it();
    atoms::ok()
}

/// How the operator wrote a setting, for texts made elsewhere. Its name is that in the conf file, without the prefix.
#[rustler::nif]
fn setting_name(name: Binary<'_>) -> String {
    Key(&String::from_utf8_lossy(name.as_slice())).to_string()
}

/// Checks settings without opening anything: `{ok, [{Key, Value}]}`, secrets replaced, or `{error, [Problem]}`.
#[rustler::nif(schedule = "DirtyCpu")]
fn check<'a>(env: Env<'a>, settings: ListIterator<'a>) -> NifResult<Term<'a>> {
    Ok(match parse_settings(settings)? {
        Ok(settings) => (atoms::ok(), settings.redacted()).encode(env),
        Err(problems) => (atoms::error(), problems).encode(env),
    })
}

fn read_pairs(terms: ListIterator<'_>) -> NifResult<Vec<(String, String)>> {
    terms.map(Term::decode).collect()
}

fn parse_settings(terms: ListIterator<'_>) -> NifResult<Result<Settings, Vec<String>>> {
    let pairs = read_pairs(terms)?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Settings::parse(pairs).map_err(|errors| errors.iter().map(ToString::to_string).collect()))
}

/// Closes the producer: `{ok, #{given_up, spooled}}`, or `{error, closed}` when none was open.
#[rustler::nif(schedule = "DirtyIo")]
fn close(env: Env<'_>, timeout_ms: u64) -> NifResult<Term<'_>> {
    Ok(match apart(|| HANDLE.close(Duration::from_millis(timeout_ms))).flatten() {
        Some(Closed { given_up, spooled }) => {
            let map = [(atoms::given_up(), given_up.encode(env)), (atoms::spooled(), spooled.encode(env))];
            (atoms::ok(), Term::map_from_pairs(env, &map)?).encode(env)
        }
        None => (atoms::error(), atoms::closed()).encode(env),
    })
}

/// `closed`, `spooling`, `{open, Settings}`, `{fatal, Settings}` or `{spoiled, Settings}`.
#[rustler::nif]
fn status(env: Env<'_>) -> Term<'_> {
    match HANDLE.status() {
        Status::Closed => atoms::closed().encode(env),
        Status::Spooling => atoms::spooling().encode(env),
        Status::Open(settings) => (atoms::open(), settings).encode(env),
        Status::Fatal(settings) => (atoms::fatal(), settings).encode(env),
        Status::Spoiled(settings) => (atoms::spoiled(), settings).encode(env),
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

/// The hooks that some rule needs; none while no producer is open.
#[rustler::nif]
fn hooks(env: Env<'_>) -> Term<'_> {
    HANDLE.events().into_iter().map(hook_atom).collect::<Vec<_>>().encode(env)
}

/// Takes what waits to be logged: `[{Level, Kind, Text, Count}]`.
#[rustler::nif]
fn take_notices(env: Env<'_>) -> Term<'_> {
    let notices = HANDLE.notices().take();
    let level = |level| match level {
        Level::Error => atoms::error(),
        Level::Warning => atoms::warning(),
        Level::Info => atoms::info(),
    };
    let terms = notices.into_iter().map(|notice| (level(notice.level), notice.kind, notice.text, notice.count));
    terms.collect::<Vec<_>>().encode(env)
}
