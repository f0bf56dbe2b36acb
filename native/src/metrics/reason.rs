//! Why records are given up.

/// Why a record was given up before Kafka decided on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The hook was called with arguments that are no event.
    BadEvent,
    /// No producer was open: the plugin was stopping, starting or stopped.
    Closed,
    /// `queue.max_messages` or `queue.max_size` was reached.
    QueueFull,
    /// Larger than `message.max.bytes`.
    TooLarge,
    /// Kafka said that the topic does not exist and may not be created.
    UnknownTopic,
    /// The producer was in librdkafka's fatal state.
    Fatal,
    /// Still undelivered when a stop ran out of `shutdown_timeout`, or when a failed producer was replaced.
    Purged,
    /// librdkafka would not take it, for a reason not listed here.
    Refused,
    /// A template of the rule needed a payload field or topic level that was not there, and had no default.
    MissingField,
    /// The spool was full: `spool.max_size` was reached, or the disk was.
    SpoolFull,
    /// The spool could not be written, or read back.
    SpoolError,
    /// Damaged in the spool, found when it was opened.
    Corrupt,
    /// In a spool that was switched off or moved elsewhere. Still there, but not sent from there.
    LeftBehind,
    /// `produce.max_waiters` callers waited already, and `on_failure` is disconnect.
    WaitersFull,
    /// Settings were wrong, none had worked before, and no record could be made or kept.
    Degraded,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 15] = [
        Self::BadEvent,
        Self::Closed,
        Self::QueueFull,
        Self::TooLarge,
        Self::UnknownTopic,
        Self::Fatal,
        Self::Purged,
        Self::Refused,
        Self::MissingField,
        Self::SpoolFull,
        Self::SpoolError,
        Self::Corrupt,
        Self::LeftBehind,
        Self::WaitersFull,
        Self::Degraded,
    ];

    /// Whether there was no room, which may change.
    #[must_use]
    pub const fn is_full(self) -> bool {
        matches!(self, Self::QueueFull | Self::SpoolFull | Self::SpoolError)
    }

    /// The reason's name in statistics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadEvent => "bad_event",
            Self::Closed => "closed",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::UnknownTopic => "unknown_topic",
            Self::Fatal => "fatal",
            Self::Purged => "purged",
            Self::Refused => "refused",
            Self::MissingField => "missing_field",
            Self::SpoolFull => "spool_full",
            Self::SpoolError => "spool_error",
            Self::Corrupt => "corrupt",
            Self::LeftBehind => "left_behind",
            Self::WaitersFull => "waiters_full",
            Self::Degraded => "degraded",
        }
    }
}
