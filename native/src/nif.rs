//! The NIFs: terms in, terms out. Everything that knows rustler is here and in `atoms`.

use std::time::Duration;

use once_cell::sync::Lazy;
use rustler::{Atom, Binary, Encoder, Env, ErlOption, ListIterator, NifRecord, NifResult, Term};

use crate::atoms;
use crate::config::Settings;
use crate::event::{Client, Event, Message, OptionValue, Subscription};
use crate::metrics::{DropReason, Snapshot};
use crate::pipeline::{Handle, Outcome, Status};

/// The one global producer, and the counters that outlive it.
static HANDLE: Lazy<Handle> = Lazy::new(Handle::default);

/// A record of this size costs about 10 us, one percent of a time slice.
const BYTES_PER_PERCENT: usize = 16 * 1024;

rustler::init!("emq_plugin_kafka_nif");

#[derive(NifRecord)]
#[tag = "publish"]
#[rustler(decode)]
struct PublishTerm<'a> {
    client_id: Binary<'a>,
    username: ErlOption<Binary<'a>>,
    topic: Binary<'a>,
    payload: Binary<'a>,
    qos: u8,
    dup: bool,
    retain: bool,
    id: ErlOption<Binary<'a>>,
    timestamp: i64,
}

#[derive(NifRecord)]
#[tag = "connected"]
#[rustler(decode)]
struct ConnectedTerm<'a> {
    connack: u8,
    client: ClientTerm<'a>,
}

#[derive(NifRecord)]
#[tag = "disconnected"]
#[rustler(decode)]
struct DisconnectedTerm<'a> {
    reason: Binary<'a>,
    client: ClientTerm<'a>,
}

#[derive(NifRecord)]
#[tag = "client"]
#[rustler(decode)]
struct ClientTerm<'a> {
    client_id: Binary<'a>,
    username: ErlOption<Binary<'a>>,
    peerhost: Binary<'a>,
    peerport: u16,
    proto_ver: u8,
    keepalive: u16,
    clean_session: bool,
    will_topic: ErlOption<Binary<'a>>,
    connected_at: i64,
}

#[derive(NifRecord)]
#[tag = "subscribed"]
#[rustler(decode)]
struct SubscribedTerm<'a> {
    client_id: Binary<'a>,
    username: ErlOption<Binary<'a>>,
    topic: Binary<'a>,
    opts: Term<'a>,
}

#[derive(NifRecord)]
#[tag = "unsubscribed"]
#[rustler(decode)]
struct UnsubscribedTerm<'a> {
    client_id: Binary<'a>,
    username: ErlOption<Binary<'a>>,
    topic: Binary<'a>,
    opts: Term<'a>,
}

/// Subscription options beyond this many are no subscription's.
const MAX_OPTIONS: usize = 32;

/// Reads an event; none when the term is not one that `emq_plugin_kafka_event` makes.
fn decode_event(term: Term<'_>) -> Option<Event<'_>> {
    if let Ok(publish) = term.decode::<PublishTerm<'_>>() {
        return Some(Event::Publish(Message {
            client_id: publish.client_id.as_slice(),
            username: bytes(&publish.username),
            topic: publish.topic.as_slice(),
            payload: publish.payload.as_slice(),
            qos: Some(publish.qos).filter(|qos| *qos <= 2)?,
            dup: publish.dup,
            retain: publish.retain,
            id: match bytes(&publish.id) {
                Some(id) if id.len() != 16 => return None,
                id => id,
            },
            timestamp: publish.timestamp,
        }));
    }
    if let Ok(term) = term.decode::<ConnectedTerm<'_>>() {
        return Some(Event::Connected { connack: term.connack, client: client(&term.client) });
    }
    if let Ok(term) = term.decode::<DisconnectedTerm<'_>>() {
        return Some(Event::Disconnected { reason: term.reason.as_slice(), client: client(&term.client) });
    }
    if let Ok(term) = term.decode::<SubscribedTerm<'_>>() {
        return subscription(term.client_id, &term.username, term.topic, term.opts).map(Event::Subscribed);
    }
    if let Ok(term) = term.decode::<UnsubscribedTerm<'_>>() {
        return subscription(term.client_id, &term.username, term.topic, term.opts).map(Event::Unsubscribed);
    }
    None
}

