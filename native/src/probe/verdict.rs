//! What a test's errors mean, and what to do: decided by librdkafka's error codes, its words are shown beside.

use rdkafka::error::RDKafkaErrorCode as Code;

use super::Step;
use super::client::Seen;
use crate::config::names::{Key, Naming};
use crate::kafka::errors::error_name;

/// Where it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The plugin's settings cannot be used.
    Settings,
    /// A name is not known.
    Dns,
    /// No connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The login was refused.
    Login,
    /// There is a connection, but the other side ends it or does not speak Kafka's protocol.
    Protocol,
    /// Kafka does not allow it.
    Authorisation,
    /// The topic is not there or cannot be used.
    Topic,
    /// Kafka refused the record for another reason.
    Record,
    /// It took too long, and nobody said why.
    Timeout,
}

impl Kind {
    /// In reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Protocol => "protocol",
            Self::Authorisation => "authorisation",
            Self::Topic => "topic",
            Self::Record => "record",
            Self::Timeout => "timeout",
        }
    }
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub kind: Kind,
    /// The name of Kafka's or librdkafka's error, as in the counters; empty where the operating system told.
    pub error: String,
    /// What happened.
    pub text: String,
    /// What to change.
    pub advice: String,
}

fn tls_advice() -> String {
    format!(
        "check {} (the CA of Kafka's certificate, and the host name in it), and that the port belongs to a TLS listener",
        Key("ssl.*")
    )
}

fn login_advice() -> String {
    format!("check {} (mechanism, username, password) and the user in Kafka", Key("sasl.*"))
}

fn protocol_advice() -> String {
    format!(
        "check that {} fits the listener on this port (plaintext, ssl, sasl_plaintext, sasl_ssl), and that Kafka listens there",
        Key("security.protocol")
    )
}

const ADVERTISED_ADVICE: &str = "Kafka sends this address to its clients (advertised.listeners in its server.properties): this machine \
                                 must be able to reach it";

impl Problem {
    /// A problem in these words.
    pub fn new(kind: Kind, error: &str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind, error: error.to_owned(), text: text.into(), advice: advice.into() }
    }

    /// The settings were refused.
    #[must_use]
    pub fn settings(text: &str) -> Self {
        Self::new(Kind::Settings, "", text, format!("correct {}", Naming::file()))
    }

    /// Nothing came in time.
    #[must_use]
    pub fn timeout(text: &str) -> Self {
        Self::new(Kind::Timeout, "", text, "try again with a longer --timeout")
    }

    /// The resolver had not answered in time.
    #[must_use]
    pub fn slow_name(server: &str) -> Self {
        let text = format!("{server}: the name was not resolved in time");
        Self::new(Kind::Dns, "", text, dns_advice())
    }

    /// Whether this happens only to who has passed that step.
    #[must_use]
    pub const fn is_after(&self, step: Step) -> bool {
        match step {
            Step::Dns | Step::Connect => true,
            Step::Tls => matches!(self.kind, Kind::Login),
            Step::Login | Step::Kafka => false,
        }
    }

    fn of_code(kind: Kind, code: Code, text: &str, advice: &str) -> Self {
        Self::new(kind, &error_name(code), text, advice)
    }
}

impl Seen {
    /// Why the one server that the client knows does not serve it. None while that is not known. `ended`: there is no more time.
    #[must_use]
    pub fn problem_of_server(&self, ended: bool, state: Option<&str>) -> Option<Problem> {
        let told = self
            .errors
            .iter()
            .find_map(|(code, text)| connection_problem(*code, text, &protocol_advice(), Kind::Protocol));
        if told.is_some() || !ended {
            return told;
        }
        let (kind, during) = match state {
            Some("SSL_HANDSHAKE") => (Kind::Tls, "the TLS handshake"),
            Some("AUTH_LEGACY" | "AUTH_HANDSHAKE" | "AUTH_REQ") => (Kind::Login, "the login"),
            Some("APIVERSION_QUERY" | "UP" | "UPDATE") => (Kind::Protocol, "the first request"),
            // Nothing was asked yet: that no answer came says nothing of the listener.
            _ => {
                return Some(Problem::timeout("no time was left for a request: this machine or the network is slow"));
            }
        };
        Some(Problem::new(kind, "", format!("connected, but no answer to {during}"), protocol_advice()))
    }

