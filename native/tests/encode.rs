//! The JSON of each event, parsed by `serde_json`.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use base64::Engine as _;
use emq_plugin_kafka_nif::encode::{Encoder, PayloadEncoding};
use emq_plugin_kafka_nif::event::{Client, Event, Message, OptionValue, Subscription};
use serde_json::{Value, json};

fn encode_with(payload: PayloadEncoding, event: &Event<'_>) -> Value {
    let mut out = Vec::new();
    Encoder::new(payload, "emq@127.0.0.1").encode(event, 1_700_000_000_000, &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{e} in {}", String::from_utf8_lossy(&out)))
}

fn encode(event: &Event<'_>) -> Value {
    encode_with(PayloadEncoding::Auto, event)
}

fn message<'a>() -> Message<'a> {
    Message {
        client_id: b"c1",
        username: Some(b"u"),
        topic: b"a/b",
        payload: b"hello",
        qos: 1,
        dup: false,
        retain: true,
        id: Some(&[0, 6, 96, 222, 91, 92, 206, 203, 110, 199, 0, 0, 5, 96, 0, 1]),
        timestamp: 1_699_999_999_999,
    }
}

fn client<'a>() -> Client<'a> {
    Client {
        client_id: b"c1",
        username: None,
        peerhost: b"127.0.0.1",
        peerport: 50_000,
        proto_ver: 4,
        keepalive: 60,
        clean_session: true,
        will_topic: Some(b"will/t"),
        connected_at: 5,
    }
}

#[test]
fn a_publish() {
    assert_eq!(
        encode(&Event::Publish(message())),
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
    Encoder::new(PayloadEncoding::Auto, "n").encode(&Event::Publish(message()), 1, &mut out);
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
    let value = encode(&Event::Publish(Message { username: None, id: None, ..message() }));
    assert_eq!((&value["message"]["username"], &value["message"]["id"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_connect_and_its_refusal() {
    let expected = json!({
        "connack": 0, "username": null, "peerhost": "127.0.0.1", "peerport": 50_000, "proto_ver": 4, "keepalive": 60,
        "clean_session": true, "will_topic": "will/t", "connected_at": 5
    });
    let value = encode(&Event::Connected { connack: 0, client: client() });
    assert_eq!((&value["type"], &value["message"]), (&json!("connected"), &expected));
    let value = encode(&Event::Connected { connack: 4, client: client() });
    assert_eq!((&value["type"], &value["message"]["connack"]), (&json!("refused"), &json!(4)));
}

#[test]
fn a_disconnect_has_its_reason() {
    let value = encode(&Event::Disconnected { reason: b"keepalive_timeout", client: client() });
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
    let subscription = Subscription { client_id: b"c", username: None, topic: b"a/+", opts };
    let value = encode(&Event::Subscribed(subscription.clone()));
    assert_eq!(value["type"], json!("subscribed"));
    assert_eq!(
        value["message"],
        json!({"username": null, "topic": "a/+", "opts": {"qos": 1, "share": "g\"1", "local": true, "a\"b": "$queue"}})
    );
    let value = encode(&Event::Unsubscribed(Subscription { opts: vec![], ..subscription }));
    assert_eq!((&value["type"], &value["message"]["opts"]), (&json!("unsubscribed"), &json!({})));
}

#[test]
fn a_payload_that_is_no_text_is_base64_and_says_so() {
    for length in 0..70_usize {
        let payload = vec![0xff; length + 1];
        let value = encode(&Event::Publish(Message { payload: &payload, ..message() }));
        let text = value["message"]["payload"].as_str().expect("text");
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(text).expect("base64"), payload);
        assert_eq!(value["message"]["payload_encoding"], json!("base64"));
    }
}

#[test]
fn payload_encoding_can_be_forced() {
    let text = Event::Publish(message());
    let binary = Event::Publish(Message { payload: b"a\xffb", ..message() });
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
    let value = encode(&Event::Publish(Message { client_id: b"bad\xff", username: Some(b"\xfe"), ..message() }));
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
        let value = encode(&Event::Publish(Message {
            client_id: part.as_bytes(),
            topic: part.as_bytes(),
            payload: part.as_bytes(),
            ..message()
        }));
        assert_eq!(value["client_id"].as_str(), Some(part.as_str()));
        assert_eq!(value["message"]["topic"].as_str(), Some(part.as_str()));
        assert_eq!(value["message"]["payload"].as_str(), Some(part.as_str()));
    }
}
