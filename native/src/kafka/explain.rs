//! librdkafka's log lines about logins, certificates and wrong listeners, in an operator's words: which broker, what is wrong,
//! which setting to change. Every other line stays as it is.

use crate::config::Settings;
use crate::config::names::Key;

fn not_shown() -> String {
    format!(
        "does not trust the CA of the certificate in {}, so it did not get the certificate: expected a certificate of a CA that \
         the broker trusts",
        Key("ssl.certificate.location")
    )
}

fn no_tls() -> String {
    format!(
        "ended the TLS handshake before it sent a certificate: is it a listener without TLS? expected a TLS listener, or {} = \
         plaintext or sasl_plaintext",
        Key(PROTOCOL)
    )
}

fn tls_or_proxy() -> String {
    format!(
        "closed the connection without an answer: is it a TLS listener ({} = ssl or sasl_ssl), or a proxy without Kafka behind it?",
        Key(PROTOCOL)
    )
}

fn wants_login() -> String {
    format!(
        "closed the connection at the first request: does it require a login ({} = sasl_plaintext or sasl_ssl, and {})?",
        Key(PROTOCOL),
        Key("sasl.*")
    )
}

const PROTOCOL: &str = "security.protocol";

/// What becomes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explained {
    /// In other words, which are the same for the same trouble of the same broker.
    Instead(String),
    /// Another line says the same, better.
    Hide,
    /// As librdkafka has it.
    Keep,
}

/// What is needed to tell what went wrong.
#[derive(Debug, Clone, Default)]
pub struct Explainer {
    mechanism: String,
    user: String,
    logs_in: bool,
}

impl Explainer {
    /// For the brokers that these settings lead to.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let (mechanism, user) = settings.login();
        Self {
            mechanism: mechanism.unwrap_or_default().to_owned(),
            user: user.unwrap_or_default().to_owned(),
            logs_in: settings.logs_in(),
        }
    }

    /// What a line of librdkafka's log says.
    #[must_use]
    pub fn of(&self, facility: &str, line: &str) -> Explained {
        let Line { broker, text, after } = Line::parse(line);
        let said = |words: String| Explained::Instead(format!("Kafka broker {broker}: {words}"));
        match facility {
            "SSLCERTVRFY" => match text.split_once("verification callback failed: ") {
                Some((_, words)) if !words.is_empty() => said(words.to_owned()),
                _ => Explained::Keep,
            },
            "SSL" if text.starts_with("No matching issuer found") => said(not_shown()),
            "FAIL" => self.failure(text, after, said),
            _ => Explained::Keep,
        }
    }

    fn failure(&self, text: &str, after: After<'_>, said: impl Fn(String) -> Explained) -> Explained {
        if text.contains("certificate verify failed") {
            // `SSLCERTVRFY` came before it.
            return Explained::Hide;
        }
        if let Some(reason) = text.strip_prefix("SASL authentication error: ") {
            return said(self.refused(reason));
        }
        if text.contains(" mechanism handshake failed: ") {
            return said(self.not_offered(text));
        }
        if let Some((_, alert)) = text.split_once(" alert ")
            && let Some(what) = own_certificate(alert)
        {
            return said(what);
        }
        let plaintext = text.contains("wrong version number") || text.contains("PLAINTEXT broker listener");
        let closed = text.contains("Disconnected");
        match after.state {
            "SSL_HANDSHAKE" if plaintext || closed => said(no_tls()),
            "APIVERSION_QUERY" if closed => said(tls_or_proxy()),
            "UP" if closed && after.is_at_once() && !self.logs_in => said(wants_login()),
            _ => Explained::Keep,
        }
    }

    /// A login that was tried. Kafka does not tell a wrong password from an unknown user, so that nobody can find out users.
    fn refused(&self, reason: &str) -> String {
        format!(
            "refuses the login of {:?} by {}: wrong {} or {}, or no such user for this mechanism (it says: {reason})",
            self.user,
            self.mechanism,
            Key("sasl.username"),
            Key("sasl.password")
        )
    }

    /// A login that could not be tried: librdkafka lists what the broker offers, which is nothing where it wants no login.
    fn not_offered(&self, text: &str) -> String {
        let offered = text.rsplit_once("supported mechanisms: ").map_or("", |(_, offered)| offered.trim());
        match offered {
            "" => format!(
                "takes no login on this listener: expected {} = plaintext or ssl, or another port",
                Key(PROTOCOL)
            ),
            _ => format!("does not offer {} = {}: expected one of {offered}", Key("sasl.mechanism"), self.mechanism),
        }
    }
}

