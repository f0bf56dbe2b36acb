//! Names and connections, before librdkafka: the operating system tells more of these than librdkafka hands on.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use super::verdict::{Kind, Problem, dns_advice};
use crate::config::names::Key;

/// The addresses of `host:port`, of the family that librdkafka is to use. By `getaddrinfo`, as librdkafka does.
pub fn resolve(server: &str, family: Option<&str>) -> Result<Vec<SocketAddr>, Problem> {
    let found = server.to_socket_addrs().map_err(|error| {
        // std's words before the resolver's own.
        let text = error.to_string().replace("failed to lookup address information: ", "");
        Problem::new(Kind::Dns, "", format!("{}: {text}", host(server)), dns_advice())
    })?;
    let wanted = |address: &SocketAddr| match family {
        Some("v4") => address.is_ipv4(),
        Some("v6") => address.is_ipv6(),
        _ => true,
    };
    let found: Vec<SocketAddr> = found.filter(wanted).collect();
    if found.is_empty() {
        let text = format!("{}: no address of the family in {}", host(server), Key("rdkafka.broker.address.family"));
        return Err(Problem::new(Kind::Dns, "", text, dns_advice()));
    }
    Ok(found)
}

fn host(server: &str) -> &str {
    server.rsplit_once(':').map_or(server, |(host, _)| host)
}

/// Opens a connection to one of the addresses, and closes it.
pub fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<(), Problem> {
    let mut problem = None;
    for address in addresses {
        // A timeout of zero is an error of the call.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, left) {
            Ok(_) => return Ok(()),
            Err(error) => problem = Some(refused(*address, &error)),
        }
    }
    problem.map_or(Ok(()), Err)
}

fn refused(address: SocketAddr, error: &std::io::Error) -> Problem {
    let (text, advice) = match error.kind() {
        ErrorKind::ConnectionRefused => (
            format!("{address} refuses the connection"),
            format!("nothing listens there: start Kafka, or correct the port in {}", Key("server")),
        ),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => (
            format!("{address} does not answer"),
            "possible causes: a firewall, a wrong address, a machine that is down".to_owned(),
        ),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => (
            format!("{address} cannot be reached: {error}"),
            "this machine has no route to it: check its routes".to_owned(),
        ),
        _ => (format!("{address}: {error}"), format!("check the address in {}", Key("server"))),
    };
    Problem::new(Kind::Connect, "", text, advice)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_from_a_port_where_nobody_listens() {
        let problem = resolve("no-such-host.invalid:9092", None).expect_err("reserved for this");
        assert_eq!(problem.kind, Kind::Dns);
        assert!(problem.text.starts_with("no-such-host.invalid: "), "{}", problem.text);
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("its address")
        };
        let problem = connect(&[closed], soon()).expect_err("closed");
        assert_eq!(problem.kind, Kind::Connect);
        assert_eq!(problem.text, format!("{closed} refuses the connection"));
    }

    #[test]
    fn one_address_of_several_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let open = listener.local_addr().expect("its address");
        let closed = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(connect(&[closed, open], soon()), Ok(()));
    }

    #[test]
    fn addresses_are_of_the_family_that_librdkafka_uses() {
        let resolved = |family| resolve("127.0.0.1:9092", family);
        assert_eq!(resolved(None).map(|found| found.len()), Ok(1));
        assert_eq!(resolved(Some("v4")).map(|found| found.len()), Ok(1));
        assert_eq!(resolved(Some("v6")).map_err(|problem| problem.kind), Err(Kind::Dns));
        assert_eq!(resolve("[::1]:9092", Some("v6")).map(|found| found.len()), Ok(1));
    }
}
