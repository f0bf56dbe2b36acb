//! What holds for any input. A few seconds in `cargo test`; `make fuzz` runs many more cases.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "properties/events.rs"]
mod events;

use base64::Engine as _;
use emq_plugin_kafka_nif::event::context::Context;
use emq_plugin_kafka_nif::event::extra::{Attribute, Extra};
use emq_plugin_kafka_nif::event::json;
use emq_plugin_kafka_nif::event::levels::Levels;
use emq_plugin_kafka_nif::event::{EventKind, OptionValue};
use emq_plugin_kafka_nif::kafka::topics::DynamicTopics;
use emq_plugin_kafka_nif::record::encode::{Encoder, PayloadEncoding};
use emq_plugin_kafka_nif::record::fill::{Identity, fill};
use emq_plugin_kafka_nif::rules::filter::TopicFilter;
use emq_plugin_kafka_nif::rules::payload_path::{Found, Step, find};
use emq_plugin_kafka_nif::rules::rule::{FormatName, Rule};
use emq_plugin_kafka_nif::rules::template::{MissingField, Template};
use emq_plugin_kafka_nif::rules::topic::KafkaTopic;
use events::{OwnedEvent, any_event, bytes, event_of, json_document, kind, payload, pieces, text};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use serde::de::IgnoredAny;
use serde_json::Value;

const NODE: &str = "emq@127.0.0.1";

/// 256 cases of each property, or as many as `PROPTEST_CASES` says. A failure is kept beside this file and tried first from
/// then on.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

/// Whether a text is JSON by its grammar. Numbers of any size and nesting of any depth are.
fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// The bytes that a field was made of.
fn original(object: &Value, name: &str) -> Option<Vec<u8>> {
    let text = object[name].as_str()?;
    match object.get(format!("{name}_encoding")) {
        None => Some(text.as_bytes().to_vec()),
        Some(encoding) => {
            assert_eq!(encoding, "base64");
            Some(base64::engine::general_purpose::STANDARD.decode(text).expect("base64"))
        }
    }
}

fn render(template: &Template, event: &OwnedEvent) -> Result<Vec<u8>, MissingField> {
    let mut out = Vec::new();
    template.render(&Context::new(&event.event(), NODE, 7), &mut out).map(|()| out)
}

