use super::*;
use crate::event::extra::{Attribute, Extra};
use crate::event::{Detail, Event, Message};

fn publish<'a>(topic: &'a [u8], payload: &'a [u8], username: Option<&'a [u8]>) -> Event<'a> {
    let message = Message {
        topic,
        payload,
        qos: 1,
        retain: true,
        id: Some(&[0, 6, 96, 222, 91, 92, 206, 203, 110, 199, 0, 0, 5, 96, 0, 1]),
        timestamp: 5,
        ..Message::default()
    };
    Event {
        kind: EventKind::MessagePublish,
        client_id: b"c1",
        username,
        detail: Detail::Message(message, None),
        extra: Vec::new(),
    }
}

fn fill(template: &str, event: &Event<'_>) -> Result<String, MissingField> {
    let template = Template::new(template, event.kind).expect("a template");
    let mut out = Vec::new();
    template.render(&Context::new(event, "n@h", 7), &mut out)?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

fn problem(template: &str) -> String {
    Template::new(template, EventKind::MessagePublish).expect_err(template).to_string()
}

#[test]
fn inserts_attributes() {
    let event = publish(b"a/b/c", br#"{"t":21.50,"s":"x\"y","o":{"k":[1,2]}}"#, Some(b"u"));
    for (template, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("${clientid}-${username}-${topic}-${qos}-${retain}-${dup}", "c1-u-a/b/c-1-true-false"),
        ("${event} ${node} ${ts} ${id} ${timestamp}", "message.publish n@h 7 660DE5B5CCECB6EC7000005600001 5"),
        ("${topic[0]}.${topic[2]}", "a.c"),
        ("${payload.t}|${payload.s}|${payload.o.k[1]}|${payload.o}", "21.50|x\"y|2|{\"k\":[1,2]}"),
        ("a$${b} $ {c} $", "a${b} $ {c} $"),
        ("$$${clientid}", "$${clientid}"),
    ] {
        assert_eq!(fill(template, &event).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn inserts_what_only_some_brokers_tell() {
    let properties = Extra::Pairs(vec![(b"tenant", b"t1"), (b"tenant", b"t2"), (b"q\"", b"\"")]);
    let mut event = publish(b"a", b"x", None);
    event.extra = vec![
        (Attribute::UserProperties, properties),
        (Attribute::ContentType, Extra::Text(b"text/plain")),
        (Attribute::MessageExpiryInterval, Extra::Int(60)),
    ];
    for (template, expected) in [
        ("${user_property.tenant}/${content_type}/${message_expiry_interval}", "t1/text/plain/60"),
        ("${response_topic}${response_topic|none}", "none"),
        ("${user_property.none|-}${client_attr.none|-}", "--"),
        (
            r#"{"p":${user_properties},"v":"${user_property.q"}","e":${message_expiry_interval}}"#,
            r#"{"p":[{"key":"tenant","value":"t1"},{"key":"tenant","value":"t2"},{"key":"q\"","value":"\""}],"v":"\"","e":60}"#,
        ),
    ] {
        assert_eq!(fill(template, &event).as_deref(), Ok(expected), "{template}");
    }
    assert_eq!(fill("${user_property.none}", &event), Err(MissingField), "as a field of the payload");
}

#[test]
fn a_missing_payload_field_or_level_needs_a_default() {
    let event = publish(b"a", b"no json", None);
    assert_eq!(fill("${payload.t}", &event), Err(MissingField));
    assert_eq!(fill("${topic[1]}", &event), Err(MissingField));
    assert_eq!(fill("${payload.t|none}/${topic[1]|x}", &event).as_deref(), Ok("none/x"));
    assert_eq!(fill("${payload.t|}", &event).as_deref(), Ok(""));
}

#[test]
fn an_absent_user_name_is_empty_or_the_default() {
    let event = publish(b"a", b"", None);
    assert_eq!(fill("<${username}>", &event).as_deref(), Ok("<>"));
    assert_eq!(fill("<${username|anonymous}>", &event).as_deref(), Ok("<anonymous>"));
}

#[test]
fn json_stays_json_whatever_is_inserted() {
    let nasty = "q\"\\\n\u{1}é😀";
    let payload = serde_json::json!({"s": nasty, "n": 1.5, "o": {"k": [nasty]}}).to_string();
    let event = publish(nasty.as_bytes(), payload.as_bytes(), None);
    let template = concat!(
        r#"{"in": "<${topic}>", "value": ${topic}, "user": ${username}, "n": ${payload.n}, "s": ${payload.s}, "o": ${payload.o},"#,
        r#" "text": "${payload.o}", "none": ${payload.x|0}, "word": ${payload.x|w"}, "esc\"${qos}": "\\${qos}", "flag": ${retain}}"#
    );
    let value: serde_json::Value = serde_json::from_str(&fill(template, &event).expect("filled")).expect("JSON");
    assert_eq!(
        value,
        serde_json::json!({
            "in": format!("<{nasty}>"), "value": nasty, "user": null, "n": 1.5, "s": nasty, "o": {"k": [nasty]},
            "text": serde_json::json!({"k": [nasty]}).to_string(), "none": 0, "word": "w\"", "esc\"1": "\\1", "flag": true
        })
    );
}

#[test]
fn bytes_in_json_are_base64() {
    let event = publish(b"t", b"\xff\xfe", None);
    assert_eq!(fill(r#"{"p":"${payload}","q":${payload}}"#, &event).as_deref(), Ok(r#"{"p":"//4=","q":"//4="}"#));
}

#[test]
fn bytes_in_text_stay_bytes() {
    let event = publish(b"t", b"\xff\xfe", None);
    let mut out = Vec::new();
    let template = Template::new("<${payload}>", event.kind).expect("a template");
    template.render(&Context::new(&event, "n", 0), &mut out).expect("filled");
    assert_eq!(out, b"<\xff\xfe>");
}

#[test]
fn says_what_is_wrong_and_where() {
    assert_eq!(problem("ab${clientid"), "at character 3: ${ without a closing }");
    assert!(
        problem("é${foo}").starts_with("at character 2: unknown placeholder ${foo}; message.publish has clientid, ")
    );
    assert_eq!(
        problem("${topic[x]}"),
        "at character 1: ${topic[x]}: expected the number of a topic level, counted from 0"
    );
    assert_eq!(problem("${payload..a}"), "at character 1: ${payload..a}: a name is missing after a dot");
    assert_eq!(problem("${payload[a]}"), "at character 1: ${payload[a]}: \"a\" is not an index of an array");
    assert_eq!(problem("${payload.a[0]b}"), "at character 1: ${payload.a[0]b}: expected .name or [number]");
    assert!(problem("${keepalive}").contains("unknown placeholder"), "not an attribute of a message");
    assert!(problem(r#"{"a": ${qos}"#).contains("begins like JSON"));
    assert!(problem(r#"{"a": 1${qos} x}"#).contains("begins like JSON"));
    let deep = format!("${{payload{}}}", ".a".repeat(17));
    assert!(problem(&deep).contains("at most 16 steps"));
}

#[test]
fn a_default_inside_a_json_string_has_its_escapes() {
    let event = publish(b"t", b"", None);
    let filled = fill(r#"["${username|say \"hi\"}", "${username|"}", "${username|a\b\x}"]"#, &event).expect("filled");
    let value: serde_json::Value = serde_json::from_str(&filled).expect("JSON");
    assert_eq!(value, serde_json::json!(["say \"hi\"", "\"", "a\\b\\x"]));
}

#[test]
fn a_topic_or_key_is_text_whatever_it_begins_with() {
    let event = publish(b"a\"b", b"", None);
    for text in ["{${topic}}", "[${topic}", "{\"${topic}\""] {
        let mut out = Vec::new();
        let template = Template::plain(text, event.kind).expect(text);
        template.render(&Context::new(&event, "n", 0), &mut out).expect("filled");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), text.replace("${topic}", "a\"b"));
    }
}
