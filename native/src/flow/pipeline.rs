//! From an event to its records on their way to Kafka.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::account::shared::Shared;
use crate::account::waiters::{Caller, Refusal, WaiterId, Waiters};
use crate::config::Settings;
use crate::event::context::Context;
use crate::event::time::now;
use crate::event::{Event, EventKind, Reading};
use crate::flow::intake::{Intake, TakeOptions};
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::open_error::OpenError;
use crate::kafka::produce::Record;
use crate::metrics::{DropReason, RuleCounters};
use crate::record::encode::Encoder;
use crate::record::fill::{Identity, fill};
use crate::rules::route::{Routes, matches};
use crate::rules::rule::{Destination, OnFailure, Produce, Rule};
use crate::rules::template::Template;
use crate::spool::store::{Ack, AckAt};

/// A thread's buffers keep up to this much; what a rare large record needed beyond it is given back.
const KEPT_BUFFERS: usize = 1 << 20;

/// An event may cost a normal scheduler as much as reading this many bytes, well below a millisecond. What costs more belongs on
/// a dirty one.
const LIGHT_BYTES: usize = 128 * 1024;

/// The name of the rules that there are where none is configured.
const DEFAULT_RULE: &str = "default";

/// What a record costs beside its payload, in bytes read: about a microsecond.
const RECORD_COST: usize = 1024;

/// Everything a record passes on its way.
///
/// Fields are dropped in this order: the rules' topic handles before the producer that they belong to.
pub struct Pipeline {
    /// By kind of event, in the order of `EventKind::ALL`.
    routes: [Vec<Route>; EventKind::ALL.len()],
    encoder: Encoder,
    intake: Intake,
    shared: Arc<Shared>,
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
    produce: Produce,
    /// Whether a publisher ends whose record is not safe in time.
    disconnects: bool,
    /// As the operator calls it.
    name: String,
    /// Its JSON.
    definition: String,
    counters: Arc<RuleCounters>,
}

/// What a rule is, and has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleReport {
    /// The event that it is for.
    pub event: EventKind,
    /// As the operator calls it; `default` where none is configured.
    pub name: String,
    /// Events that it wanted.
    pub matched: u64,
    /// Records of it that were given up on their way in.
    pub dropped: u64,
    /// Its JSON.
    pub definition: String,
}

enum RouteTopic {
    Default,
    Fixed(Arc<TopicHandle>),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All its records are taken in; this many bytes were encoded.
    Queued(usize),
    /// No rule wants it.
    Ignored,
    /// A record was dropped, for this reason.
    Dropped(Refusal),
    /// A record was dropped, for this reason, and its rule wants the publisher disconnected.
    Refused(Refusal),
    /// The caller is to wait for an answer with this number.
    Wait {
        /// The number.
        id: WaiterId,
        /// How long, at most.
        timeout: Duration,
        /// Whether the publisher is disconnected unless all is well.
        disconnects: bool,
    },
    /// There is no room. The caller is to wait until it is told of some, and come again from this record on.
    Full {
        /// The number that it is told with, and comes again with.
        id: WaiterId,
        /// How long, at most.
        timeout: Duration,
        /// The record that found no room, counted over the rules that match.
        from: usize,
    },
    /// Nothing was done: this takes longer than a normal scheduler should be held. Ask again on a dirty one.
    TooLong,
}

/// Who publishes.
pub enum Publisher<'c> {
    /// Somebody who cannot wait.
    CannotWait,
    /// A client's connection, which can.
    CanWait(&'c dyn Fn() -> Box<dyn Caller>),
    /// The same, after it was told of room for record `from`, or, where this is its `last` try, not.
    Retry {
        /// Makes it a caller.
        caller: &'c dyn Fn() -> Box<dyn Caller>,
        /// Its number.
        id: WaiterId,
        /// The record that found no room.
        from: usize,
        /// Whether it waits for room no longer.
        last: bool,
    },
}

