//! From an event to its records on their way to Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::account::shared::Shared;
use crate::account::waiters::WaiterId;
use crate::config::{Settings, Wanted};
use crate::event::context::Context;
use crate::event::time::now;
use crate::event::{Event, EventKind, Reading};
use crate::flow::buffers::{Buffers, with_buffers};
use crate::flow::intake::{Intake, TakeOptions};
use crate::flow::outcome::{Outcome, Publisher};
use crate::flow::routes::{Route, RouteTopic, RoutesByEvent, RuleReport, compile};
use crate::flow::submission::Submission;
use crate::kafka::open_error::OpenError;
use crate::kafka::produce::Record;
use crate::metrics::DropReason;
use crate::record::encode::Encoder;
use crate::record::fill::{Identity, fill};
use crate::rules::route::matches;
use crate::rules::rule::Produce;

/// An event may cost a normal scheduler as much as reading this many bytes, well below a millisecond. What costs more belongs on
/// a dirty one.
const LIGHT_BYTES: usize = 128 * 1024;

/// Everything a record passes on its way.
///
/// Fields are dropped in this order: the rules' topic handles before the producer that they belong to.
pub struct Pipeline {
    routes: RoutesByEvent,
    encoder: Encoder,
    intake: Intake,
    shared: Arc<Shared>,
    node: String,
    settings: Settings,
    opened: i64,
    /// Numbers the records that need an identity of their own.
    records: AtomicU64,
}

impl Pipeline {
    /// Compiles the routes of the settings around the way to an open producer.
    ///
    /// # Errors
    ///
    /// librdkafka refused a topic.
    pub fn new(settings: Settings, intake: Intake, shared: Arc<Shared>, node: &str) -> Result<Self, OpenError> {
        let routes = compile(&settings, intake.producer(), &shared)?;
        let encoder = Encoder::new(settings.encode_payload, node);
        let node = node.to_owned();
        Ok(Self { routes, encoder, intake, shared, node, settings, opened: now(), records: AtomicU64::new(0) })
    }

    /// Turns an event into its records, each counted whatever becomes of it. Never waits: it says when its caller should.
    pub fn submit(&self, event: &Event<'_>, publisher: &Publisher<'_>) -> Outcome {
        let context = Context::new(event, &self.node, now());
        let mut submission = Submission::new(publisher, &self.settings.produce, &self.shared.waiters);
        let from = submission.from;
        let blocked = with_buffers(|buffers| {
            let matching = self.routes(event.kind).iter().filter(|route| matches(&route.rule, &context));
            for (number, route) in matching.enumerate().skip(from.unwrap_or_default()) {
                // The rule whose record found no room was counted then.
                if from != Some(number) {
                    route.counters.matched();
                }
                if let Some(id) = self.submit_one(route, &context, buffers, &mut submission) {
                    return Some((id, number));
                }
            }
            None
        });
        match blocked {
            Some((id, number)) => submission.full(id, number),
            None => submission.outcome(),
        }
    }

    /// One record of the event. Some(number): there is no room for it, and the caller is to wait.
    fn submit_one(
        &self,
        route: &Route,
        context: &Context<'_, '_>,
        buffers: &mut Buffers,
        submission: &mut Submission<'_>,
    ) -> Option<WaiterId> {
        let ack = match submission.ack(route) {
            Ok(ack) => ack,
            Err(reason) => {
                self.shared.metrics.dropped(reason);
                route.counters.dropped();
                return None;
            }
        };
        let may_block = submission.may_block;
        let options = TakeOptions { ack, durable: route.produce == Produce::Durable, may_block };
        match self.make_and_take(route, context, buffers, options) {
            Ok(bytes) => submission.taken(bytes),
            Err(reason) => {
                if may_block && reason.is_full() {
                    let blocked = submission.block(ack);
                    if blocked.is_some() {
                        return blocked;
                    }
                    self.shared.metrics.dropped(reason);
                }
                route.counters.dropped();
                submission.dropped(route, ack, reason);
            }
        }
        None
    }

    /// One record of one rule: counted, whatever becomes of it, unless it may wait for room.
    fn make_and_take(
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
        self.intake.admit(route.least_size(context.event), options.durable).map_err(drop)?;
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

    /// The rules, in the order in which they are tried.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleReport> {
        self.routes.iter().flatten().map(Route::report).collect()
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
        let cost = |route: &Route| route.cost(payload, names);
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

    /// Which events its rules want.
    #[must_use]
    pub fn wanted(&self) -> Vec<Wanted> {
        self.routes.iter().flatten().map(Route::wanted).collect()
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

    /// What outlives it.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Where its records go.
    #[must_use]
    pub const fn intake(&self) -> &Intake {
        &self.intake
    }
}
