//! The text of a template becomes its parts.
//!
//! `${name}`, `${name|default}`, `${topic[1]}`, `${payload.a.b[0]}`; `$${` is a literal `${`.

use super::{Part, Place, Source, TemplateError};
use crate::event::EventKind;
use crate::event::extra::Attribute;
use crate::event::field::Field;
use crate::rules::payload_path::Step;

/// Deeper paths are somebody's mistake.
const MAX_STEPS: usize = 16;

/// Placeholders that are followed by a name.
const NAMED: [(&str, Attribute); 2] =
    [("user_property.", Attribute::UserProperties), ("client_attr.", Attribute::ClientAttrs)];

pub(super) fn parse(text: &str, kind: EventKind, json: bool) -> Result<Vec<Part>, TemplateError> {
    let mut parser = Parser { kind, json, in_string: false };
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, at) = rest.split_at(start);
        let position = position_of(text, at);
        if let Some(escaped) = before.strip_suffix('$') {
            parser.literal(escaped, &mut literal);
            parser.literal("${", &mut literal);
            rest = at.get(2..).unwrap_or_default();
            continue;
        }
        parser.literal(before, &mut literal);
        let inside = at.get(2..).unwrap_or_default();
        let (name, after) = inside.split_once('}').ok_or_else(|| error(position, "${ without a closing }"))?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal).into_bytes()));
        }
        parts.push(parser.insert(name, position)?);
        rest = after;
    }
    parser.literal(rest, &mut literal);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into_bytes()));
    }
    if parser.json {
        check_json(&parts)?;
    }
    Ok(parts)
}

struct Parser {
    kind: EventKind,
    /// The template is to become JSON.
    json: bool,
    /// Inside a JSON string at this point of the template.
    in_string: bool,
}

impl Parser {
    /// Takes literal text, and keeps track of where JSON strings begin and end.
    fn literal(&mut self, text: &str, out: &mut String) {
        out.push_str(text);
        if !self.json {
            return;
        }
        let mut escaped = false;
        for c in text.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if self.in_string => escaped = true,
                '"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }

    fn insert(&self, text: &str, position: usize) -> Result<Part, TemplateError> {
        let place = match (self.json, self.in_string) {
            (false, _) => Place::Text,
            (true, true) => Place::JsonString,
            (true, false) => Place::JsonValue,
        };
        let (name, default) = match text.split_once('|') {
            Some((name, default)) if place == Place::JsonString => (name, Some(unescaped(default))),
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (text, None),
        };
        self.source(name).map(|source| Part::Insert { source, default, place }).map_err(|e| error(position, &e))
    }

    fn source(&self, name: &str) -> Result<Source, String> {
        if let Some(field) = Field::of(name, self.kind) {
            return Ok(Source::Field(field));
        }
        if let Some(number) = name.strip_prefix("topic[").and_then(|rest| rest.strip_suffix(']')) {
            if Field::of("topic", self.kind).is_some() {
                return match number.parse() {
                    Ok(number) => Ok(Source::Level(number)),
                    Err(_) => Err(format!("${{{name}}}: expected the number of a topic level, counted from 0")),
                };
            }
        } else if let Some(path) = name.strip_prefix("payload")
            && path.starts_with(['.', '['])
            && Field::of("payload", self.kind).is_some()
        {
            return steps(path).map(Source::Payload).map_err(|problem| format!("${{{name}}}: {problem}"));
        }
        for (prefix, attribute) in NAMED {
            if let Some(name) = name.strip_prefix(prefix)
                && Attribute::of(self.kind).any(|(known, _)| known == attribute)
            {
                return Ok(Source::Named(attribute, name.to_owned()));
            }
        }
        let known = Field::names(self.kind).join(", ");
        Err(format!("unknown placeholder ${{{name}}}; {} has {known}", self.kind.name()))
    }
}

/// `.a.b[0]`
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if steps.len() == MAX_STEPS {
            return Err(format!("a path has at most {MAX_STEPS} steps"));
        }
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            if name.is_empty() {
                return Err("a name is missing after a dot".to_owned());
            }
            steps.push(Step::Member(name.to_owned()));
            rest = after;
        } else {
            let number = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let (number, after) = number.ok_or("expected .name or [number]")?;
            let number = number.parse().map_err(|_| format!("{number:?} is not an index of an array"))?;
            steps.push(Step::Element(number));
            rest = after;
        }
    }
    Ok(steps)
}

/// A default inside a JSON string is written with JSON's escapes, as the text around it; where it is not, it stands for itself.
fn unescaped(default: &str) -> String {
    serde_json::from_str(&format!("\"{default}\"")).unwrap_or_else(|_| default.to_owned())
}

/// A JSON template must be JSON once it is filled in, whether with text or with numbers.
fn check_json(parts: &[Part]) -> Result<(), TemplateError> {
    for value in ["0", "\"x\""] {
        let mut filled = String::new();
        for part in parts {
            match part {
                Part::Literal(text) => filled.push_str(&String::from_utf8_lossy(text)),
                Part::Insert { place: Place::JsonString, .. } => filled.push('x'),
                Part::Insert { .. } => filled.push_str(value),
            }
        }
        if let Err(e) = serde_json::from_str::<serde::de::IgnoredAny>(&filled) {
            return Err(error(1, &format!("begins like JSON, but is not JSON with {value} filled in: {e}")));
        }
    }
    Ok(())
}

fn position_of(text: &str, rest: &str) -> usize {
    text.len().checked_sub(rest.len()).and_then(|end| text.get(..end)).map_or(0, |before| before.chars().count()) + 1
}

fn error(position: usize, problem: &str) -> TemplateError {
    TemplateError { position, problem: problem.to_owned() }
}