impl Publisher<'_> {
    /// Its event becomes no record, for this reason, which is counted elsewhere. Whether it `disconnects` is its rules'.
    pub fn turn_away(&self, waiters: &Waiters, reason: DropReason, disconnects: bool) -> Outcome {
        if let Self::Retry { id, .. } = self {
            waiters.withdraw(*id);
        }
        if matches!(self, Self::CannotWait) || !disconnects {
            return Outcome::Dropped(reason.name().into());
        }
        waiters.count_disconnected();
        Outcome::Refused(reason.name().into())
    }
}

/// An event on its way through the rules.
struct Submission<'c> {
    caller: Option<&'c dyn Fn() -> Box<dyn Caller>>,
    may_block: bool,
    waiter: Option<WaiterId>,
    /// Whether a rule of a record that is waited for wants the publisher disconnected.
    disconnects: bool,
    bytes: Option<usize>,
    dropped: Option<DropReason>,
    refused: Option<DropReason>,
}

impl Pipeline {
    /// Compiles the routes of the settings around the way to an open producer.
    ///
    /// # Errors
    ///
    /// librdkafka refused a topic.
    pub fn new(settings: Settings, intake: Intake, shared: Arc<Shared>, node: &str) -> Result<Self, OpenError> {
        let mut routes = [const { Vec::new() }; EventKind::ALL.len()];
        let rules = Routes::new(settings.rules.clone(), settings.format).into_rules();
        let mut texts = settings.rule_texts.iter();
        for rule in rules {
            // EVENT.NAME
            let (name, definition) = texts.next().map_or((DEFAULT_RULE, "{}"), |(name, json)| {
                (name.rsplit_once('.').map_or(name.as_str(), |(_, name)| name), json.as_str())
            });
            let (name, definition) = (name.to_owned(), definition.to_owned());
            let counters = shared.metrics.rules.counters(rule.kind, &name);
            let topic = match &rule.topic {
                None => RouteTopic::Default,
                Some(Destination::Fixed(topic)) => RouteTopic::Fixed(intake.producer().open_topic(topic)?),
                Some(Destination::Template(template)) => RouteTopic::Template(template.clone()),
            };
            let payload_reads = rule.payload_reads();
            let produce = rule.produce.unwrap_or(settings.produce.mode);
            let on_failure = rule.on_failure.or(settings.produce.on_failure).unwrap_or_else(|| produce.on_failure());
            let disconnects = on_failure == OnFailure::Disconnect;
            if let Some(of_kind) = routes.get_mut(rule.kind as usize) {
                of_kind.push(Route { rule, topic, payload_reads, produce, disconnects, name, definition, counters });
            }
        }
        let encoder = Encoder::new(settings.encode_payload, node);
        let node = node.to_owned();
        Ok(Self { routes, encoder, intake, shared, node, settings, opened: now(), records: AtomicU64::new(0) })
    }

