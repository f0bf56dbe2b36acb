//! What the benchmarks share: an event, rules, and a pipeline that leads nowhere.

use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::event::{Detail, Event, EventKind, Message};
use emq_plugin_kafka_nif::flow::handle::Handle;

/// Three levels, as most topics of devices have.
pub const TOPIC: &[u8] = b"sensors/device-1234/temperature";

/// A publish as the hook sees it.
pub fn publish<'a>(topic: &'a [u8], payload: &'a [u8]) -> Event<'a> {
    let id = Some(&[0, 6, 96, 222, 91, 92, 206, 203, 110, 199, 0, 0, 5, 96, 0, 1][..]);
    let message = Message { topic, payload, qos: 1, id, timestamp: 1_700_000_000_000, ..Message::default() };
    let detail = Detail::Message(message, None);
    Event {
        kind: EventKind::MessagePublish,
        client_id: b"device-1234",
        username: Some(b"fleet"),
        detail,
        extra: Vec::new(),
    }
}

/// Rules that fail at the second level, and `matching` ones behind them.
pub fn rules(failing: usize, matching: usize, rule: &str) -> Vec<(String, String)> {
    let name = |n| format!("hook.message.publish.{n:04}");
    let failing = (0..failing).map(|n| (name(n), format!(r#"{{"filter":"sensors/other-{n}/#"}}"#)));
    let matching = (0..matching).map(|n| (name(9000 + n), rule.to_owned()));
    failing.chain(matching).collect()
}

/// Opens a pipeline at whose server's address nobody listens, with a queue that is large.
pub fn open(handle: &Handle, rules: &[(String, String)]) {
    let base = [("server", "127.0.0.1:1"), ("topic", "bench"), ("spool", "off"), ("queue_max_messages", "1000000")];
    let more = rules.iter().map(|(name, rule)| (name.as_str(), rule.as_str()));
    let settings = Settings::parse(base.into_iter().chain(more)).expect("settings");
    assert!(handle.open(settings, "emq@127.0.0.1").expect("opened"));
}
