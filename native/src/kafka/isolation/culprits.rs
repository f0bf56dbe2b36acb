//! Which records of a refused batch Kafka names.

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::errors::Blame;
use crate::kafka::reports::Report;

/// What is known of the culprits of a batch that Kafka refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Culprits {
    /// It was a batch of one.
    Alone,
    /// The record at this index, and the batch's error is its own.
    One(usize),
    /// Those where it is true; the batch's error is not known.
    Several(Vec<bool>),
    /// Nothing.
    Unknown,
    /// The batch is too large.
    TooLarge,
}

impl Culprits {
    /// Of the records of one batch, with their errors.
    #[must_use]
    pub fn of(failed: &[(Report<'_>, RDKafkaErrorCode)], blame: Blame) -> Self {
        if failed.len() == 1 {
            return Self::Alone;
        }
        if blame == Blame::Size {
            return Self::TooLarge;
        }
        // librdkafka gives the innocent an error of their own where there are several culprits.
        let innocent = |error: RDKafkaErrorCode| error == RDKafkaErrorCode::InvalidDifferentRecord;
        if failed.iter().any(|(_, error)| innocent(*error)) {
            return Self::Several(failed.iter().map(|(_, error)| !innocent(*error)).collect());
        }
        let notes: Vec<_> = failed.iter().map(|(report, _)| report.note()).collect();
        by_notes(&notes)
    }
}

/// The culprits, by librdkafka's note for each record of a batch: a culprit has a text of its own, the innocent share one. If Kafka
/// names nobody, all share one.
fn by_notes(notes: &[usize]) -> Culprits {
    let mut distinct: Vec<_> = notes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    match (notes, distinct.len()) {
        ([_, _, _, ..], count) if count == notes.len() => Culprits::Several(vec![true; count]),
        ([first, second, third, ..], 2) => {
            let shared = if first == second || first == third { first } else { second };
            let mut others = notes.iter().enumerate().filter(|(_, note)| *note != shared);
            match (others.next(), others.next()) {
                (Some((culprit, _)), None) => Culprits::One(culprit),
                _ => Culprits::Unknown,
            }
        }
        _ => Culprits::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn culprits_are_known_by_a_note_of_their_own() {
        for (notes, found) in [
            (&[1, 1, 2][..], Culprits::One(2)),
            (&[2, 1, 1], Culprits::One(0)),
            (&[1, 2, 1], Culprits::One(1)),
            (&[1, 1, 1, 1, 9, 1], Culprits::One(4)),
            (&[1, 2, 3], Culprits::Several(vec![true, true, true])),
            (&[1, 1, 1], Culprits::Unknown),
            (&[1, 2], Culprits::Unknown),
            (&[1, 1, 2, 2], Culprits::Unknown),
            (&[1, 1, 2, 3], Culprits::Unknown),
        ] {
            assert_eq!(by_notes(notes), found, "{notes:?}");
        }
    }
}