/// A JSON template: placeholders wherever one may stand.
fn json_template(placeholder: &'static [&'static str]) -> impl Strategy<Value = String> {
    let in_string = vec(prop_oneof![select(placeholder).prop_map(str::to_owned), json_text()], 0..4)
        .prop_map(|parts| format!("\"{}\"", parts.concat()));
    let leaf = prop_oneof![
        3 => select(placeholder).prop_map(str::to_owned),
        3 => in_string.clone(),
        1 => select(&["null", "true", "0", "-1.5e3"][..]).prop_map(str::to_owned),
    ];
    let tree = leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            vec((in_string.clone(), inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    vec(tree, 1..4).prop_map(|items| format!(" [{}]", items.join(",")))
}

/// Text as it stands inside a JSON string. Without `$`, which would make new placeholders.
fn json_text() -> impl Strategy<Value = String> {
    text().prop_map(|text| {
        let quoted = Value::from(text.replace('$', "")).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    })
}

/// The placeholders of a published message. All have a value or a default.
const WITH_DEFAULT: &[&str] = &[
    "${clientid}",
    "${username}",
    "${username|anonymous}",
    "${username|\\\"}",
    "${topic}",
    "${topic[1]|none}",
    "${payload}",
    "${payload.a|0}",
    "${payload.a.b|{\"x\":[1]}",
    "${payload.a[0]|}",
    "${payload[0]|\u{1}\"}",
    "${qos}",
    "${retain}",
    "${id}",
    "${ts}",
];

/// Some of these may be missing.
const WITHOUT_DEFAULT: &[&str] = &["${payload.a}", "${payload.a.b}", "${payload[0]}", "${topic[1]}", "${payload}"];

/// Every kind of placeholder, well made or not.
const TEMPLATE_PIECES: &[&str] = &[
    "${",
    "}",
    "$",
    "$${",
    "clientid",
    "${clientid}",
    "${topic[0]}",
    "${topic[",
    "${topic[99999999999999999999]}",
    "${payload.a.b}",
    "${payload[0]}",
    "${payload.a|",
    "${payload",
    ".",
    "[",
    "]",
    "|",
    "{",
    "\"",
    "\\",
    "\\u00",
    ":",
    ",",
    "0",
    "-",
    "1e",
    " ",
    "é",
    "\u{a0}",
];

const RULE_PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "1",
    "1e999",
    "\"filter\"",
    "\"topic\"",
    "\"key\"",
    "\"format\"",
    "\"value\"",
    "\"headers\"",
    "\"raw\"",
    "\"a/+/#\"",
    "\"${clientid}\"",
    "\\u0000",
    "\\ud800",
    "é",
];

/// A rule's fields, with values that are right, nearly right and wrong.
fn rule_like() -> impl Strategy<Value = String> {
    let fields =
        &["filter", "topic", "key", "format", "mode", "value", "headers", "tombstone", "produce", "fliter"][..];
    let known = select(
        &[
            "a/+/b",
            "#",
            "a#",
            "raw",
            "json",
            "template",
            "cloudevents",
            "binary",
            "structured",
            "on",
            "off",
            "async",
            "${topic[1]}",
            "${payload.a.b|0}",
            "${",
            "{\"a\":\"${clientid}\"}",
            "[${qos}]",
            "temps",
            "a b",
            ".",
            "",
        ][..],
    );
    let value = prop_oneof![
        6 => known.prop_map(Value::from),
        1 => text().prop_map(Value::from),
        1 => vec((text(), text()), 0..3)
            .prop_map(|headers| headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect()),
        1 => json_document(),
    ];
    vec((select(fields), value), 0..5)
        .prop_map(|fields| fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect::<Value>().to_string())
}

/// `emqttd_topic:match/2` of EMQ 2.3.11, whose clauses are tried in this order.
fn broker_matches(topic: &str, filter: &str) -> bool {
    fn levels(topic: &[&str], filter: &[&str]) -> bool {
        match (topic, filter) {
            ([name, topic @ ..], [level, filter @ ..]) if name == level => levels(topic, filter),
            ([_, topic @ ..], ["+", filter @ ..]) => levels(topic, filter),
            (topic, filter) => filter == ["#"] || (topic.is_empty() && filter.is_empty()),
        }
    }
    let split = |text: &'_ str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (names, wanted) = (split(topic), split(filter));
    let (names, wanted): (Vec<_>, Vec<_>) =
        (names.iter().map(String::as_str).collect(), wanted.iter().map(String::as_str).collect());
    !(topic.starts_with('$') && filter.starts_with(['+', '#'])) && levels(&names, &wanted)
}

/// `emqttd_topic:validate({filter, _})`.
fn broker_accepts(filter: &str) -> bool {
    let levels: Vec<_> = filter.split('/').collect();
    let good = |(number, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => number + 1 == levels.len(),
        name => !name.contains(['+', '#', '\0']),
    };
    !filter.is_empty() && filter.len() <= 4096 && levels.iter().enumerate().all(good)
}

/// A value of a document by its path, found the slow way.
fn navigate<'v>(document: &'v Value, path: &[Step]) -> Option<&'v Value> {
    let found = path.iter().try_fold(document, |value, step| match step {
        Step::Member(name) => value.as_object()?.get(name),
        Step::Element(number) => value.as_array()?.get(*number),
    });
    found.filter(|value| !value.is_null())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => select(&["a", "b", "", "é"][..]).prop_map(|name| Step::Member(name.to_owned())),
        1 => (0..3_usize).prop_map(Step::Element),
    ]
}

