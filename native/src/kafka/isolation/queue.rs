//! The records of one isolated topic: what is sent next, and what becomes of a batch that Kafka refused.
//!
//! One chunk at a time is under way. It is a batch in each partition that it has records for, so Kafka takes or refuses it there
//! as a whole. What it refuses comes first in the next chunks, in its order, before anything newer.

use std::collections::VecDeque;

use super::culprits::Culprits;
use crate::kafka::key_order::Waiting;

/// The first chunk of a topic is one record: librdkafka does not know the topic's partitions yet.
const FIRST: usize = 1;

/// A record that waits, or was refused with its batch.
#[derive(Debug)]
pub struct Isolated {
    /// The record.
    pub record: Waiting,
    /// Kafka named it and others as culprits of one batch, with one error for all: the first is sent alone, to learn its own error.
    accused: Option<u32>,
    /// It is sent alone: of a batch of two, nothing tells who did it.
    alone: bool,
}

impl From<Waiting> for Isolated {
    fn from(record: Waiting) -> Self {
        Self { record, accused: None, alone: false }
    }
}

/// How much a chunk may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Records.
    pub records: usize,
    /// Bytes, as the budget counts them. One record is sent however large it is.
    pub bytes: usize,
}

/// The records of one topic.
#[derive(Debug)]
pub struct TopicQueue {
    waiting: VecDeque<Isolated>,
    failed: Vec<Isolated>,
    /// Records of the chunk that is under way.
    under_way: usize,
    /// The accusation that the chunk under way is to clear up.
    trial: Option<u32>,
    accusations: u32,
    /// Whether chunks must not grow now: a batch of the chunk under way was refused, and nothing tells for whom.
    doubtful: bool,
    limit: Bounds,
    most: Bounds,
}

impl TopicQueue {
    /// An empty queue, whose chunks are never larger than `most`.
    #[must_use]
    pub fn new(most: Bounds) -> Self {
        Self {
            waiting: VecDeque::new(),
            failed: Vec::new(),
            under_way: 0,
            trial: None,
            accusations: 0,
            doubtful: false,
            limit: Bounds { records: FIRST, ..most },
            most,
        }
    }

    /// Adds a record at the end.
    pub fn push(&mut self, record: Waiting) {
        self.waiting.push_back(record.into());
    }

