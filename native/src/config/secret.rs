//! A text that must not be shown.

use std::fmt;

/// What a secret is shown as.
pub(super) const HIDDEN: &str = "******";

/// A secret. Not shown by `Debug`, so that no message can hold it by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for librdkafka, and to tell it from another one.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}
