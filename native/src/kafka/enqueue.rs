//! A record's way into librdkafka: through the isolation, where its topic is isolated; behind the first record of its key, where that
//! is not acknowledged yet; straight on otherwise.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::account::shared::{Number, Origin};
use crate::kafka::client::{Client, Following, Stalled};
use crate::kafka::key_order::{Pass, Slot, Waiting};
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::produce::{Record, Refused, hand_over, refused};
use crate::record::stored::Stored;

impl Client {
    /// Hands one record to librdkafka, which copies it. Counts nothing, and takes no room in the budget. Never waits.
    ///
    /// # Errors
    ///
    /// Why librdkafka did not take it.
    pub fn enqueue(&self, record: &Record<'_>, origin: Origin) -> Result<(), Refused> {
        // Counted first: its report may come before `hand_over` returns.
        let number = Number::new(origin, self.in_librdkafka.enter());
        let result = self.pass_on(record, number);
        if result.is_err() {
            self.in_librdkafka.leave(number.epoch(), 1);
        }
        result
    }

    fn pass_on(&self, record: &Record<'_>, number: Number) -> Result<(), Refused> {
        if let Some(isolation) = &self.isolation
            && record.topic.is_isolated.load(Ordering::Acquire)
            && isolation.take(record.topic.name(), self.copy(record, number))
        {
            return Ok(());
        }
        if !self.keeps_order {
            return self.send(record, number);
        }
        match record.topic.key_order.ask(record.key, || self.copy(record, number)) {
            Pass::Free => self.send(record, number),
            Pass::Held => Ok(()),
            Pass::First(slot) => self.send(record, number.as_first(true)).inspect_err(|_| {
                if let Some(topic) = self.topics.get(record.topic.name()) {
                    self.follow(&topic, slot, false);
                }
            }),
        }
    }

    fn send(&self, record: &Record<'_>, number: Number) -> Result<(), Refused> {
        hand_over(&self.native, record, number.get()).map_err(refused)
    }

    fn copy(&self, record: &Record<'_>, number: Number) -> Waiting {
        Waiting { number, stored: record.stored(self.order_of(number)).to_bytes(), cost: record.cost() }
    }

    /// The place in the order of records that a record has which is nowhere but in memory.
    #[must_use]
    pub fn order_of(&self, number: Number) -> u64 {
        match number.origin() {
            Origin::Direct(order) => self.stored_order(order),
            Origin::Main(_) | Origin::Handover(_) | Origin::DeadLetter(_) => 0,
        }
    }

    /// The first record of a slot was acknowledged (`open`), or refused: sends what waits behind it.
    pub fn follow(&self, topic: &Arc<TopicHandle>, slot: Slot, open: bool) {
        self.follow_by(topic, slot, open, |waiting| self.send_waiting(topic, waiting, open));
    }

    fn follow_by(
        &self,
        topic: &Arc<TopicHandle>,
        slot: Slot,
        open: bool,
        mut send: impl FnMut(&Waiting) -> Result<(), Refused>,
    ) {
        loop {
            // Held from the queue to librdkafka: a purge in between would give back what is before the record, and not the record.
            let following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
            if *following == Following::Ended {
                return;
            }
            let Some(waiting) = topic.key_order.next(slot, open) else { return };
            match send(&waiting) {
                Ok(()) if open => {}
                // It is the first now.
                Ok(()) => return,
                Err(refusal @ Refused::Final(_)) => {
                    drop(following);
                    self.refuse_waiting(&waiting, refusal);
                }
                // The end of this producer gives it back.
                Err(Refused::Fatal) => return topic.key_order.put_back(slot, waiting),
                Err(Refused::Full) => {
                    topic.key_order.put_back(slot, waiting);
                    let stalled = Stalled { topic: Arc::clone(topic), slot, open };
                    return self.stalled.lock().unwrap_or_else(PoisonError::into_inner).push(stalled);
                }
            }
        }
    }

    /// From now on, what waits behind the first record of its key stays where it is.
    pub fn end_following(&self) {
        *self.following.lock().unwrap_or_else(PoisonError::into_inner) = Following::Ended;
    }

    fn send_waiting(&self, topic: &TopicHandle, waiting: &Waiting, open: bool) -> Result<(), Refused> {
        let Ok(stored) = Stored::read(&waiting.stored) else {
            return Err(refused(rdkafka::error::RDKafkaErrorCode::InvalidMessage));
        };
        self.send(&Record::of(&stored, topic), waiting.number.as_first(!open))
    }

    /// Tries again what librdkafka had no room for.
    pub fn follow_stalled(&self) {
        let stalled = std::mem::take(&mut *self.stalled.lock().unwrap_or_else(PoisonError::into_inner));
        for Stalled { topic, slot, open } in stalled {
            self.follow(&topic, slot, open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::config::Settings;
    use crate::kafka::producer::Producer;
    use crate::rules::topic::KafkaTopic;

    fn producer_without_kafka() -> (Producer, Arc<TopicHandle>) {
        let settings = Settings::parse([("server", "127.0.0.1:1"), ("spool", "off")]).expect("valid settings");
        let producer = Producer::open(&settings, Arc::default(), None).expect("opened");
        let topic = producer.client().open_topic(&KafkaTopic::new("t").expect("a name")).expect("a topic");
        (producer, topic)
    }

    fn record(topic: &TopicHandle) -> Record<'_> {
        Record { topic, key: Some(b"k"), value: None, headers: &[], timestamp: 0 }
    }

    /// Records of one key.
    fn enqueue(client: &Client, topic: &TopicHandle, orders: std::ops::Range<u64>) {
        for order in orders {
            client.enqueue(&record(topic), Origin::Direct(order)).expect("taken");
        }
    }

    /// Between the queue and librdkafka a purge would find a record in neither.
    #[test]
    fn the_first_record_of_a_key_goes_alone_and_those_behind_it_keep_the_end_away_while_they_follow() {
        let (producer, topic) = producer_without_kafka();
        let client = producer.client();
        enqueue(client, &topic, 0..3);
        let mut followed = Vec::new();
        client.follow_by(&topic, Slot::of(b"k"), true, |waiting| {
            assert!(client.following.try_lock().is_err(), "the producer could end now");
            followed.push(waiting.number.origin());
            Ok(())
        });
        assert_eq!(followed, [Origin::Direct(1), Origin::Direct(2)]);
    }

    #[test]
    fn what_waits_when_a_producer_ends_is_given_back_and_nothing_follows_any_more() {
        let (producer, topic) = producer_without_kafka();
        let client = producer.client();
        enqueue(client, &topic, 0..3);
        let returned = producer.end(Duration::ZERO);
        assert_eq!(returned.iter().map(|record| record.order).collect::<Vec<_>>(), [0, 1, 2]);
        let copy = || client.copy(&record(&topic), Number::new(Origin::Direct(3), client.in_librdkafka.enter()));
        let Pass::First(slot) = topic.key_order.ask(Some(b"k"), copy) else { panic!("another is the first") };
        assert_eq!(topic.key_order.ask(Some(b"k"), copy), Pass::Held);
        client.follow_by(&topic, slot, true, |_| panic!("it overtakes what was given back"));
        assert_eq!(topic.key_order.take_all().len(), 1);
    }
}
