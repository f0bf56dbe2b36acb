//! What a rule makes of an event: value, headers, key.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use crate::event::EventKind;
use crate::event::Value;
use crate::event::context::Context;
use crate::event::extra::{Attribute, Extra};
use crate::event::field::Field;
use crate::event::json::{Object, name};
use crate::record::encode::Encoder;
use crate::rules::rule::{Format, Rule};
use crate::rules::template::MissingField;

/// A header of a record.
pub type Header<'a> = (Cow<'a, str>, Cow<'a, [u8]>);

/// The end of the year 9999, in ms since 1970: RFC 3339 has no later time, and its formatter panics. A clock can be that wrong.
const LAST_MS: u64 = 253_402_300_799_999;

/// What `CloudEvents` need beside the event.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// When the producer was opened, in ms since 1970.
    pub opened: i64,
    /// Counts the records since then.
    pub number: u64,
}

impl Identity {
    fn text(self) -> String {
        format!("{}-{}", self.opened, self.number)
    }
}

/// The value (none for a tombstone) and the headers of a record. `json` holds the event as JSON once a rule has asked for it;
/// `buffer` is for other values.
///
/// # Errors
///
/// A template of the rule needs what the event has not.
pub fn fill<'b, 'a: 'b>(
    rule: &'b Rule,
    context: &Context<'_, 'a>,
    encoder: &Encoder,
    identity: Identity,
    json: &'b mut Vec<u8>,
    buffer: &'b mut Vec<u8>,
) -> Result<(Option<&'b [u8]>, Vec<Header<'b>>), MissingField> {
    let mut headers = Vec::new();
    let payload = context.event.message().map(|message| message.payload);
    let value: Option<&[u8]> = match &rule.format {
        _ if rule.tombstone && is_tombstone(context) => None,
        Format::Json => Some(as_json(encoder, context, json)),
        Format::Template(template) => {
            buffer.clear();
            template.render(context, buffer)?;
            Some(buffer)
        }
        Format::Raw => {
            raw_headers(context, &mut headers);
            payload
        }
        Format::CloudEvents => {
            buffer.clear();
            envelope(context, identity, as_json(encoder, context, json), buffer);
            headers.push(("content-type".into(), Cow::Borrowed(b"application/cloudevents+json; charset=UTF-8")));
            Some(buffer)
        }
        Format::CloudEventsBinary => {
            cloudevents_headers(context, identity, &mut headers);
            if payload.is_some() {
                headers.push(("content-type".into(), Cow::Borrowed(b"application/octet-stream")));
                payload
            } else {
                headers.push(("content-type".into(), Cow::Borrowed(b"application/json")));
                Some(as_json(encoder, context, json))
            }
        }
    };
    user_property_headers(context, &mut headers);
    // The rule's own replace others of their name.
    for (name, template) in &rule.headers {
        let mut value = Vec::new();
        template.render(context, &mut value)?;
        headers.retain(|(other, _)| other != name);
        headers.push((name.as_str().into(), value.into()));
    }
    Ok((value, headers))
}

/// The event as JSON: made once, however many rules want it.
fn as_json<'b>(encoder: &Encoder, context: &Context<'_, '_>, json: &'b mut Vec<u8>) -> &'b [u8] {
    if json.is_empty() {
        encoder.encode(context, json);
    }
    json
}

/// How MQTT deletes a retained message.
fn is_tombstone(context: &Context<'_, '_>) -> bool {
    context.event.message().is_some_and(|message| message.retain && message.payload.is_empty())
}

/// Everything but the payload, under the names of the placeholders; what is absent has no header.
fn raw_headers(context: &Context<'_, '_>, headers: &mut Vec<Header<'_>>) {
    // Those have headers of their own.
    let others = |field: &Field| !matches!(field, Field::Payload | Field::Extra(Attribute::UserProperties));
    for (field, name) in Field::all(context.event.kind).filter(|(field, _)| others(field)) {
        if let Some(value) = header_text(field.value(context.event, context.node, context.ts)) {
            headers.push((name.into(), value.into()));
        }
    }
}

/// MQTT 5's user properties, in their order and as often as they are there. With a prefix: a client chooses the names, and is not to
/// forge a header of ours. librdkafka ends a name at a zero byte, which MQTT forbids and a lenient broker lets through.
fn user_property_headers<'b, 'a: 'b>(context: &Context<'_, 'a>, headers: &mut Vec<Header<'b>>) {
    if let Some(Extra::Pairs(properties)) = context.event.extra(Attribute::UserProperties) {
        headers.extend(properties.iter().map(|(name, value)| {
            let name = String::from_utf8_lossy(name).replace('\0', "\u{fffd}");
            (format!("user_property.{name}").into(), Cow::Borrowed(*value))
        }));
    }
}

fn header_text(value: Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Text(bytes) => Some(bytes.into_owned()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        Value::Bool(flag) => Some(flag.to_string().into_bytes()),
        Value::Json(json) => Some(json.as_bytes().to_vec()),
        Value::Nothing => None,
    }
}

/// `CloudEvents` 1.0, structured content mode: the event's JSON is the data.
fn envelope(context: &Context<'_, '_>, identity: Identity, data: &[u8], out: &mut Vec<u8>) {
    let mut envelope = Object::open(out);
    envelope.literal(name!("specversion"), "1.0");
    envelope.string(name!("id"), &identity.text());
    envelope.string(name!("source"), &source(context));
    envelope.string(name!("type"), &cloudevents_type(context.event.kind));
    envelope.string(name!("subject"), &attribute(subject(context)));
    envelope.string(name!("time"), &time(context));
    envelope.literal(name!("datacontenttype"), "application/json");
    envelope.raw(name!("data"), data);
    envelope.close();
}

/// `CloudEvents` 1.0, binary content mode of the Kafka protocol binding: attributes as headers named `ce_...`. The names of
/// extensions are lower case letters and digits only.
fn cloudevents_headers(context: &Context<'_, '_>, identity: Identity, headers: &mut Vec<Header<'_>>) {
    headers.push(("ce_specversion".into(), Cow::Borrowed(b"1.0")));
    headers.push(("ce_id".into(), identity.text().into_bytes().into()));
    headers.push(("ce_source".into(), source(context).into_bytes().into()));
    headers.push(("ce_type".into(), cloudevents_type(context.event.kind).into_bytes().into()));
    headers.push(("ce_subject".into(), attribute(subject(context)).into_bytes().into()));
    headers.push(("ce_time".into(), time(context).into_bytes().into()));
    for (name, field) in [
        ("ce_clientid", Field::ClientId),
        ("ce_username", Field::Username),
        ("ce_qos", Field::Qos),
        ("ce_retain", Field::Retain),
        ("ce_messageid", Field::Id),
    ] {
        if let Some(value) = header_text(field.value(context.event, context.node, context.ts)) {
            headers.push((name.into(), attribute(&value).into_bytes().into()));
        }
    }
}

/// The attributes of `CloudEvents` are text without control characters; MQTT's need not be.
fn attribute(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, "\u{fffd}")
}

/// The node, as a URI.
fn source(context: &Context<'_, '_>) -> String {
    format!("emqttd://{}", context.node)
}

fn cloudevents_type(kind: EventKind) -> String {
    format!("io.emqtt.{}", kind.name())
}

fn subject<'a>(context: &Context<'_, 'a>) -> &'a [u8] {
    context.event.topic().unwrap_or(context.event.client_id)
}

fn time(context: &Context<'_, '_>) -> String {
    let since = Duration::from_millis(context.ts.try_into().unwrap_or(0).min(LAST_MS));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
