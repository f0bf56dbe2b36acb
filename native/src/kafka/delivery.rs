//! What librdkafka tells back, served on one thread of our own: nothing here may panic or wait.
//!
//! The reports of one event are settled together: the counters, the room in the budget, the spool's acknowledgements, and last
//! the callers that wait. So whoever was told finds the counters right.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::account::in_flight::Epoch;
use crate::account::shared::Origin;
use crate::account::waiters::WaiterId;
use crate::event::time::now;
use crate::kafka::client::Client;
use crate::kafka::errors::{Blame, blame};
use crate::kafka::key_order::Slot;
use crate::kafka::log;
use crate::kafka::produce::cost;
use crate::kafka::reports::{Content, Event, Report, Reports};
use crate::metrics::Latencies;

/// How long the thread sleeps at most while nothing is reported: so late, at worst, is a caller told of room that the spool got
/// otherwise.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How often it is looked for callers that died while they waited.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What the reports of one event add up to.
#[derive(Default)]
pub struct Settled {
    /// By round.
    even: usize,
    odd: usize,
    queued: u64,
    queued_bytes: usize,
    spooled: u64,
    spooled_bytes: usize,
    main: Vec<u64>,
    handover: Vec<u64>,
    /// Who waited for those that Kafka has.
    safe: Vec<WaiterId>,
    /// How long they took.
    latencies: Latencies,
}

/// The reports of one event: a batch of one topic.
pub struct Batch<'e> {
    /// The topic.
    pub topic: Cow<'e, str>,
    /// How many of them Kafka has.
    pub delivered: usize,
}

/// Takes a record of a batch that Kafka does not have, and sees to it that it leaves `in_librdkafka`.
type Failed<'f, 'e> = dyn FnMut(Report<'e>, RDKafkaErrorCode) + 'f;

/// Serves a client's events until it is told to stop.
pub fn serve(client: &Client) {
    let mut settled = Settled::default();
    let mut swept = Instant::now();
    while !client.stop.load(Ordering::Acquire) {
        if let Some(event) = client.queue.poll(POLL_INTERVAL) {
            serve_event(client, &event, &mut settled, &mut |report, error| undelivered(client, report, error));
        }
        client.follow_stalled();
        client.tell_of_room();
        if swept.elapsed() > SWEEP_INTERVAL {
            swept = Instant::now();
            client.shared.waiters.sweep(swept);
        }
    }
}

/// Serves one event, which need not come from the client's own queue. None: it has no delivery reports.
pub fn serve_event<'e>(
    client: &Client,
    event: &'e Event,
    settled: &mut Settled,
    failed: &mut Failed<'_, 'e>,
) -> Option<Batch<'e>> {
    match event.content() {
        Content::Reports(reports) => return Some(serve_reports(client, reports, settled, failed)),
        Content::Log { level, facility, text } => log::line(client, level, facility.trim(), text.trim()),
        Content::Error(code, reason) => log::error(client, code, reason.trim()),
        Content::Statistics(text) => client.statistics.put(&text),
        Content::Other => {}
    }
    None
}

fn serve_reports<'e>(
    client: &Client,
    reports: Reports<'e>,
    settled: &mut Settled,
    failed: &mut Failed<'_, 'e>,
) -> Batch<'e> {
    let now = now();
    let mut of_topic = OfTopic(None);
    let mut batch = Batch { topic: Cow::Borrowed(""), delivered: 0 };
    for report in reports {
        if batch.topic.is_empty() {
            batch.topic = report.topic();
        }
        if let Some(error) = report.error() {
            failed(report, error);
            continue;
        }
        settled.leave(report);
        batch.delivered += 1;
        if delivered(client, report, settled) {
            settled.latencies.add(report.age_ms(now));
            of_topic.delivered(client, report);
        }
        if report.number().is_first() {
            client.follow_report(report, true);
        }
    }
    of_topic.count(client);
    let shared = &client.shared;
    shared.metrics.latency.add(&mut settled.latencies);
    shared.metrics.success(settled.queued, settled.queued_bytes, settled.spooled);
    let messages = usize::try_from(settled.queued + settled.spooled).unwrap_or(0);
    shared.budget.release(messages, settled.queued_bytes + settled.spooled_bytes);
    if let Some(store) = &client.store {
        store.ack(&settled.main, &settled.handover);
    }
    for waiter in settled.safe.drain(..) {
        shared.waiters.settle(waiter, Ok(()));
    }
    // Last: who waits until librdkafka is empty finds everything settled.
    client.in_librdkafka.leave(Epoch::Even, settled.even);
    client.in_librdkafka.leave(Epoch::Odd, settled.odd);
    let (mut main, mut handover, mut safe) =
        (std::mem::take(&mut settled.main), std::mem::take(&mut settled.handover), std::mem::take(&mut settled.safe));
    main.clear();
    handover.clear();
    safe.clear();
    *settled = Settled { main, handover, safe, ..Settled::default() };
    batch
}

