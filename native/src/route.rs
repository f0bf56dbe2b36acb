//! Which records an event becomes: none, or one with its key.

use crate::event::Event;
use crate::topic::is_sys_topic;

/// Where the record of an event goes within the default topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// The record's key. None lets the partitioner choose at random.
    pub key: Option<&'a [u8]>,
}

/// The default routing: every event, keyed by its client so that one client's events stay in order;
/// `$SYS` messages, which the broker publishes to itself all the time, stay at home.
#[must_use]
pub fn route<'a>(event: &Event<'a>) -> Option<Route<'a>> {
    match event {
        Event::Publish(message) if is_sys_topic(message.topic) => None,
        _ => Some(Route { key: Some(event.client_id()).filter(|id| !id.is_empty()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Message;

    fn publish<'a>(client_id: &'a [u8], topic: &'a [u8]) -> Event<'a> {
        Event::Publish(Message {
            client_id,
            username: None,
            topic,
            payload: b"x",
            qos: 0,
            dup: false,
            retain: false,
            id: None,
            timestamp: 0,
        })
    }

    #[test]
    fn keys_by_client_id() {
        assert_eq!(route(&publish(b"c1", b"a/b")), Some(Route { key: Some(b"c1") }));
    }

    #[test]
    fn an_empty_client_id_is_no_key() {
        assert_eq!(route(&publish(b"", b"a/b")), Some(Route { key: None }));
    }

    #[test]
    fn keeps_sys_messages_at_home() {
        assert_eq!(route(&publish(b"broker", b"$SYS/brokers/n/uptime")), None);
    }
}
