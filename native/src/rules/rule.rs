//! A rule: which events become records, where to, and in what form. Read from the JSON of a `hook.EVENT.NAME` setting.

use crate::event::EventKind;
use crate::event::field::Field;
use crate::rules::filter::TopicFilter;
use crate::rules::template::Template;
use crate::rules::topic::KafkaTopic;
use text::{Key, Mode, Text};

mod text;

/// The fields of a rule.
pub const FIELDS: [&str; 10] =
    ["filter", "topic", "key", "format", "mode", "value", "headers", "tombstone", "produce", "on_failure"];
/// How formats are called, that of templates last.
pub const FORMATS: [(&str, FormatName); 4] = [
    ("json", FormatName::Json),
    ("raw", FormatName::Raw),
    ("cloudevents", FormatName::CloudEvents),
    ("template", FormatName::Template),
];
/// How the modes are called.
pub const PRODUCES: [(&str, Produce); 3] =
    [("async", Produce::Async), ("durable", Produce::Durable), ("sync", Produce::Sync)];
/// What may become of a publisher whose record is not safe.
pub const FAILURES: [(&str, OnFailure); 2] = [("continue", OnFailure::Continue), ("disconnect", OnFailure::Disconnect)];

/// A compiled rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The event that it is for.
    pub kind: EventKind,
    /// Which topics; all, but for `$SYS`, where it is missing.
    pub filter: Option<TopicFilter>,
    /// The Kafka topic; the default one where it is missing.
    pub topic: Option<Destination>,
    /// The record's key. What comes out empty is no key.
    pub key: Template,
    /// What the record's value is.
    pub format: Format,
    /// More headers, in the order of their names.
    pub headers: Vec<(String, Template)>,
    /// Whether an empty retained payload becomes a null value, which deletes the key from a compacted topic.
    pub tombstone: bool,
    /// When the hook of a client's `QoS` 1 message returns; that of the setting `produce` where it is missing.
    pub produce: Option<Produce>,
    /// What becomes of the publisher of a record that is not safe in time; that of the setting where it is missing.
    pub on_failure: Option<OnFailure>,
}

/// A Kafka topic of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// Known at load.
    Fixed(KafkaTopic),
    /// Made of each event.
    Template(Template),
}

/// What a record's value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// The event as JSON.
    Json,
    /// The MQTT payload byte for byte; the rest in headers.
    Raw,
    /// A `CloudEvents` 1.0 envelope in JSON (structured content mode).
    CloudEvents,
    /// `CloudEvents` 1.0 in headers, the payload as the value (binary content mode).
    CloudEventsBinary,
    /// A template of the rule's own.
    Template(Template),
}

impl Format {
    /// Whether each record has a number of its own.
    #[must_use]
    pub const fn has_identity(&self) -> bool {
        matches!(self, Self::CloudEvents | Self::CloudEventsBinary)
    }
}

/// The format of rules that name none (`format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FormatName {
    /// `json`
    #[default]
    Json,
    /// `raw`
    Raw,
    /// `cloudevents`
    CloudEvents,
    /// `template`
    Template,
}

/// When the hook of a client's `QoS` 1 message returns, and so its PUBACK is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Produce {
    /// `async`: the record is in memory, or in the spool.
    #[default]
    Async,
    /// `durable`: the record is on disk.
    Durable,
    /// `sync`: Kafka has acknowledged the record.
    Sync,
}

impl Produce {
    /// What becomes of its publisher where nothing says otherwise.
    #[must_use]
    pub const fn on_failure(self) -> OnFailure {
        match self {
            Self::Async => OnFailure::Continue,
            Self::Durable | Self::Sync => OnFailure::Disconnect,
        }
    }
}

/// What becomes of the publisher of a record that is not safe in time, or is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// `continue`: its message is acknowledged all the same.
    Continue,
    /// `disconnect`: its connection ends without a PUBACK, so that it sends again.
    Disconnect,
}

impl Rule {
    /// The rule of an event where none is configured: everything to the default topic, keyed by client.
    #[must_use]
    pub fn default_for(kind: EventKind, format: FormatName) -> Self {
        Self {
            kind,
            filter: None,
            topic: None,
            key: Template::field(Field::ClientId),
            format: default_format(kind, format),
            headers: Vec::new(),
            tombstone: false,
            produce: None,
            on_failure: None,
        }
    }