impl Settled {
    /// The record leaves `in_librdkafka` when this event is settled.
    fn leave(&mut self, report: Report<'_>) {
        match report.number().epoch() {
            Epoch::Even => self.even += 1,
            Epoch::Odd => self.odd += 1,
        }
    }
}

/// The first of some records of one topic, and how many there are. All that an event reports are of one, as a rule.
struct OfTopic<'e>(Option<(Report<'e>, u64)>);

impl<'e> OfTopic<'e> {
    fn delivered(&mut self, client: &Client, report: Report<'e>) {
        match &mut self.0 {
            Some((first, records)) if first.has_topic_of(report) => *records += 1,
            _ => {
                self.count(client);
                self.0 = Some((report, 1));
            }
        }
    }

    fn count(&mut self, client: &Client) {
        if let Some((first, records)) = self.0.take() {
            client.shared.metrics.topics.success(&first.topic(), records);
        }
    }
}

/// Whether it is a record, and not a dead letter.
fn delivered(client: &Client, report: Report<'_>, settled: &mut Settled) -> bool {
    let origin = report.number().origin();
    match origin {
        Origin::DeadLetter(number) => {
            client.dead_letter_delivered(number);
            return false;
        }
        Origin::Direct(_) => {
            settled.queued += 1;
            settled.queued_bytes += cost_of(report);
        }
        Origin::Main(sequence) => {
            settled.main.push(sequence);
            settled.spooled += 1;
            settled.spooled_bytes += cost_of(report);
        }
        Origin::Handover(sequence) => {
            settled.handover.push(sequence);
            settled.spooled += 1;
            settled.spooled_bytes += cost_of(report);
        }
    }
    settled.safe.extend(client.shared.tickets.take(origin.pack()));
    true
}

/// Given back to be produced again, or refused for good.
fn undelivered(client: &Client, report: Report<'_>, error: RDKafkaErrorCode) {
    let is_refused = match blame(error) {
        Blame::Nobody => false,
        // The record on which the producer failed for good is no worse than those behind it.
        Blame::Producer => {
            client.fail();
            false
        }
        Blame::Record | Blame::Size => {
            client.isolate(&report.topic());
            false
        }
        // Otherwise the next batch would end the next producer, too.
        Blame::Topic if client.is_fatal() => {
            client.isolate(&report.topic());
            true
        }
        Blame::Topic => true,
        Blame::Limit => !client.is_fatal(),
    };
    if !is_refused {
        return client.give_back(report);
    }
    client.refuse_for(&client.waiting(report), error);
    if report.number().is_first() {
        client.follow_report(report, false);
    }
}

fn cost_of(report: Report<'_>) -> usize {
    cost(report.key(), report.value(), &report.headers())
}

impl Client {
    /// The first record of a key was acknowledged (`open`) or refused.
    fn follow_report(&self, report: Report<'_>, open: bool) {
        if let Some((topic, key)) = self.topics.get(&report.topic()).zip(report.key()) {
            self.follow(&topic, Slot::of(key), open);
        }
    }

    /// Lets callers that wait for room try again, where there is some.
    fn tell_of_room(&self) {
        if self.shared.waiters.blocked_count() == 0 {
            return;
        }
        let budget = &self.shared.budget;
        let in_spool = self.store.as_ref().is_some_and(|store| store.has_room());
        if in_spool || !budget.is_full() {
            self.shared.waiters.tell_of_room(budget.room_for().max(usize::from(in_spool)));
        }
    }
}