/// What a broker says about the certificate that it got, or did not get: TLS's alerts.
fn own_certificate(alert: &str) -> Option<String> {
    let of = |what: &str| {
        Some(format!(
            "{what}; expected {} and {} with a certificate that it trusts",
            Key("ssl.certificate.location"),
            Key("ssl.key.location")
        ))
    };
    let alert = alert.split(':').next().unwrap_or_default();
    match alert {
        "certificate required" => of("requires a certificate of the plugin, and got none"),
        // What Java says for none, too.
        "bad certificate" => of("requires a certificate of the plugin, and got none, or refuses it"),
        "unknown ca" | "certificate unknown" | "unsupported certificate" | "certificate revoked" | "access denied" => {
            of(&format!("refuses the plugin's certificate ({alert})"))
        }
        "certificate expired" => of("refuses the plugin's certificate: it has expired"),
        "handshake failure" => of("ended the TLS handshake: it may require a certificate of the plugin"),
        "protocol version" => Some("supports no TLS version that this library supports".to_owned()),
        _ => None,
    }
}

/// A line in its parts: `[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: TEXT (after 5ms in state UP)`.
struct Line<'l> {
    broker: &'l str,
    text: &'l str,
    after: After<'l>,
}

/// How long a connection was in which state.
#[derive(Clone, Copy)]
struct After<'l> {
    milliseconds: u64,
    state: &'l str,
}

impl After<'_> {
    /// librdkafka's own bound for the same guess.
    const fn is_at_once(self) -> bool {
        self.milliseconds < 2000
    }
}

impl<'l> Line<'l> {
    fn parse(line: &'l str) -> Self {
        let (thread, rest) = line.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).unwrap_or(("", line));
        let (name, text) = rest.strip_prefix(thread).and_then(|rest| rest.strip_prefix(": ")).map_or_else(
            // The thread of a broker keeps the broker's first name.
            || rest.split_once(": ").filter(|(name, _)| is_broker(name)).unwrap_or((thread, rest)),
            |text| (thread, text),
        );
        let (text, after) = text.rsplit_once(" (after ").unwrap_or((text, ""));
        let (milliseconds, state) = after.split_once("ms in state ").unwrap_or_default();
        let state = state.split([')', ',']).next().unwrap_or_default();
        let after = After { milliseconds: milliseconds.parse().unwrap_or(u64::MAX), state };
        let name = name.rsplit_once("://").map_or(name, |(_, name)| name);
        Self { broker: name.rsplit_once('/').map_or(name, |(name, _)| name), text, after }
    }
}

