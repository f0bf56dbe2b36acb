//! Records that librdkafka gives back, or that it never got: kept for the next producer.

use std::sync::PoisonError;

use crate::account::returned::Returned;
use crate::account::shared::Origin;
use crate::kafka::client::Client;
use crate::kafka::key_order::Waiting;
use crate::kafka::produce::cost;
use crate::kafka::reports::Report;
use crate::record::stored::Stored;

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
                self.in_librdkafka.leave(number.epoch(), 1);
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
        self.in_librdkafka.leave(number.epoch(), 1);
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
}
