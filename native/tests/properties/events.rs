//! Any event, and the bytes that clients put into them.

use emq_plugin_kafka_nif::event::extra::{Attribute, Extra};
use emq_plugin_kafka_nif::event::{
    Connection, Detail, Event, EventKind, Message, OptionValue, Publisher, Subscription,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

/// What an event borrows.
#[derive(Debug, Clone)]
pub struct OwnedEvent {
    pub kind: EventKind,
    client_id: Vec<u8>,
    username: Option<Vec<u8>>,
    topic: Vec<u8>,
    payload: Vec<u8>,
    id: Option<Vec<u8>>,
    /// A reason, the peer's address, a publisher's name.
    other: Option<Vec<u8>>,
    opts: Vec<(String, Opt)>,
    number: i64,
    flag: bool,
    /// User properties, client attributes. Without any, the event has nothing that EMQ 2.3 does not have.
    extra: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum Opt {
    Bool(bool),
    Int(i64),
    Text(Vec<u8>),
    Atom(String),
}

impl OwnedEvent {
    pub fn event(&self) -> Event<'_> {
        let detail = match self.kind {
            EventKind::ClientConnected => Detail::Connected(self.number.to_le_bytes()[0], self.connection()),
            EventKind::ClientConnect | EventKind::ClientConnack => Detail::Connection(self.connection()),
            EventKind::ClientDisconnected => Detail::Disconnected(self.other_bytes(), self.connection()),
            EventKind::ClientSubscribe
            | EventKind::ClientUnsubscribe
            | EventKind::SessionSubscribed
            | EventKind::SessionUnsubscribed => Detail::Subscription(self.subscription()),
            EventKind::SessionCreated
            | EventKind::SessionTerminated
            | EventKind::SessionResumed
            | EventKind::SessionDiscarded
            | EventKind::SessionTakenover => Detail::Session(self.other.as_deref()),
            EventKind::MessagePublish | EventKind::MessageDropped | EventKind::MessagePuback => {
                Detail::Message(self.message(), None)
            }
            EventKind::MessageDelivered
            | EventKind::MessageAcked
            | EventKind::DeliveryDropped
            | EventKind::DeliveryCompleted => {
                let publisher = Publisher { client_id: self.other_bytes(), username: self.other.as_deref() };
                Detail::Message(self.message(), Some(publisher))
            }
        };
        Event {
            kind: self.kind,
            client_id: &self.client_id,
            username: self.username.as_deref(),
            detail,
            extra: self.extra(),
        }
    }

    /// One of each sort, of those that the event may have.
    pub fn extra(&self) -> Vec<(Attribute, Extra<'_>)> {
        let pairs = || self.extra.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        let value = |attribute| match attribute {
            Attribute::UserProperties => Extra::Pairs(pairs()),
            Attribute::ClientAttrs => Extra::Map(pairs()),
            Attribute::ReceiveMaximum | Attribute::ReasonCode => Extra::Int(self.number),
            Attribute::IsPersistent => Extra::Bool(self.flag),
            Attribute::RetryInterval => Extra::Null,
            _ => Extra::Text(self.other_bytes()),
        };
        if self.extra.is_empty() {
            return Vec::new();
        }
        Attribute::of(self.kind).map(|(attribute, _)| (attribute, value(attribute))).collect()
    }

    fn other_bytes(&self) -> &[u8] {
        self.other.as_deref().unwrap_or_default()
    }

    fn message(&self) -> Message<'_> {
        Message {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.number.to_le_bytes()[0],
            dup: self.flag,
            retain: !self.flag,
            id: self.id.as_deref(),
            timestamp: self.number,
            ..Message::default()
        }
    }

    fn connection(&self) -> Connection<'_> {
        let [a, b, c, d, ..] = self.number.to_le_bytes();
        Connection {
            peerhost: self.other.as_deref(),
            peerport: self.flag.then_some(u16::from_le_bytes([a, b])),
            proto_ver: c,
            keepalive: u16::from_le_bytes([c, d]),
            clean_session: self.flag,
            will_topic: self.other.as_deref(),
            connected_at: self.flag.then_some(self.number),
        }
    }

    fn subscription(&self) -> Subscription<'_> {
        let opts = self.opts.iter().map(|(name, value)| {
            let value = match value {
                Opt::Bool(flag) => OptionValue::Bool(*flag),
                Opt::Int(number) => OptionValue::Int(*number),
                Opt::Text(text) => OptionValue::Text(text),
                Opt::Atom(text) => OptionValue::Atom(text.clone()),
            };
            (name.clone(), value)
        });
        Subscription { topic: &self.topic, opts: opts.collect() }
    }
}

