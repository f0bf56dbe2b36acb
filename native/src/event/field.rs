//! What a template can insert of an event: the placeholders' names and values.

use crate::event::extra::{Attribute, Extra};
use crate::event::json::write_hex;
use crate::event::{Detail, Event, EventKind, OptionValue, Value};

/// An attribute of an event, as `${name}` in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the placeholder of its name; docs/events.md says what they mean")]
pub enum Field {
    ClientId,
    Username,
    Event,
    Node,
    Ts,
    Topic,
    Payload,
    Qos,
    Retain,
    Dup,
    Id,
    Timestamp,
    Publisher,
    PublisherUsername,
    Share,
    Reason,
    ConnAck,
    PeerHost,
    PeerPort,
    ProtoVer,
    KeepAlive,
    CleanSession,
    WillTopic,
    ConnectedAt,
    Extra(Attribute),
}

use Field as F;

/// A field, its name, and which events have it.
type Known = (Field, &'static str, fn(EventKind) -> bool);

/// Every field.
const FIELDS: [Known; 24] = [
    (F::ClientId, "clientid", always),
    (F::Username, "username", always),
    (F::Event, "event", always),
    (F::Node, "node", always),
    (F::Ts, "ts", always),
    (F::Topic, "topic", has_topic),
    (F::Payload, "payload", EventKind::has_message),
    (F::Qos, "qos", has_topic),
    (F::Retain, "retain", EventKind::has_message),
    (F::Dup, "dup", EventKind::has_message),
    (F::Id, "id", EventKind::has_message),
    (F::Timestamp, "timestamp", EventKind::has_message),
    (F::Publisher, "publisher", EventKind::has_receiver),
    (F::PublisherUsername, "publisher_username", EventKind::has_receiver),
    (F::Share, "share", EventKind::has_subscription),
    (F::Reason, "reason", has_reason),
    (F::ConnAck, "connack", is_connected),
    (F::PeerHost, "peerhost", EventKind::has_connection),
    (F::PeerPort, "peerport", EventKind::has_connection),
    (F::ProtoVer, "proto_ver", EventKind::has_connection),
    (F::KeepAlive, "keepalive", EventKind::has_connection),
    (F::CleanSession, "clean_session", EventKind::has_connection),
    (F::WillTopic, "will_topic", EventKind::has_connection),
    (F::ConnectedAt, "connected_at", EventKind::has_connection),
];

fn always(_: EventKind) -> bool {
    true
}

fn has_topic(kind: EventKind) -> bool {
    kind.has_message() || kind.has_subscription()
}

fn has_reason(kind: EventKind) -> bool {
    matches!(kind, EventKind::ClientDisconnected | EventKind::SessionTerminated)
}

fn is_connected(kind: EventKind) -> bool {
    kind == EventKind::ClientConnected
}

impl Field {
    /// The field of that name, where the event has it.
    #[must_use]
    pub fn of(name: &str, kind: EventKind) -> Option<Self> {
        Self::all(kind).find(|(_, known)| *known == name).map(|(field, _)| field)
    }

    /// The names of all fields of an event.
    #[must_use]
    pub fn names(kind: EventKind) -> Vec<&'static str> {
        Self::all(kind).map(|(_, name)| name).collect()
    }

    /// All fields of an event, with their names.
    pub fn all(kind: EventKind) -> impl Iterator<Item = (Self, &'static str)> {
        let own = FIELDS.iter().filter(move |(.., has)| has(kind)).map(|(field, name, _)| (*field, *name));
        own.chain(Attribute::of(kind).map(|(attribute, name)| (F::Extra(attribute), name)))
    }

    /// The field's value in an event of the node `node`, whose hook ran at `ts`.
    #[must_use]
    pub fn value<'a>(self, event: &Event<'a>, node: &'a str, ts: i64) -> Value<'a> {
        match self {
            F::ClientId => text(event.client_id),
            F::Username => optional(event.username),
            F::Event => text(event.kind.name().as_bytes()),
            F::Node => text(node.as_bytes()),
            F::Ts => Value::Int(ts),
            F::Topic => optional(event.topic()),
            F::Payload | F::Retain | F::Dup | F::Id | F::Timestamp => self.of_message(event),
            F::Qos | F::Share => self.of_message_or_subscription(event),
            F::Publisher | F::PublisherUsername => match &event.detail {
                Detail::Message(_, Some(publisher)) if self == F::Publisher => text(publisher.client_id),
                Detail::Message(_, Some(publisher)) => optional(publisher.username),
                _ => Value::Nothing,
            },
            F::Reason => match &event.detail {
                Detail::Disconnected(reason, _) => text(reason),
                Detail::Session(reason) => optional(*reason),
                _ => Value::Nothing,
            },
            F::ConnAck => match &event.detail {
                Detail::Connected(connack, _) => Value::Int(i64::from(*connack)),
                _ => Value::Nothing,
            },
            F::Extra(attribute) => event.extra(attribute).map_or(Value::Nothing, Extra::value),
            _ => self.of_connection(event),
        }
    }

    fn of_message<'a>(self, event: &Event<'a>) -> Value<'a> {
        let Some(message) = event.message() else { return Value::Nothing };
        match self {
            F::Payload => text(message.payload),
            F::Retain => Value::Bool(message.retain),
            F::Dup => Value::Bool(message.dup),
            F::Id => message.id.map_or(Value::Nothing, hex),
            F::Timestamp => Value::Int(message.timestamp),
            _ => Value::Nothing,
        }
    }

    fn of_message_or_subscription<'a>(self, event: &Event<'a>) -> Value<'a> {
        match (&event.detail, self) {
            (Detail::Message(message, _), F::Qos) => Value::Int(i64::from(message.qos)),
            (Detail::Subscription(subscription), _) => {
                let wanted = if self == F::Qos { "qos" } else { "share" };
                match subscription.opts.iter().find(|(name, _)| name == wanted) {
                    Some((_, OptionValue::Int(number))) => Value::Int(*number),
                    Some((_, OptionValue::Text(group))) => text(group),
                    Some((_, OptionValue::Atom(group))) => Value::Text(group.clone().into_bytes().into()),
                    _ => Value::Nothing,
                }
            }
            _ => Value::Nothing,
        }
    }

    fn of_connection<'a>(self, event: &Event<'a>) -> Value<'a> {
        let Some(connection) = event.connection() else { return Value::Nothing };
        match self {
            F::PeerHost => optional(connection.peerhost),
            F::PeerPort => connection.peerport.map_or(Value::Nothing, |port| Value::Int(i64::from(port))),
            F::ProtoVer => Value::Int(i64::from(connection.proto_ver)),
            F::KeepAlive => Value::Int(i64::from(connection.keepalive)),
            F::CleanSession => Value::Bool(connection.clean_session),
            F::WillTopic => optional(connection.will_topic),
            F::ConnectedAt => connection.connected_at.map_or(Value::Nothing, Value::Int),
            _ => Value::Nothing,
        }
    }
}

fn text(bytes: &[u8]) -> Value<'_> {
    Value::Text(bytes.into())
}

fn optional(bytes: Option<&[u8]>) -> Value<'_> {
    bytes.map_or(Value::Nothing, text)
}

fn hex(id: &[u8]) -> Value<'_> {
    let mut text = Vec::with_capacity(2 * id.len());
    write_hex(id, &mut text);
    Value::Text(text.into())
}
