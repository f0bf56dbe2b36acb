//! The usable part of settings of which some are wrong.
//!
//! If the settings that make records and the spool's are valid, records go to disk, and a wrong server, login or property costs none.
//! Otherwise the readable rules tell who wants a record, and who must not be acknowledged without one. An unreadable value has the
//! strictest meaning: a typo in `produce` must not let the broker acknowledge a lost message.

use rdkafka::ClientConfig;
use serde_json::Value;

use super::values::{FAILURES, one_of_names};
use super::{RULE, Settings, SpoolMode};
use crate::event::EventKind;
use crate::rules::filter::TopicFilter;
use crate::rules::rule::{FIELDS, FormatName, OnFailure, PRODUCES, Produce, Rule};

/// The settings that decide what is in a record. What else a record passes on its way to the disk begins with `spool`.
const OF_RECORDS: [&str; 4] = ["topic", "format", "encode_payload", "topic_max_dynamic"];

/// The one property that bounds what is taken in.
const LARGEST: &str = "message.max.bytes";

/// The name of the rules that there are where none is configured.
const DEFAULT_RULE: &str = "default";

/// Settings, as far as they can be used.
#[derive(Debug)]
pub struct Partial {
    /// Those that records on their way to the spool need; the others have their defaults, and there is no server.
    pub settings: Settings,
    /// Whether records can be made and kept with them.
    pub is_sound: bool,
    /// Who wants records.
    pub wanted: Vec<Wanted>,
}

/// A rule, as far as it can be read.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which events it wants. Nothing else of it is right for sure.
    pub rule: Rule,
    /// As the operator calls it.
    pub name: String,
    /// Its JSON.
    pub definition: String,
    /// Whether a publisher must not be acknowledged without the record.
    pub disconnects: bool,
}

/// What the settings say for rules that say nothing.
#[derive(Debug, Clone, Copy)]
struct General {
    produce: Produce,
    on_failure: Option<OnFailure>,
}

impl Settings {
    /// Reads what can be read of settings by the names of the application environment.
    pub fn partial<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Partial {
        let mut read = Self::default();
        let (rules, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name.starts_with(RULE));
        let wrong: Vec<_> = others.iter().filter(|(name, value)| read.set(name, value).is_err()).collect();
        if wrong.iter().any(|(name, value)| is_unreadable_mode(name, value)) {
            read.produce.mode = Produce::Durable;
        }
        let wrong_rules = rules.iter().filter(|(name, value)| read.set(name, value).is_err()).count();
        let of_record = |name: &str| OF_RECORDS.contains(&name) || name.starts_with("spool");
        let settings = read.for_the_spool();
        let is_sound = wrong_rules == 0
            && !wrong.iter().any(|(name, _)| of_record(name))
            && settings.spool.mode != SpoolMode::Off
            && settings.conflicts().is_empty();
        let general = General { produce: settings.produce.mode, on_failure: settings.produce.on_failure };
        Partial { is_sound, wanted: wanted(&rules, settings.format, general), settings }
    }

    /// What is needed to make records and to keep them. Their producer has no server: it connects to nobody.
    fn for_the_spool(self) -> Self {
        let largest = self.rdkafka.into_iter().filter(|(name, value)| {
            name == LARGEST && ClientConfig::new().set(name, value).create_native_config().is_ok()
        });
        Self {
            servers: String::new(),
            topic: self.topic,
            encode_payload: self.encode_payload,
            format: self.format,
            rules: self.rules,
            rule_texts: self.rule_texts,
            max_dynamic_topics: self.max_dynamic_topics,
            max_messages: self.max_messages,
            max_bytes: self.max_bytes,
            produce: self.produce,
            spool: self.spool,
            dead_letter_topic: self.dead_letter_topic,
            metrics_listener: self.metrics_listener,
            rdkafka: largest.collect(),
            ..Self::default()
        }
    }

    /// Whether records are sent to somebody. Settings that were read in part keep them.
    #[must_use]
    pub fn has_servers(&self) -> bool {
        !self.servers.is_empty()
    }
}

