//! An event as JSON, in the shape of the old plugin, widened. `schemas/` has the shape of each event.

use crate::event::context::Context;
use crate::event::json::{Object, name, write_bool, write_int, write_string};
use crate::event::{Connection, Detail, Event, EventKind, Message, OptionValue, Subscription};

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
        Object::resume(&mut node_field).text(name!("cluster_node"), node.as_bytes());
        Self { payload, node_field }
    }

    /// Appends the JSON of an event to `out`.
    pub fn encode(&self, context: &Context<'_, '_>, out: &mut Vec<u8>) {
        let event = context.event;
        let mut record = Object::open(out);
        record.literal(name!("type"), type_name(event));
        record.text(name!("client_id"), event.client_id);
        record.object(name!("message"), |body| {
            self.body(event, body);
            for (attribute, value) in &event.extra {
                attribute.write(value, body);
            }
        });
        record.out.extend_from_slice(&self.node_field);
        record.int(name!("ts"), context.ts);
        record.close();
    }

    fn body(&self, event: &Event<'_>, body: &mut Object<'_>) {
        match &event.detail {
            Detail::Message(message, publisher) => {
                body.optional_text(name!("username"), event.username);
                if let Some(publisher) = publisher {
                    body.text(name!("publisher"), publisher.client_id);
                    body.optional_text(name!("publisher_username"), publisher.username);
                }
                self.message(message, body);
            }
            Detail::Connected(connack, connection) => {
                body.int(name!("connack"), i64::from(*connack));
                body.optional_text(name!("username"), event.username);
                connection_attributes(connection, body);
            }
            Detail::Connection(connection) => {
                body.optional_text(name!("username"), event.username);
                connection_attributes(connection, body);
            }
            Detail::Disconnected(reason, connection) => {
                body.text(name!("reason"), reason);
                body.optional_text(name!("username"), event.username);
                connection_attributes(connection, body);
            }
            Detail::Subscription(subscription) => {
                body.optional_text(name!("username"), event.username);
                subscription_attributes(subscription, body);
            }
            Detail::Session(reason) => {
                body.optional_text(name!("username"), event.username);
                if let Some(reason) = reason {
                    body.text(name!("reason"), reason);
                }
            }
        }
    }

    fn message(&self, message: &Message<'_>, body: &mut Object<'_>) {
        body.text(name!("topic"), message.topic);
        self.payload(message.payload, body);
        body.int(name!("qos"), i64::from(message.qos));
        // The old plugin wrote flags as 0 and 1; its consumers read numbers.
        body.flag(name!("dup"), message.dup);
        body.flag(name!("retain"), message.retain);
        match message.id {
            Some(id) => body.hex(name!("id"), id),
            None => body.null(name!("id")),
        }
        body.int(name!("timestamp"), message.timestamp);
    }

    fn payload(&self, payload: &[u8], body: &mut Object<'_>) {
        match (self.payload, std::str::from_utf8(payload)) {
            (PayloadEncoding::Auto | PayloadEncoding::Utf8, Ok(text)) => body.string(name!("payload"), text),
            (PayloadEncoding::Utf8, Err(_)) => {
                body.string(name!("payload"), &String::from_utf8_lossy(payload));
                body.literal(name!("payload_encoding"), "utf8_lossy");
            }
            (PayloadEncoding::Auto, Err(_)) | (PayloadEncoding::Base64, _) => body.base64(name!("payload"), payload),
        }
    }
}

/// The old plugin's names, and ours in its style. A refused CONNECT, which it called `connected`, has its own.
fn type_name(event: &Event<'_>) -> &'static str {
    match (event.kind, &event.detail) {
        (EventKind::ClientConnected, Detail::Connected(0, _)) => "connected",
        (EventKind::ClientConnected, _) => "refused",
        (EventKind::ClientDisconnected, _) => "disconnected",
        (EventKind::ClientSubscribe, _) => "subscribe",
        (EventKind::ClientUnsubscribe, _) => "unsubscribe",
        (EventKind::SessionCreated, _) => "session_created",
        (EventKind::SessionSubscribed, _) => "subscribed",
        (EventKind::SessionUnsubscribed, _) => "unsubscribed",
        (EventKind::SessionTerminated, _) => "session_terminated",
        (EventKind::MessagePublish, _) => "public",
        (EventKind::MessageDelivered, _) => "delivered",
        (EventKind::MessageAcked, _) => "acked",
        (EventKind::ClientConnect, _) => "connect",
        (EventKind::ClientConnack, _) => "connack",
        (EventKind::SessionResumed, _) => "session_resumed",
        (EventKind::SessionDiscarded, _) => "session_discarded",
        (EventKind::SessionTakenover, _) => "session_takenover",
        (EventKind::MessageDropped, _) => "message_dropped",
        (EventKind::DeliveryDropped, _) => "delivery_dropped",
        (EventKind::DeliveryCompleted, _) => "delivery_completed",
        (EventKind::MessagePuback, _) => "puback",
    }
}

fn connection_attributes(connection: &Connection<'_>, body: &mut Object<'_>) {
    body.optional_text(name!("peerhost"), connection.peerhost);
    body.optional_int(name!("peerport"), connection.peerport.map(i64::from));
    body.int(name!("proto_ver"), i64::from(connection.proto_ver));
    body.int(name!("keepalive"), i64::from(connection.keepalive));
    body.bool(name!("clean_session"), connection.clean_session);
    body.optional_text(name!("will_topic"), connection.will_topic);
    body.optional_int(name!("connected_at"), connection.connected_at);
}

fn subscription_attributes(subscription: &Subscription<'_>, body: &mut Object<'_>) {
    body.text(name!("topic"), subscription.topic);
    body.object(name!("opts"), |opts| {
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