    /// Why the record did not arrive, although a server answers.
    #[must_use]
    pub fn problem_of_record(&self, topic: &str, user: &str, code: Code) -> Problem {
        let words = words(code);
        let of = |kind, advice: &str| Problem::of_code(kind, code, &words, advice);
        match code {
            Code::MessageTimedOut => self.problem_of_silence(topic, user),
            Code::TopicAuthorizationFailed => of(
                Kind::Authorisation,
                &format!(
                    "let this user write to the topic: kafka-acls --add --allow-principal User:{user} --operation Write \
                     --operation Describe --topic {topic}"
                ),
            ),
            Code::ClusterAuthorizationFailed => of(Kind::Authorisation, &idempotence_advice(user)),
            Code::UnsupportedFeature => of(Kind::Settings, &idempotence_advice(user)),
            Code::UnknownTopic | Code::UnknownTopicOrPartition if !self.colliding.is_empty() => of(
                Kind::Topic,
                &format!(
                    "use another name: Kafka does not create {topic} beside {}, because the names differ only in . and _",
                    self.colliding.join(", ")
                ),
            ),
            Code::UnknownTopic | Code::UnknownTopicOrPartition => of(
                Kind::Topic,
                &format!(
                    "create it (kafka-topics --create --topic {topic}); this Kafka does not create topics by itself"
                ),
            ),
            Code::UnknownPartition | Code::InvalidTopic | Code::LeaderNotAvailable => {
                of(Kind::Topic, "check the topic in Kafka (kafka-topics --describe)")
            }
            Code::MessageSizeTooLarge => of(Kind::Topic, "the topic's max.message.bytes is too small for any record"),
            Code::PolicyViolation | Code::InvalidRecord => of(
                Kind::Record,
                "the topic restricts its records (a policy, or compaction without a key): see Kafka's log",
            ),
            Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => of(Kind::Record, REPLICAS_ADVICE),
            _ => of(Kind::Record, "see librdkafka's lines, and Kafka's own log"),
        }
    }

    /// Nobody refused the record, and nobody took it.
    fn problem_of_silence(&self, topic: &str, user: &str) -> Problem {
        // A server of the list answered: what fails is a broker that Kafka named for the record.
        let told = self
            .errors
            .iter()
            .find_map(|(code, text)| connection_problem(*code, text, ADVERTISED_ADVICE, Kind::Connect));
        if let Some(problem) = told {
            return problem;
        }
        if let Some(line) = self.said.iter().find(|line| line.starts_with("GETPID")) {
            return Problem::new(Kind::Settings, "", line.clone(), idempotence_advice(user));
        }
        if self.lacks_leader(topic) {
            let text = "a partition of the topic has no leader";
            return Problem::new(Kind::Topic, "", text, "a broker of Kafka is down: see kafka-topics --describe");
        }
        match self.retries() {
            0 => Problem::timeout("no acknowledgement in time, and no error"),
            retries => {
                let text =
                    format!("librdkafka sent the record again {retries} times: probably too few replicas are in sync");
                Problem::new(Kind::Record, "", text, REPLICAS_ADVICE)
            }
        }
    }
}

/// The service has no idempotent producer, or does not allow it.
fn idempotence_advice(user: &str) -> String {
    format!(
        "set {} = off, or grant IDEMPOTENT_WRITE: kafka-acls --add --allow-principal User:{user} --operation IdempotentWrite \
         --cluster",
        Key("idempotence")
    )
}

const REPLICAS_ADVICE: &str = "start Kafka's other brokers, or lower the topic's min.insync.replicas";

/// librdkafka's words for a code, which say whose error it is.
fn words(code: Code) -> String {
    let shown = code.to_string();
    let words = shown.strip_prefix(&format!("{code:?} (")).and_then(|words| words.strip_suffix(')')).unwrap_or(&shown);
    match words.split_once(": ") {
        Some(("Broker", words)) => format!("Kafka says: {words}"),
        Some(("Local", words)) => format!("librdkafka says: {words}"),
        _ => words.to_owned(),
    }
}

/// An error of a connection. Others are of the client, and are told otherwise.
fn connection_problem(code: Code, text: &str, lost_advice: &str, lost: Kind) -> Option<Problem> {
    let of = |kind, advice: &str| Some(Problem::of_code(kind, code, text, advice));
    match code {
        Code::SSL => of(Kind::Tls, &tls_advice()),
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            of(Kind::Login, &login_advice())
        }
        Code::Resolve => of(Kind::Dns, lost_advice),
        Code::BrokerTransportFailure => of(lost, lost_advice),
        _ => None,
    }
}