    /// The rules, in the order in which they are tried.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleReport> {
        let report = |route: &Route| {
            let (matched, dropped) = route.counters.counts();
            let (event, name, definition) = (route.rule.kind, route.name.clone(), route.definition.clone());
            RuleReport { event, name, matched, dropped, definition }
        };
        self.routes.iter().flatten().map(report).collect()
    }

    /// Forgets what rules that are not in this pipeline have done.
    pub fn forget_other_rules(&self) {
        let rules = self.routes.iter().flatten().map(|route| (route.rule.kind, route.name.as_str()));
        self.shared.metrics.rules.keep(rules);
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
        let names = names.saturating_add(event.extra_size());
        let cost = |route: &Route| {
            payload.saturating_mul(route.payload_reads).saturating_add(names).saturating_add(RECORD_COST)
        };
        let routes = self.routes(event.kind);
        let is_read = event.message().is_none_or(|message| message.reading != Reading::Later);
        // Nearly always light, even if all of them should match: nothing to match twice then.
        if is_read && routes.iter().map(cost).fold(0, usize::saturating_add) <= LIGHT_BYTES {
            return false;
        }
        let context = Context::new(event, &self.node, 0);
        if !is_read {
            return routes.iter().any(|route| matches(&route.rule, &context));
        }
        let matched = routes.iter().filter(|route| matches(&route.rule, &context)).map(cost);
        matched.fold(0, usize::saturating_add) > LIGHT_BYTES
    }

    /// Turns an event into its records, each counted whatever becomes of it. Never waits: it says when its caller should.
    pub fn submit(&self, event: &Event<'_>, publisher: &Publisher<'_>) -> Outcome {
        let context = Context::new(event, &self.node, now());
        let block = self.settings.produce.block;
        let (caller, waiter, from, may_block) = match *publisher {
            Publisher::CannotWait => (None, None, 0, false),
            Publisher::CanWait(caller) => (Some(caller), None, 0, block),
            Publisher::Retry { caller, id, from, last } => (Some(caller), Some(id), from, block && !last),
        };
        // The rule whose record found no room was counted then.
        let again = waiter.map(|_| from);
        let (bytes, dropped, refused) = (None, None, None);
        let mut submission = Submission { caller, may_block, waiter, disconnects: false, bytes, dropped, refused };
        let full = with_buffers(|buffers| {
            let matching = self.routes(event.kind).iter().filter(|route| matches(&route.rule, &context));
            for (number, route) in matching.enumerate().skip(from) {
                if again != Some(number) {
                    route.counters.matched();
                }
                if let Some(id) = self.pass(route, &context, buffers, &mut submission) {
                    return Some(Outcome::Full { id, timeout: self.settings.produce.timeout, from: number });
                }
            }
            None
        });
        full.unwrap_or_else(|| self.outcome(&submission))
    }

    /// One record of the event. Some(number): there is no room for it, and the caller is to wait.
    fn pass(
        &self,
        route: &Route,
        context: &Context<'_, '_>,
        buffers: &mut Buffers,
        submission: &mut Submission<'_>,
    ) -> Option<WaiterId> {
        let waiters = &self.shared.waiters;
        let until = match route.produce {
            Produce::Async => None,
            Produce::Durable => Some(AckAt::Disk),
            Produce::Sync => Some(AckAt::Kafka),
        };
        let mut ack: Ack = None;
        if let Some(until) = until.filter(|_| submission.caller.is_some()) {
            match self.waiter(submission) {
                Some(id) => {
                    ack = Some((id, until));
                    submission.disconnects |= route.disconnects;
                    waiters.expect(id);
                }
                // Its client will send it again: once is enough.
                None if route.disconnects => {
                    self.shared.metrics.dropped(DropReason::WaitersFull);
                    route.counters.dropped();
                    submission.refused = Some(DropReason::WaitersFull);
                    return None;
                }
                None => {}
            }
        }
        let options = TakeOptions { ack, durable: route.produce == Produce::Durable, may_block: submission.may_block };
        let reason = match self.produce(route, context, buffers, options) {
            Ok(bytes) => {
                submission.bytes = Some(submission.bytes.unwrap_or_default() + bytes);
                return None;
            }
            Err(reason) => reason,
        };
        if options.may_block && reason.is_full() {
            let blocked = self.waiter(submission);
            if let (Some(id), Some((waiting, _))) = (blocked, ack) {
                debug_assert_eq!(id, waiting);
                waiters.settle(id, Ok(()));
            }
            match blocked {
                Some(id) => {
                    waiters.block(id);
                    return Some(id);
                }
                None => self.shared.metrics.dropped(reason),
            }
        }
        route.counters.dropped();
        if let Some((id, _)) = ack {
            waiters.settle(id, Err(reason.name().into()));
        }
        submission.dropped = Some(reason);
        // That a template found nothing is no failure that another try would mend.
        if route.disconnects && submission.caller.is_some() && reason != DropReason::MissingField {
            submission.refused = Some(reason);
        }
        None
    }

    /// The caller's number, given when it is first needed.
    fn waiter(&self, submission: &mut Submission<'_>) -> Option<WaiterId> {
        if submission.waiter.is_none()
            && let Some(caller) = submission.caller
        {
            submission.waiter = self.shared.waiters.begin(self.settings.produce.timeout, caller);
        }
        submission.waiter
    }

    fn outcome(&self, submission: &Submission<'_>) -> Outcome {
        let waiters = &self.shared.waiters;
        if let Some(reason) = submission.refused {
            if let Some(id) = submission.waiter {
                waiters.withdraw(id);
            }
            waiters.count_disconnected();
            return Outcome::Refused(reason.name().into());
        }
        if let Some(id) = submission.waiter {
            match waiters.seal(id, submission.disconnects) {
                None => {
                    let timeout = self.settings.produce.timeout;
                    return Outcome::Wait { id, timeout, disconnects: submission.disconnects };
                }
                Some(Err(refusal)) if submission.disconnects => {
                    waiters.count_disconnected();
                    return Outcome::Refused(refusal);
                }
                Some(Err(refusal)) => return Outcome::Dropped(refusal),
                Some(Ok(())) => {}
            }
        }
        match (submission.dropped, submission.bytes) {
            (Some(reason), _) => Outcome::Dropped(reason.name().into()),
            (None, Some(bytes)) => Outcome::Queued(bytes),
            (None, None) => Outcome::Ignored,
        }
    }

    /// Whether some rule wants a publisher disconnected whose record is not safe.
    #[must_use]
    pub fn disconnects(&self) -> bool {
        self.routes(EventKind::MessagePublish).iter().any(|route| route.disconnects)
    }

    /// Whether librdkafka has given the producer up.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.intake.producer().client().is_fatal()
    }

    /// Whether the producer is to be replaced at once, by one that isolates a topic.
    #[must_use]
    pub fn is_spoiled(&self) -> bool {
        self.intake.producer().client().is_spoiled()
    }

    /// The settings, secrets replaced.
    #[must_use]
    pub fn shown_settings(&self) -> Vec<(String, String)> {
        self.settings.redacted()
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name of the node that the records carry.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Where its records go.
    #[must_use]
    pub const fn intake(&self) -> &Intake {
        &self.intake
    }

    /// One record of one rule: counted, whatever becomes of it, unless it may wait for room.
    fn produce(
        &self,
        route: &Route,
        context: &Context<'_, '_>,
        buffers: &mut Buffers,
        options: TakeOptions,
    ) -> Result<usize, DropReason> {
        let drop = |reason: DropReason| {
            if !(options.may_block && reason.is_full()) {
                self.shared.metrics.dropped(reason);
            }
            reason
        };
        let missing = |_| drop(DropReason::MissingField);
        if context.event.message().is_some_and(|message| message.reading == Reading::TooLarge)
            && route.payload_reads > 0
        {
            return Err(drop(DropReason::TooLarge));
        }
        self.intake.admit(least_size(route, context.event), options.durable).map_err(drop)?;
        buffers.key.clear();
        route.rule.key.render(context, &mut buffers.key).map_err(missing)?;
        if let RouteTopic::Template(template) = &route.topic {
            buffers.topic.clear();
            template.render(context, &mut buffers.topic).map_err(missing)?;
        }
        // One number for all schedulers: only where it is asked for.
        let number = if route.rule.format.has_identity() { self.records.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let identity = Identity { opened: self.opened, number };
        let (value, headers) =
            fill(&route.rule, context, &self.encoder, identity, &mut buffers.json, &mut buffers.value)
                .map_err(missing)?;
        // Only for a record that is complete: a topic is opened, or the record redirected and counted.
        let dynamic = match &route.topic {
            RouteTopic::Template(_) => {
                let topic = self.intake.producer().dynamic_topic(&buffers.topic);
                if topic.is_none() {
                    self.shared.metrics.redirected();
                }
                topic
            }
            RouteTopic::Default | RouteTopic::Fixed(_) => None,
        };
        let topic = match (&route.topic, &dynamic) {
            (_, Some(topic)) | (RouteTopic::Fixed(topic), _) => topic,
            _ => self.intake.producer().default_topic(),
        };
        let key = Some(buffers.key.as_slice()).filter(|key| !key.is_empty());
        let record = Record { topic, key, value, headers: &headers, timestamp: context.ts };
        self.intake.take(&record, options).map(|()| value.map_or(0, <[u8]>::len))
    }
}

/// The value of a record that has the payload in it is at least as large as that.
fn least_size(route: &Route, event: &Event<'_>) -> usize {
    use crate::rules::rule::Format;
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
