//! The end of a record that Kafka does not have.

use crate::metrics::DropReason;

/// Why a record will never be in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Kafka refused it, with the error of this name.
    Failed(String),
    /// The client would not send it.
    Dropped(DropReason),
}

impl Verdict {
    /// The name that it is counted under.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Failed(name) => name,
            Self::Dropped(reason) => reason.name(),
        }
    }
}
