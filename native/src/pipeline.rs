//! From an event to its records in the producer's queue.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Settings;
use crate::context::Context;
use crate::encode::Encoder;
use crate::event::{Event, EventKind};
use crate::metrics::{DropReason, Metrics};
use crate::native_parts::TopicHandle;
use crate::produce::{OpenError, Producer, Record};
use crate::record::{Identity, fill};
use crate::route::{Routes, matches};
use crate::rule::{Destination, Rule};
use crate::template::Template;

/// A thread's buffers keep up to this much; what a rare large record needed beyond it is given back.
const KEPT_BUFFERS: usize = 1 << 20;

/// An event may cost a normal scheduler as much as reading this many bytes, well below a millisecond. What costs more belongs on
/// a dirty one.
const LIGHT_BYTES: usize = 128 * 1024;

/// What a record costs beside its payload, in bytes read: about a microsecond.
const RECORD_COST: usize = 1024;

/// Everything a record passes on its way.
///
/// Fields are dropped in this order: the rules' topic handles before the producer that they belong to.
pub struct Pipeline {
    /// By kind of event, in the order of `EventKind::ALL`.
    routes: [Vec<Route>; EventKind::ALL.len()],
    encoder: Encoder,
    producer: Producer,
    node: String,
    settings: Settings,
    opened: i64,
    /// Numbers the records that need an identity of their own.
    records: AtomicU64,
}

/// A rule with its topic looked up.
struct Route {
    rule: Rule,
    topic: RouteTopic,
    payload_reads: usize,
}

enum RouteTopic {
    Default,
    Fixed(TopicHandle),
    Template(Template),
}

/// The buffers that a record is made in, used again for the next one.
#[derive(Default)]
struct Buffers {
    /// The event as JSON, made when the first rule asks for it.
    json: Vec<u8>,
    /// The value of another format.
    value: Vec<u8>,
    key: Vec<u8>,
    topic: Vec<u8>,
}

impl Buffers {
    fn capacity(&self) -> usize {
        self.json.capacity() + self.value.capacity() + self.key.capacity() + self.topic.capacity()
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All its records are queued; this many bytes were encoded.
    Queued(usize),
    /// No rule wants it.
    Ignored,
    /// A record was dropped, for this reason.
    Dropped(DropReason),
    /// Nothing was done: this takes longer than a normal scheduler should be held. Ask again on a dirty one.
    Heavy,
}

impl Pipeline {
    /// Compiles the routes of the settings around an open producer.
    ///
    /// # Errors
    ///
    /// librdkafka refused a topic.
    pub fn new(settings: Settings, producer: Producer, node: &str) -> Result<Self, OpenError> {
        let mut routes = [const { Vec::new() }; EventKind::ALL.len()];
        for rule in Routes::new(settings.rules.clone(), settings.format).into_rules() {
            let topic = match &rule.topic {
                None => RouteTopic::Default,
                Some(Destination::Fixed(topic)) => RouteTopic::Fixed(producer.open_topic(topic)?),
                Some(Destination::Template(template)) => RouteTopic::Template(template.clone()),
            };
            let payload_reads = rule.payload_reads();
            if let Some(of_kind) = routes.get_mut(rule.kind as usize) {
                of_kind.push(Route { rule, topic, payload_reads });
            }
        }
        let encoder = Encoder::new(settings.encode_payload, node);
        let node = node.to_owned();
        Ok(Self { routes, encoder, producer, node, settings, opened: now(), records: AtomicU64::new(0) })
    }

    fn routes(&self, kind: EventKind) -> &[Route] {
        self.routes.get(kind as usize).map_or(&[], Vec::as_slice)
    }

    /// The events that some rule wants.
    #[must_use]
    pub fn events(&self) -> Vec<EventKind> {
        EventKind::ALL.into_iter().filter(|kind| !self.routes(*kind).is_empty()).collect()
    }

    /// Whether the records of an event take long together: payload times reads, and names, over all rules that match.
    #[must_use]
    pub fn is_heavy(&self, event: &Event<'_>) -> bool {
        let payload = event.message().map_or(0, |message| message.payload.len());
        let names =
            event.client_id.len() + event.username.map_or(0, <[u8]>::len) + event.topic().map_or(0, <[u8]>::len);
        let cost = |route: &Route| {
            payload.saturating_mul(route.payload_reads).saturating_add(names).saturating_add(RECORD_COST)
        };
        let routes = self.routes(event.kind);
        // Nearly always light, even if all of them should match: nothing to match twice then.
        if routes.iter().map(cost).fold(0, usize::saturating_add) <= LIGHT_BYTES {
            return false;
        }
        let context = Context::new(event, &self.node, 0);
        let matched = routes.iter().filter(|route| matches(&route.rule, &context)).map(cost);
        matched.fold(0, usize::saturating_add) > LIGHT_BYTES
    }

