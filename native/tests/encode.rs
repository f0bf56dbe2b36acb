//! The JSON of each event, parsed by `serde_json`.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use base64::Engine as _;
use emq_plugin_kafka_nif::event::context::Context;
use emq_plugin_kafka_nif::event::{
    Connection, Detail, Event, EventKind, Message, OptionValue, Publisher, Subscription,
};
use emq_plugin_kafka_nif::record::encode::{Encoder, PayloadEncoding};
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000_000;

fn encode_with(payload: PayloadEncoding, event: &Event<'_>) -> Value {
    let mut out = Vec::new();
    let node = "emq@127.0.0.1";
    Encoder::new(payload, node).encode(&Context::new(event, node, NOW), &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{e} in {}", String::from_utf8_lossy(&out)))
}

fn encode(event: &Event<'_>) -> Value {
    encode_with(PayloadEncoding::Auto, event)
}

fn message<'a>() -> Message<'a> {
    Message {
        topic: b"a/b",
        payload: b"hello",
        qos: 1,
        retain: true,
        id: Some(&[0, 6, 96, 222, 91, 92, 206, 203, 110, 199, 0, 0, 5, 96, 0, 1]),
        timestamp: 1_699_999_999_999,
        ..Message::default()
    }
}

fn event(kind: EventKind, detail: Detail<'_>) -> Event<'_> {
    Event { kind, client_id: b"c1", username: Some(b"u"), detail, extra: Vec::new() }
}

fn publish(message: Message<'_>) -> Event<'_> {
    event(EventKind::MessagePublish, Detail::Message(message, None))
}

fn connection<'a>() -> Connection<'a> {
    Connection {
        peerhost: Some(b"127.0.0.1"),
        peerport: Some(50_000),
        proto_ver: 4,
        keepalive: 60,
        clean_session: true,
        will_topic: Some(b"will/t"),
        connected_at: Some(5),
    }
}

#[test]
fn a_publish() {
    assert_eq!(
        encode(&publish(message())),
        json!({
            "type": "public", "client_id": "c1", "cluster_node": "emq@127.0.0.1", "ts": 1_700_000_000_000_i64,
            "message": {
                "username": "u", "topic": "a/b", "payload": "hello", "qos": 1, "dup": 0, "retain": 1,
                "id": "660DE5B5CCECB6EC7000005600001", "timestamp": 1_699_999_999_999_i64
            }
        })
    );
}

#[test]
fn a_publish_has_the_fields_of_the_old_plugin_in_its_order() {
    let mut out = Vec::new();
    Encoder::new(PayloadEncoding::Auto, "n").encode(&Context::new(&publish(message()), "n", 1), &mut out);
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(
        text.starts_with(
            r#"{"type":"public","client_id":"c1","message":{"username":"u","topic":"a/b","payload":"hello","qos":1,"dup":0,"retain":1,"#
        ) && text.ends_with(r#"},"cluster_node":"n","ts":1}"#),
        "{text}"
    );
}

#[test]
fn an_absent_user_name_and_id_are_null() {
    let value = encode(&Event { username: None, ..publish(Message { id: None, ..message() }) });
    assert_eq!((&value["message"]["username"], &value["message"]["id"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_connect_and_its_refusal() {
    let expected = json!({
        "connack": 0, "username": "u", "peerhost": "127.0.0.1", "peerport": 50_000, "proto_ver": 4, "keepalive": 60,
        "clean_session": true, "will_topic": "will/t", "connected_at": 5
    });
    let value = encode(&event(EventKind::ClientConnected, Detail::Connected(0, connection())));
    assert_eq!((&value["type"], &value["message"]), (&json!("connected"), &expected));
    let value = encode(&event(EventKind::ClientConnected, Detail::Connected(4, connection())));
    assert_eq!((&value["type"], &value["message"]["connack"]), (&json!("refused"), &json!(4)));
}

#[test]
fn a_disconnect_has_its_reason() {
    let detail = Detail::Disconnected(b"keepalive_timeout", connection());
    let value = encode(&event(EventKind::ClientDisconnected, detail));
    assert_eq!(value["type"], json!("disconnected"));
    assert_eq!(value["message"]["reason"], json!("keepalive_timeout"));
}

#[test]
fn a_subscription_has_its_options_as_an_object() {
    let opts = vec![
        ("qos".to_owned(), OptionValue::Int(1)),
        ("share".to_owned(), OptionValue::Text(b"g\"1")),
        ("local".to_owned(), OptionValue::Bool(true)),
        ("a\"b".to_owned(), OptionValue::Atom("$queue".to_owned())),
    ];
    let of = |kind, opts| encode(&event(kind, Detail::Subscription(Subscription { topic: b"a/+", opts })));
    let value = of(EventKind::SessionSubscribed, opts);
    assert_eq!(value["type"], json!("subscribed"));
    assert_eq!(
        value["message"],
        json!({"username": "u", "topic": "a/+", "opts": {"qos": 1, "share": "g\"1", "local": true, "a\"b": "$queue"}})
    );
    let value = of(EventKind::SessionUnsubscribed, vec![]);
    assert_eq!((&value["type"], &value["message"]["opts"]), (&json!("unsubscribed"), &json!({})));
    assert_eq!(of(EventKind::ClientSubscribe, vec![])["type"], json!("subscribe"));
    assert_eq!(of(EventKind::ClientUnsubscribe, vec![])["type"], json!("unsubscribe"));
}

#[test]
fn a_session_and_its_end() {
    let value = encode(&event(EventKind::SessionCreated, Detail::Session(None)));
    assert_eq!((&value["type"], &value["message"]), (&json!("session_created"), &json!({"username": "u"})));
    let value = encode(&event(EventKind::SessionTerminated, Detail::Session(Some(b"expired"))));
    assert_eq!(
        (&value["type"], &value["message"]),
        (&json!("session_terminated"), &json!({"username": "u", "reason": "expired"}))
    );
}

#[test]
fn a_message_received_has_its_publisher() {
    for (kind, name) in [(EventKind::MessageDelivered, "delivered"), (EventKind::MessageAcked, "acked")] {
        let publisher = Publisher { client_id: b"p", username: None };
        let value = encode(&event(kind, Detail::Message(message(), Some(publisher))));
        assert_eq!((&value["type"], &value["client_id"]), (&json!(name), &json!("c1")));
        assert_eq!(
            (&value["message"]["username"], &value["message"]["publisher"], &value["message"]["publisher_username"]),
            (&json!("u"), &json!("p"), &Value::Null)
        );
        assert_eq!(value["message"]["payload"], json!("hello"));
    }
}

#[test]
fn a_payload_that_is_no_text_is_base64_and_says_so() {
    for length in 0..70_usize {
        let payload = vec![0xff; length + 1];
        let value = encode(&publish(Message { payload: &payload, ..message() }));
        let text = value["message"]["payload"].as_str().expect("text");
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(text).expect("base64"), payload);
        assert_eq!(value["message"]["payload_encoding"], json!("base64"));
    }
}

#[test]
fn payload_encoding_can_be_forced() {
    let text = publish(message());
    let binary = publish(Message { payload: b"a\xffb", ..message() });
    let value = encode_with(PayloadEncoding::Base64, &text);
    assert_eq!(
        (&value["message"]["payload"], &value["message"]["payload_encoding"]),
        (&json!("aGVsbG8="), &json!("base64"))
    );
    let value = encode_with(PayloadEncoding::Utf8, &text);
    assert_eq!((&value["message"]["payload"], value["message"].get("payload_encoding")), (&json!("hello"), None));
    let value = encode_with(PayloadEncoding::Utf8, &binary);
    assert_eq!(
        (&value["message"]["payload"], &value["message"]["payload_encoding"]),
        (&json!("a\u{fffd}b"), &json!("utf8_lossy"))
    );
}

#[test]
fn ids_that_are_no_text_are_base64_and_say_so() {
    let value = encode(&Event { client_id: b"bad\xff", username: Some(b"\xfe"), ..publish(message()) });
    assert_eq!((&value["client_id"], &value["client_id_encoding"]), (&json!("YmFk/w=="), &json!("base64")));
    assert_eq!(
        (&value["message"]["username"], &value["message"]["username_encoding"]),
        (&json!("/g=="), &json!("base64"))
    );
}

#[test]
fn every_character_survives_the_escaping() {
    let mut text: String = (0..=0x2ff_u32).filter_map(char::from_u32).collect();
    text.push_str("\u{2028}\u{2029}\u{fffd}\u{ffff}😀\"\\/</script>");
    // At every offset, because the escaper works on blocks.
    for skip in 0..80 {
        let part: String = text.chars().skip(skip).collect();
        let message = Message { topic: part.as_bytes(), payload: part.as_bytes(), ..message() };
        let value = encode(&Event { client_id: part.as_bytes(), ..publish(message) });
        assert_eq!(value["client_id"].as_str(), Some(part.as_str()));
        assert_eq!(value["message"]["topic"].as_str(), Some(part.as_str()));
        assert_eq!(value["message"]["payload"].as_str(), Some(part.as_str()));
    }
}
