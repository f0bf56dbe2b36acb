//! What only some brokers, or some versions of MQTT, say of an event: MQTT 5's properties, and what EMQ X 4 and EMQX 5 know beyond
//! EMQ 2.3.

use std::borrow::Cow;

use crate::event::json::{Name, Object, name, write_string};
use crate::event::{EventKind, Value};

/// What such an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the attribute of its name; docs/events.md says what they mean")]
pub enum Attribute {
    UserProperties,
    ContentType,
    ResponseTopic,
    CorrelationData,
    PayloadFormatIndicator,
    MessageExpiryInterval,
    SubscriptionIdentifier,
    ProtoVer,
    PeerHost,
    PeerPort,
    ClientAttrs,
    Listener,
    Zone,
    Mountpoint,
    ProtoName,
    SockType,
    ReceiveMaximum,
    SessionExpiryInterval,
    CommonName,
    DistinguishedName,
    DisconnectedAt,
    ReasonString,
    Reason,
    ReasonCode,
    PacketId,
    AssignedClientId,
    CreatedAt,
    IsPersistent,
    AwaitRelTimeout,
    RetryInterval,
    SessionCreatedAt,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Extra<'a> {
    /// Text, or bytes that were meant to be.
    Text(&'a [u8]),
    /// A number.
    Int(i64),
    /// A flag.
    Bool(bool),
    /// There is none: no limit, no interval.
    Null,
    /// Names and values in their order; a name may be there several times.
    Pairs(Vec<(&'a [u8], &'a [u8])>),
    /// Names and values.
    Map(Vec<(&'a [u8], &'a [u8])>),
}

use Attribute as A;
use EventKind as K;

/// An attribute, its name as JSON and in templates, and which events may have it.
type Known = (Attribute, Name, fn(EventKind) -> bool);

/// Every attribute. An event has none of a name that it has anyway.
const ATTRIBUTES: [Known; 31] = [
    (A::UserProperties, name!("user_properties"), has_packet),
    (A::ContentType, name!("content_type"), K::has_message),
    (A::ResponseTopic, name!("response_topic"), K::has_message),
    (A::CorrelationData, name!("correlation_data"), K::has_message),
    (A::PayloadFormatIndicator, name!("payload_format_indicator"), K::has_message),
    (A::MessageExpiryInterval, name!("message_expiry_interval"), K::has_message),
    (A::SubscriptionIdentifier, name!("subscription_identifier"), K::has_message),
    (A::ProtoVer, name!("proto_ver"), has_no_connection),
    (A::PeerHost, name!("peerhost"), has_no_connection),
    (A::PeerPort, name!("peerport"), has_no_connection),
    (A::ClientAttrs, name!("client_attrs"), any),
    (A::Listener, name!("listener"), any),
    (A::Zone, name!("zone"), any),
    (A::Mountpoint, name!("mountpoint"), any),
    (A::ProtoName, name!("proto_name"), K::has_connection),
    (A::SockType, name!("socktype"), K::has_connection),
    (A::ReceiveMaximum, name!("receive_maximum"), K::has_connection),
    (A::SessionExpiryInterval, name!("session_expiry_interval"), K::has_connection),
    (A::CommonName, name!("cn"), K::has_connection),
    (A::DistinguishedName, name!("dn"), K::has_connection),
    (A::DisconnectedAt, name!("disconnected_at"), |kind| matches!(kind, K::ClientDisconnected)),
    (A::ReasonString, name!("reason_string"), |kind| matches!(kind, K::ClientDisconnected)),
    (A::Reason, name!("reason"), |kind| {
        matches!(kind, K::ClientConnack | K::ClientConnected | K::MessageDropped | K::DeliveryDropped)
    }),
    (A::ReasonCode, name!("reason_code"), |kind| {
        matches!(kind, K::ClientConnack | K::ClientConnected | K::ClientDisconnected | K::MessagePuback)
    }),
    (A::PacketId, name!("packet_id"), |kind| matches!(kind, K::MessagePuback)),
    (A::AssignedClientId, name!("assigned_client_id"), |kind| matches!(kind, K::ClientConnack | K::ClientConnected)),
    (A::CreatedAt, name!("created_at"), K::is_session),
    (A::IsPersistent, name!("is_persistent"), K::is_session),
    (A::AwaitRelTimeout, name!("await_rel_timeout"), K::is_session),
    (A::RetryInterval, name!("retry_interval"), K::is_session),
    (A::SessionCreatedAt, name!("session_created_at"), |kind| matches!(kind, K::DeliveryCompleted)),
];

fn any(_: EventKind) -> bool {
    true
}

fn has_packet(kind: EventKind) -> bool {
    kind.has_message() || kind.has_connection() || kind.has_subscription()
}

fn has_no_connection(kind: EventKind) -> bool {
    !kind.has_connection()
}

impl Attribute {
    /// All of them, with their names.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
        ATTRIBUTES.iter().map(|(attribute, name, _)| (*attribute, name.text()))
    }

