//! The `server` setting: a comma list of `host[:port]`, each perhaps with its listener's protocol before it, as Kafka's own
//! `listeners` have it: `SASL_SSL://host:port`.

use std::net::Ipv6Addr;

use thiserror::Error;

use super::security::{Protocol, SecuritySettings};
use super::{SettingError, Settings};
use crate::config::names::Key;

/// Kafka's own default.
const DEFAULT_PORT: u16 = 9092;

/// What is wrong with one server of the list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "expected a comma list of host[:port] (a name, an IPv4 address, or an IPv6 address in brackets), but {server:?} {problem}"
)]
pub struct ServerError {
    server: String,
    problem: &'static str,
}

/// A server for which the operator wrote a protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// As it is written.
    server: String,
    protocol: Protocol,
}

/// Checks the list and writes it as librdkafka wants it, every server with its port and without a protocol.
pub fn parse(list: &str) -> Result<(String, Vec<Listener>), ServerError> {
    let mut listeners = Vec::new();
    let mut servers = Vec::new();
    for server in list.split(',').map(str::trim) {
        let wrong = |problem| ServerError { server: server.to_owned(), problem };
        let address = match server.split_once("://") {
            None => server,
            Some((name, address)) => {
                let protocol = Protocol::from_name(name).ok_or(UNKNOWN_PROTOCOL).map_err(wrong)?;
                listeners.push(Listener { server: server.to_owned(), protocol });
                address
            }
        };
        servers.push(parse_one(address).map_err(wrong)?);
    }
    Ok((servers.join(","), listeners))
}

const UNKNOWN_PROTOCOL: &str =
    "has an unknown protocol; expected PLAINTEXT://, SSL://, SASL_PLAINTEXT://, SASL_SSL:// or none";

impl Settings {
    /// Servers whose protocol is another than that of all connections.
    pub(super) fn other_listeners(&self) -> Vec<SettingError> {
        let protocol = self.protocol();
        let problem = |listener: &Listener| {
            let (key, name) = (Key(SecuritySettings::PROTOCOL), listener.protocol.name());
            let problem = format!(
                "{:?} has the protocol {name}, but {key} is {}: set {key} = {name}, or remove the protocol",
                listener.server,
                protocol.name()
            );
            SettingError::new("server", problem)
        };
        self.listeners.iter().filter(|listener| listener.protocol != protocol).map(problem).collect()
    }
}

fn parse_one(server: &str) -> Result<String, &'static str> {
    if server.is_empty() {
        return Err("is empty");
    }
    if server.contains(|c: char| c == ';' || c.is_whitespace()) {
        return Err("looks like several; separate servers with a comma");
    }
    if let Some(rest) = server.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("has no closing bracket")?;
        address.parse::<Ipv6Addr>().map_err(|_| "has no IPv6 address inside the brackets")?;
        return match (rest, rest.strip_prefix(':')) {
            ("", _) => Ok(format!("[{address}]:{DEFAULT_PORT}")),
            (_, Some(number)) => Ok(format!("[{address}]:{}", port(number)?)),
            (_, None) => Err("has something other than :port after the bracket"),
        };
    }
    match server.split_once(':') {
        None if server.bytes().all(|b| b.is_ascii_digit()) => Err("is a port without a host"),
        None => Ok(format!("{}:{DEFAULT_PORT}", host(server)?)),
        Some((_, number)) if number.contains(':') => Err("has several colons; an IPv6 address goes into brackets"),
        Some((name, number)) => Ok(format!("{}:{}", host(name)?, port(number)?)),
    }
}

/// A host name or an IPv4 address: both are made of these characters.
fn host(name: &str) -> Result<&str, &'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    match name {
        "" => Err("has no host"),
        _ if name.len() > 255 => Err("has a host of more than 255 characters"),
        _ if name.bytes().all(legal) => Ok(name),
        _ => Err("has a character that host names do not allow"),
    }
}

fn port(number: &str) -> Result<u16, &'static str> {
    match number.parse() {
        Ok(port) if port > 0 && number.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err("has no port from 1 to 65535 after the colon"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn accepts_names_and_addresses_with_and_without_port() {
        for (given, expected) in [
            ("127.0.0.1:9092", "127.0.0.1:9092"),
            ("kafka", "kafka:9092"),
            ("a:1,b-2.example.org", "a:1,b-2.example.org:9092"),
            (" a , b:2 ", "a:9092,b:2"),
            ("[::1]", "[::1]:9092"),
            ("[fe80::1]:19092,[::1]:1", "[fe80::1]:19092,[::1]:1"),
            ("docker_host:65535", "docker_host:65535"),
            ("PLAINTEXT://a:1, sasl_ssl://[::1]", "a:1,[::1]:9092"),
        ] {
            assert_eq!(parse(given).map(|(servers, _)| servers).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn says_which_server_is_wrong_and_why() {
        for (given, expected) in [
            ("", "\"\" is empty"),
            ("a:1,,b:2", "\"\" is empty"),
            ("9092", "\"9092\" is a port without a host"),
            (":9092", "\":9092\" has no host"),
            ("a:", "\"a:\" has no port"),
            ("a:0", "\"a:0\" has no port"),
            ("a:65536", "\"a:65536\" has no port"),
            ("a:+1", "\"a:+1\" has no port"),
            ("::1", "an IPv6 address goes into brackets"),
            ("[::1", "\"[::1\" has no closing bracket"),
            ("[::1]9092", "after the bracket"),
            ("[kafka]:9092", "no IPv6 address"),
            ("kafka host:9092", "separate servers with a comma"),
            ("a:1;b:2", "separate servers with a comma"),
            ("http://a:9092", "has an unknown protocol; expected PLAINTEXT://, SSL://"),
            ("SSL://", "\"SSL://\" is empty"),
            ("kafka/a:9092", "a character that host names do not allow"),
            ("a;b", "separate servers with a comma"),
        ] {
            let error = parse(given).map_err(|e| e.to_string()).expect_err(given);
            assert!(error.contains(expected), "{given}: {error}");
            assert!(error.contains("host[:port]"), "{given}: {error}");
        }
    }
}
