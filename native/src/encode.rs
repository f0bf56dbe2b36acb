//! An event as JSON, in the shape of the old plugin, widened.
//!
//! Written by hand rather than through serde: this runs for every message inside the client's own process,
//! and the escaper is its largest cost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::event::{Client, Event, Message, OptionValue, Subscription};

/// How an MQTT payload becomes a JSON string (`encode_payload`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadEncoding {
    /// Text where it is UTF-8, else base64 with `"payload_encoding":"base64"`.
    #[default]
    Auto,
    /// Always text. Bytes that are not UTF-8 become U+FFFD, and `"payload_encoding":"utf8_lossy"` says so.
    Utf8,
    /// Always base64, with `"payload_encoding":"base64"`.
    Base64,
}

/// Turns events into JSON; made once for a pipeline.
#[derive(Debug, Clone)]
pub struct Encoder {
    payload: PayloadEncoding,
    /// `,"cluster_node":"..."`, the same in every record.
    node_field: Vec<u8>,
}

impl Encoder {
    /// An encoder for the node named `node`.
    #[must_use]
    pub fn new(payload: PayloadEncoding, node: &str) -> Self {
        let mut node_field = Vec::new();
        let mut object = Object { out: &mut node_field, separator: b',' };
        object.text("cluster_node", node.as_bytes());
        Self { payload, node_field }
    }

    /// Appends the JSON of `event` to `out`. `ts` is the time of the hook in ms since 1970.
    pub fn encode(&self, event: &Event<'_>, ts: i64, out: &mut Vec<u8>) {
        let mut record = Object::open(out);
        record.literal("type", event_type(event));
        record.text("client_id", event.client_id());
        match event {
            Event::Publish(message) => record.object("message", |body| self.message(message, body)),
            Event::Connected { connack, client } => record.object("message", |body| {
                body.int("connack", i64::from(*connack));
                client_attributes(client, body);
            }),
            Event::Disconnected { reason, client } => record.object("message", |body| {
                body.text("reason", reason);
                client_attributes(client, body);
            }),
            Event::Subscribed(subscription) | Event::Unsubscribed(subscription) => {
                record.object("message", |body| subscription_attributes(subscription, body));
            }
        }
        record.out.extend_from_slice(&self.node_field);
        record.int("ts", ts);
        record.close();
    }

    fn message(&self, message: &Message<'_>, body: &mut Object<'_>) {
        body.optional_text("username", message.username);
        body.text("topic", message.topic);
        self.payload(message.payload, body);
        body.int("qos", i64::from(message.qos));
        // The old plugin wrote flags as 0 and 1; its consumers read numbers.
        body.int("dup", i64::from(message.dup));
        body.int("retain", i64::from(message.retain));
        match message.id {
            Some(id) => body.hex("id", id),
            None => body.null("id"),
        }
        body.int("timestamp", message.timestamp);
    }

    fn payload(&self, payload: &[u8], body: &mut Object<'_>) {
        match (self.payload, std::str::from_utf8(payload)) {
            (PayloadEncoding::Auto | PayloadEncoding::Utf8, Ok(text)) => body.string("payload", text),
            (PayloadEncoding::Utf8, Err(_)) => {
                body.string("payload", &String::from_utf8_lossy(payload));
                body.literal("payload_encoding", "utf8_lossy");
            }
            (PayloadEncoding::Auto, Err(_)) | (PayloadEncoding::Base64, _) => body.base64("payload", payload),
        }
    }
}