    /// Reads a rule for `kind`; `format` is that of rules that name none.
    ///
    /// # Errors
    ///
    /// What is wrong, where, and what was expected.
    pub fn parse(kind: EventKind, json: &str, format: FormatName) -> Result<Self, String> {
        let text = Text::read(json)?;
        let filter = match &text.filter {
            Some(_) if Field::of("topic", kind).is_none() => {
                return Err(format!("filter: {} has no topic to filter by", kind.name()));
            }
            Some(filter) => Some(TopicFilter::new(filter).map_err(|e| format!("filter: {e}"))?),
            None => None,
        };
        let plain = |field: &str, text: &str| Template::plain(text, kind).map_err(|e| format!("{field}: {e}"));
        let topic = match &text.topic {
            Some(topic) => Some(destination(plain("topic", topic)?)?),
            None => None,
        };
        let key = match &text.key {
            Key::Template(key) => plain("key", key)?,
            Key::None => plain("key", "")?,
            Key::Default => Template::field(Field::ClientId),
        };
        let template = |field: &str, text: &str| Template::new(text, kind).map_err(|e| format!("{field}: {e}"));
        let headers = text
            .headers
            .iter()
            .map(|(name, value)| header(name, template(&format!("headers.{name}"), value)?))
            .collect::<Result<_, String>>()?;
        let tombstone = text.tombstone;
        if tombstone && !kind.has_message() {
            return Err(format!("tombstone: {} has no payload", kind.name()));
        }
        if text.on_failure.is_some() && kind != EventKind::MessagePublish {
            return Err(format!("on_failure: {} has no publisher that could wait", kind.name()));
        }
        let (produce, on_failure) = (text.produce, text.on_failure);
        let format = format_of(kind, &text, format)?;
        Ok(Self { kind, filter, topic, key, format, headers, tombstone, produce, on_failure })
    }

    /// How often the rule reads the whole payload, for the estimate of what an event costs.
    #[must_use]
    pub fn payload_reads(&self) -> usize {
        let topic = match &self.topic {
            Some(Destination::Template(template)) => template.payload_reads(),
            _ => 0,
        };
        let value = match &self.format {
            Format::Template(template) => template.payload_reads(),
            _ => 1,
        };
        let headers: usize = self.headers.iter().map(|(_, template)| template.payload_reads()).sum();
        topic + value + headers + self.key.payload_reads()
    }
}

/// `raw` and `cloudevents` as the general format fit every event: one without a payload is JSON then.
fn default_format(kind: EventKind, format: FormatName) -> Format {
    match format {
        FormatName::Raw if kind.has_message() => Format::Raw,
        FormatName::CloudEvents => Format::CloudEvents,
        FormatName::Json | FormatName::Raw | FormatName::Template => Format::Json,
    }
}

fn format_of(kind: EventKind, text: &Text, default: FormatName) -> Result<Format, String> {
    if text.mode.is_some() && text.format != Some(FormatName::CloudEvents) {
        return Err("mode: belongs to the format cloudevents only".to_owned());
    }
    match (text.format, &text.value) {
        (Some(FormatName::Template) | None, Some(value)) => {
            // Written as JSON in the rule, or as a text that holds it.
            let value = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned());
            Template::new(&value, kind).map(Format::Template).map_err(|e| format!("value: {e}"))
        }
        (Some(FormatName::Template), None) => Err("value: the format template needs one".to_owned()),
        (Some(_), Some(_)) => Err("value: belongs to the format template only".to_owned()),
        (None, None) => Ok(default_format(kind, default)),
        (Some(FormatName::Json), None) => Ok(Format::Json),
        (Some(FormatName::Raw), None) if kind.has_message() => Ok(Format::Raw),
        (Some(FormatName::Raw), None) => Err(format!("format: raw needs a payload, and {} has none", kind.name())),
        (Some(FormatName::CloudEvents), None) if text.mode == Some(Mode::Binary) => Ok(Format::CloudEventsBinary),
        (Some(FormatName::CloudEvents), None) => Ok(Format::CloudEvents),
    }
}

fn destination(template: Template) -> Result<Destination, String> {
    match template.literal() {
        Some(name) => {
            KafkaTopic::new(&String::from_utf8_lossy(name)).map(Destination::Fixed).map_err(|e| format!("topic: {e}"))
        }
        None => Ok(Destination::Template(template)),
    }
}

