//! What `emq_plugin_kafka_event` makes of hook calls, read from Erlang terms. Total: a term that is none of these gives none.

use rustler::{Atom, Binary, Term};

use crate::event::extra::Attribute;
use crate::event::{Connection, Detail, Event, EventKind, Message, OptionValue, Publisher, Subscription};
use crate::nif::atoms;
use crate::nif::fields::Fields;

mod extra;
mod payload;

/// Subscription options beyond this many are no subscription's.
const MAX_OPTIONS: usize = 32;

/// A SUBSCRIBE packet of 64 KB, EMQ's default limit, has some 16,000 topics at most. A call with more than this is no event.
const MAX_TOPICS: usize = 100_000;

/// Reads the events of one hook call: one, or one for each topic of a SUBSCRIBE. None when the term is not one that
/// `emq_plugin_kafka_event` or `emq_plugin_kafka_emqx_event` makes. `patient`: the caller has time to read a long list.
pub fn decode_events(term: Term<'_>, patient: bool) -> Option<Events<'_>> {
    let (tag, mut fields) = Fields::tagged(term)?;
    if tag != atoms::extended() {
        return events(tag, fields, patient);
    }
    let (tag, base) = Fields::tagged(fields.next()?)?;
    let extra = fields.last()?;
    if !patient && extra::is_long(extra) {
        return Some(Events::Long);
    }
    events(tag, base, patient)?.with(extra)
}

fn events(tag: Atom, mut fields: Fields<'_>, patient: bool) -> Option<Events<'_>> {
    if tag == atoms::publish() {
        let (client_id, username, message) = publish(&mut fields, patient)?;
        return one(EventKind::MessagePublish, client_id, username, Detail::Message(message, None));
    }
    if tag == atoms::subscriptions() {
        return subscriptions(&mut fields).map(Events::Many);
    }
    if tag == atoms::connected() {
        let connack = fields.number()?;
        let (client_id, username, connection) = client(fields.last()?)?;
        return one(EventKind::ClientConnected, client_id, username, Detail::Connected(connack, connection));
    }
    if tag == atoms::disconnected() {
        let reason = fields.next::<Binary<'_>>()?;
        let (client_id, username, connection) = client(fields.last()?)?;
        let detail = Detail::Disconnected(reason.as_slice(), connection);
        return one(EventKind::ClientDisconnected, client_id, username, detail);
    }
    let kind = kind(fields.next()?)?;
    if tag == atoms::connection() && matches!(kind, EventKind::ClientConnect | EventKind::ClientConnack) {
        let (client_id, username, connection) = client(fields.last()?)?;
        return one(kind, client_id, username, Detail::Connection(connection));
    }
    if tag == atoms::about() && matches!(kind, EventKind::MessageDropped | EventKind::MessagePuback) {
        let (client_id, username, message) = tagged_publish(fields.last()?, patient)?;
        return one(kind, client_id, username, Detail::Message(message, None));
    }
    let (client_id, username) = (fields.bytes()?, fields.optional_bytes()?);
    if tag == atoms::received() && kind.has_receiver() {
        let (publisher, publisher_username, message) = tagged_publish(fields.last()?, patient)?;
        let publisher = Publisher { client_id: publisher, username: publisher_username };
        return one(kind, client_id, username, Detail::Message(message, Some(publisher)));
    }
    if tag == atoms::session() && kind.is_session() {
        let reason = fields.optional_bytes()?;
        fields.end()?;
        return one(kind, client_id, username, Detail::Session(reason));
    }
    None
}

/// What one hook call reports. Nearly always one event, for which nothing is allocated.
pub enum Events<'a> {
    /// One event.
    One(Event<'a>),
    /// Those of a packet with several topics.
    Many(Vec<Event<'a>>),
    /// So much to read that it is not done here.
    Long,
}

/// A SUBSCRIBE's user properties stand in the records of all its topics, unless that would be more than this many bytes: in the
/// first one alone then. One packet could ask for gigabytes otherwise.
const MAX_REPEATED: usize = 1 << 20;

impl<'a> Events<'a> {
    /// The same, with what only some brokers say. None where the term is not that.
    fn with(self, extra: Term<'a>) -> Option<Self> {
        match self {
            Self::One(mut event) => {
                event.extra = extra::decode(event.kind, extra)?;
                Some(Self::One(event))
            }
            Self::Many(mut events) => {
                let repeated = match events.first_mut() {
                    Some(first) => {
                        first.extra = extra::decode(first.kind, extra)?;
                        first.extra.clone()
                    }
                    None => Vec::new(),
                };
                let size: usize = repeated.iter().map(|(_, value)| value.size()).sum();
                let is_too_much = size.saturating_mul(events.len()) > MAX_REPEATED;
                for event in events.iter_mut().skip(1) {
                    event.extra.clone_from(&repeated);
                    if is_too_much {
                        event.extra.retain(|(attribute, _)| *attribute != Attribute::UserProperties);
                    }
                }
                Some(Self::Many(events))
            }
            Self::Long => Some(Self::Long),
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "what its caller returns")]
fn one<'a>(kind: EventKind, client_id: &'a [u8], username: Option<&'a [u8]>, detail: Detail<'a>) -> Option<Events<'a>> {
    Some(Events::One(Event { kind, client_id, username, detail, extra: Vec::new() }))
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
        EventKind::ClientConnect => atoms::client_connect(),
        EventKind::ClientConnack => atoms::client_connack(),
        EventKind::SessionResumed => atoms::session_resumed(),
        EventKind::SessionDiscarded => atoms::session_discarded(),
        EventKind::SessionTakenover => atoms::session_takenover(),
        EventKind::MessageDropped => atoms::message_dropped(),
        EventKind::DeliveryDropped => atoms::delivery_dropped(),
        EventKind::DeliveryCompleted => atoms::delivery_completed(),
        EventKind::MessagePuback => atoms::message_puback(),
    }
}

/// A message, and who published it.
type Published<'a> = (&'a [u8], Option<&'a [u8]>, Message<'a>);

