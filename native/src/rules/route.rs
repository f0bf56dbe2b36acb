//! Which rules an event meets.

use crate::event::EventKind;
use crate::event::context::Context;
use crate::rules::rule::{FormatName, Rule};
use crate::rules::topic::is_sys_topic;

/// The rules of all events.
#[derive(Debug, Clone, PartialEq)]
pub struct Routes {
    rules: Vec<Rule>,
}

impl Routes {
    /// The configured rules, or, where there are none, the old plugin's five events to the default topic.
    #[must_use]
    pub fn new(rules: Vec<Rule>, format: FormatName) -> Self {
        if rules.is_empty() {
            let defaults = EventKind::DEFAULT.map(|kind| Rule::default_for(kind, format));
            return Self { rules: defaults.into() };
        }
        Self { rules }
    }

    /// All rules.
    #[must_use]
    pub fn into_rules(self) -> Vec<Rule> {
        self.rules
    }

    /// The events that some rule is for.
    #[must_use]
    pub fn events(&self) -> Vec<EventKind> {
        EventKind::ALL.into_iter().filter(|kind| self.rules.iter().any(|rule| rule.kind == *kind)).collect()
    }
}

/// Whether a rule wants an event.
#[must_use]
pub fn matches(rule: &Rule, context: &Context<'_, '_>) -> bool {
    if rule.kind != context.event.kind {
        return false;
    }
    match &rule.filter {
        Some(filter) => filter.matches(context.levels()),
        // The broker talks to itself in `$SYS` all the time.
        None => !(rule.kind.has_message() && context.event.topic().is_some_and(is_sys_topic)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Detail, Event, Message};

    fn publish(topic: &[u8]) -> Event<'_> {
        let message = Message { topic, payload: b"x", ..Message::default() };
        Event {
            kind: EventKind::MessagePublish,
            client_id: b"c",
            username: None,
            detail: Detail::Message(message, None),
            extra: Vec::new(),
        }
    }

    fn wanted(rule: &str, topic: &[u8]) -> bool {
        let rule = Rule::parse(EventKind::MessagePublish, rule, FormatName::Json).expect(rule);
        matches(&rule, &Context::new(&publish(topic), "n", 0))
    }

    #[test]
    fn without_rules_the_five_events_of_the_old_plugin_are_routed() {
        assert_eq!(Routes::new(Vec::new(), FormatName::Json).events(), EventKind::DEFAULT);
    }

    #[test]
    fn with_rules_only_their_events_are() {
        let rule = Rule::default_for(EventKind::MessageAcked, FormatName::Json);
        assert_eq!(Routes::new(vec![rule], FormatName::Json).events(), [EventKind::MessageAcked]);
    }

    #[test]
    fn sys_messages_need_a_filter_of_their_own() {
        assert!(!wanted("{}", b"$SYS/brokers/n/uptime"));
        assert!(!wanted(r##"{"filter":"#"}"##, b"$SYS/brokers/n/uptime"));
        assert!(wanted(r#"{"filter":"$SYS/#"}"#, b"$SYS/brokers/n/uptime"));
        assert!(wanted("{}", b"a/b"));
    }

    #[test]
    fn a_rule_is_for_its_event_only() {
        let rule = Rule::default_for(EventKind::ClientConnected, FormatName::Json);
        assert!(!matches(&rule, &Context::new(&publish(b"a"), "n", 0)));
    }
}