fn header(name: &str, value: Template) -> Result<(String, Template), String> {
    if name.is_empty() || name.contains('\0') {
        return Err(format!("headers: {name:?} is not a valid name"));
    }
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: EventKind, json: &str) -> Result<Rule, String> {
        Rule::parse(kind, json, FormatName::Json)
    }

    fn problem(json: &str) -> String {
        parse(EventKind::MessagePublish, json).expect_err(json)
    }

    #[test]
    fn an_empty_rule_is_the_default() {
        assert_eq!(
            parse(EventKind::MessagePublish, "{}"),
            Ok(Rule::default_for(EventKind::MessagePublish, FormatName::Json))
        );
    }

    #[test]
    fn reads_every_field() {
        let rule = parse(
            EventKind::MessagePublish,
            r#"{"filter":"sensors/+/temp","topic":"temps","key":"${topic[1]}","format":"raw","tombstone":"on",
                "headers":{"b":"${qos}","a":"x"},"produce":"durable","on_failure":"continue"}"#,
        )
        .expect("a rule");
        assert_eq!(rule.filter, TopicFilter::new("sensors/+/temp").ok());
        assert_eq!(rule.topic, KafkaTopic::new("temps").ok().map(Destination::Fixed));
        assert_eq!(rule.format, Format::Raw);
        assert!(rule.tombstone);
        assert_eq!((rule.produce, rule.on_failure), (Some(Produce::Durable), Some(OnFailure::Continue)));
        assert_eq!(rule.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_value_may_be_written_as_json_or_as_text() {
        let as_json = parse(EventKind::MessagePublish, r#"{"value":{"c":"${clientid}"}}"#).expect("a rule");
        let as_text = parse(EventKind::MessagePublish, r#"{"format":"template","value":"{\"c\":\"${clientid}\"}"}"#);
        assert_eq!(Ok(as_json), as_text);
    }

    #[test]
    fn a_value_written_as_json_stays_as_it_is_written() {
        let json = r#"{"z": "${clientid}", "a": 12345678901234567890123, "b":1.50}"#;
        let rule = parse(EventKind::MessagePublish, &format!(r#"{{"value": {json} }}"#)).expect("a rule");
        assert_eq!(
            rule.format,
            Template::new(json, EventKind::MessagePublish).map(Format::Template).expect("a template")
        );
    }

    #[test]
    fn cloudevents_have_two_modes() {
        let format = |json| parse(EventKind::ClientConnected, json).map(|rule| rule.format);
        assert_eq!(format(r#"{"format":"cloudevents"}"#), Ok(Format::CloudEvents));
        assert_eq!(format(r#"{"format":"cloudevents","mode":"structured"}"#), Ok(Format::CloudEvents));
        assert_eq!(format(r#"{"format":"cloudevents","mode":"binary"}"#), Ok(Format::CloudEventsBinary));
    }

    #[test]
    fn a_key_that_is_null_is_no_key() {
        let key = |json| parse(EventKind::MessagePublish, json).map(|rule| rule.key);
        assert_eq!(key(r#"{"key":null}"#), key(r#"{"key":""}"#));
        assert_ne!(key(r#"{"key":null}"#), key("{}"));
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(problem("{").contains("is not JSON: EOF while parsing"));
        assert!(
            problem(r#"{"fliter":"a"}"#).starts_with("unknown field \"fliter\"; expected one of filter, topic, key")
        );
        assert_eq!(
            problem(r#"{"filter":"a/#/b"}"#),
            "filter: level 2 of the topic filter: # must be the whole of the last level"
        );
        assert!(problem(r#"{"topic":"a/b"}"#).starts_with("topic: a Kafka topic name has the character '/'"));
        assert!(problem(r#"{"key":"x${foo}"}"#).starts_with("key: at character 2: unknown placeholder ${foo}"));
        assert!(problem(r#"{"headers":{"h":"${"}}"#).starts_with("headers.h: at character 1"));
        assert_eq!(problem(r#"{"headers":{"":"x"}}"#), "headers: \"\" is not a valid name");
        assert_eq!(problem(r#"{"format":"template"}"#), "value: the format template needs one");
        assert_eq!(problem(r#"{"format":"raw","value":"x"}"#), "value: belongs to the format template only");
        assert_eq!(problem(r#"{"mode":"binary"}"#), "mode: belongs to the format cloudevents only");
        let of_connect = |json| parse(EventKind::ClientConnected, json).expect_err(json);
        assert_eq!(of_connect(r#"{"filter":"a"}"#), "filter: client.connected has no topic to filter by");
        assert_eq!(of_connect(r#"{"format":"raw"}"#), "format: raw needs a payload, and client.connected has none");
        assert_eq!(of_connect(r#"{"tombstone":"on"}"#), "tombstone: client.connected has no payload");
        let problem = of_connect(r#"{"on_failure":"disconnect"}"#);
        assert_eq!(problem, "on_failure: client.connected has no publisher that could wait");
    }
}
