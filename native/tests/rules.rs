//! What rules make of events, read back from librdkafka's mock cluster.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::{Cluster, TOPIC, assert_adds_up, cluster, consume, consume_from, dropped, publish, publish_to, settings};
use emq_plugin_kafka_nif::event::context::Context;
use emq_plugin_kafka_nif::event::extra::{Attribute, Extra};
use emq_plugin_kafka_nif::event::{Connection, Detail, Event, EventKind, Message};
use emq_plugin_kafka_nif::flow::handle::Handle;
use emq_plugin_kafka_nif::flow::outcome::{Outcome, Publisher};
use emq_plugin_kafka_nif::metrics::{DropReason, Snapshot};
use emq_plugin_kafka_nif::rules::template::Template;
use serde_json::json;

const LONG: Duration = Duration::from_mins(1);
const RULE: &str = "hook.message.publish.1";
const NODE: &str = "emq@127.0.0.1";

/// A pipeline with these settings, and its Kafka. Topics beside the default one come with their first record.
fn open(more: &[(&str, &str)]) -> (Cluster, Handle) {
    let cluster = cluster(1);
    let handle = Handle::default();
    assert!(handle.open(settings(&cluster.bootstrap_servers(), more), NODE).expect("opened"));
    (cluster, handle)
}

fn queued(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Queued(_))
}

/// Ends the pipeline when Kafka has everything.
fn drained(handle: &Handle) -> Snapshot {
    assert_eq!(handle.close(LONG).map(|closed| closed.given_up), Some(0));
    let counters = handle.metrics().snapshot();
    assert_adds_up(&counters);
    counters
}

/// The keys as text, an absent one as the empty text.
fn keys(records: &[common::Record]) -> Vec<&str> {
    records.iter().map(|r| std::str::from_utf8(r.key.as_deref().unwrap_or_default()).expect("UTF-8")).collect()
}

fn message<'a>() -> Message<'a> {
    Message {
        topic: b"sensors/7/temp",
        payload: b"21.5",
        qos: 1,
        retain: true,
        id: Some(&[0, 6, 96, 222, 91, 92, 206, 203, 110, 199, 0, 0, 5, 96, 0, 1]),
        timestamp: 5,
        ..Message::default()
    }
}

fn of<'a>(message: Message<'a>, username: Option<&'a [u8]>) -> Event<'a> {
    Event {
        kind: EventKind::MessagePublish,
        client_id: b"c1",
        username,
        detail: Detail::Message(message, None),
        extra: Vec::new(),
    }
}

