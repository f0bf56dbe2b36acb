//! What librdkafka tells back: delivery reports, errors and log lines.
//!
//! All of it is served on the one thread that polls the producer (see `produce`). Nothing here may panic or wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::metrics::{DropReason, Metrics};
use crate::notices::Notices;

/// How much memory the queued records may take, and how much they take.
#[derive(Debug)]
pub struct Budget {
    max_messages: usize,
    max_bytes: usize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    /// An empty queue that may grow to these bounds.
    #[must_use]
    pub const fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { max_messages, max_bytes, messages: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Whether nothing more fits, however small: asked before an event is encoded.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.messages.load(Ordering::Relaxed) >= self.max_messages
            || self.bytes.load(Ordering::Relaxed) >= self.max_bytes
    }

    /// Takes the room for one record of `bytes`, or tells that there is none.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> bool {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed);
        let taken = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // One record larger than the whole bound is let through when it is alone, so that it gets its own answer.
        let fits = messages < self.max_messages && (taken == 0 || taken.saturating_add(bytes) <= self.max_bytes);
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// How many records are in the queue.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages.load(Ordering::Relaxed)
    }

    /// Gives the room of one record back.
    pub fn release(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The context of a producer: where its reports go.
#[derive(Debug)]
pub struct Delivery {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The room that delivered records give back.
    pub budget: Arc<Budget>,
    /// Where log lines and errors wait for the operator.
    pub notices: Arc<Notices>,
}

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let text = format!("librdkafka {level:?} {facility}: {message}");
        match level {
            // Asked for by the operator, who wants to see each.
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                self.notices.push(&text, text.clone());
            }
            _ => self.notices.push(facility, text),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // librdkafka logs these with more words (`FAIL`), or they only sum up such lines.
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::SSL
                | RDKafkaErrorCode::Authentication,
            ) => {}
            Some(code) => self.notices.push(&error_name(code), format!("{}: {reason}", error_name(code))),
            None => self.notices.push("error", format!("{error}: {reason}")),
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for Delivery {
    /// The bytes that the record was reserved with. A number, not a pointer: nothing to free, nothing to leak.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, bytes: usize) {
        self.budget.release(bytes);
        match result {
            Ok(_) => self.metrics.success(bytes),
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {
                    self.metrics.dropped_queued(DropReason::Purged, bytes);
                }
                Some(code) => self.metrics.failed(&error_name(code), bytes),
                None => self.metrics.failed("unknown", bytes),
            },
        }
    }
}

/// An error's name in statistics, in the style of the drop reasons: `TopicAuthorizationFailed` is
/// `topic_authorization_failed`.
fn error_name(code: RDKafkaErrorCode) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_bounds_messages() {
        let budget = Budget::new(2, 1000);
        assert!(budget.reserve(1) && budget.reserve(1));
        assert!(budget.is_full());
        assert!(!budget.reserve(1));
        budget.release(1);
        assert!(!budget.is_full());
        assert!(budget.reserve(1));
    }

    #[test]
    fn the_budget_bounds_bytes() {
        let budget = Budget::new(100, 1000);
        assert!(budget.reserve(600));
        assert!(!budget.reserve(401));
        assert!(budget.reserve(400));
        assert!(budget.is_full());
    }

    #[test]
    fn a_record_larger_than_the_bound_passes_alone() {
        let budget = Budget::new(100, 1000);
        assert!(budget.reserve(5000));
        assert!(!budget.reserve(1));
        budget.release(5000);
        assert!(budget.reserve(1));
        assert!(!budget.reserve(5000));
    }

    #[test]
    fn errors_have_names_like_drop_reasons() {
        assert_eq!(error_name(RDKafkaErrorCode::TopicAuthorizationFailed), "topic_authorization_failed");
        assert_eq!(error_name(RDKafkaErrorCode::MessageTimedOut), "message_timed_out");
    }
}