    /// Those that an event may have, with their names.
    pub fn of(kind: EventKind) -> impl Iterator<Item = (Self, &'static str)> {
        ATTRIBUTES.iter().filter(move |(.., has)| has(kind)).map(|(attribute, name, _)| (*attribute, name.text()))
    }

    /// Whether an event may have it, with such a value.
    #[must_use]
    pub fn takes(self, kind: EventKind, value: &Extra<'_>) -> bool {
        let fits = match self {
            Self::UserProperties => matches!(value, Extra::Pairs(_)),
            Self::ClientAttrs => matches!(value, Extra::Map(_)),
            _ => !matches!(value, Extra::Pairs(_) | Extra::Map(_)),
        };
        fits && self.known().is_some_and(|(.., has)| has(kind))
    }

    fn known(self) -> Option<&'static Known> {
        ATTRIBUTES.iter().find(|(attribute, ..)| *attribute == self)
    }

    /// Writes it into an object.
    pub fn write(self, value: &Extra<'_>, body: &mut Object<'_>) {
        let Some((_, name, _)) = self.known() else { return };
        match value {
            Extra::Text(text) => body.text(*name, text),
            Extra::Int(number) => body.int(*name, *number),
            Extra::Bool(flag) => body.bool(*name, *flag),
            Extra::Null => body.null(*name),
            Extra::Pairs(_) | Extra::Map(_) => {
                body.key(*name);
                value.write_collection(body.out);
            }
        }
    }
}

impl<'a> Extra<'a> {
    /// For a template or a header.
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        match self {
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Int(number) => Value::Int(*number),
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Null => Value::Nothing,
            Self::Pairs(_) | Self::Map(_) => {
                let mut json = Vec::new();
                self.write_collection(&mut json);
                // What was just written is text.
                String::from_utf8(json).map_or(Value::Nothing, |json| Value::Json(json.into()))
            }
        }
    }

    /// The first value of a name.
    #[must_use]
    pub fn named(&self, wanted: &str) -> Option<&'a [u8]> {
        match self {
            Self::Pairs(pairs) | Self::Map(pairs) => {
                pairs.iter().find(|(name, _)| *name == wanted.as_bytes()).map(|(_, value)| *value)
            }
            _ => None,
        }
    }

    /// How much there is to read and to write, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Int(_) | Self::Bool(_) | Self::Null => 0,
            Self::Pairs(pairs) | Self::Map(pairs) => {
                pairs.iter().map(|(name, value)| PAIR_COST + name.len() + value.len()).sum()
            }
        }
    }

    fn write_collection(&self, out: &mut Vec<u8>) {
        match self {
            // An array: names may be there twice, and the order counts.
            Self::Pairs(pairs) => {
                out.push(b'[');
                for (number, (key, value)) in pairs.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    let mut pair = Object::open(out);
                    pair.text(name!("key"), key);
                    pair.text(name!("value"), value);
                    pair.close();
                }
                out.push(b']');
            }
            Self::Map(pairs) => {
                let mut object = Object::open(out);
                for (key, value) in pairs {
                    object.escaped_name(&String::from_utf8_lossy(key));
                    write_string(object.out, &String::from_utf8_lossy(value));
                }
                object.close();
            }
            Self::Text(_) | Self::Int(_) | Self::Bool(_) | Self::Null => {}
        }
    }
}

/// What a pair costs beside its bytes, in bytes read: it becomes JSON and a header.
const PAIR_COST: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::field::Field;

    #[test]
    fn names_are_told_once_for_each_event() {
        for kind in EventKind::ALL {
            let mut names = Field::names(kind);
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{kind:?}");
        }
    }

    #[test]
    fn pairs_keep_order_and_duplicates() {
        let pairs = Extra::Pairs(vec![(b"b", b"1"), (b"a", b"\xff"), (b"b", b"\"")]);
        let mut out = Vec::new();
        pairs.write_collection(&mut out);
        let json = r#"[{"key":"b","value":"1"},{"key":"a","value":"/w==","value_encoding":"base64"},{"key":"b","value":"\""}]"#;
        assert_eq!(String::from_utf8_lossy(&out), json);
        assert_eq!(pairs.named("b"), Some(&b"1"[..]));
        assert_eq!(pairs.named("c"), None);
    }
}
