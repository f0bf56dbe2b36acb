//! The JSON of a rule: its fields, each of the type that it must have, with words for what is not.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{FAILURES, FIELDS, FORMATS, FormatName, OnFailure, PRODUCES, Produce};

const MODES: [(&str, Mode); 2] = [("structured", Mode::Structured), ("binary", Mode::Binary)];
/// As in the conf file.
const SWITCHES: [(&str, bool); 4] = [("on", true), ("off", false), ("true", true), ("false", false)];

/// The longest value that a message repeats.
const SHOWN: usize = 40;

/// A rule as it is written.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub filter: Option<String>,
    pub topic: Option<String>,
    pub key: Key,
    pub format: Option<FormatName>,
    pub mode: Option<Mode>,
    /// Order, spaces and numbers are the operator's.
    pub value: Option<Box<RawValue>>,
    pub headers: BTreeMap<String, String>,
    pub tombstone: bool,
    pub produce: Option<Produce>,
    pub on_failure: Option<OnFailure>,
}

/// A record's key.
#[derive(Debug, Default)]
pub(super) enum Key {
    /// Nothing is said of it.
    #[default]
    Default,
    /// `null`: there is to be none.
    None,
    /// A template.
    Template(String),
}

/// How a cloud event is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mode {
    Structured,
    Binary,
}

impl Text {
    /// Reads the fields. What is null is not set, but for key and value.
    pub fn read(json: &str) -> Result<Self, String> {
        // First whether it is JSON at all, then whether it is an object.
        let raw: &RawValue = serde_json::from_str(json).map_err(|e| format!("is not JSON: {e}"))?;
        let Object(fields) = serde_json::from_str(raw.get())
            .map_err(|_| format!(r#"expected a JSON object such as {{"filter": "a/#"}}, got {}"#, shown(raw)))?;
        let mut text = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &fields {
            if seen.contains(&name.as_str()) {
                return Err(format!("{name}: occurs twice"));
            }
            seen.push(name);
            text.set(name, value)?;
        }
        Ok(text)
    }

    fn set(&mut self, name: &str, raw: &RawValue) -> Result<(), String> {
        let is_null = raw.get() == "null";
        match name {
            "key" if is_null => self.key = Key::None,
            "value" if is_null => {
                return Err(
                    "value: expected JSON or a text, got null; for records without a value, see tombstone".to_owned()
                );
            }
            _ if is_null && FIELDS.contains(&name) => {}
            "filter" => self.filter = Some(string(name, raw)?),
            "topic" => self.topic = Some(string(name, raw)?),
            "key" => self.key = Key::Template(string(name, raw)?),
            "format" => self.format = Some(choice(name, raw, &FORMATS)?),
            "mode" => self.mode = Some(choice(name, raw, &MODES)?),
            "value" => self.value = Some(raw.to_owned()),
            "headers" => self.headers = headers(raw)?,
            "tombstone" => self.tombstone = switch(name, raw)?,
            "produce" => self.produce = Some(choice(name, raw, &PRODUCES)?),
            "on_failure" => self.on_failure = Some(choice(name, raw, &FAILURES)?),
            unknown => return Err(format!("unknown field {unknown:?}; expected one of {}", FIELDS.join(", "))),
        }
        Ok(())
    }
}

fn string(name: &str, raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get()).map_err(|_| format!("{name}: expected a text, got {}", shown(raw)))
}

fn choice<T: Copy>(name: &str, raw: &RawValue, choices: &[(&str, T)]) -> Result<T, String> {
    let given: Option<String> = serde_json::from_str(raw.get()).ok();
    let found = choices.iter().find(|(known, _)| Some(*known) == given.as_deref());
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("{name}: expected one of {}, got {}", names.join(", "), shown(raw))
    })
}

/// JSON has booleans of its own.
fn switch(name: &str, raw: &RawValue) -> Result<bool, String> {
    let given = serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let named = |text: &str| SWITCHES.iter().find(|(known, _)| *known == text).map(|(_, on)| *on);
    given
        .as_bool()
        .or_else(|| given.as_str().and_then(named))
        .ok_or_else(|| format!("{name}: expected on or off, got {}", shown(raw)))
}