/// Whether the mode is unknown: a wrong `produce`, or a typo in its name.
fn is_unreadable_mode(name: &str, value: &str) -> bool {
    let is_other_mode = PRODUCES.iter().any(|(mode, produce)| *mode == value && *produce != Produce::Async);
    name == "produce" || is_other_mode
}

fn wanted(rules: &[(&str, &str)], format: FormatName, general: General) -> Vec<Wanted> {
    let read: Vec<_> = rules.iter().filter_map(|(name, json)| of_rule(name, json, format, general)).collect();
    if !read.is_empty() {
        return read;
    }
    let disconnects = general.disconnects(None, None);
    let default = |kind| Wanted {
        rule: Rule::default_for(kind, format),
        name: DEFAULT_RULE.to_owned(),
        definition: "{}".to_owned(),
        disconnects: disconnects && kind == EventKind::MessagePublish,
    };
    EventKind::DEFAULT.map(default).into()
}

/// A rule for an unknown event counts only if it would hold publishers back.
fn of_rule(key: &str, json: &str, format: FormatName, general: General) -> Option<Wanted> {
    let name = key.strip_prefix(RULE).unwrap_or(key);
    let (event, own_name) = name.rsplit_once('.').unwrap_or((name, name));
    let known = EventKind::from_name(event);
    let kind = known.unwrap_or(EventKind::MessagePublish);
    let (rule, disconnects) = match Rule::parse(kind, json, format) {
        Ok(rule) => {
            let disconnects = general.disconnects(rule.produce, rule.on_failure);
            (rule, disconnects)
        }
        Err(_) => guess(kind, json, format, general),
    };
    let disconnects = disconnects && kind == EventKind::MessagePublish;
    if known.is_none() && !disconnects {
        return None;
    }
    Some(Wanted { rule, name: own_name.to_owned(), definition: json.to_owned(), disconnects })
}

/// A rule of which something is wrong: each field by itself.
fn guess(kind: EventKind, json: &str, format: FormatName, general: General) -> (Rule, bool) {
    let mut rule = Rule::default_for(kind, format);
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(json) else {
        // Not JSON. Words in it can show that publishers were to wait.
        let says = |word| json.contains(word);
        let is_meant = says("produce") && !says("async") || says("disconnect");
        let may_be_left = says("continue");
        return (rule, !may_be_left && (is_meant || general.disconnects(None, None)));
    };
    rule.filter = fields.get("filter").and_then(Value::as_str).and_then(|filter| TopicFilter::new(filter).ok());
    // An unknown field may be a typo for `produce`.
    let slip = fields.iter().any(|(name, value)| {
        !FIELDS.contains(&name.as_str()) && value.as_str().is_some_and(|value| is_unreadable_mode(name, value))
    });
    let produce = match fields.get("produce") {
        None if slip => Some(Produce::Durable),
        None => None,
        Some(value) => Some(one_of_names(&PRODUCES, value.as_str()).unwrap_or(Produce::Durable)),
    };
    let on_failure = fields.get("on_failure").and_then(|value| one_of_names(&FAILURES, value.as_str())).flatten();
    (rule, general.disconnects(produce, on_failure))
}

