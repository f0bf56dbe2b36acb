//! Records that librdkafka gives back, or that it never got: kept for the next producer, or refused for good.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use rdkafka::error::RDKafkaErrorCode;

use crate::dead_letter::Verdict;
use crate::delivery::error_name;
use crate::key_order::Waiting;
use crate::produce::{Client, Refused, cost};
use crate::reports::Report;
use crate::shared::Origin;
use crate::stored::Stored;
use crate::waiters::WaiterId;

/// A record that librdkafka gave back undelivered, to be produced by another producer.
#[derive(Debug)]
pub struct Returned {
    /// Its place in the order of all records.
    pub order: u64,
    /// The record, as `Stored`.
    pub stored: Vec<u8>,
    /// The room that it still has in the budget.
    pub cost: usize,
    /// Who waits for it.
    pub waiter: Option<WaiterId>,
}

impl Client {
    /// A copy of the record of a report.
    #[must_use]
    pub fn waiting(&self, report: Report<'_>) -> Waiting {
        let number = report.number().as_first(false);
        let topic = report.topic();
        let headers = report.headers();
        let cost = cost(report.key(), report.value(), &headers);
        let stored = Stored {
            order: self.order_of(number),
            topic: &topic,
            key: report.key(),
            value: report.value(),
            headers: headers.into(),
            timestamp: report.timestamp(),
        };
        Waiting { number, stored: stored.to_bytes(), cost }
    }

    /// Keeps the record of a report for the next producer, as `give_back_waiting`. The caller sees to it that it leaves.
    pub fn give_back(&self, report: Report<'_>) {
        let origin = report.number().origin();
        match origin {
            Origin::Direct(order) => {
                let Waiting { stored, cost, .. } = self.waiting(report);
                let waiter = self.shared.tickets.take(origin.pack());
                self.keep(Returned { order, stored, cost, waiter });
            }
            Origin::Main(_) | Origin::Handover(_) => {
                self.shared.budget.release(1, cost(report.key(), report.value(), &report.headers()));
            }
            Origin::DeadLetter(letter) => self.give_back_letter(letter),
        }
    }

    /// Keeps a record for the next producer. What is in the spool stays there, and is read again; a dead letter's record is refused
    /// again.
    pub fn give_back_waiting(&self, record: Waiting) {
        let Waiting { number, stored, cost } = record;
        match number.origin() {
            Origin::Direct(order) => {
                let waiter = self.shared.tickets.take(number.origin().pack());
                self.keep(Returned { order, stored, cost, waiter });
            }
            Origin::Main(_) | Origin::Handover(_) => self.shared.budget.release(1, cost),
            Origin::DeadLetter(letter) => self.give_back_letter(letter),
        }
        self.in_librdkafka.leave(number.round(), 1);
    }

    /// All that waits behind the first record of its key.
    pub fn give_back_held(&self) {
        for topic in self.topics.all() {
            topic.key_order.take_all().into_iter().for_each(|record| self.give_back_waiting(record));
        }
    }

    /// The record itself, not its dead letter: the next producer finds out again.
    pub fn give_back_letter(&self, number: u64) {
        let Some(letter) = self.dead_letters.as_ref().and_then(|letters| letters.take(number)) else { return };
        if let (Origin::Direct(order), Some(stored)) = (letter.origin, letter.stored) {
            return self.keep(Returned { order, stored, cost: letter.cost, waiter: letter.waiter });
        }
        // It is read again, and who waits for it still does.
        if let Some(waiter) = letter.waiter {
            self.shared.tickets.insert(letter.origin.pack(), waiter);
        }
        self.shared.budget.release(1, letter.cost);
    }

    fn keep(&self, returned: Returned) {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(returned);
    }

    /// A record that Kafka refuses for good, with this error.
    pub fn refuse_for(&self, record: &Waiting, error: RDKafkaErrorCode) {
        self.refuse_record(record, Verdict::Failed(error_name(error)), &error.to_string());
    }

    /// A record that librdkafka would not take.
    pub fn refuse_waiting(&self, record: &Waiting, refusal: Refused) {
        let verdict = match refusal {
            Refused::Final(verdict) => verdict,
            Refused::Full | Refused::Fatal => Verdict::Dropped(refusal.reason()),
        };
        let words = verdict.name().to_owned();
        self.refuse_record(record, verdict, &words);
    }

    fn refuse_record(&self, record: &Waiting, verdict: Verdict, words: &str) {
        match record.number.origin() {
            Origin::DeadLetter(letter) => self.dead_letter_refused(letter, verdict.name()),
            // Written by this process a moment ago: it can be read.
            origin => {
                if let Ok(stored) = Stored::read(&record.stored) {
                    self.refuse(&stored, origin, verdict, words);
                }
            }
        }
        // Last: who waits until librdkafka is empty finds everything settled.
        self.in_librdkafka.leave(record.number.round(), 1);
    }

    /// Kafka has refused a batch of this topic, which most of its records need not deserve: the next producer isolates the topic.
    pub fn isolate(&self, topic: &str) {
        if self.shared.suspects.add(topic) {
            let text = format!(
                "Kafka refused a batch of records for the topic {topic}: its records are sent in small batches, one at a time, to \
                 find out which are at fault; the others will arrive"
            );
            self.shared.notices.push(&format!("isolated {topic}"), text);
        }
        if !self.is_spoiled.swap(true, Ordering::AcqRel) {
            self.shared.suspects.ring();
        }
    }

    /// A topic's records go the usual way again. Called with the isolation's lock held: a record that comes now waits for it, and
    /// finds the topic gone.
    pub fn is_trusted_again(&self, topic: &str) {
        self.shared.suspects.remove(topic);
        if let Some(topic) = self.topics.get(topic) {
            topic.is_isolated.store(false, Ordering::Release);
        }
    }

    /// Kafka will take nothing of this producer any more, though librdkafka does not say so.
    pub fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
    }
}
