//! The producer's life: open, reload, reopen, suspend, close; and what is done while settings are wrong.

use std::time::Duration;

use rustler::{Binary, Encoder, Env, ListIterator, LocalPid, NifResult, OwnedEnv, Term};

use super::HANDLE;
use crate::config::Settings;
use crate::flow::handle::{Closed, Degraded, ReloadError};
use crate::nif::atoms;
use crate::nif::settings::{parse_settings, read_pairs};

/// Runs what ends, or makes, threads that answer callers: messages to them cannot be sent from a thread of the VM.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
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

/// What can be done with settings that are wrong: `spooling`, or `{counting, none | Why}`.
#[rustler::nif(schedule = "DirtyIo")]
fn degrade<'a>(env: Env<'a>, settings: ListIterator<'a>, node: Binary<'a>) -> NifResult<Term<'a>> {
    let pairs = read_pairs(settings)?;
    let node = String::from_utf8_lossy(node.as_slice()).into_owned();
    let partial = Settings::partial(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    ring_for(env.pid());
    Ok(match apart(|| HANDLE.degrade(partial, &node)) {
        Some(Degraded::Spooling) => atoms::spooling().encode(env),
        Some(Degraded::Counting(Some(why))) => (atoms::counting(), why).encode(env),
        Some(Degraded::Counting(None)) | None => (atoms::counting(), atoms::none()).encode(env),
    })
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