    /// Turns an event into its records and queues them, each counted whatever becomes of it.
    pub fn submit(&self, event: &Event<'_>, metrics: &Metrics) -> Outcome {
        let context = Context::new(event, &self.node, now());
        let mut outcome = Outcome::Ignored;
        with_buffers(|buffers| {
            for route in self.routes(event.kind).iter().filter(|route| matches(&route.rule, &context)) {
                let result = self.produce(route, &context, buffers, metrics);
                outcome = match (outcome, result) {
                    (Outcome::Dropped(reason), _) | (_, Err(reason)) => Outcome::Dropped(reason),
                    (Outcome::Queued(before), Ok(bytes)) => Outcome::Queued(before + bytes),
                    (_, Ok(bytes)) => Outcome::Queued(bytes),
                };
            }
        });
        outcome
    }

    /// Whether librdkafka has given the producer up.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.producer.is_fatal()
    }

    /// The settings, secrets replaced.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        self.settings.redacted()
    }

    /// Delivers what is queued within `timeout` or gives it up; returns how many records were given up. Waits.
    #[must_use]
    pub fn close(self, timeout: Duration) -> usize {
        let Self { routes, producer, .. } = self;
        // Their topic handles must be gone before the client is.
        drop(routes);
        producer.close(timeout)
    }

    /// One record of one rule: counted, whatever becomes of it.
    fn produce(
        &self,
        route: &Route,
        context: &Context<'_, '_>,
        buffers: &mut Buffers,
        metrics: &Metrics,
    ) -> Result<usize, DropReason> {
        let drop = |reason| {
            metrics.dropped(reason);
            reason
        };
        let missing = |_| drop(DropReason::MissingField);
        self.producer.admit(least_size(route, context.event)).map_err(drop)?;
        buffers.key.clear();
        route.rule.key.render(context, &mut buffers.key).map_err(missing)?;
        if let RouteTopic::Template(template) = &route.topic {
            buffers.topic.clear();
            template.render(context, &mut buffers.topic).map_err(missing)?;
        }
        let identity = Identity { opened: self.opened, number: self.records.fetch_add(1, Ordering::Relaxed) };
        let (value, headers) =
            fill(&route.rule, context, &self.encoder, identity, &mut buffers.json, &mut buffers.value)
                .map_err(missing)?;
        // Only for a record that is complete: a topic is opened, or the record redirected and counted.
        let dynamic = match &route.topic {
            RouteTopic::Template(_) => {
                let topic = self.producer.dynamic_topic(&buffers.topic);
                if topic.is_none() {
                    metrics.redirected();
                }
                topic
            }
            RouteTopic::Default | RouteTopic::Fixed(_) => None,
        };
        let topic = match (&route.topic, &dynamic) {
            (_, Some(topic)) => topic,
            (RouteTopic::Fixed(topic), _) => topic,
            _ => self.producer.default_topic(),
        };
        let key = Some(buffers.key.as_slice()).filter(|key| !key.is_empty());
        let record = Record { topic, key, value, headers: &headers, timestamp: context.ts };
        self.producer.produce(&record).map(|()| value.map_or(0, <[u8]>::len))
    }
}

/// The value of a record that has the payload in it is at least as large as that.
fn least_size(route: &Route, event: &Event<'_>) -> usize {
    use crate::rule::Format;
    match (&route.rule.format, event.message()) {
        (_, None) => 0,
        (Format::Template(template), Some(message)) => message.payload.len().saturating_mul(template.whole_payloads()),
        (_, Some(message)) => message.payload.len(),
    }
}

/// Runs `make` with the thread's buffers, without an event in them.
fn with_buffers<T>(make: impl FnOnce(&mut Buffers) -> T) -> T {
    thread_local! {
        static BUFFERS: RefCell<Buffers> = RefCell::default();
    }
    // Taken out and put back, so that nothing can find them borrowed; a thread being torn down has none to keep.
    let mut buffers = BUFFERS.try_with(RefCell::take).unwrap_or_default();
    buffers.json.clear();
    let result = make(&mut buffers);
    if buffers.capacity() <= KEPT_BUFFERS {
        BUFFERS.try_with(|kept| kept.replace(buffers)).ok();
    }
    result
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
