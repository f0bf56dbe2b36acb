//! The record that every client of the benchmark sends: what the plugin makes of a publish.

use std::time::{SystemTime, SystemTimeError};

/// What payloads are made of.
const UNIT: &str = r#"{"t":21.5,"h":40.1,"id":"s-0001","ok":true,"seq":123456,"x":"ab"}"#;

/// The key of the client with this number, the first of which is 1.
#[must_use]
pub fn key(number: usize) -> String {
    format!("client{number}")
}

/// An MQTT payload of so many bytes: text with quotes in it, as sensors send it.
#[must_use]
pub fn payload(bytes: usize) -> String {
    UNIT.chars().cycle().take(bytes).collect()
}

/// The same JSON as the plugin's.
#[must_use]
pub fn value(key: &str, payload: &str) -> String {
    let escaped = payload.replace('"', "\\\"");
    format!(
        r#"{{"type":"public","client_id":"{key}","message":{{"username":"bench","topic":"sensors/1/temp","payload":"{escaped}","qos":1,"dup":0,"retain":0,"id":"0005B1E2C3D4F5A6B7C8D9E0F1A2B3C4","timestamp":1700000000000}},"cluster_node":"bench@127.0.0.1","ts":1700000000000}}"#
    )
}

/// The time of a record made now, in ms since 1970.
///
/// # Errors
/// The clock stands before 1970.
pub fn now() -> Result<i64, SystemTimeError> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `bench/erl/bench_record.erl` makes it.
    #[test]
    fn a_value_is_the_one_of_every_client() {
        let wanted = r#"{"type":"public","client_id":"client1","message":{"username":"bench","topic":"sensors/1/temp","payload":"{\"t\":21","qos":1,"dup":0,"retain":0,"id":"0005B1E2C3D4F5A6B7C8D9E0F1A2B3C4","timestamp":1700000000000},"cluster_node":"bench@127.0.0.1","ts":1700000000000}"#;
        assert_eq!(value(&key(1), &payload(7)), wanted);
    }

    #[test]
    fn a_value_is_json_with_the_payload_in_it() {
        let payload = payload(200);
        assert_eq!(payload.len(), 200);
        let value: serde_json::Value = serde_json::from_str(&value(&key(7), &payload)).unwrap();
        assert_eq!(value["client_id"], "client7");
        assert_eq!(value["message"]["payload"], payload);
    }
}
