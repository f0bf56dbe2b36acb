//! What happened in the broker, as plain borrowed data: no Erlang, no Kafka.
//!
//! Client ids, user names and payloads are bytes, not text: MQTT 3.1 brokers let invalid UTF-8 through.

pub mod context;
pub mod escape;
pub mod extra;
pub mod field;
pub mod json;
pub mod time;

use crate::event::extra::{Attribute, Extra};

/// The events, named as their hooks. The first eleven are those of EMQ 2.3; EMQ X 4 and EMQX 5 have those behind them, too, but that
/// `message.puback` is EMQX 5's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A CONNECT was answered.
    ClientConnected,
    /// A connection ended.
    ClientDisconnected,
    /// A SUBSCRIBE arrived; one event for each of its topics.
    ClientSubscribe,
    /// An UNSUBSCRIBE arrived; one event for each of its topics.
    ClientUnsubscribe,
    /// A session began.
    SessionCreated,
    /// A subscription is in place.
    SessionSubscribed,
    /// A subscription has ended.
    SessionUnsubscribed,
    /// A session ended.
    SessionTerminated,
    /// A PUBLISH is about to be routed.
    MessagePublish,
    /// A message was sent to a subscriber.
    MessageDelivered,
    /// A subscriber acknowledged a message.
    MessageAcked,
    /// A CONNECT arrived.
    ClientConnect,
    /// A CONNACK is about to be sent.
    ClientConnack,
    /// A session goes on with another connection.
    SessionResumed,
    /// A session ended because its client began a new one.
    SessionDiscarded,
    /// A session moved to another connection; `session.takeovered` in EMQ X 4.
    SessionTakenover,
    /// A message had nobody to go to, or was not let through.
    MessageDropped,
    /// A message was dropped on its way to one subscriber.
    DeliveryDropped,
    /// A message's delivery to one subscriber is over.
    DeliveryCompleted,
    /// A PUBACK is about to be sent.
    MessagePuback,
}

impl EventKind {
    /// Every event.
    pub const ALL: [Self; 20] = [
        Self::ClientConnected,
        Self::ClientDisconnected,
        Self::ClientSubscribe,
        Self::ClientUnsubscribe,
        Self::SessionCreated,
        Self::SessionSubscribed,
        Self::SessionUnsubscribed,
        Self::SessionTerminated,
        Self::MessagePublish,
        Self::MessageDelivered,
        Self::MessageAcked,
        Self::ClientConnect,
        Self::ClientConnack,
        Self::SessionResumed,
        Self::SessionDiscarded,
        Self::SessionTakenover,
        Self::MessageDropped,
        Self::DeliveryDropped,
        Self::DeliveryCompleted,
        Self::MessagePuback,
    ];

    /// What the old plugin forwarded, and what is forwarded where no rule says otherwise.
    pub const DEFAULT: [Self; 5] = [
        Self::ClientConnected,
        Self::ClientDisconnected,
        Self::SessionSubscribed,
        Self::SessionUnsubscribed,
        Self::MessagePublish,
    ];

    /// The name of the hook.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientConnected => "client.connected",
            Self::ClientDisconnected => "client.disconnected",
            Self::ClientSubscribe => "client.subscribe",
            Self::ClientUnsubscribe => "client.unsubscribe",
            Self::SessionCreated => "session.created",
            Self::SessionSubscribed => "session.subscribed",
            Self::SessionUnsubscribed => "session.unsubscribed",
            Self::SessionTerminated => "session.terminated",
            Self::MessagePublish => "message.publish",
            Self::MessageDelivered => "message.delivered",
            Self::MessageAcked => "message.acked",
            Self::ClientConnect => "client.connect",
            Self::ClientConnack => "client.connack",
            Self::SessionResumed => "session.resumed",
            Self::SessionDiscarded => "session.discarded",
            Self::SessionTakenover => "session.takenover",
            Self::MessageDropped => "message.dropped",
            Self::DeliveryDropped => "delivery.dropped",
            Self::DeliveryCompleted => "delivery.completed",
            Self::MessagePuback => "message.puback",
        }
    }

    /// The event of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the event is about a message.
    #[must_use]
    pub const fn has_message(self) -> bool {
        matches!(self, Self::MessagePublish | Self::MessageDropped | Self::MessagePuback) || self.has_receiver()
    }

    /// Whether the event is about a message and one of its receivers.
    #[must_use]
    pub const fn has_receiver(self) -> bool {
        matches!(self, Self::MessageDelivered | Self::MessageAcked | Self::DeliveryDropped | Self::DeliveryCompleted)
    }

    /// Whether the event is about a session as a whole.
    #[must_use]
    pub const fn is_session(self) -> bool {
        matches!(
            self,
            Self::SessionCreated
                | Self::SessionTerminated
                | Self::SessionResumed
                | Self::SessionDiscarded
                | Self::SessionTakenover
        )
    }

    /// Whether the event is about a subscription.
    #[must_use]
    pub const fn has_subscription(self) -> bool {
        matches!(
            self,
            Self::ClientSubscribe | Self::ClientUnsubscribe | Self::SessionSubscribed | Self::SessionUnsubscribed
        )
    }

    /// Whether the event is about a connection.
    #[must_use]
    pub const fn has_connection(self) -> bool {
        matches!(self, Self::ClientConnected | Self::ClientDisconnected | Self::ClientConnect | Self::ClientConnack)
    }
}

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