/// The old plugin's names. A refused CONNECT, which it called `connected`, has its own.
fn event_type(event: &Event<'_>) -> &'static str {
    match event {
        Event::Publish(_) => "public",
        Event::Connected { connack: 0, .. } => "connected",
        Event::Connected { .. } => "refused",
        Event::Disconnected { .. } => "disconnected",
        Event::Subscribed(_) => "subscribed",
        Event::Unsubscribed(_) => "unsubscribed",
    }
}

fn client_attributes(client: &Client<'_>, body: &mut Object<'_>) {
    body.optional_text("username", client.username);
    body.text("peerhost", client.peerhost);
    body.int("peerport", i64::from(client.peerport));
    body.int("proto_ver", i64::from(client.proto_ver));
    body.int("keepalive", i64::from(client.keepalive));
    body.bool("clean_session", client.clean_session);
    body.optional_text("will_topic", client.will_topic);
    body.int("connected_at", client.connected_at);
}

fn subscription_attributes(subscription: &Subscription<'_>, body: &mut Object<'_>) {
    body.optional_text("username", subscription.username);
    body.text("topic", subscription.topic);
    body.object("opts", |opts| {
        for (name, value) in &subscription.opts {
            opts.escaped_name(name);
            match value {
                OptionValue::Bool(value) => write_bool(opts.out, *value),
                OptionValue::Int(value) => write_int(opts.out, *value),
                // A group is part of a topic filter, which the broker checked to be UTF-8.
                OptionValue::Text(value) => write_string(opts.out, &String::from_utf8_lossy(value)),
                OptionValue::Atom(value) => write_string(opts.out, value),
            }
        }
    });
}

/// A JSON object being written.
struct Object<'b> {
    out: &'b mut Vec<u8>,
    /// What stands before the next field: `{` before the first one, `,` after.
    separator: u8,
}

impl<'b> Object<'b> {
    fn open(out: &'b mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    /// A name of ours, which needs no escaping.
    fn name(&mut self, name: &'static str) {
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.separator = b',';
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn escaped_name(&mut self, name: &str) {
        self.out.push(self.separator);
        self.separator = b',';
        write_string(self.out, name);
        self.out.push(b':');
    }

    fn string(&mut self, name: &'static str, value: &str) {
        self.name(name);
        write_string(self.out, value);
    }

    /// A value of ours that needs no escaping.
    fn literal(&mut self, name: &'static str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// Text as it is, or, where it is not UTF-8, base64 and a field `<name>_encoding` that says so.
    fn text(&mut self, name: &'static str, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.string(name, text),
            Err(_) => self.base64(name, value),
        }
    }

    fn optional_text(&mut self, name: &'static str, value: Option<&[u8]>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    fn base64(&mut self, name: &'static str, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        let start = self.out.len();
        let length = base64::encoded_len(value.len(), true).unwrap_or(0);
        self.out.resize(start + length, 0);
        if let Some(target) = self.out.get_mut(start..) {
            // The slice has the exact length that the crate asked for, so nothing can be left out.
            let written = BASE64.encode_slice(value, target);
            debug_assert_eq!(written.ok(), Some(length));
        }
        self.out.extend_from_slice(b"\",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"_encoding\":\"base64\"");
    }

    /// A message id as EMQ prints it (`emqttd_guid:to_hexstr/1`): upper case, without leading zeros.
    fn hex(&mut self, name: &'static str, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        let digits = value.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).skip_while(|digit| *digit == 0);
        let start = self.out.len();
        self.out.extend(digits.map(|digit| if digit < 10 { b'0' + digit } else { b'A' + digit - 10 }));
        if self.out.len() == start {
            self.out.push(b'0');
        }
        self.out.push(b'"');
    }

    fn int(&mut self, name: &'static str, value: i64) {
        self.name(name);
        write_int(self.out, value);
    }

    fn bool(&mut self, name: &'static str, value: bool) {
        self.name(name);
        write_bool(self.out, value);
    }

    fn null(&mut self, name: &'static str) {
        self.name(name);
        self.out.extend_from_slice(b"null");
    }

    fn object(&mut self, name: &'static str, fields: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut inner = Object::open(self.out);
        fields(&mut inner);
        inner.close();
    }
}

fn write_string(out: &mut Vec<u8>, value: &str) {
    json_escape_simd::escape_into(value, out);
}

fn write_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}
