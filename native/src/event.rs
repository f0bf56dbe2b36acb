//! What happened in the broker, as plain borrowed data: no Erlang, no Kafka.
//!
//! Client ids, user names and payloads are bytes, not text: MQTT 3.1 brokers let invalid UTF-8 through.

/// One event of the broker, as a hook reported it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A PUBLISH on its way through `message.publish`.
    Publish(Message<'a>),
    /// A CONNECT was answered; `connack` other than 0 is a refusal.
    Connected {
        /// CONNACK return code (MQTT 3.1.1, 3.2.2.3): 0 accepted, 1 to 5 refused.
        connack: u8,
        /// Who connected.
        client: Client<'a>,
    },
    /// A connection ended.
    Disconnected {
        /// Why, as text.
        reason: &'a [u8],
        /// Who was connected.
        client: Client<'a>,
    },
    /// One topic filter was subscribed to.
    Subscribed(Subscription<'a>),
    /// One topic filter was unsubscribed from.
    Unsubscribed(Subscription<'a>),
}

/// An MQTT message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    /// The publisher: a client id, or the name of the broker's own part that published.
    pub client_id: &'a [u8],
    /// The publisher's user name; none for anonymous clients and for the broker itself.
    pub username: Option<&'a [u8]>,
    /// The topic name.
    pub topic: &'a [u8],
    /// The application message.
    pub payload: &'a [u8],
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

/// A connection's attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Client<'a> {
    /// The client identifier; empty when the CONNECT had none and was refused.
    pub client_id: &'a [u8],
    /// The user name, where one was given.
    pub username: Option<&'a [u8]>,
    /// The peer's IP address as text.
    pub peerhost: &'a [u8],
    /// The peer's TCP port.
    pub peerport: u16,
    /// MQTT protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0.
    pub proto_ver: u8,
    /// Keep alive in seconds.
    pub keepalive: u16,
    /// The clean session flag.
    pub clean_session: bool,
    /// The topic of the will, where there is one.
    pub will_topic: Option<&'a [u8]>,
    /// When the CONNECT arrived, in ms since 1970.
    pub connected_at: i64,
}

/// A subscription, or its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription<'a> {
    /// The subscriber.
    pub client_id: &'a [u8],
    /// The subscriber's user name, where it has one.
    pub username: Option<&'a [u8]>,
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
    /// The client that the event is about: the default key of its record.
    #[must_use]
    pub fn client_id(&self) -> &'a [u8] {
        match self {
            Self::Publish(message) => message.client_id,
            Self::Connected { client, .. } | Self::Disconnected { client, .. } => client.client_id,
            Self::Subscribed(subscription) | Self::Unsubscribed(subscription) => subscription.client_id,
        }
    }
}