impl General {
    /// Whether a publisher whose record is not safe is not acknowledged, where a rule says this.
    fn disconnects(self, produce: Option<Produce>, on_failure: Option<OnFailure>) -> bool {
        let automatic = produce.unwrap_or(self.produce).on_failure();
        on_failure.or(self.on_failure).unwrap_or(automatic) == OnFailure::Disconnect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(pairs: &[(&str, &str)]) -> Partial {
        Settings::partial(pairs.iter().copied())
    }

    fn withheld(pairs: &[(&str, &str)]) -> bool {
        partial(pairs).wanted.iter().any(|wanted| wanted.disconnects)
    }

    #[test]
    fn a_wrong_way_to_kafka_leaves_records_sound() {
        for wrong in [
            ("server", "kafka1:no"),
            ("rdkafka.no.such", "1"),
            ("rdkafka.bootstrap.servers", "a:1"),
            ("compression", "zip"),
            ("linger", "soon"),
            ("sasl_mechanism", "NONE"),
            ("sasl_password_file", "/no/such/file"),
            ("no_such_setting", "1"),
            ("metrics_listener", "nowhere:x"),
            ("on_failure", "contineu"),
            ("produce", "durabel"),
        ] {
            let partial = partial(&[("topic", "t"), wrong, ("hook.message.publish.1", r#"{"topic":"u"}"#)]);
            assert!(partial.is_sound, "{wrong:?}");
            assert_eq!((partial.settings.topic.as_str(), partial.settings.has_servers()), ("t", false));
            assert!(Settings::parse([("topic", "t"), wrong]).is_err() || wrong.0 == "sasl_password_file", "{wrong:?}");
        }
    }

    #[test]
    fn wrong_records_or_a_wrong_spool_are_not_sound() {
        for wrong in [
            ("topic", "bad topic!"),
            ("format", "xml"),
            ("encode_payload", "hex"),
            ("topic_max_dynamic", "many"),
            ("hook.message.publish.1", "{"),
            ("hook.message.publish.1", r#"{"no":"field"}"#),
            ("hook.no.such.event", "{}"),
            ("spool", "off"),
            ("spool", "on"),
            ("spool_dir", ""),
            ("spool_max_size", "1"),
            ("spool_segment_size", "1073741824"),
        ] {
            let small = ("spool_max_size", "67108864");
            assert!(!partial(&[small, wrong]).is_sound, "{wrong:?}");
        }
    }

    #[test]
    fn who_may_want_a_safe_record_is_not_acknowledged_without_one() {
        for settings in [
            &[("produce", "durable"), ("topic", "a b")][..],
            &[("produce", "sync")],
            &[("produce", "durabel")],
            &[("produce", "Async")],
            &[("produse", "durable")],
            &[("on_failure", "disconnect")],
            &[("on_failure", "continu"), ("produce", "sync")],
            &[("hook.message.publish.1", r#"{"produce":"durable","filter":"a/#"}"#)],
            &[("hook.message.publish.1", r#"{"produce":"durabel"}"#)],
            &[("hook.message.publish.1", r#"{"produce":1}"#)],
            &[("hook.message.publish.1", r#"{"prodduce":"sync"}"#)],
            &[("hook.message.publish.1", r#"{"produce":"durable","#)],
            &[("hook.message.publsh.1", r#"{"produce":"durable"}"#)],
            &[("hook.message.publish.1", r#"{"on_failure":"disconnect","no":"field"}"#)],
            &[("hook.message.publish.1", "{"), ("produce", "durable")],
        ] {
            assert!(withheld(settings), "{settings:?}");
        }
    }

    #[test]
    fn nobody_else_is_held_back() {
        for settings in [
            &[("topic", "a b")][..],
            &[("produce", "durabel"), ("on_failure", "continue")],
            &[("produce", "durable"), ("on_failure", "continue")],
            &[("hook.message.publish.1", r#"{"produce":"async","no":"field"}"#), ("produce", "durable")],
            &[("hook.message.publish.1", r#"{"on_failure":"continue""#), ("produce", "durable")],
            &[("hook.message.publish.1", "{")],
            &[("hook.message.publsh.1", "{}")],
            &[("hook.client.connected.1", r#"{"produce":"durable"}"#)],
        ] {
            assert!(!withheld(settings), "{settings:?}");
        }
    }

    #[test]
    fn a_rule_is_counted_by_its_filter_where_that_can_be_read() {
        let wanted = partial(&[
            ("hook.message.publish.a", r#"{"filter":"a/#","colour":"red"}"#),
            ("hook.message.publish.b", "{}"),
            ("hook.message.publsh.c", "{}"),
        ])
        .wanted;
        let names: Vec<_> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(wanted.first().and_then(|wanted| wanted.rule.filter.clone()), TopicFilter::new("a/#").ok());
    }

    #[test]
    fn without_a_rule_that_can_be_read_the_default_events_are_counted() {
        let kinds = |pairs: &[(&str, &str)]| -> Vec<_> {
            partial(pairs).wanted.iter().map(|wanted| wanted.rule.kind).collect()
        };
        assert_eq!(kinds(&[]), EventKind::DEFAULT);
        assert_eq!(kinds(&[("hook.no.such", "{}")]), EventKind::DEFAULT);
    }
}