fn bytes<'a>(binary: &ErlOption<Binary<'a>>) -> Option<&'a [u8]> {
    binary.as_ref().map(|binary| binary.as_slice())
}

fn client<'a>(term: &ClientTerm<'a>) -> Client<'a> {
    Client {
        client_id: term.client_id.as_slice(),
        username: bytes(&term.username),
        peerhost: term.peerhost.as_slice(),
        peerport: term.peerport,
        proto_ver: term.proto_ver,
        keepalive: term.keepalive,
        clean_session: term.clean_session,
        will_topic: bytes(&term.will_topic),
        connected_at: term.connected_at,
    }
}

fn subscription<'a>(
    client_id: Binary<'a>,
    username: &ErlOption<Binary<'a>>,
    topic: Binary<'a>,
    opts: Term<'a>,
) -> Option<Subscription<'a>> {
    let mut decoded = Vec::new();
    let mut rest = opts;
    // Cell by cell, because a list iterator of rustler would panic on an improper list.
    while !rest.is_empty_list() {
        let (head, tail) = rest.list_get_cell().ok()?;
        if decoded.len() == MAX_OPTIONS {
            return None;
        }
        decoded.push(subscription_option(head)?);
        rest = tail;
    }
    Some(Subscription {
        client_id: client_id.as_slice(),
        username: bytes(username),
        topic: topic.as_slice(),
        opts: decoded,
    })
}

/// An element of a property list: `{Name, Value}`, or `Name` for a flag that is set.
fn subscription_option<'a>(term: Term<'a>) -> Option<(String, OptionValue<'a>)> {
    if let Ok(name) = term.atom_to_string() {
        return Some((name, OptionValue::Bool(true)));
    }
    let (name, value) = term.decode::<(Term<'a>, Term<'a>)>().ok()?;
    let name = name.atom_to_string().ok()?;
    let value = if let Ok(value) = value.decode::<i64>() {
        OptionValue::Int(value)
    } else if let Ok(value) = value.decode::<bool>() {
        OptionValue::Bool(value)
    } else if let Ok(value) = value.decode::<Binary<'a>>() {
        OptionValue::Text(value.as_slice())
    } else {
        OptionValue::Atom(value.atom_to_string().ok()?)
    };
    Some((name, value))
}

/// Queues the record of an event. Total: any term has an outcome, and is counted.
#[rustler::nif]
fn produce<'a>(env: Env<'a>, event: Term<'a>) -> Term<'a> {
    let outcome = submit(event);
    if let Outcome::Queued(bytes) = outcome
        && bytes > BYTES_PER_PERCENT
    {
        let percent = i32::try_from(bytes / BYTES_PER_PERCENT).unwrap_or(100).min(100);
        rustler::schedule::consume_timeslice(env, percent);
    }
    outcome_term(env, outcome)
}

/// The same on a dirty scheduler, for records that would take a normal one for too long.
#[rustler::nif(schedule = "DirtyCpu")]
fn produce_large<'a>(env: Env<'a>, event: Term<'a>) -> Term<'a> {
    outcome_term(env, submit(event))
}

fn submit(event: Term<'_>) -> Outcome {
    match decode_event(event) {
        Some(event) => HANDLE.submit(&event),
        None => HANDLE.bad_event(),
    }
}

fn outcome_term(env: Env<'_>, outcome: Outcome) -> Term<'_> {
    match outcome {
        Outcome::Queued(_) => atoms::ok().encode(env),
        Outcome::Ignored => atoms::ignored().encode(env),
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
    let Snapshot { accepted, success, failed: failed_by, dropped: dropped_by, queued, queued_bytes } = snapshot;
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
        ],
    )
}

/// Takes what waits to be logged: `[{Kind, Text, Count}]`.
#[rustler::nif]
fn take_notices(env: Env<'_>) -> Term<'_> {
    let notices = HANDLE.notices().take();
    notices.into_iter().map(|notice| (notice.kind, notice.text, notice.count)).collect::<Vec<_>>().encode(env)
}