fn levels(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(select(names), 1..6).prop_map(|levels| levels.join("/"))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_escaped_text_is_given_back(text in prop_oneof![text(), vec(text(), 0..200).prop_map(|parts| parts.concat())]) {
        let mut out = b"before".to_vec();
        json::write_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out[6..]).expect("a JSON string"), text);
    }

    #[test]
    fn every_event_becomes_json_that_gives_its_bytes_back(
        event in any_event(),
        encoding in select(&[PayloadEncoding::Auto, PayloadEncoding::Utf8, PayloadEncoding::Base64][..]),
    ) {
        let mut out = Vec::new();
        let event = event.event();
        Encoder::new(encoding, NODE).encode(&Context::new(&event, NODE, 7), &mut out);
        let value: Value = serde_json::from_slice(&out).expect("JSON");
        let message = &value["message"];
        prop_assert_eq!(original(&value, "client_id"), Some(event.client_id.to_vec()));
        prop_assert_eq!(original(message, "username"), event.username.map(<[u8]>::to_vec));
        if let Some(topic) = event.topic() {
            prop_assert_eq!(original(message, "topic"), Some(topic.to_vec()));
        }
        if let Some(sent) = event.message() {
            if encoding == PayloadEncoding::Utf8 {
                let lossy = String::from_utf8_lossy(sent.payload);
                prop_assert_eq!(message["payload"].as_str(), Some(lossy.as_ref()));
                let marked = message.get("payload_encoding").and_then(Value::as_str) == Some("utf8_lossy");
                prop_assert_eq!(marked, std::str::from_utf8(sent.payload).is_err());
            } else {
                prop_assert_eq!(original(message, "payload"), Some(sent.payload.to_vec()));
                let marked = message.get("payload_encoding").is_some();
                let must_be = encoding == PayloadEncoding::Base64 || std::str::from_utf8(sent.payload).is_err();
                prop_assert_eq!(marked, must_be);
            }
        }
        for (attribute, extra) in &event.extra {
            let name = Attribute::all().find(|(known, _)| known == attribute).expect("a name").1;
            match extra {
                Extra::Text(text) => prop_assert_eq!(original(message, name), Some(text.to_vec())),
                Extra::Int(number) => prop_assert_eq!(&message[name], &Value::from(*number)),
                Extra::Bool(flag) => prop_assert_eq!(&message[name], &Value::from(*flag)),
                Extra::Null => prop_assert_eq!(message.get(name), Some(&Value::Null)),
                Extra::Pairs(pairs) => {
                    let written = message[name].as_array().expect("an array");
                    let written: Vec<_> =
                        written.iter().map(|pair| (original(pair, "key"), original(pair, "value"))).collect();
                    let sent: Vec<_> = pairs.iter().map(|(k, v)| (Some(k.to_vec()), Some(v.to_vec()))).collect();
                    prop_assert_eq!(written, sent);
                }
                Extra::Map(pairs) => {
                    for (key, _) in pairs {
                        prop_assert!(message[name][String::from_utf8_lossy(key).as_ref()].is_string());
                    }
                }
            }
        }
        if let emq_plugin_kafka_nif::event::Detail::Subscription(subscription) = &event.detail {
            let expected: serde_json::Map<_, _> = subscription.opts.iter().map(|(name, value)| {
                let value = match value {
                    OptionValue::Bool(flag) => Value::from(*flag),
                    OptionValue::Int(number) => Value::from(*number),
                    OptionValue::Text(text) => Value::from(String::from_utf8_lossy(text)),
                    OptionValue::Atom(text) => Value::from(text.as_str()),
                };
                (name.clone(), value)
            }).collect();
            prop_assert_eq!(message["opts"].as_object(), Some(&expected));
        }
    }

    #[test]
    fn any_text_is_a_template_or_an_error_with_a_place(
        text in pieces(TEMPLATE_PIECES), event in any_event(),
    ) {
        match Template::new(&text, event.kind) {
            Ok(template) => {
                let filled = render(&template, &event);
                if let (true, Ok(filled)) = (text.trim_start().starts_with(['{', '[']), filled) {
                    prop_assert!(is_json(&filled), "{}", String::from_utf8_lossy(&filled));
                }
            }
            Err(e) => {
                prop_assert!(!e.problem.is_empty());
                prop_assert!((1..=text.chars().count()).contains(&e.position), "{e}");
            }
        }
    }

    #[test]
    fn any_text_is_a_key_or_an_error(text in pieces(TEMPLATE_PIECES), event in any_event()) {
        if let Ok(template) = Template::plain(&text, event.kind) {
            let filled = render(&template, &event);
            let literal = !text.contains("${");
            prop_assert_eq!(literal.then_some(filled), literal.then_some(Ok(text.into_bytes())));
        }
    }

    #[test]
    fn a_json_template_yields_json_whatever_is_inserted(
        text in json_template(WITH_DEFAULT), event in event_of(EventKind::MessagePublish),
    ) {
        let template = Template::new(&text, event.kind);
        // A default that itself has a brace ends its placeholder early: refused at load, or JSON.
        if let Ok(template) = template {
            let filled = render(&template, &event).expect("all have a default");
            prop_assert!(is_json(&filled), "{text}: {}", String::from_utf8_lossy(&filled));
        } else {
            prop_assert!(text.contains("{\"x\":[1]}"), "{text}: {template:?}");
        }
    }

    #[test]
    fn a_json_template_without_defaults_yields_json_or_nothing(
        text in json_template(WITHOUT_DEFAULT), event in event_of(EventKind::MessageDelivered),
    ) {
        let template = Template::new(&text, event.kind).expect("a template");
        if let Ok(filled) = render(&template, &event) {
            prop_assert!(is_json(&filled), "{text}: {}", String::from_utf8_lossy(&filled));
        }
    }

    #[test]
    fn filters_are_those_of_the_broker(
        filter in prop_oneof![
            levels(&["", "a", "b", "+", "#", "$SYS", "$", "a+", "#b", "é", "\0"]),
            text(),
        ],
    ) {
        prop_assert_eq!(TopicFilter::new(&filter).is_ok(), broker_accepts(&filter));
    }

    #[test]
    fn filters_match_what_they_match_in_the_broker(
        topic in levels(&["", "a", "b", "+", "#", "$SYS", "$", "é"]),
        filter in levels(&["", "a", "b", "+", "+", "$SYS", "$", "é"]),
        all in any::<bool>(),
    ) {
        let filter = if all { format!("{filter}/#") } else { filter };
        for filter in [filter.as_str(), filter.trim_start_matches("b/")] {
            let compiled = TopicFilter::new(filter);
            if filter.is_empty() {
                continue;
            }
            let matches = compiled.expect(filter).matches(&Levels::new(topic.as_bytes()));
            prop_assert_eq!(matches, broker_matches(&topic, filter), "topic {}, filter {}", topic, filter);
        }
    }

    #[test]
    fn a_lone_hash_matches_as_in_the_broker(topic in levels(&["", "a", "+", "#", "$SYS"])) {
        let matches = TopicFilter::new("#").expect("a filter").matches(&Levels::new(topic.as_bytes()));
        prop_assert_eq!(matches, broker_matches(&topic, "#"), "topic {}", topic);
    }

    #[test]
    fn any_text_is_a_rule_or_an_error(
        text in prop_oneof![pieces(RULE_PIECES), rule_like(), text()], kind in kind(),
        format in select(&[FormatName::Json, FormatName::Raw, FormatName::CloudEvents][..]),
    ) {
        match Rule::parse(kind, &text, format) {
            Ok(rule) => prop_assert_eq!(Ok(rule), Rule::parse(kind, &text, format)),
            Err(problem) => prop_assert!(problem.len() > 5, "{problem:?}"),
        }
    }

    #[test]
    fn any_rule_makes_a_record_of_any_event(rule in rule_like(), event in any_event(), ts in any::<i64>()) {
        let Ok(rule) = Rule::parse(event.kind, &rule, FormatName::CloudEvents) else { return Ok(()) };
        let event = event.event();
        let context = Context::new(&event, NODE, ts);
        let encoder = Encoder::new(PayloadEncoding::Auto, NODE);
        let identity = Identity { opened: 1, number: 2 };
        let (mut json, mut buffer) = (Vec::new(), Vec::new());
        if let Ok((value, headers)) = fill(&rule, &context, &encoder, identity, &mut json, &mut buffer) {
            prop_assert!(value.is_some() || rule.tombstone);
            prop_assert!(headers.iter().all(|(name, _)| !name.is_empty()));
        }
    }

    #[test]
    fn a_path_finds_what_the_parsed_document_has(payload in payload(), path in vec(step(), 1..4)) {
        let found = find(&payload, &path);
        if let Ok(document) = serde_json::from_slice::<Value>(&payload) {
            let expected = navigate(&document, &path);
            let found = found.map(|found| match found {
                Found::Text(text) => Value::from(text.as_ref()),
                Found::Json(json) => serde_json::from_str(json).expect("JSON"),
            });
            prop_assert_eq!(found.as_ref(), expected);
        } else if let Some(Found::Json(json)) = found {
            // Too deep or too large for serde_json's values; still JSON.
            prop_assert!(is_json(json.as_bytes()), "{json}");
        }
        if serde_json::from_slice::<IgnoredAny>(&payload).is_err() {
            prop_assert_eq!(find(&payload, &path), None);
        }
    }

    #[test]
    fn client_data_makes_a_legal_topic_or_none(wanted in prop_oneof![
        bytes(), select(&["", ".", "..", "...", "/", "é"][..]).prop_map(|name| name.as_bytes().to_vec()),
        vec(any::<u8>(), 240..260), vec(select(&b"ab."[..]), 240..260),
    ]) {
        let made = DynamicTopics::new(1).get(&wanted, |topic| Some(topic.clone()));
        match made {
            Some(topic) => {
                let name = topic.as_c_str().to_str().expect("ASCII");
                prop_assert_eq!(KafkaTopic::new(name), Ok(topic.clone()));
                // What is legal already stays as it is.
                if let Ok(wanted) = std::str::from_utf8(&wanted) && KafkaTopic::new(wanted).is_ok() {
                    prop_assert_eq!(name, wanted);
                }
            }
            None => prop_assert!(matches!(wanted.as_slice(), b"" | b"." | b".."), "{wanted:?}"),
        }
    }
}
