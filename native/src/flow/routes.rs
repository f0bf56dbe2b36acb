//! The rules with their topics looked up, by event.

use std::sync::Arc;

use crate::account::ack::AckAt;
use crate::account::shared::Shared;
use crate::config::{Settings, Wanted};
use crate::event::{Event, EventKind};
use crate::kafka::native_parts::TopicHandle;
use crate::kafka::open_error::OpenError;
use crate::kafka::producer::Producer;
use crate::metrics::RuleCounters;
use crate::rules::route::Routes;
use crate::rules::rule::{Destination, Format, OnFailure, Produce, Rule};
use crate::rules::template::Template;

/// The name of the rules that there are where none is configured.
const DEFAULT_RULE: &str = "default";

/// What a record costs beside its payload, in bytes read: about a microsecond.
const RECORD_COST: usize = 1024;

/// By kind of event, in the order of `EventKind::ALL`.
pub type RoutesByEvent = [Vec<Route>; EventKind::ALL.len()];

/// A rule with its topic looked up.
pub struct Route {
    /// The rule.
    pub rule: Rule,
    /// Where its records go.
    pub topic: RouteTopic,
    /// How often a record of it reads the payload.
    pub payload_reads: usize,
    /// When its publisher gets the acknowledgement.
    pub produce: Produce,
    /// Whether a publisher ends whose record is not safe in time.
    pub disconnects: bool,
    /// As the operator calls it.
    pub name: String,
    /// Its JSON.
    definition: String,
    /// What it has done.
    pub counters: Arc<RuleCounters>,
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

/// Where its records go.
pub enum RouteTopic {
    /// To the default topic.
    Default,
    /// To this one.
    Fixed(Arc<TopicHandle>),
    /// To the one that the event names.
    Template(Template),
}

/// Compiles the routes of the settings around an open producer.
///
/// # Errors
///
/// librdkafka refused a topic.
pub fn compile(settings: &Settings, producer: &Producer, shared: &Shared) -> Result<RoutesByEvent, OpenError> {
    let mut routes = [const { Vec::new() }; EventKind::ALL.len()];
    let rules = Routes::new(settings.rules.clone(), settings.format).into_rules();
    let mut texts = settings.rule_texts.iter();
    for rule in rules {
        // EVENT.NAME
        let (name, definition) = texts.next().map_or((DEFAULT_RULE, "{}"), |(name, json)| {
            (name.rsplit_once('.').map_or(name.as_str(), |(_, name)| name), json.as_str())
        });
        let topic = match &rule.topic {
            None => RouteTopic::Default,
            Some(Destination::Fixed(topic)) => RouteTopic::Fixed(producer.open_topic(topic)?),
            Some(Destination::Template(template)) => RouteTopic::Template(template.clone()),
        };
        if let Some(of_kind) = routes.get_mut(rule.kind as usize) {
            of_kind.push(Route::new(rule, topic, name, definition, settings, shared));
        }
    }
    Ok(routes)
}

impl Route {
    fn new(rule: Rule, topic: RouteTopic, name: &str, definition: &str, settings: &Settings, shared: &Shared) -> Self {
        let produce = rule.produce.unwrap_or(settings.produce.mode);
        let on_failure = rule.on_failure.or(settings.produce.on_failure).unwrap_or_else(|| produce.on_failure());
        Self {
            topic,
            payload_reads: rule.payload_reads(),
            produce,
            disconnects: on_failure == OnFailure::Disconnect,
            name: name.to_owned(),
            definition: definition.to_owned(),
            counters: shared.metrics.rules.counters(rule.kind, name),
            rule,
        }
    }

    /// Where its records are safe, if its publisher waits for that.
    #[must_use]
    pub const fn ack_at(&self) -> Option<AckAt> {
        match self.produce {
            Produce::Async => None,
            Produce::Durable => Some(AckAt::Disk),
            Produce::Sync => Some(AckAt::Kafka),
        }
    }

    /// What a record of an event costs, in bytes read.
    #[must_use]
    pub const fn cost(&self, payload: usize, names: usize) -> usize {
        payload.saturating_mul(self.payload_reads).saturating_add(names).saturating_add(RECORD_COST)
    }

    /// The value of a record that has the payload in it is at least as large as that.
    #[must_use]
    pub fn least_size(&self, event: &Event<'_>) -> usize {
        match (&self.rule.format, event.message()) {
            (_, None) => 0,
            (Format::Template(template), Some(message)) => {
                message.payload.len().saturating_mul(template.whole_payloads())
            }
            (_, Some(message)) => message.payload.len(),
        }
    }

    /// Which events it wants.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let (rule, name, definition) = (self.rule.clone(), self.name.clone(), self.definition.clone());
        Wanted { rule, name, definition, disconnects: self.disconnects }
    }

    /// What it is, and has done.
    #[must_use]
    pub fn report(&self) -> RuleReport {
        let (matched, dropped) = self.counters.counts();
        let (event, name, definition) = (self.rule.kind, self.name.clone(), self.definition.clone());
        RuleReport { event, name, matched, dropped, definition }
    }
}
