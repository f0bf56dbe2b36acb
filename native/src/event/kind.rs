//! Which event it is.

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