    /// Whether nothing waits and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.under_way == 0 && self.waiting.is_empty()
    }

    /// The next chunk; empty while one is under way, and where nothing waits.
    pub fn next_chunk(&mut self) -> Vec<Waiting> {
        let mut chunk = Vec::new();
        if self.under_way > 0 {
            return chunk;
        }
        self.trial = self.waiting.front().and_then(|first| first.accused);
        let goes_alone = |next: &Isolated| next.alone || next.accused.is_some();
        let limit = if self.waiting.front().is_some_and(goes_alone) { 1 } else { self.limit.records };
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            let fits = chunk.is_empty() || bytes + next.record.cost <= self.limit.bytes && !goes_alone(next);
            if chunk.len() >= limit || !fits {
                break;
            }
            bytes += next.record.cost;
            chunk.extend(self.waiting.pop_front().map(|next| next.record));
        }
        self.under_way = chunk.len();
        self.doubtful = false;
        chunk
    }

    /// Records of the chunk that librdkafka had no room for: they come first in the next one.
    pub fn not_sent(&mut self, records: Vec<Waiting>) {
        self.under_way = self.under_way.saturating_sub(records.len());
        self.failed.extend(records.into_iter().map(Isolated::from));
        self.finish();
    }

    /// A record of the chunk that is settled in another way.
    pub fn settled(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.finish();
    }

    /// Kafka has so many records of the chunk.
    pub fn delivered(&mut self, records: usize) {
        if records == 0 {
            return;
        }
        if let Some(accusation) = self.trial.take() {
            // It was right all along, so nothing is known of the others.
            for record in self.accused(accusation) {
                record.accused = None;
            }
        }
        self.under_way = self.under_way.saturating_sub(records);
        self.finish();
    }

    /// Kafka has refused a batch of the chunk. Returns the records that are refused for good with its error; the others are sent
    /// again.
    pub fn refused(&mut self, batch: Vec<Waiting>, culprits: &Culprits) -> Vec<Waiting> {
        self.under_way = self.under_way.saturating_sub(batch.len());
        let bytes: usize = batch.iter().map(|record| record.cost).sum();
        let count = batch.len();
        let mut guilty = Vec::new();
        match culprits {
            Culprits::Alone => {
                guilty.extend(batch);
                if let Some(accusation) = self.trial.take() {
                    guilty.extend(self.take_accused(accusation));
                }
            }
            Culprits::One(culprit) => {
                for (index, record) in batch.into_iter().enumerate() {
                    if index == *culprit { guilty.push(record) } else { self.failed.push(record.into()) }
                }
            }
            Culprits::Several(accused) => {
                self.accusations = self.accusations.wrapping_add(1);
                let mut named = accused.iter();
                self.failed.extend(batch.into_iter().map(|record| Isolated {
                    record,
                    alone: false,
                    accused: named.next().is_some_and(|named| *named).then_some(self.accusations),
                }));
            }
            Culprits::Unknown if count == 2 => {
                self.failed.extend(batch.into_iter().map(|record| Isolated { record, accused: None, alone: true }));
            }
            Culprits::Unknown => {
                self.doubtful = true;
                self.limit.records = (count / 2).max(1);
                self.failed.extend(batch.into_iter().map(Isolated::from));
            }
            Culprits::TooLarge => {
                self.doubtful = true;
                self.limit.bytes = (bytes / 2).max(1);
                self.failed.extend(batch.into_iter().map(Isolated::from));
            }
        }
        self.finish();
        guilty
    }

    /// All that waits: the producer ends.
    pub fn take_waiting(&mut self) -> Vec<Waiting> {
        self.failed.drain(..).chain(self.waiting.drain(..)).map(|record| record.record).collect()
    }

    /// When the whole chunk was reported: what failed comes first, and chunks grow unless in doubt.
    fn finish(&mut self) {
        if self.under_way > 0 {
            return;
        }
        if !self.doubtful {
            self.limit.records = (self.limit.records * 2).min(self.most.records);
            self.limit.bytes = (self.limit.bytes + self.limit.bytes / 8 + 1).min(self.most.bytes);
        }
        for record in self.failed.drain(..).rev() {
            self.waiting.push_front(record);
        }
    }

    /// The accused of one batch: they waited in front when the first of them was sent.
    fn accused(&mut self, accusation: u32) -> impl Iterator<Item = &mut Isolated> {
        let front = self.waiting.iter_mut().take(self.most.records);
        front.filter(move |record| record.accused == Some(accusation))
    }

    fn take_accused(&mut self, accusation: u32) -> Vec<Waiting> {
        let front = self.most.records.min(self.waiting.len());
        let (guilty, rest): (Vec<_>, Vec<_>) =
            self.waiting.drain(..front).partition(|record| record.accused == Some(accusation));
        for record in rest.into_iter().rev() {
            self.waiting.push_front(record);
        }
        guilty.into_iter().map(|record| record.record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::shared::Number;

    const MOST: Bounds = Bounds { records: 100, bytes: 10_000 };

    fn record(number: u64) -> Waiting {
        Waiting { number: Number::of(number), stored: Vec::new(), cost: 100 }
    }

    fn queue(records: u64) -> TopicQueue {
        let mut queue = TopicQueue::new(MOST);
        (0..records).for_each(|number| queue.push(record(number)));
        queue
    }

    fn numbers(records: &[Waiting]) -> Vec<u64> {
        records.iter().map(|record| record.number.get()).collect()
    }

    /// A Kafka of one partition that refuses a batch for the records in `bad` and for its size. Returns what it took, what it
    /// refused for good, and in how many batches.
    fn run(queue: &mut TopicQueue, bad: &[u64], names: bool, max_records: usize) -> (Vec<u64>, Vec<u64>, usize) {
        let (mut taken, mut refused, mut batches) = (Vec::new(), Vec::new(), 0);
        loop {
            let chunk = queue.next_chunk();
            if chunk.is_empty() {
                assert!(queue.is_idle());
                return (taken, refused, batches);
            }
            batches += 1;
            let culprits: Vec<_> = chunk.iter().map(|record| bad.contains(&record.number.get())).collect();
            let count = culprits.iter().filter(|bad| **bad).count();
            let found = match (chunk.len(), count) {
                (1, 1) => Culprits::Alone,
                (length, _) if length > max_records => Culprits::TooLarge,
                (_, 0) => {
                    taken.extend(numbers(&chunk));
                    queue.delivered(chunk.len());
                    continue;
                }
                (3.., 1) if names => Culprits::One(culprits.iter().position(|bad| *bad).unwrap_or_default()),
                (_, 2..) if names => Culprits::Several(culprits),
                _ => Culprits::Unknown,
            };
            refused.extend(numbers(&queue.refused(chunk, &found)));
        }
    }

    #[test]
    fn only_culprits_are_refused_and_the_others_keep_their_order() {
        for names in [true, false] {
            for bad in [&[][..], &[0], &[7], &[299], &[3, 4, 5, 150, 299], &(0..300).collect::<Vec<_>>()] {
                let (taken, mut refused, _) = run(&mut queue(300), bad, names, 1000);
                refused.sort_unstable();
                assert_eq!(refused, bad, "named: {names}");
                assert_eq!(taken, (0..300).filter(|number| !bad.contains(number)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn culprits_that_kafka_names_cost_a_few_batches_however_many_there_are() {
        let all: Vec<_> = (0..10_000).collect();
        let every_second: Vec<_> = (0..10_000).step_by(2).collect();
        for (bad, most) in [(&all, 220), (&every_second, 480)] {
            let (_, refused, batches) = run(&mut queue(10_000), bad, true, 1000);
            assert_eq!(refused.len(), bad.len());
            assert!(batches < most, "{batches} batches of 100 records at most");
        }
    }

    #[test]
    fn a_batch_that_is_too_large_is_sent_in_parts() {
        let (taken, refused, batches) = run(&mut queue(1000), &[], false, 30);
        assert_eq!((taken, refused), ((0..1000).collect(), vec![]));
        assert!(batches < 120, "{batches}");
    }

    #[test]
    fn the_accused_are_sent_when_the_first_of_them_was_right() {
        let mut queue = queue(1);
        let first = queue.next_chunk();
        queue.delivered(first.len());
        (1..3).for_each(|number| queue.push(record(number)));
        let batch = queue.next_chunk();
        assert!(queue.refused(batch, &Culprits::Several(vec![true, true])).is_empty());
        assert_eq!(numbers(&queue.next_chunk()), [1], "the first one alone");
        queue.delivered(1);
        assert_eq!(numbers(&queue.next_chunk()), [2]);
        queue.delivered(1);
        assert!(queue.is_idle());
    }

    #[test]
    fn what_librdkafka_had_no_room_for_comes_first() {
        let mut queue = queue(4);
        let first = queue.next_chunk();
        queue.delivered(first.len());
        let mut chunk = queue.next_chunk();
        assert_eq!(numbers(&chunk), [1, 2]);
        queue.not_sent(chunk.split_off(1));
        assert!(queue.next_chunk().is_empty(), "1 is under way");
        queue.delivered(1);
        assert_eq!(numbers(&queue.next_chunk()), [2, 3]);
    }
}