#[test]
fn an_event_goes_to_each_rule_that_matches() {
    let (cluster, handle) = open(&[
        (RULE, r#"{"filter":"sensors/#","topic":"all"}"#),
        ("hook.message.publish.temp", r#"{"filter":"sensors/+/temp","topic":"temps","format":"raw"}"#),
        ("hook.message.publish.other", r#"{"filter":"alarms/+"}"#),
    ]);
    assert_eq!(handle.events(), [EventKind::MessagePublish]);
    assert!(queued(&handle.submit(&publish_to(b"c", b"sensors/1/temp", b"1"), &Publisher::CannotWait, false)));
    assert!(queued(&handle.submit(&publish_to(b"c", b"sensors/1/hum", b"2"), &Publisher::CannotWait, false)));
    assert_eq!(handle.submit(&publish_to(b"c", b"else", b"3"), &Publisher::CannotWait, false), Outcome::Ignored);
    assert_eq!(
        handle.submit(&publish_to(b"c", b"$SYS/alarms/1", b"4"), &Publisher::CannotWait, false),
        Outcome::Ignored
    );
    let connection = Connection {
        peerhost: Some(b"127.0.0.1"),
        peerport: Some(1),
        proto_ver: 4,
        keepalive: 60,
        clean_session: true,
        will_topic: None,
        connected_at: Some(5),
    };
    let connected = Detail::Connected(0, connection);
    let other = Event {
        kind: EventKind::ClientConnected,
        client_id: b"c",
        username: None,
        detail: connected,
        extra: Vec::new(),
    };
    assert_eq!(handle.submit(&other, &Publisher::CannotWait, false), Outcome::Ignored, "no rule for that event");
    let counters = drained(&handle);
    assert_eq!((counters.accepted, counters.success), (3, 3));
    let all = consume_from(&cluster, "all", 2);
    assert_eq!(all[0].json()["message"]["payload"], json!("1"));
    assert_eq!(all[1].json()["message"]["payload"], json!("2"));
    assert_eq!(consume_from(&cluster, "temps", 1)[0].bytes.as_deref(), Some(&b"1"[..]));
}

#[test]
fn user_properties_are_headers_in_every_format() {
    let (cluster, handle) = open(&[
        (RULE, r#"{"topic":"json"}"#),
        ("hook.message.publish.2", r#"{"topic":"raw","format":"raw"}"#),
        ("hook.message.publish.3", r#"{"topic":"own","value":"${clientid}","headers":{"own":"1"}}"#),
    ]);
    let mut event = publish(b"c", b"x");
    event.extra = vec![
        (Attribute::UserProperties, Extra::Pairs(vec![(b"a", b"1"), (b"topic", b"\xff"), (b"a", b"2"), (b"n\0", b"")])),
        (Attribute::ContentType, Extra::Text(b"text/plain")),
    ];
    assert!(queued(&handle.submit(&event, &Publisher::CannotWait, false)));
    let properties = [
        ("user_property.a", &b"1"[..]),
        ("user_property.topic", b"\xff"),
        ("user_property.a", b"2"),
        ("user_property.n\u{fffd}", b""),
    ];
    let properties: Vec<_> = properties.map(|(name, value)| (name.to_owned(), value.to_vec())).into();
    let json = &consume_from(&cluster, "json", 1)[0];
    assert_eq!(json.headers, properties);
    assert_eq!(json.json()["message"]["content_type"], json!("text/plain"));
    let raw = &consume_from(&cluster, "raw", 1)[0];
    assert_eq!(raw.header("content_type"), Some("text/plain"));
    let is_property = |(name, _): &&(String, Vec<u8>)| name.starts_with("user_prop");
    assert_eq!(raw.headers.iter().filter(is_property).cloned().collect::<Vec<_>>(), properties);
    let own = &consume_from(&cluster, "own", 1)[0];
    assert_eq!(own.headers.last(), Some(&("own".to_owned(), b"1".to_vec())), "the rule's own come last");
    assert_eq!(drained(&handle).success, 3);
}

#[test]
fn a_topic_is_made_of_the_event_within_the_bound() {
    let (cluster, handle) =
        open(&[(RULE, r#"{"topic":"dev.${topic[1]}","key":"${topic[1]}"}"#), ("topic_max_dynamic", "2")]);
    for device in ["a", "b c", "d", "a", "d", "b_c"] {
        let topic = format!("devices/{device}/up");
        assert!(queued(&handle.submit(&publish_to(b"c", topic.as_bytes(), b"x"), &Publisher::CannotWait, false)));
    }
    let counters = drained(&handle);
    assert_eq!((counters.success, counters.redirected), (6, 2));
    assert_eq!(keys(&consume_from(&cluster, "dev.a", 2)), ["a", "a"]);
    let mapped = consume_from(&cluster, "dev.b_c", 2);
    let mut mapped = keys(&mapped);
    mapped.sort_unstable();
    assert_eq!(mapped, ["b c", "b_c"], "what Kafka does not allow is mapped");
    assert_eq!(keys(&consume(&cluster, 2)), ["d", "d"], "one too many goes to the default topic");
}

#[test]
fn what_makes_no_topic_goes_to_the_default_one() {
    let (cluster, handle) = open(&[(RULE, r#"{"topic":"${payload.t}","key":"${payload.t}"}"#)]);
    for name in ["", ".", ".."] {
        let payload = json!({ "t": name }).to_string();
        assert!(queued(&handle.submit(&publish(b"c", payload.as_bytes()), &Publisher::CannotWait, false)));
    }
    let counters = drained(&handle);
    assert_eq!((counters.success, counters.redirected), (3, 3));
    let records = consume(&cluster, 3);
    assert_eq!(keys(&records), ["", ".", ".."]);
    assert_eq!(records[0].key, None, "an empty key is none");
}

#[test]
fn a_missing_field_drops_the_record_of_its_rule_only() {
    let (cluster, handle) = open(&[
        (RULE, r#"{"key":"${payload.device.id}","format":"raw"}"#),
        ("hook.message.publish.2", r#"{"topic":"${payload.t}"}"#),
        ("hook.message.publish.3", r#"{"value":{"t":"${payload.t}"}}"#),
        ("hook.message.publish.4", r#"{"headers":{"t":"${payload.t}"}}"#),
        ("hook.message.publish.5", r#"{"key":"${payload.t|none}","format":"raw","topic":"good"}"#),
    ]);
    let missing = dropped(DropReason::MissingField);
    assert_eq!(handle.submit(&publish(b"c", b"no json"), &Publisher::CannotWait, false), missing);
    assert_eq!(handle.submit(&publish(b"c", br#"{"device":{"id":"d1"}}"#), &Publisher::CannotWait, false), missing);
    assert_eq!(handle.submit(&publish(b"c", br#"{"device":{"id":null}}"#), &Publisher::CannotWait, false), missing);
    let counters = drained(&handle);
    assert_eq!(counters.dropped.get(&DropReason::MissingField), Some(&(5 + 3 + 3)), "{counters:?}");
    assert_eq!((counters.accepted, counters.success), (15, 4));
    assert_eq!(keys(&consume(&cluster, 1)), ["d1"]);
    assert_eq!(keys(&consume_from(&cluster, "good", 3)), ["none"; 3]);
}

#[test]
fn a_key_that_looks_like_json_is_text() {
    let (cluster, handle) = open(&[(RULE, r#"{"key":"{${clientid}}:${topic[1]|0}"}"#)]);
    assert!(queued(&handle.submit(&publish_to(b"a\"b", b"t", b"x"), &Publisher::CannotWait, false)));
    drained(&handle);
    assert_eq!(keys(&consume(&cluster, 1)), ["{a\"b}:0"]);
}

#[test]
fn raw_is_the_payload_byte_for_byte() {
    let (cluster, handle) = open(&[(RULE, r#"{"format":"raw","headers":{"site":"x-${topic[1]}"}}"#)]);
    let every_byte: Vec<u8> = (0..=255).collect();
    assert!(queued(&handle.submit(
        &of(Message { payload: &every_byte, ..message() }, Some(b"u")),
        &Publisher::CannotWait,
        false
    )));
    assert!(queued(&handle.submit(
        &of(Message { payload: b"", id: None, ..message() }, None),
        &Publisher::CannotWait,
        false
    )));
    drained(&handle);
    let records = consume(&cluster, 2);
    assert_eq!(records[0].bytes.as_deref(), Some(every_byte.as_slice()));
    assert_eq!(records[1].bytes.as_deref(), Some(&b""[..]), "empty is not null");
    for (name, value) in [
        ("site", "x-7"),
        ("clientid", "c1"),
        ("username", "u"),
        ("event", "message.publish"),
        ("node", NODE),
        ("topic", "sensors/7/temp"),
        ("qos", "1"),
        ("retain", "true"),
        ("dup", "false"),
        ("id", "660DE5B5CCECB6EC7000005600001"),
        ("timestamp", "5"),
    ] {
        assert_eq!(records[0].header(name), Some(value), "{name}");
    }
    let time = records[0].timestamp.map(|time| time.to_string());
    assert_eq!(records[0].header("ts"), time.as_deref());
    assert_eq!((records[1].header("username"), records[1].header("id")), (None, None), "what is absent has no header");
    assert_eq!(records[0].header("payload"), None);
}

#[test]
fn a_template_is_the_value() {
    let (cluster, handle) = open(&[
        (RULE, r#"{"value":{"dev":"${topic[1]}","raw":"${payload}"},"headers":{"h":"[${qos}]","g":"${node}"}}"#),
        ("hook.message.publish.2", r#"{"topic":"csv","format":"template","value":"${clientid};${payload};${retain}"}"#),
        ("hook.message.publish.3", r#"{"topic":"typed","value":"{\"v\": ${payload.v}, \"u\": ${username}}"}"#),
    ]);
    assert!(queued(&handle.submit(
        &of(Message { payload: br#"{"v":21.50}"#, ..message() }, None),
        &Publisher::CannotWait,
        false
    )));
    drained(&handle);
    let record = &consume(&cluster, 1)[0];
    assert_eq!(record.json(), json!({"dev": "7", "raw": r#"{"v":21.50}"#}));
    assert_eq!((record.header("h"), record.header("g")), (Some("[1]"), Some(NODE)));
    assert_eq!(consume_from(&cluster, "csv", 1)[0].bytes.as_deref(), Some(&br#"c1;{"v":21.50};true"#[..]));
    let typed = &consume_from(&cluster, "typed", 1)[0];
    assert_eq!(typed.bytes.as_deref(), Some(&br#"{"v": 21.50, "u": null}"#[..]));
}

#[test]
fn cloudevents_in_structured_mode_are_an_envelope() {
    let (cluster, handle) =
        open(&[(RULE, r#"{"format":"cloudevents"}"#), ("hook.message.publish.2", r#"{"topic":"json"}"#)]);
    for _ in 0..2 {
        assert!(queued(&handle.submit(&of(message(), Some(b"u")), &Publisher::CannotWait, false)));
    }
    drained(&handle);
    let records = consume(&cluster, 2);
    let envelope = records[0].json();
    assert_eq!(records[0].header("content-type"), Some("application/cloudevents+json; charset=UTF-8"));
    assert_eq!(envelope["specversion"], json!("1.0"));
    assert_eq!(envelope["source"], json!("emqttd://emq@127.0.0.1"));
    assert_eq!(envelope["type"], json!("io.emqtt.message.publish"));
    assert_eq!(envelope["subject"], json!("sensors/7/temp"));
    assert_eq!(envelope["datacontenttype"], json!("application/json"));
    let time = humantime::parse_rfc3339(envelope["time"].as_str().expect("a time")).expect("RFC 3339");
    let since = time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    assert_eq!(i64::try_from(since).ok(), records[0].timestamp);
    assert!(envelope["id"].as_str().is_some_and(|id| !id.is_empty()));
    assert_ne!(envelope["id"], records[1].json()["id"], "an id of its own");
    // The default format, beside: one time, so one text.
    let plain = consume_from(&cluster, "json", 2);
    assert_eq!(envelope["data"], plain[0].json());
}

#[test]
fn a_header_of_the_rule_replaces_the_one_of_its_name() {
    let (cluster, handle) = open(&[
        (RULE, r#"{"format":"raw","headers":{"topic":"mine","clientid":"${username}"}}"#),
        ("hook.message.publish.2", r#"{"format":"cloudevents","topic":"two","headers":{"content-type":"x"}}"#),
        (
            "hook.message.publish.3",
            r#"{"format":"cloudevents","mode":"binary","topic":"three","headers":{"content-type":"x","ce_type":"y"}}"#,
        ),
    ]);
    assert!(queued(&handle.submit(&of(message(), Some(b"u")), &Publisher::CannotWait, false)));
    drained(&handle);
    let (one, two, three) =
        (consume(&cluster, 1), consume_from(&cluster, "two", 1), consume_from(&cluster, "three", 1));
    for (record, name, value) in [
        (&one[0], "topic", "mine"),
        (&one[0], "clientid", "u"),
        (&two[0], "content-type", "x"),
        (&three[0], "content-type", "x"),
        (&three[0], "ce_type", "y"),
    ] {
        let named: Vec<_> = record.headers.iter().filter(|(other, _)| other == name).collect();
        assert_eq!(named, [&(name.to_owned(), value.as_bytes().to_vec())]);
    }
}

#[test]
fn cloudevents_in_binary_mode_are_headers() {
    let rule = r#"{"format":"cloudevents","mode":"binary"}"#;
    let (cluster, handle) = open(&[(RULE, rule), ("hook.session.terminated.1", rule)]);
    assert!(queued(&handle.submit(
        &of(Message { payload: b"\xff\x00", ..message() }, None),
        &Publisher::CannotWait,
        false
    )));
    let detail = Detail::Session(Some(b"expired"));
    // Attributes are text without control characters, whatever a client calls itself.
    let ended = Event {
        kind: EventKind::SessionTerminated,
        client_id: b"c\n2\xff",
        username: Some(b"u"),
        detail,
        extra: Vec::new(),
    };
    assert!(queued(&handle.submit(&ended, &Publisher::CannotWait, false)));
    drained(&handle);
    let records = consume(&cluster, 2);
    let (message, session) = (&records[0], &records[1]);
    assert_eq!(message.bytes.as_deref(), Some(&b"\xff\x00"[..]));
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_source", "emqttd://emq@127.0.0.1"),
        ("ce_type", "io.emqtt.message.publish"),
        ("ce_subject", "sensors/7/temp"),
        ("content-type", "application/octet-stream"),
        ("ce_clientid", "c1"),
        ("ce_qos", "1"),
        ("ce_retain", "true"),
    ] {
        assert_eq!(message.header(name), Some(value), "{name}");
    }
    assert!(message.header("ce_id").is_some_and(|id| !id.is_empty()));
    assert!(message.header("ce_time").is_some_and(|time| humantime::parse_rfc3339(time).is_ok()));
    assert_eq!(message.header("ce_username"), None);
    assert_eq!(session.header("content-type"), Some("application/json"));
    assert_eq!(session.header("ce_subject"), Some("c\u{fffd}2\u{fffd}"));
    assert_eq!(session.header("ce_clientid"), Some("c\u{fffd}2\u{fffd}"));
    assert_eq!(session.json()["message"], json!({"username": "u", "reason": "expired"}));
}

#[test]
fn a_tombstone_is_a_null_value() {
    let (cluster, handle) = open(&[(RULE, r#"{"key":"${topic}","format":"raw","tombstone":"on"}"#)]);
    for (payload, retain) in [(&b"on"[..], true), (b"", true), (b"", false)] {
        assert!(queued(&handle.submit(
            &of(Message { payload, retain, ..message() }, None),
            &Publisher::CannotWait,
            false
        )));
    }
    drained(&handle);
    let values: Vec<_> = consume(&cluster, 3).into_iter().map(|record| record.bytes).collect();
    assert_eq!(values, [Some(b"on".to_vec()), None, Some(Vec::new())]);
}

#[test]
fn what_takes_long_is_left_to_a_patient_caller() {
    let (cluster, handle) = open(&[(RULE, r#"{"filter":"big/+","format":"raw"}"#)]);
    let payload = vec![b'x'; 200_000];
    let event = publish_to(b"c", b"big/1", &payload);
    assert_eq!(handle.submit(&event, &Publisher::CannotWait, false), Outcome::TooLong);
    assert_eq!(handle.metrics().snapshot().accepted, 0, "nothing was counted");
    assert_eq!(
        handle.submit(&publish_to(b"c", b"small", &payload), &Publisher::CannotWait, false),
        Outcome::Ignored,
        "no rule, no work"
    );
    assert_eq!(handle.submit(&event, &Publisher::CannotWait, true), Outcome::Queued(payload.len()));
    assert_eq!(drained(&handle).success, 1);
    assert_eq!(consume(&cluster, 1)[0].bytes.as_deref(), Some(payload.as_slice()));
}

#[test]
fn many_rules_that_match_are_heavy_together() {
    let rules: Vec<_> = (0..40).map(|n| (format!("hook.message.publish.{n}"), "{}")).collect();
    let more: Vec<_> = rules.iter().map(|(name, rule)| (name.as_str(), *rule)).collect();
    let (_cluster, handle) = open(&more);
    assert!(queued(&handle.submit(&publish(b"c", &[b'x'; 1000]), &Publisher::CannotWait, false)));
    assert_eq!(handle.submit(&publish(b"c", &[b'x'; 10_000]), &Publisher::CannotWait, false), Outcome::TooLong);
    assert!(queued(&handle.submit(&publish(b"c", &[b'x'; 10_000]), &Publisher::CannotWait, true)));
    assert_eq!(drained(&handle).success, 80);
}

#[test]
fn a_client_id_of_64_kb_is_a_key_a_topic_and_a_header() {
    let (cluster, handle) = open(&[
        (RULE, r#"{"headers":{"c":"${clientid}"}}"#),
        ("hook.message.publish.2", r#"{"topic":"${clientid}","format":"raw","key":""}"#),
        ("hook.message.publish.3", r#"{"topic":"v","value":["${clientid}"],"key":"x"}"#),
    ]);
    let client = vec![b'"'; 65_535];
    assert!(queued(&handle.submit(&publish(&client, b"x"), &Publisher::CannotWait, true)));
    let counters = drained(&handle);
    assert_eq!((counters.success, counters.redirected), (3, 0));
    let record = &consume(&cluster, 1)[0];
    assert_eq!(record.key.as_deref(), Some(client.as_slice()));
    assert_eq!(record.header("c").map(str::as_bytes), Some(client.as_slice()));
    assert_eq!(record.json()["client_id"].as_str().map(str::as_bytes), Some(client.as_slice()));
    assert_eq!(consume_from(&cluster, &"_".repeat(249), 1)[0].key, None);
    assert_eq!(consume_from(&cluster, "v", 1)[0].json()[0].as_str().map(str::as_bytes), Some(client.as_slice()));
}

#[test]
fn json_nested_10_000_deep_is_data() {
    let (cluster, handle) =
        open(&[(RULE, r#"{"key":"${payload.id}","value":"{\"b\": ${payload.a.b|null}, \"a\": \"${payload.a|}\"}"}"#)]);
    let nested = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let objects = format!("{}1{}", r#"{"b":"#.repeat(10_000), "}".repeat(10_000));
    for a in [&nested, &objects] {
        let payload = format!(r#"{{"a":{a},"id":7}}"#);
        assert!(queued(&handle.submit(&publish(b"c", payload.as_bytes()), &Publisher::CannotWait, true)));
    }
    let open_ended = format!(r#"{{"id":7,"a":{}"#, "[".repeat(50_000));
    let outcome = handle.submit(&publish(b"c", open_ended.as_bytes()), &Publisher::CannotWait, true);
    assert_eq!(outcome, dropped(DropReason::MissingField), "it is no JSON");
    assert_eq!(drained(&handle).success, 2);
    let records = consume(&cluster, 2);
    assert_eq!(records[0].json(), json!({"b": null, "a": nested}));
    let inner = &objects[r#"{"b":"#.len()..objects.len() - 1];
    let escaped = objects.replace('"', "\\\"");
    let expected = format!(r#"{{"b": {inner}, "a": "{escaped}"}}"#);
    assert!(records[1].bytes.as_deref() == Some(expected.as_bytes()), "inserted as it is");
}

#[test]
fn topics_of_quotes_and_control_characters_stay_data() {
    let (cluster, handle) = open(&[
        (RULE, "{}"),
        ("hook.message.publish.2", r#"{"topic":"value","value":{"t":"${topic}","l":"${topic[1]}"}}"#),
        ("hook.message.publish.3", r#"{"topic":"t.${topic}","format":"raw"}"#),
        ("hook.message.publish.4", r#"{"topic":"ce","format":"cloudevents"}"#),
    ]);
    let topic = "\"\\\u{1}\n/\"},\u{7f}{\"\u{2028}é";
    assert!(queued(&handle.submit(&publish_to(b"c\0\"", topic.as_bytes(), b"x"), &Publisher::CannotWait, false)));
    assert_eq!(drained(&handle).success, 4);
    let record = &consume(&cluster, 1)[0];
    assert_eq!(record.json()["message"]["topic"].as_str(), Some(topic));
    assert_eq!(record.json()["client_id"].as_str(), Some("c\0\""));
    let level = topic.split_once('/').map(|(_, level)| level);
    let value = consume_from(&cluster, "value", 1)[0].json();
    assert_eq!((value["t"].as_str(), value["l"].as_str()), (Some(topic), level));
    let name: String = std::iter::once("t.".to_owned()).chain(topic.chars().map(|_| "_".to_owned())).collect();
    assert_eq!(consume_from(&cluster, &name, 1)[0].header("topic"), Some(topic));
    // Attributes of CloudEvents have no control characters; the data has the topic as it is.
    let subject = topic.replace(char::is_control, "\u{fffd}");
    let envelope = consume_from(&cluster, "ce", 1)[0].json();
    assert_eq!(envelope["subject"].as_str(), Some(subject.as_str()));
    assert_eq!(envelope["data"]["message"]["topic"].as_str(), Some(topic));
}

#[test]
fn rules_with_topics_of_their_own_survive_many_stops_and_starts() {
    let rules = [
        (RULE, r#"{"topic":"fixed"}"#),
        ("hook.message.publish.2", r#"{"topic":"${clientid}"}"#),
        ("hook.message.publish.3", "{}"),
    ];
    let cluster = cluster(1);
    let handle = Handle::default();
    for _ in 0..5 {
        assert!(handle.open(settings(&cluster.bootstrap_servers(), &rules), NODE).expect("opened"));
        assert!(queued(&handle.submit(&publish(b"made", b"x"), &Publisher::CannotWait, false)));
        assert_eq!(drained(&handle).queued, 0);
    }
    assert_eq!(handle.metrics().snapshot().success, 15);
    for topic in ["fixed", "made", TOPIC] {
        assert_eq!(consume_from(&cluster, topic, 5).len(), 5);
    }
}

/// docs/rules.md has a table of templates and what they give, behind the payload that they are given.
#[test]
fn the_examples_of_the_page_are_true() {
    let page = include_str!("../../docs/rules.md");
    let (before, table) = page.split_once("| template | result |\n|---|---|\n").expect("the table");
    let (_, client) = before.rsplit_once("\n\nFor example, ").expect("the client");
    let code: Vec<&str> = client.split('`').skip(1).step_by(2).collect();
    let [client, payload, topic] = code[..] else { panic!("client, payload and topic: {code:?}") };
    let event = Event {
        client_id: client.as_bytes(),
        ..of(Message { payload: payload.as_bytes(), topic: topic.as_bytes(), ..message() }, None)
    };
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        let cells = row.replace("\\|", "\0");
        let cells: Vec<String> = cells.split('`').skip(1).step_by(2).map(|cell| cell.replace('\0', "|")).collect();
        let [template, expected] = &cells[..] else { panic!("two cells: {row}") };
        let mut result = Vec::new();
        let template = Template::new(template, event.kind).expect(row);
        template.render(&Context::new(&event, NODE, 7), &mut result).expect(row);
        assert_eq!(String::from_utf8_lossy(&result), *expected, "{row}");
    }
}
