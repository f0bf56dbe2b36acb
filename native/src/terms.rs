//! What `emq_plugin_kafka_event` makes of hook calls, read from Erlang terms. Total: a term that is none of these gives none.

use rustler::{Atom, Binary, ErlOption, NifRecord, Term};

use crate::atoms;
use crate::event::{Connection, Detail, Event, EventKind, Message, OptionValue, Publisher, Subscription};

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
#[tag = "received"]
#[rustler(decode)]
struct ReceivedTerm<'a> {
    hook: Atom,
    client_id: Binary<'a>,
    username: ErlOption<Binary<'a>>,
    message: PublishTerm<'a>,
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
#[tag = "subscriptions"]
#[rustler(decode)]
struct SubscriptionsTerm<'a> {
    hook: Atom,
    client_id: Binary<'a>,
    username: ErlOption<Binary<'a>>,
    topics: Term<'a>,
}

#[derive(NifRecord)]
#[tag = "session"]
#[rustler(decode)]
struct SessionTerm<'a> {
    hook: Atom,
    client_id: Binary<'a>,
    username: ErlOption<Binary<'a>>,
    reason: ErlOption<Binary<'a>>,
}

/// Subscription options beyond this many are no subscription's.
const MAX_OPTIONS: usize = 32;

/// A SUBSCRIBE packet of 64 KB, EMQ's default limit, has some 16,000 topics at most. A call with more than this is no event.
const MAX_TOPICS: usize = 100_000;

/// Reads the events of one hook call: one, or one for each topic of a SUBSCRIBE. None when the term is not one that
/// `emq_plugin_kafka_event` makes.
pub fn decode_events(term: Term<'_>) -> Option<Events<'_>> {
    if let Ok(publish) = term.decode::<PublishTerm<'_>>() {
        let detail = Detail::Message(message(&publish)?, None);
        return one(EventKind::MessagePublish, publish.client_id, &publish.username, detail);
    }
    if let Ok(received) = term.decode::<ReceivedTerm<'_>>() {
        let kind = kind(received.hook).filter(|kind| kind.has_message())?;
        let publisher =
            Publisher { client_id: received.message.client_id.as_slice(), username: bytes(&received.message.username) };
        let detail = Detail::Message(message(&received.message)?, Some(publisher));
        return one(kind, received.client_id, &received.username, detail);
    }
    if let Ok(ConnectedTerm { connack, client }) = term.decode() {
        let detail = Detail::Connected(connack, connection(&client));
        return one(EventKind::ClientConnected, client.client_id, &client.username, detail);
    }
    if let Ok(DisconnectedTerm { reason, client }) = term.decode() {
        let detail = Detail::Disconnected(reason.as_slice(), connection(&client));
        return one(EventKind::ClientDisconnected, client.client_id, &client.username, detail);
    }
    if let Ok(session) = term.decode::<SessionTerm<'_>>() {
        let kind = kind(session.hook)
            .filter(|kind| matches!(kind, EventKind::SessionCreated | EventKind::SessionTerminated))?;
        return one(kind, session.client_id, &session.username, Detail::Session(bytes(&session.reason)));
    }
    subscriptions(&term.decode().ok()?).map(Events::Many)
}

/// What one hook call reports. Nearly always one event, for which nothing is allocated.
pub enum Events<'a> {
    /// One event.
    One(Event<'a>),
    /// Those of a packet with several topics.
    Many(Vec<Event<'a>>),
}

#[allow(clippy::unnecessary_wraps, reason = "what its callers return")]
fn one<'a>(
    kind: EventKind,
    client_id: Binary<'a>,
    username: &ErlOption<Binary<'a>>,
    detail: Detail<'a>,
) -> Option<Events<'a>> {
    Some(Events::One(Event { kind, client_id: client_id.as_slice(), username: bytes(username), detail }))
}

fn kind(hook: Atom) -> Option<EventKind> {
    EventKind::ALL.into_iter().find(|kind| hook == hook_atom(*kind))
}

/// The name of an event's hook.
pub fn hook_atom(kind: EventKind) -> Atom {
    match kind {
        EventKind::ClientConnected => atoms::client_connected(),
        EventKind::ClientDisconnected => atoms::client_disconnected(),
        EventKind::ClientSubscribe => atoms::client_subscribe(),
        EventKind::ClientUnsubscribe => atoms::client_unsubscribe(),
        EventKind::SessionCreated => atoms::session_created(),
        EventKind::SessionSubscribed => atoms::session_subscribed(),
        EventKind::SessionUnsubscribed => atoms::session_unsubscribed(),
        EventKind::SessionTerminated => atoms::session_terminated(),
        EventKind::MessagePublish => atoms::message_publish(),
        EventKind::MessageDelivered => atoms::message_delivered(),
        EventKind::MessageAcked => atoms::message_acked(),
    }
}

fn bytes<'a>(binary: &ErlOption<Binary<'a>>) -> Option<&'a [u8]> {
    binary.as_ref().map(|binary| binary.as_slice())
}

fn message<'a>(term: &PublishTerm<'a>) -> Option<Message<'a>> {
    Some(Message {
        topic: term.topic.as_slice(),
        payload: term.payload.as_slice(),
        qos: Some(term.qos).filter(|qos| *qos <= 2)?,
        dup: term.dup,
        retain: term.retain,
        id: match bytes(&term.id) {
            Some(id) if id.len() != 16 => return None,
            id => id,
        },
        timestamp: term.timestamp,
    })
}

fn connection<'a>(term: &ClientTerm<'a>) -> Connection<'a> {
    Connection {
        peerhost: term.peerhost.as_slice(),
        peerport: term.peerport,
        proto_ver: term.proto_ver,
        keepalive: term.keepalive,
        clean_session: term.clean_session,
        will_topic: bytes(&term.will_topic),
        connected_at: term.connected_at,
    }
}

fn subscriptions<'a>(term: &SubscriptionsTerm<'a>) -> Option<Vec<Event<'a>>> {
    let kind = kind(term.hook).filter(|kind| kind.has_subscription())?;
    elements(term.topics, MAX_TOPICS)?
        .into_iter()
        .map(|topic| {
            let (topic, opts) = topic.decode::<(Binary<'a>, Term<'a>)>().ok()?;
            let opts = elements(opts, MAX_OPTIONS)?.into_iter().map(subscription_option).collect::<Option<_>>()?;
            let detail = Detail::Subscription(Subscription { topic: topic.as_slice(), opts });
            Some(Event { kind, client_id: term.client_id.as_slice(), username: bytes(&term.username), detail })
        })
        .collect()
}

/// The elements of a proper list of at most `max`. Cell by cell, because a list iterator of rustler panics on an improper list.
fn elements(list: Term<'_>, max: usize) -> Option<Vec<Term<'_>>> {
    let mut elements = Vec::new();
    let mut rest = list;
    while !rest.is_empty_list() {
        let (head, tail) = rest.list_get_cell().ok()?;
        if elements.len() == max {
            return None;
        }
        elements.push(head);
        rest = tail;
    }
    Some(elements)
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
