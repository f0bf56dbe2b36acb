//! The thread that reads the spool and hands its records to the producer, in their order.
//!
//! Of two logs, merged by the order of their records: see `store`. It goes as fast as the budget of the memory queue lets it,
//! and sleeps while there is nothing to read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use emq_kafka_spool::{Batch, Reader};

use crate::account::shared::Origin;
use crate::flow::open_error::OpenError;
use crate::kafka::client::Client;
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::produce::{Record, Refused, cost};
use crate::kafka::verdict::Verdict;
use crate::metrics::DropReason;
use crate::record::stored::Stored;
use crate::rules::topic::KafkaTopic;
use crate::spool::store::Store;

/// How long it sleeps at most before it looks whether it should stop.
const WAIT: Duration = Duration::from_millis(50);

/// How long it sleeps after the spool could not be read.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// The running thread.
pub struct Replay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    /// Starts to read the spool for a producer, from its first unacknowledged record on.
    ///
    /// # Errors
    ///
    /// The spool cannot be read, or there is no thread for it.
    pub fn start(client: &Arc<Client>, store: &Arc<Store>) -> Result<Self, OpenError> {
        let (handover, main) = store.readers()?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("emq_kafka_replay".to_owned())
            .spawn({
                let mut run = Run { client: Arc::clone(client), store: Arc::clone(store), stop: Arc::clone(&stop) };
                move || run.run(handover.map(Log::new), main.map(Log::new))
            })
            .map_err(OpenError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops it. What it was about to hand over stays in the spool.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: no code in it does.
            thread.join().ok();
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// One of the two logs, with the records read and not yet handed over.
struct Log {
    reader: Reader,
    batch: Batch,
    next: usize,
}

impl Log {
    fn new(reader: Reader) -> Self {
        Self { reader, batch: Batch::default(), next: 0 }
    }

    /// Makes sure that there is a next record. False: there is none now. None: it could not be read this time.
    fn fill(&mut self, timeout: Duration, client: &Client) -> Option<bool> {
        if self.next < self.batch.len() {
            return Some(true);
        }
        self.next = 0;
        match self.reader.read(&mut self.batch, timeout) {
            Ok(more) => Some(more && !self.batch.is_empty()),
            Err(error) => {
                client.shared.notices.push("spool read", format!("spool: {error}"));
                std::thread::sleep(AFTER_ERROR);
                None
            }
        }
    }

    fn peek(&self) -> Option<(u64, &[u8])> {
        self.batch.get(self.next)
    }

    /// The next record was handed over, or is settled.
    fn done(&mut self) {
        if let Some((sequence, _)) = self.peek() {
            self.reader.handed(sequence);
        }
        self.next += 1;
    }

    fn order(&self) -> u64 {
        // What cannot be read comes first, to be got rid of.
        self.peek().and_then(|(_, bytes)| Stored::read(bytes).ok()).map_or(0, |record| record.order)
    }
}

struct Run {
    client: Arc<Client>,
    store: Arc<Store>,
    stop: Arc<AtomicBool>,
}

/// Whether to go on after a record.
#[derive(PartialEq)]
enum Then {
    GoOn,
    Stop,
}

impl Run {
    fn run(&mut self, mut handover: Option<Log>, main: Option<Log>) {
        let Some(mut main) = main else { return };
        while !self.stop.load(Ordering::Acquire) {
            // Nothing is added to the handover log while it is read: once empty, it is done.
            match handover.as_mut().map(|log| log.fill(Duration::ZERO, &self.client)) {
                Some(None) => continue,
                Some(Some(false)) => {
                    self.store.handover_read();
                    handover = None;
                }
                Some(Some(true)) | None => {}
            }
            // Records that come to the main log from now on are younger than all of the handover log.
            let wait = if handover.is_some() { Duration::ZERO } else { WAIT };
            let Some(in_main) = main.fill(wait, &self.client) else { continue };
            let then = match &mut handover {
                Some(log) if !in_main || log.order() < main.order() => self.hand_over(log, Origin::Handover),
                _ if in_main => self.hand_over(&mut main, Origin::Main),
                _ => Then::GoOn,
            };
            if then == Then::Stop {
                return;
            }
        }
    }

    fn hand_over(&mut self, log: &mut Log, origin: impl Fn(u64) -> Origin) -> Then {
        let Some((sequence, bytes)) = log.peek() else { return Then::GoOn };
        let origin = origin(sequence);
        let then = match Stored::read(bytes) {
            Ok(record) => self.produce(&record, origin),
            Err(error) => {
                let text = format!("spool: record {sequence} {error}; it is skipped (counted as dropped.corrupt)");
                self.client.shared.notices.push("spool record", text);
                self.give_up(origin);
                Then::GoOn
            }
        };
        if then == Then::GoOn {
            log.done();
        }
        then
    }

    /// Hands a record to the producer as soon as there is room.
    fn produce(&mut self, record: &Stored<'_>, origin: Origin) -> Then {
        let cost = cost(record.key, record.value, &record.headers);
        let client = Arc::clone(&self.client);
        let budget = &client.shared.budget;
        while !budget.reserve_or_sleep(cost, WAIT) {
            if self.stop.load(Ordering::Acquire) {
                return Then::Stop;
            }
        }
        let Some(topic) = self.topic(record.topic) else {
            client.refuse(record, origin, Verdict::Dropped(DropReason::Refused), "no topic of Kafka has such a name");
            return Then::GoOn;
        };
        let produced = Record::of(record, &topic);
        loop {
            match client.enqueue(&produced, origin) {
                Ok(()) => return Then::GoOn,
                Err(Refused::Final(verdict)) => {
                    let words = verdict.name().to_owned();
                    client.refuse(record, origin, verdict, &words);
                    return Then::GoOn;
                }
                // It stays in the spool, for the next producer.
                Err(Refused::Fatal) => {
                    budget.release(1, cost);
                    return Then::Stop;
                }
                Err(Refused::Full) if self.stop.load(Ordering::Acquire) => {
                    budget.release(1, cost);
                    return Then::Stop;
                }
                // librdkafka's own bound is above ours: it still holds what was reported a moment ago.
                Err(Refused::Full) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn topic(&self, name: &str) -> Option<Arc<TopicHandle>> {
        self.client.topics.get(name).or_else(|| self.client.open_topic(&KafkaTopic::new(name).ok()?).ok())
    }

    fn give_up(&self, origin: Origin) {
        self.client.shared.metrics.spool_lost(1, DropReason::Corrupt);
        match origin {
            Origin::Main(sequence) => self.store.ack(&[sequence], &[]),
            Origin::Handover(sequence) => self.store.ack(&[], &[sequence]),
            Origin::Direct(_) | Origin::DeadLetter(_) => {}
        }
        if let Some(waiter) = self.client.shared.tickets.take(origin.pack()) {
            self.client.shared.waiters.settle(waiter, Err(DropReason::Corrupt.name().into()));
        }
    }
}
