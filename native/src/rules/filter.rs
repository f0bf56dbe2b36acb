//! MQTT topic filters, with exactly the broker's own matching (`emqttd_topic:match/2`).

use thiserror::Error;

use crate::event::levels::Levels;

/// EMQ refuses longer filters.
const MAX_LENGTH: usize = 4096;

/// A topic filter, split once at load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFilter {
    levels: Vec<Level>,
    /// A filter that begins with a wildcard matches no topic that begins with `$`.
    wildcard_first: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Name(Box<str>),
    Plus,
    Hash,
}

/// Why a text is no topic filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// Nothing there.
    #[error("a topic filter is empty")]
    Empty,
    /// More than EMQ takes.
    #[error("a topic filter has {0} bytes, at most {MAX_LENGTH} are allowed")]
    TooLong(usize),
    /// `#` not alone at the end.
    #[error("level {0} of the topic filter: # must be the whole of the last level")]
    Hash(usize),
    /// `+` with something beside it.
    #[error("level {0} of the topic filter: + must be a whole level")]
    Plus(usize),
    /// A NUL character.
    #[error("level {0} of the topic filter has a NUL character")]
    Nul(usize),
}

impl TopicFilter {
    /// Checks a filter by MQTT's rules.
    ///
    /// # Errors
    ///
    /// The rule that it breaks, and in which level (the first is level 1).
    pub fn new(filter: &str) -> Result<Self, FilterError> {
        if filter.is_empty() {
            return Err(FilterError::Empty);
        }
        if filter.len() > MAX_LENGTH {
            return Err(FilterError::TooLong(filter.len()));
        }
        let last = filter.split('/').count();
        let levels = filter
            .split('/')
            .zip(1..)
            .map(|(level, number)| match level {
                "+" => Ok(Level::Plus),
                "#" if number == last => Ok(Level::Hash),
                name if name.contains('#') => Err(FilterError::Hash(number)),
                name if name.contains('+') => Err(FilterError::Plus(number)),
                name if name.contains('\0') => Err(FilterError::Nul(number)),
                name => Ok(Level::Name(name.into())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let wildcard_first = filter.starts_with(['+', '#']);
        Ok(Self { levels, wildcard_first })
    }

    /// Whether a topic matches. The topic comes split, because that is done once for all rules.
    #[must_use]
    pub fn matches(&self, topic: &Levels<'_>) -> bool {
        if self.wildcard_first && topic.is_dollar() {
            return false;
        }
        let mut names = topic.names().iter();
        for level in &self.levels {
            match (level, names.next()) {
                // A level that is itself called `#`, which no topic of a client has, is one level to the broker.
                (Level::Hash, Some(name)) if *name == b"#" => {}
                // Matches the level above it, too: `a/#` matches `a`.
                (Level::Hash, _) => return true,
                (Level::Plus, Some(_)) => {}
                (Level::Name(wanted), Some(name)) if wanted.as_bytes() == *name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One table for this matcher and for the broker's own; see test/unit/filters.tsv.
    #[test]
    fn matches_as_the_broker_does() {
        let table = include_str!("../../../test/unit/filters.tsv");
        let mut cases = 0;
        for line in table.lines().filter(|line| !line.starts_with("##")) {
            let [topic, filter, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("three columns in {line:?}")
            };
            let matches = TopicFilter::new(filter).expect(filter).matches(&Levels::new(topic.as_bytes()));
            assert_eq!(matches.to_string(), expected, "topic {topic:?}, filter {filter:?}");
            cases += 1;
        }
        assert!(cases > 40);
    }

    #[test]
    fn says_which_level_is_wrong() {
        assert_eq!(TopicFilter::new(""), Err(FilterError::Empty));
        assert_eq!(TopicFilter::new("a/#/b"), Err(FilterError::Hash(2)));
        assert_eq!(TopicFilter::new("a/b#"), Err(FilterError::Hash(2)));
        assert_eq!(TopicFilter::new("a+/b"), Err(FilterError::Plus(1)));
        assert_eq!(TopicFilter::new("a/b\0"), Err(FilterError::Nul(2)));
        assert_eq!(TopicFilter::new(&"a".repeat(4097)), Err(FilterError::TooLong(4097)));
    }
}