/// Text of the characters that cause trouble, and of any others.
pub fn text() -> impl Strategy<Value = String> {
    let nasty =
        select(&['"', '\\', '/', '\0', '\u{1f}', '\u{7f}', '\n', '$', '{', '}', '|', '\u{2028}', 'é', '😀'][..]);
    vec(prop_oneof![nasty, any::<char>(), proptest::char::range(' ', '~')], 0..40)
        .prop_map(|chars| chars.into_iter().collect())
}

/// Bytes, text or not.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text().prop_map(String::into_bytes), vec(any::<u8>(), 0..80)]
}

/// Text put together of given pieces.
pub fn pieces(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

/// A JSON document with the names that the tests' paths have.
pub fn json_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![5 => select(&["a", "b", "", "é"][..]).prop_map(str::to_owned), 1 => text()];
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            2 => vec((name, inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// A payload: JSON, nearly JSON, deeply nested JSON, anything.
pub fn payload() -> impl Strategy<Value = Vec<u8>> {
    let json = || json_document().prop_map(|document| document.to_string().into_bytes());
    let damaged = (json(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut json, index, byte)| {
        let at = index.index(json.len());
        json[at] = byte;
        json
    });
    let cut = (json(), any::<prop::sample::Index>()).prop_map(|(mut json, index)| {
        json.truncate(index.index(json.len()));
        json
    });
    let odd = select(
        &[
            r#"{"a":1e999}"#,
            r#"{"a":["\ud800"]}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"\ud800":1,"a":2}"#,
            r#"{"a":{"b":1},"a":5}"#,
            r#"{"a":5,"a":{"b":"x"}}"#,
            " [ 1 , 2 ] ",
            "{\"a\":\"\u{7f}\u{2028}\"}",
            r#"{"a":-0,"b":1E+2}"#,
        ][..],
    )
    .prop_map(|json| json.as_bytes().to_vec());
    let deep = (1..3000_usize, any::<bool>()).prop_map(|(depth, open)| {
        let close = if open { 0 } else { depth };
        format!(r#"{{"x":1,"a":{}7{}}}"#, r#"{"b":["#.repeat(depth), "]}".repeat(close)).into_bytes()
    });
    prop_oneof![4 => json(), 2 => damaged, 1 => cut, 1 => odd, 1 => deep, 2 => bytes()]
}

pub fn kind() -> impl Strategy<Value = EventKind> {
    select(&EventKind::ALL[..])
}

/// Any event of any kind.
pub fn any_event() -> impl Strategy<Value = OwnedEvent> {
    kind().prop_flat_map(event_of)
}

/// Any event of a kind.
pub fn event_of(kind: EventKind) -> impl Strategy<Value = OwnedEvent> {
    let opt = prop_oneof![
        any::<bool>().prop_map(Opt::Bool),
        any::<i64>().prop_map(Opt::Int),
        bytes().prop_map(Opt::Text),
        text().prop_map(Opt::Atom),
    ];
    let name = prop_oneof![select(&["qos", "share", "local"][..]).prop_map(str::to_owned), text()];
    let opts = vec((name, opt), 0..4);
    let topic = prop_oneof![bytes(), vec(text(), 1..5).prop_map(|levels| levels.join("/").into_bytes())];
    let id = option::of(vec(any::<u8>(), 16));
    let extra = vec((bytes(), bytes()), 0..4);
    let rest = (option::of(bytes()), opts, any::<i64>(), any::<bool>(), extra);
    (bytes(), option::of(bytes()), topic, payload(), id, rest).prop_map(
        move |(client_id, username, topic, payload, id, (other, opts, number, flag, extra))| OwnedEvent {
            kind,
            client_id,
            username,
            topic,
            payload,
            id,
            other,
            opts,
            number,
            flag,
            extra,
        },
    )
}
