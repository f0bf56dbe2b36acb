//! Records that librdkafka gives back, or that it never got: kept for the next producer, or refused for good.

use std::sync::PoisonError;

use rdkafka::error::RDKafkaErrorCode;

use crate::account::shared::Origin;
use crate::account::waiters::WaiterId;
use crate::kafka::dead_letter::Verdict;
use crate::kafka::delivery::error_name;
use crate::kafka::key_order::Waiting;
use crate::kafka::produce::{Refused, cost};
use crate::kafka::producer::Client;
use crate::kafka::reports::Report;
use crate::record::stored::Stored;

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

    /// Keeps the record of a report for the next producer. One that is in the spool need not be copied for that.
    pub fn give_back(&self, report: Report<'_>) {
        let number = report.number();
        match number.origin() {
            Origin::Main(_) | Origin::Handover(_) => {
                self.shared.budget.release(1, cost(report.key(), report.value(), &report.headers()));
                self.in_librdkafka.leave(number.round(), 1);
            }
            Origin::Direct(_) | Origin::DeadLetter(_) => self.give_back_waiting(self.waiting(report)),
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
            origin => match Stored::read(&record.stored) {
                Ok(stored) => self.refuse(&stored, origin, verdict, words),
                Err(_) => self.refuse_unreadable(origin, record.cost),
            },
        }
        // Last: who waits until librdkafka is empty finds everything settled.
        self.in_librdkafka.leave(record.number.round(), 1);
    }
}
