//! Templates: text with `${...}` in it, compiled at load, filled in for each event.
//!
//! A value that is to become JSON (its template begins with `{` or `[`) knows where each placeholder stands. Inside a JSON string
//! its value is escaped; outside, it is written as a JSON value: text quoted, numbers as they are, nothing as `null`. So the
//! result is JSON whatever a client sends.

mod parse;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use thiserror::Error;

use crate::event::EventKind;
use crate::event::Value;
use crate::event::context::Context;
use crate::event::escape::escape_into;
use crate::event::extra::Attribute;
use crate::event::field::Field;
use crate::event::json::write_string;
use crate::rules::payload_path::{Found, Step, find};

/// A compiled template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(Vec<u8>),
    Insert { source: Source, default: Option<String>, place: Place },
}

#[derive(Debug, Clone, PartialEq)]
enum Source {
    Field(Field),
    /// `${topic[N]}`, the first level being 0.
    Level(usize),
    /// `${payload.a.b[0]}`.
    Payload(Vec<Step>),
    /// `${user_property.NAME}`, `${client_attr.NAME}`: the first value of that name.
    Named(Attribute, String),
}

/// Where a placeholder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In text that is not JSON: the value as it is.
    Text,
    /// Inside a JSON string: escaped.
    JsonString,
    /// In JSON, outside of strings: a whole value.
    JsonValue,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at character {position}: {problem}")]
pub struct TemplateError {
    /// Where, the first character being 1.
    pub position: usize,
    /// What, and what was expected.
    pub problem: String,
}

/// The event has not what the template needs, and the template has no default for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingField;

impl Template {
    /// Compiles a template for events of one kind.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and where.
    pub fn new(text: &str, kind: EventKind) -> Result<Self, TemplateError> {
        let json = text.trim_start().starts_with(['{', '[']);
        parse::parse(text, kind, json).map(|parts| Self { parts })
    }

    /// Compiles the template of a topic or key, which is text whatever it begins with: `[${clientid}]`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and where.
    pub fn plain(text: &str, kind: EventKind) -> Result<Self, TemplateError> {
        parse::parse(text, kind, false).map(|parts| Self { parts })
    }

    /// A template that inserts one field and nothing else.
    #[must_use]
    pub fn field(field: Field) -> Self {
        Self { parts: vec![Part::Insert { source: Source::Field(field), default: None, place: Place::Text }] }
    }

    /// The text, where the template inserts nothing.
    #[must_use]
    pub fn literal(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// How often filling it in reads the whole payload.
    #[must_use]
    pub fn payload_reads(&self) -> usize {
        let reads = |part: &&Part| {
            matches!(part, Part::Insert { source: Source::Payload(_) | Source::Field(Field::Payload), .. })
        };
        self.parts.iter().filter(reads).count()
    }

    /// How often the whole payload is inserted.
    #[must_use]
    pub fn whole_payloads(&self) -> usize {
        let whole = |part: &&Part| matches!(part, Part::Insert { source: Source::Field(Field::Payload), .. });
        self.parts.iter().filter(whole).count()
    }

    /// Appends the template, filled in for an event, to `out`.
    ///
    /// # Errors
    ///
    /// Something that the template inserts is not there and has no default; `out` is of no use then.
    pub fn render(&self, context: &Context<'_, '_>, out: &mut Vec<u8>) -> Result<(), MissingField> {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text),
                Part::Insert { source, default, place } => {
                    let value = match (source.value(context), default) {
                        (Some(Value::Nothing) | None, Some(default)) => {
                            write_default(default, *place, out);
                            continue;
                        }
                        (Some(value), _) => value,
                        (None, None) => return Err(MissingField),
                    };
                    write(&value, *place, out);
                }
            }
        }
        Ok(())
    }
}

impl Source {
    /// None where a topic has no such level, a payload no such field, an event no such user property; an attribute that is merely empty is `Nothing`.
    fn value<'a>(&self, context: &Context<'_, 'a>) -> Option<Value<'a>> {
        match self {
            Self::Field(field) => Some(field.value(context.event, context.node, context.ts)),
            Self::Level(number) => context.levels().get(*number).map(|level| Value::Text(level.into())),
            Self::Payload(path) => {
                context.event.message().and_then(|message| find(message.payload, path)).map(|found| match found {
                    Found::Text(std::borrow::Cow::Borrowed(text)) => Value::Text(text.as_bytes().into()),
                    Found::Text(std::borrow::Cow::Owned(text)) => Value::Text(text.into_bytes().into()),
                    Found::Json(json) => Value::Json(json.into()),
                })
            }
            Self::Named(attribute, name) => {
                let value = context.event.extra(*attribute).and_then(|value| value.named(name))?;
                Some(Value::Text(value.into()))
            }
        }
    }
}

fn write(value: &Value<'_>, place: Place, out: &mut Vec<u8>) {
    match (value, place) {
        (Value::Text(bytes), Place::Text) => out.extend_from_slice(bytes),
        (Value::Text(bytes), Place::JsonString) => with_text(bytes, |text| escape_into(text, out)),
        (Value::Text(bytes), Place::JsonValue) => with_text(bytes, |text| write_string(out, text)),
        (Value::Json(json), Place::JsonString) => escape_into(json, out),
        (Value::Json(json), _) => out.extend_from_slice(json.as_bytes()),
        (Value::Int(number), _) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        (Value::Bool(flag), _) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        (Value::Nothing, Place::JsonValue) => out.extend_from_slice(b"null"),
        (Value::Nothing, _) => {}
    }
}

/// A default outside of a JSON string is a JSON value where it reads as one (`${payload.n|0}`), otherwise text.
fn write_default(default: &str, place: Place, out: &mut Vec<u8>) {
    match place {
        Place::Text => out.extend_from_slice(default.as_bytes()),
        Place::JsonString => escape_into(default, out),
        Place::JsonValue if serde_json::from_str::<serde::de::IgnoredAny>(default).is_ok() => {
            out.extend_from_slice(default.as_bytes());
        }
        Place::JsonValue => write_string(out, default),
    }
}

/// JSON has no bytes: what is not UTF-8 becomes base64.
fn with_text(bytes: &[u8], write: impl FnOnce(&str)) {
    match std::str::from_utf8(bytes) {
        Ok(text) => write(text),
        Err(_) => write(&BASE64.encode(bytes)),
    }
}

#[cfg(test)]
mod tests;
