//! A topic, split once for all rules.

/// A topic split into its levels.
#[derive(Debug, Clone)]
pub struct Levels<'a> {
    levels: Vec<&'a [u8]>,
    is_dollar: bool,
}

impl<'a> Levels<'a> {
    /// Splits a topic.
    #[must_use]
    pub fn new(topic: &'a [u8]) -> Self {
        Self { levels: topic.split(|byte| *byte == b'/').collect(), is_dollar: topic.starts_with(b"$") }
    }

    /// A level, the first being number 0.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&'a [u8]> {
        self.levels.get(number).copied()
    }

    /// All levels, in their order.
    #[must_use]
    pub fn names(&self) -> &[&'a [u8]] {
        &self.levels
    }

    /// Whether it begins with `$`: no filter that begins with a wildcard matches it.
    #[must_use]
    pub const fn is_dollar(&self) -> bool {
        self.is_dollar
    }
}
