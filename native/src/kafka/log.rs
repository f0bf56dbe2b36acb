//! What librdkafka's log and its errors become for the operator: a notice, or nothing where another notice tells it better.

use rdkafka::error::RDKafkaErrorCode;

use crate::account::notices::Level;
use crate::kafka::client::Client;
use crate::kafka::errors::error_name;
use crate::kafka::explain::Explained;

/// librdkafka's name of the warning that requests were not answered in time.
const REQUEST_TIMEOUT: &str = "REQTMOUT";

/// A line of the log.
pub fn line(client: &Client, level: i32, facility: &str, message: &str) {
    const NAMES: [&str; 8] = ["Emerg", "Alert", "Critical", "Error", "Warning", "Notice", "Info", "Debug"];
    if is_of_isolation(facility, message) {
        return;
    }
    match client.explainer.of(facility, message) {
        Explained::Instead(text) => return client.shared.notices.push(&text, text.clone()),
        Explained::Hide => return,
        Explained::Keep => {}
    }
    let name = usize::try_from(level).ok().and_then(|level| NAMES.get(level)).unwrap_or(&"Debug");
    let text = format!("librdkafka {name} {facility}: {}", without_count(message));
    match level {
        // Read for the sake of those that were told in other words.
        5.. if !client.logs_everything => {}
        // Asked for by the operator, who wants to see each.
        5.. => client.shared.notices.push_at(Level::Info, &text, text.clone()),
        // The one sign of a Kafka that is there and silent, as behind a firewall that drops packets.
        4 if facility == REQUEST_TIMEOUT => client.shared.notices.push(facility, text),
        4 => client.shared.notices.push_at(Level::Warning, facility, text),
        _ => client.shared.notices.push(facility, text),
    }
}

/// What librdkafka says of the property that ends a producer with a refused batch, and of that end: `isolate` tells it better.
fn is_of_isolation(facility: &str, message: &str) -> bool {
    match facility {
        "CONFWARN" => message.contains("enable.gapless.guarantee"),
        "FATAL" => message.contains("gap-less guarantee"),
        _ => false,
    }
}

/// The notices are counted, librdkafka need not count them too: `(after 0ms in state CONNECT, 7 identical error(s) suppressed)`.
fn without_count(message: &str) -> String {
    let counted = |text: &str| {
        text.rsplit_once(", ")
            .filter(|(_, tail)| {
                tail.trim_start_matches(|c: char| c.is_ascii_digit()) == " identical error(s) suppressed)"
            })
            .map(|(head, _)| format!("{head})"))
    };
    counted(message).unwrap_or_else(|| message.to_owned())
}

/// An error of the client as a whole.
pub fn error(client: &Client, code: RDKafkaErrorCode, reason: &str) {
    match code {
        // librdkafka logs these with more words (`FAIL`), or they only sum up such lines.
        RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::AllBrokersDown
        | RDKafkaErrorCode::Resolve
        | RDKafkaErrorCode::SSL
        | RDKafkaErrorCode::Authentication
        // `isolate` tells of it.
        | RDKafkaErrorCode::GaplessGuarantee => {}
        RDKafkaErrorCode::Fatal if is_of_isolation("FATAL", reason) => {}
        code => client.shared.notices.push(&error_name(code), format!("{}: {reason}", error_name(code))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_counted_once() {
        let counted = "Connect failed (after 0ms in state CONNECT, 137 identical error(s) suppressed)";
        assert_eq!(without_count(counted), "Connect failed (after 0ms in state CONNECT)");
        for plain in ["Connect failed (after 0ms in state CONNECT)", "a, b"] {
            assert_eq!(without_count(plain), plain);
        }
    }
}
