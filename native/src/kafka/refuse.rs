//! Records that Kafka will never take: counted, and copied to the dead letter topic where there is one.
//!
//! A record's fate stays open until Kafka has its copy: a crash before that finds the record where it was.

use std::borrow::Cow;

use rdkafka::error::RDKafkaErrorCode;

use crate::account::shared::Origin;
use crate::account::waiters::WaiterId;
use crate::kafka::client::Client;
use crate::kafka::dead_letters::Letter;
use crate::kafka::errors::error_name;
use crate::kafka::key_order::Waiting;
use crate::kafka::produce::{Record, Refused, cost};
use crate::kafka::verdict::Verdict;
use crate::metrics::{DropReason, Location, OTHER};
use crate::record::stored::Stored;

/// What headers and key of a copy may take beside a value that is cut to the client's `message.max.bytes`.
const CUT_MARGIN: usize = 8192;

impl Client {
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
        self.in_librdkafka.leave(record.number.epoch(), 1);
    }

    /// A record that has its room in the budget, and is counted, will never be in its topic: copies it to the dead letter topic,
    /// or settles it.
    pub fn refuse(&self, record: &Stored<'_>, origin: Origin, verdict: Verdict, words: &str) {
        let cost = cost(record.key, record.value, &record.headers);
        let waiter = self.shared.tickets.take(origin.pack());
        let Some(letters) = self.dead_letters.as_ref().filter(|letters| letters.topic.name() != record.topic) else {
            return self.settle_refused(origin, record.topic, cost, &verdict, waiter, false);
        };
        let number = self.shared.next_order();
        let mut headers = record.headers.to_vec();
        headers.push(("dead_letter.topic".into(), Cow::Borrowed(record.topic.as_bytes())));
        headers.push(("dead_letter.reason".into(), verdict.name().as_bytes().to_vec().into()));
        headers.push(("dead_letter.error".into(), Cow::Borrowed(words.as_bytes())));
        let mut value = record.value;
        let limit = self.max_message_bytes().saturating_sub(CUT_MARGIN);
        if verdict == Verdict::Dropped(DropReason::TooLarge)
            && let Some(whole) = value
            && let Some((beginning, _)) = whole.split_at_checked(limit)
        {
            headers.push(("dead_letter.value_size".into(), whole.len().to_string().into_bytes().into()));
            value = Some(beginning);
        }
        let stored = match origin {
            Origin::Direct(order) => Some(Stored { order: self.stored_order(order), ..record.clone() }.to_bytes()),
            _ => None,
        };
        let name = verdict.name().to_owned();
        letters.put(number, Letter { origin, topic: record.topic.into(), cost, verdict, stored, waiter });
        let copy =
            Record { topic: &letters.topic, key: record.key, value, headers: &headers, timestamp: record.timestamp };
        match self.enqueue(&copy, Origin::DeadLetter(number)) {
            Ok(()) => {}
            // The next producer refuses the record again, and makes another copy.
            Err(Refused::Fatal) => self.give_back_letter(number),
            Err(refused) => self.dead_letter_refused(number, &format!("{} (after {name})", refused.reason().name())),
        }
    }

    /// A record that nobody can read any more: the memory that it was in is damaged.
    pub fn refuse_unreadable(&self, origin: Origin, cost: usize) {
        let waiter = self.shared.tickets.take(origin.pack());
        self.settle_refused(origin, OTHER, cost, &Verdict::Dropped(DropReason::Corrupt), waiter, false);
    }

    /// Kafka has a copy.
    pub fn dead_letter_delivered(&self, number: u64) {
        let Some(letter) = self.dead_letters.as_ref().and_then(|letters| letters.take(number)) else { return };
        self.shared.metrics.dead_lettered();
        self.settle_letter(letter, true);
    }

    /// Kafka does not want the copy either.
    pub fn dead_letter_refused(&self, number: u64, error: &str) {
        let Some(letter) = self.dead_letters.as_ref().and_then(|letters| letters.take(number)) else { return };
        let text = format!("cannot copy a record to the dead letter topic: {error}");
        self.shared.notices.push("dead_letter", text);
        self.settle_letter(letter, false);
    }

    fn settle_letter(&self, letter: Letter, copied: bool) {
        let Letter { origin, topic, cost, verdict, stored: _, waiter } = letter;
        self.settle_refused(origin, &topic, cost, &verdict, waiter, copied);
    }

    /// The end of a refused record.
    fn settle_refused(
        &self,
        origin: Origin,
        topic: &str,
        cost: usize,
        verdict: &Verdict,
        waiter: Option<WaiterId>,
        copied: bool,
    ) {
        let location: Location = Self::location(origin, cost);
        match verdict {
            Verdict::Failed(error) => {
                self.shared.metrics.failed(error, location);
                self.shared.metrics.topics.failed(topic);
            }
            Verdict::Dropped(reason) => self.shared.metrics.dropped_from(*reason, location),
        }
        self.shared.budget.release(1, cost);
        if let Some(store) = &self.store {
            match origin {
                Origin::Main(sequence) => store.ack(&[sequence], &[]),
                Origin::Handover(sequence) => store.ack(&[], &[sequence]),
                Origin::Direct(_) | Origin::DeadLetter(_) => {}
            }
        }
        if let Some(waiter) = waiter {
            let fate = if copied { Ok(()) } else { Err(verdict.name().to_owned().into()) };
            self.shared.waiters.settle(waiter, fate);
        }
    }
}