fn tagged_publish(term: Term<'_>, patient: bool) -> Option<Published<'_>> {
    let (tag, mut fields) = Fields::tagged(term)?;
    if tag == atoms::publish() { publish(&mut fields, patient) } else { None }
}

fn publish<'a>(fields: &mut Fields<'a>, patient: bool) -> Option<Published<'a>> {
    let (client_id, username) = (fields.bytes()?, fields.optional_bytes()?);
    let topic = fields.bytes()?;
    let (payload, reading) = payload::read(fields.next()?, patient)?;
    let message = Message {
        topic,
        payload,
        reading,
        qos: fields.number::<u8>().filter(|qos| *qos <= 2)?,
        dup: fields.next()?,
        retain: fields.next()?,
        id: match fields.optional_bytes()? {
            Some(id) if id.len() != 16 => return None,
            id => id,
        },
        timestamp: fields.next()?,
    };
    fields.end()?;
    Some((client_id, username, message))
}

/// A connection, and whose it is.
type Connected<'a> = (&'a [u8], Option<&'a [u8]>, Connection<'a>);

fn client(term: Term<'_>) -> Option<Connected<'_>> {
    let (tag, mut fields) = Fields::tagged(term)?;
    if tag != atoms::client() {
        return None;
    }
    let (client_id, username) = (fields.bytes()?, fields.optional_bytes()?);
    let connection = Connection {
        peerhost: fields.optional_bytes()?,
        peerport: fields.optional_number()?,
        proto_ver: fields.number()?,
        keepalive: fields.number()?,
        clean_session: fields.next()?,
        will_topic: fields.optional_bytes()?,
        connected_at: fields.optional()?,
    };
    fields.end()?;
    Some((client_id, username, connection))
}

fn subscriptions<'a>(fields: &mut Fields<'a>) -> Option<Vec<Event<'a>>> {
    let kind = kind(fields.next()?).filter(|kind| kind.has_subscription())?;
    let (client_id, username) = (fields.bytes()?, fields.optional_bytes()?);
    elements(fields.last()?, MAX_TOPICS)?
        .into_iter()
        .map(|topic| {
            let (topic, opts) = topic.decode::<(Binary<'a>, Term<'a>)>().ok()?;
            let opts = elements(opts, MAX_OPTIONS)?.into_iter().map(subscription_option).collect::<Option<_>>()?;
            let detail = Detail::Subscription(Subscription { topic: topic.as_slice(), opts });
            Some(Event { kind, client_id, username, detail, extra: Vec::new() })
        })
        .collect()
}

/// The elements of a proper list of at most `max`. Cell by cell, because a list iterator of rustler panics on an improper list.
pub(crate) fn elements(list: Term<'_>, max: usize) -> Option<Vec<Term<'_>>> {
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