fn headers(raw: &RawValue) -> Result<BTreeMap<String, String>, String> {
    let Object(fields) = serde_json::from_str(raw.get()).map_err(|_| {
        format!(r#"headers: expected an object such as {{"tenant": "${{username}}"}}, got {}"#, shown(raw))
    })?;
    let mut headers = BTreeMap::new();
    for (name, value) in fields {
        let key = format!("headers.{name}");
        let value = string(&key, &value)?;
        if headers.insert(name, value).is_some() {
            return Err(format!("{key}: occurs twice"));
        }
    }
    Ok(headers)
}

/// What was written instead: a list, an object, or the value itself.
fn shown(raw: &RawValue) -> String {
    match raw.get() {
        text if text.starts_with('[') => "a list".to_owned(),
        text if text.starts_with('{') => "an object".to_owned(),
        text if text.chars().count() > SHOWN => format!("{}...", text.chars().take(SHOWN).collect::<String>()),
        text => text.to_owned(),
    }
}

/// The fields of a JSON object in their order, those that are there twice, too.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> String {
        Text::read(json).expect_err(json)
    }

    #[test]
    fn what_is_no_object_is_told_by_an_example() {
        for (json, got) in
            [("[]", "a list"), (r#""a/#""#, r#""a/#""#), ("5", "5"), ("null", "null"), (" true ", "true")]
        {
            assert_eq!(problem(json), format!(r#"expected a JSON object such as {{"filter": "a/#"}}, got {got}"#));
        }
        for json in ["", "{", "a/#", "{\"filter\": }", "{} x"] {
            assert!(problem(json).starts_with("is not JSON: "), "{json}");
        }
    }

    #[test]
    fn every_field_of_another_type_is_told_by_its_name() {
        let long = format!("\"{}\"", "x".repeat(100));
        for (name, expected) in [
            ("filter", "a text"),
            ("topic", "a text"),
            ("key", "a text"),
            ("format", "one of json, raw, cloudevents, template"),
            ("mode", "one of structured, binary"),
            ("headers", r#"an object such as {"tenant": "${username}"}"#),
            ("tombstone", "on or off"),
            ("produce", "one of async, durable, sync"),
            ("on_failure", "one of continue, disconnect"),
        ] {
            assert_eq!(problem(&format!(r#"{{"{name}": 5}}"#)), format!("{name}: expected {expected}, got 5"));
            assert_eq!(
                problem(&format!(r#"{{"{name}": [{{}}]}}"#)),
                format!("{name}: expected {expected}, got a list")
            );
        }
        assert_eq!(
            problem(r#"{"format": "xml"}"#),
            "format: expected one of json, raw, cloudevents, template, got \"xml\""
        );
        assert_eq!(problem(r#"{"headers": {"version": 1}}"#), "headers.version: expected a text, got 1");
        assert_eq!(problem(r#"{"headers": {"h": "a", "h": "b"}}"#), "headers.h: occurs twice");
        assert_eq!(problem(r#"{"topic": "a", "topic": "b"}"#), "topic: occurs twice");
        assert!(problem(r#"{"value": null}"#).starts_with("value: expected JSON or a text, got null"));
        assert!(problem(&format!(r#"{{"tombstone": {long}}}"#)).ends_with("xxx..."));
    }

    #[test]
    fn a_switch_may_be_a_boolean() {
        for (json, on) in [("true", true), ("\"on\"", true), ("\"true\"", true), ("false", false), ("\"off\"", false)] {
            let text = Text::read(&format!(r#"{{"tombstone": {json}}}"#)).expect(json);
            assert_eq!(text.tombstone, on, "{json}");
        }
    }

    #[test]
    fn null_is_not_set() {
        for name in FIELDS.into_iter().filter(|name| *name != "value") {
            Text::read(&format!(r#"{{"{name}": null}}"#)).expect(name);
        }
    }
}
