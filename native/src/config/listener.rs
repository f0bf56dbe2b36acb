//! The `metrics.listener` setting: where the endpoint for Prometheus listens.

use std::fmt::{self, Display};
use std::net::Ipv6Addr;

/// Its key.
pub const KEY: &str = "metrics.listener";

/// Where it listens when only a port is given: nobody else is meant to see it unless somebody says so.
const LOOPBACK: &str = "127.0.0.1";

/// An address to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an address, an IPv6 one without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// `off`, a port, `:port`, or `host:port`.
pub fn parse(value: &str) -> Result<Option<ListenAddress>, String> {
    if value == "off" {
        return Ok(None);
    }
    let wrong = |problem: &str| {
        format!(
            "expected off, a port (on {LOOPBACK}), or host:port with an IPv6 address in brackets, but {value:?} {problem}"
        )
    };
    let (host, port) = split(value).map_err(wrong)?;
    let port = match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => return Err(wrong("has no port from 1 to 65535")),
    };
    Ok(Some(ListenAddress { host, port }))
}

fn split(value: &str) -> Result<(String, &str), &'static str> {
    if let Some(rest) = value.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("has no closing bracket")?;
        let address = address.parse::<Ipv6Addr>().map_err(|_| "has no IPv6 address inside the brackets")?;
        let port = rest.strip_prefix(':').ok_or("has no :port after the bracket")?;
        return Ok((address.to_string(), port));
    }
    match value.rsplit_once(':') {
        None if value.bytes().all(|b| b.is_ascii_digit()) => Ok((LOOPBACK.to_owned(), value)),
        None => Err("has no port"),
        Some(("", port)) => Ok((LOOPBACK.to_owned(), port)),
        Some(_) if value.contains("://") => Err("is a URL; remove the part before the host"),
        Some((host, _)) if host.contains(':') => Err("has several colons; an IPv6 address goes into brackets"),
        Some((host, port)) => {
            let is_legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            if host.len() <= 255 && host.bytes().all(is_legal) {
                Ok((host.to_owned(), port))
            } else {
                Err("has an invalid host")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_for_this_machine() {
        for (given, expected) in [
            ("9091", "127.0.0.1:9091"),
            (":9091", "127.0.0.1:9091"),
            ("0.0.0.0:9091", "0.0.0.0:9091"),
            ("localhost:1", "localhost:1"),
            ("[::1]:65535", "[::1]:65535"),
            ("[::]:9091", "[::]:9091"),
        ] {
            let address = parse(given).expect(given).expect("not off");
            assert_eq!(address.to_string(), expected, "{given}");
        }
        assert_eq!(parse("off"), Ok(None));
    }

    #[test]
    fn says_what_is_wrong_and_what_was_expected() {
        for (given, problem) in [
            ("", "has no port from 1 to 65535"),
            ("0", "has no port from 1 to 65535"),
            ("localhost", "has no port"),
            ("on", "has no port"),
            (":65536", "has no port from 1 to 65535"),
            ("h:+1", "has no port from 1 to 65535"),
            ("http://localhost:9091", "is a URL; remove the part before the host"),
            ("::1:9091", "has several colons"),
            ("[::1]", "has no :port after the bracket"),
            ("[::1:9091", "has no closing bracket"),
            ("[localhost]:1", "has no IPv6 address"),
            ("a b:1", "has an invalid host"),
        ] {
            let error = parse(given).expect_err(given);
            assert!(error.contains(problem) && error.starts_with("expected off, a port"), "{given}: {error}");
        }
    }
}
