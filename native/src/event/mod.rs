//! What happened in the broker, as plain borrowed data: no Erlang, no Kafka.
//!
//! Client ids, user names and payloads are bytes, not text: MQTT 3.1 brokers let invalid UTF-8 through.

pub mod context;
pub mod escape;
pub mod extra;
pub mod field;
pub mod json;
mod kind;
pub mod levels;
pub mod time;
mod value;

use extra::{Attribute, Extra};
pub use kind::EventKind;
pub use value::Value;

/// One event of the broker, as a hook reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// Which event it is. The detail is the one that fits.
    pub kind: EventKind,
    /// The client that the event is about. For a message that was published: the publisher, a client id or the name of
    /// the broker's own part that published it; for one delivered or acknowledged: the receiver.
    pub client_id: &'a [u8],
    /// That client's user name; none for anonymous clients and for the broker itself.
    pub username: Option<&'a [u8]>,
    /// The rest.
    pub detail: Detail<'a>,
    /// What only some brokers and MQTT 5 say beside it.
    pub extra: Vec<(Attribute, Extra<'a>)>,
}

/// What an event has beside its client.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail<'a> {
    /// A message, and who published it where that is not the client of the event.
    Message(Message<'a>, Option<Publisher<'a>>),
    /// The CONNACK code of a connection (0 accepted, 1 to 5 refused), and the connection.
    Connected(u8, Connection<'a>),
    /// A connection at another point of its life.
    Connection(Connection<'a>),
    /// Why a connection ended, as text, and the connection.
    Disconnected(&'a [u8], Connection<'a>),
    /// A subscription.
    Subscription(Subscription<'a>),
    /// A session, and why it ended, as text, where it did.
    Session(Option<&'a [u8]>),
}

/// An MQTT message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message<'a> {
    /// The topic name.
    pub topic: &'a [u8],
    /// The application message.
    pub payload: &'a [u8],
    /// Whether that is all of it.
    pub reading: Reading,
    /// 0, 1 or 2.
    pub qos: u8,
    /// The DUP flag.
    pub dup: bool,
    /// The RETAIN flag.
    pub retain: bool,
    /// The broker's own identifier of the message: 16 bytes, where it gave one.
    pub id: Option<&'a [u8]>,
    /// When the broker made the message, in ms since 1970. A will's is the time of its CONNECT.
    pub timestamp: i64,
}

/// How much of a payload was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reading {
    /// All of it.
    #[default]
    Whole,
    /// Nothing: it takes longer than a normal scheduler should be held.
    Later,
    /// Nothing: it is too much for any record.
    TooLarge,
}

/// Who published a message that was delivered to somebody else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Publisher<'a> {
    /// The client id, or the name of the broker's own part.
    pub client_id: &'a [u8],
    /// The user name, where there is one.
    pub username: Option<&'a [u8]>,
}

/// A connection's attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection<'a> {
    /// The peer's IP address as text, where the broker tells it.
    pub peerhost: Option<&'a [u8]>,
    /// The peer's TCP port, where the broker tells it.
    pub peerport: Option<u16>,
    /// MQTT protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0.
    pub proto_ver: u8,
    /// Keep alive in seconds.
    pub keepalive: u16,
    /// The clean session flag.
    pub clean_session: bool,
    /// The topic of the will, where there is one.
    pub will_topic: Option<&'a [u8]>,
    /// When the CONNECT arrived, in ms since 1970, where the broker tells it.
    pub connected_at: Option<i64>,
}

/// A subscription, or its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription<'a> {
    /// The topic filter, without a `$share/group/` prefix.
    pub topic: &'a [u8],
    /// The broker's options of the subscription, in its order: `qos`, `share`, `local`.
    pub opts: Vec<(String, OptionValue<'a>)>,
}

/// The value of a subscription option.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue<'a> {
    /// A flag, such as `local`.
    Bool(bool),
    /// A number, such as `qos`.
    Int(i64),
    /// Text, such as the group of a shared subscription.
    Text(&'a [u8]),
    /// Text that the broker held as an atom, such as `$queue`.
    Atom(String),
}

impl<'a> Event<'a> {
    /// The message, where the event is about one.
    #[must_use]
    pub const fn message(&self) -> Option<&Message<'a>> {
        match &self.detail {
            Detail::Message(message, _) => Some(message),
            _ => None,
        }
    }

    /// The topic of the message or subscription, where the event is about one.
    #[must_use]
    pub const fn topic(&self) -> Option<&'a [u8]> {
        match &self.detail {
            Detail::Message(message, _) => Some(message.topic),
            Detail::Subscription(subscription) => Some(subscription.topic),
            _ => None,
        }
    }

    /// The connection, where the event is about one.
    #[must_use]
    pub const fn connection(&self) -> Option<&Connection<'a>> {
        match &self.detail {
            Detail::Connected(_, connection) | Detail::Disconnected(_, connection) | Detail::Connection(connection) => {
                Some(connection)
            }
            _ => None,
        }
    }

    /// The value of an attribute that not every event has.
    #[must_use]
    pub fn extra(&self, wanted: Attribute) -> Option<&Extra<'a>> {
        self.extra.iter().find(|(attribute, _)| *attribute == wanted).map(|(_, value)| value)
    }

    /// How much of that there is to read and to write, in bytes.
    #[must_use]
    pub fn extra_size(&self) -> usize {
        self.extra.iter().map(|(_, value)| value.size()).sum()
    }
}