/// What to do about a name that nobody knows.
pub fn dns_advice() -> String {
    format!("correct the name in {}, or make this machine know it (/etc/hosts, /etc/resolv.conf)", Key("server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(errors: &[Code], statistics: &str) -> Seen {
        Seen {
            errors: errors.iter().map(|code| (*code, "librdkafka's words".to_owned())).collect(),
            statistics: serde_json::from_str(statistics).expect("statistics"),
            ..Seen::default()
        }
    }

    #[test]
    fn a_server_that_fails_is_told_by_its_error() {
        for (code, kind) in [
            (Code::SSL, Kind::Tls),
            (Code::Authentication, Kind::Login),
            (Code::BrokerTransportFailure, Kind::Protocol),
            (Code::Resolve, Kind::Dns),
        ] {
            // That all servers are down says nothing of why.
            let problem = seen(&[Code::AllBrokersDown, code], "{}").problem_of_server(false, Some("DOWN"));
            assert_eq!(problem.map(|problem| problem.kind), Some(kind), "{code:?}");
        }
        assert_eq!(seen(&[Code::AllBrokersDown], "{}").problem_of_server(false, Some("CONNECT")), None, "go on");
    }

    #[test]
    fn a_server_that_does_not_answer_is_told_by_how_far_it_came() {
        for (state, kind) in
            [("SSL_HANDSHAKE", Kind::Tls), ("AUTH_REQ", Kind::Login), ("APIVERSION_QUERY", Kind::Protocol)]
        {
            let problem = seen(&[], "{}").problem_of_server(true, Some(state));
            assert_eq!(problem.map(|problem| problem.kind), Some(kind), "{state}");
        }
        for state in [None, Some("INIT"), Some("CONNECT"), Some("DOWN")] {
            let problem = seen(&[], "{}").problem_of_server(true, state);
            assert_eq!(problem.map(|problem| problem.kind), Some(Kind::Timeout), "{state:?}");
        }
    }

    #[test]
    fn a_record_that_is_refused_is_told_by_its_error() {
        for (code, kind) in [
            (Code::TopicAuthorizationFailed, Kind::Authorisation),
            (Code::ClusterAuthorizationFailed, Kind::Authorisation),
            (Code::UnknownTopic, Kind::Topic),
            (Code::UnknownTopicOrPartition, Kind::Topic),
            (Code::NotEnoughReplicas, Kind::Record),
            (Code::InvalidRecord, Kind::Record),
        ] {
            let problem = seen(&[], "{}").problem_of_record("t", "u", code);
            assert_eq!((problem.kind, problem.error), (kind, error_name(code)));
        }
    }

    #[test]
    fn a_topic_that_kafka_cannot_create_is_told_from_one_that_nobody_created() {
        let problem = |colliding| {
            let seen = Seen { colliding, ..Seen::default() };
            seen.problem_of_record("a_b", "u", Code::UnknownTopic)
        };
        assert!(problem(Vec::new()).advice.contains("this Kafka does not create topics by itself"));
        let advice = problem(vec!["a.b".to_owned()]).advice;
        assert!(advice.contains("does not create a_b beside a.b"), "{advice}");
    }

    #[test]
    fn a_service_without_an_idempotent_producer_is_told_as_that() {
        for (code, kind) in
            [(Code::ClusterAuthorizationFailed, Kind::Authorisation), (Code::UnsupportedFeature, Kind::Settings)]
        {
            let problem = seen(&[], "{}").problem_of_record("t", "u", code);
            assert_eq!(problem.kind, kind);
            assert!(problem.advice.starts_with("set emq.plugin.kafka.idempotence = off, or grant IDEMPOTENT_WRITE"));
        }
        let said = vec!["GETPID: Failed to acquire PID: retrying".to_owned()];
        let problem = Seen { said, ..Seen::default() }.problem_of_record("t", "u", Code::MessageTimedOut);
        assert_eq!(problem.kind, Kind::Settings);
    }

    #[test]
    fn whose_words_they_are_is_told() {
        assert_eq!(words(Code::TopicAuthorizationFailed), "Kafka says: Topic authorization failed");
        assert_eq!(words(Code::UnknownTopic), "librdkafka says: Unknown topic");
    }

    #[test]
    fn silence_is_explained_by_what_was_seen() {
        let kind = |errors: &[Code], statistics| {
            seen(errors, statistics).problem_of_record("t", "u", Code::MessageTimedOut).kind
        };
        assert_eq!(kind(&[], "{}"), Kind::Timeout);
        assert_eq!(kind(&[Code::Resolve], "{}"), Kind::Dns, "a name that Kafka advertises");
        assert_eq!(kind(&[Code::BrokerTransportFailure], "{}"), Kind::Connect, "an address that Kafka advertises");
        let leaderless = r#"{"topics":{"t":{"partitions":{"-1":{"leader":-1},"0":{"leader":-1}}}}}"#;
        assert_eq!(kind(&[], leaderless), Kind::Topic);
        assert_eq!(
            kind(&[], r#"{"topics":{"t":{"partitions":{"-1":{"leader":-1},"0":{"leader":1}}}}}"#),
            Kind::Timeout
        );
        let retried = r#"{"brokers":{"b":{"nodeid":1,"nodename":"b:1","state":"UP","txretries":3}}}"#;
        assert_eq!(kind(&[], retried), Kind::Record);
    }

    #[test]
    fn a_refused_login_means_that_tls_went_well() {
        let problem = |kind| Problem::new(kind, "", "", "");
        assert!(problem(Kind::Login).is_after(Step::Tls));
        assert!(!problem(Kind::Tls).is_after(Step::Tls));
        assert!(!problem(Kind::Protocol).is_after(Step::Login));
    }
}