/// `ssl://host:port/id`, in any protocol, or without one.
fn is_broker(name: &str) -> bool {
    !name.contains(' ') && name.contains(':') && name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(facility: &str, line: &str) -> Explained {
        let settings = [
            ("security_protocol", "sasl_plaintext"),
            ("sasl_mechanism", "PLAIN"),
            ("sasl_username", "writer"),
            ("sasl_password", "canary"),
        ];
        Explainer::new(&Settings::parse(settings).expect("valid")).of(facility, line)
    }

    /// The lines as librdkafka 2.12.1 wrote them beside Kafka 4.3.1.
    #[test]
    fn each_trouble_has_its_words_with_the_broker() {
        for (facility, line, words) in [
            (
                "FAIL",
                "[thrd:sasl_ssl://127.0.0.1:1/bootstrap]: sasl_ssl://127.0.0.1:1/bootstrap: SASL authentication error: Authentication failed: Invalid username or password (after 302ms in state AUTH_REQ)",
                "Kafka broker 127.0.0.1:1: refuses the login of \"writer\" by PLAIN: wrong emq.plugin.kafka.sasl.username or emq.plugin.kafka.sasl.password, or no such user for this mechanism (it says: Authentication failed: Invalid username or password)",
            ),
            (
                "FAIL",
                "[thrd:sasl_plaintext://h:1/bootstrap]: sasl_plaintext://h:1/2: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512 (after 1ms in state AUTH_HANDSHAKE)",
                "Kafka broker h:1: does not offer emq.plugin.kafka.sasl.mechanism = PLAIN: expected one of SCRAM-SHA-512",
            ),
            (
                "FAIL",
                "[thrd:sasl_plaintext://h:1/bootstrap]: sasl_plaintext://h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported mechanisms:  (after 1ms in state AUTH_HANDSHAKE)",
                "Kafka broker h:1: takes no login on this listener: expected emq.plugin.kafka.security.protocol = plaintext or ssl, or another port",
            ),
            (
                "FAIL",
                "[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)",
                "Kafka broker h:1: requires a certificate of the plugin, and got none, or refuses it; expected emq.plugin.kafka.ssl.certificate.location and emq.plugin.kafka.ssl.key.location with a certificate that it trusts",
            ),
            (
                "FAIL",
                "[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: Disconnected: SSL connection closed by peer (after 1ms in state SSL_HANDSHAKE)",
                "Kafka broker h:1: ended the TLS handshake before it sent a certificate: is it a listener without TLS? expected a TLS listener, or emq.plugin.kafka.security.protocol = plaintext or sasl_plaintext",
            ),
            (
                "FAIL",
                "[thrd:[::1]:1/bootstrap]: [::1]:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 23ms in state APIVERSION_QUERY, 3 identical error(s) suppressed)",
                "Kafka broker [::1]:1: closed the connection without an answer: is it a TLS listener (emq.plugin.kafka.security.protocol = ssl or sasl_ssl), or a proxy without Kafka behind it?",
            ),
            (
                "SSLCERTVRFY",
                "[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: Certificate (subject=/CN=a, issuer=/CN=b) verification callback failed: its certificate (CN=a) expired on Nov 22 05:00:00 2026 GMT",
                "Kafka broker h:1: its certificate (CN=a) expired on Nov 22 05:00:00 2026 GMT",
            ),
        ] {
            let expected = Explained::Instead(words.to_owned());
            assert_eq!(of(facility, line), expected, "{line}");
        }
    }

    #[test]
    fn a_broker_that_closes_at_once_may_want_a_login_where_there_is_none() {
        let line = |ms| {
            format!(
                "[thrd:h:1/bootstrap]: h:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after {ms}ms in state UP)"
            )
        };
        let plain = Explainer::new(&Settings::default());
        assert!(
            matches!(plain.of("FAIL", &line(4)), Explained::Instead(text) if text.contains("does it require a login"))
        );
        assert_eq!(plain.of("FAIL", &line(600_000)), Explained::Keep);
        assert_eq!(of("FAIL", &line(4)), Explained::Keep);
    }

    #[test]
    fn the_certificate_is_told_once_and_other_lines_stay() {
        let failed = "[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified (after 25ms in state SSL_HANDSHAKE)";
        assert_eq!(of("FAIL", failed), Explained::Hide);
        for (facility, line) in [
            (
                "FAIL",
                "[thrd:h:1/bootstrap]: h:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            ),
            (
                "SSLCERTVRFY",
                "[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: Failed to get current certificate to verify",
            ),
            ("GETPID", "[thrd:main]: Failed to acquire idempotence PID"),
            ("FAIL", ""),
            ("FAIL", "[thrd:"),
        ] {
            assert_eq!(of(facility, line), Explained::Keep, "{line}");
        }
    }
}
