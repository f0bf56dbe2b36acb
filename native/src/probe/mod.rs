//! One record to Kafka and back, step by step, for `emqttd_ctl kafka test`.
//!
//! Everything is done by clients of its own, which end with the test, with the very properties that the producer has: what is
//! found here is what the producer finds. The live producer is not touched.
//!
//! A client with all servers tries them one by one and says little of those that it does not need. So each server is visited by
//! itself first: its name resolved, with the resolver that librdkafka uses; a connection opened and closed; then TLS and login, by
//! librdkafka. One of them suffices for the record, which goes to whichever server Kafka names for it.

mod client;
mod reach;
mod verdict;

use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::error::RDKafkaErrorCode as Code;
use serde_json::json;

use crate::config::Settings;
use crate::rules::topic::KafkaTopic;
use client::{Client, Seen};
pub use verdict::{Kind, Problem};

/// What tells the record from others: its key, and the name of its header.
pub const MARK: &str = "emq_plugin_kafka.test";

/// More servers than these are not visited: nobody lists so many, and each costs some threads.
const MAX_SERVERS: usize = 16;

/// What of the time the servers may take; the rest is the record's.
const VISITS_SHARE: f64 = 0.6;

/// What a server has passed, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its name has addresses.
    Dns,
    /// One of them takes connections.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The SASL login.
    Login,
    /// It speaks Kafka's protocol.
    Kafka,
}

impl Step {
    /// In reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Kafka => "kafka",
        }
    }
}

/// One of the configured servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `host:port`.
    pub name: String,
    /// What its name stands for.
    pub addresses: Vec<String>,
    /// What went well.
    pub passed: Vec<Step>,
    /// What did not.
    pub problem: Option<Problem>,
}

/// One of the brokers that Kafka names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `host:port`, as Kafka's `advertised.listeners` have it.
    pub name: String,
    /// librdkafka's word for the connection's state.
    pub state: String,
}

/// Where the record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Its partition.
    pub partition: i32,
    /// Its offset; -1 where Kafka does not tell (`acks = 0`).
    pub offset: i64,
    /// From the start of the record's client to the acknowledgement.
    pub took: Duration,
}

/// What a test has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where the record was to go.
    pub topic: String,
    /// The configured servers.
    pub servers: Vec<Server>,
    /// The brokers that Kafka names; none where no server was reached.
    pub brokers: Vec<Broker>,
    /// Whether the record was acknowledged.
    pub outcome: Result<Delivered, Problem>,
    /// What librdkafka logged, the latest lines.
    pub said: Vec<String>,
}

/// Sends one record to `topic`, or to the configured one. Takes `timeout` at most, and a moment to look at what came.
///
/// Waits: never call it on a normal scheduler.
#[must_use]
pub fn run(settings: &Settings, topic: Option<&str>, node: &str, timeout: Duration) -> Report {
    let topic = topic.unwrap_or(&settings.topic);
    let begun = Instant::now();
    let deadline = begun + timeout;
    let mut report = Report {
        topic: topic.to_owned(),
        servers: Vec::new(),
        brokers: Vec::new(),
        outcome: Err(Problem::timeout("the test did not begin")),
        said: Vec::new(),
    };
    let topic = match KafkaTopic::new(topic) {
        Ok(topic) => topic,
        Err(error) => {
            report.outcome = Err(Problem::new(Kind::Topic, "", error.to_string(), "use a valid topic name"));
            return report;
        }
    };
    let (servers, said) = visit_all(settings, &topic, begun + timeout.mul_f64(VISITS_SHARE));
    report.said = said;
    // The one that came furthest tells the most.
    let failed = servers.iter().max_by_key(|server| server.passed.len()).and_then(|server| server.problem.clone());
    let reached = servers.iter().any(|server| server.problem.is_none());
    report.servers = servers;
    if !reached {
        report.outcome = Err(failed.unwrap_or_else(|| Problem::timeout("no server is configured")));
        return report;
    }
    let (outcome, seen) = send(settings, &topic, node, deadline);
    report.outcome = outcome;
    report.brokers = seen.brokers();
    report.said.extend(seen.said);
    report
}

/// All at once, each in a thread of its own: a resolver may hang for longer than the test may take, and is left alone then.
fn visit_all(settings: &Settings, topic: &KafkaTopic, deadline: Instant) -> (Vec<Server>, Vec<String>) {
    let names: Vec<&str> = settings.servers.split(',').take(MAX_SERVERS).collect();
    let (sender, receiver) = mpsc::channel();
    for (number, name) in names.iter().enumerate() {
        let (sender, settings, topic, name) = (sender.clone(), settings.clone(), topic.clone(), (*name).to_owned());
        // Where the operating system gives no thread, nobody sends, and the server counts as one that did not answer.
        std::thread::Builder::new()
            .name("emq_kafka_test".to_owned())
            .spawn(move || {
                let found = visit(&settings, &topic, &name, deadline);
                sender.send((number, found)).ok();
            })
            .ok();
    }
    drop(sender);
    let silent = |name: &&str| Server {
        name: (*name).to_owned(),
        addresses: Vec::new(),
        passed: Vec::new(),
        problem: Some(Problem::slow_name(name)),
    };
    let mut servers: Vec<Server> = names.iter().map(silent).collect();
    let mut said = Vec::new();
    // A visit keeps to the deadline by itself, but for the resolver.
    while let Ok((number, (server, lines))) =
        receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(500))
    {
        if let Some(place) = servers.get_mut(number) {
            *place = server;
        }
        said.extend(lines);
    }
    (servers, said)
}

/// What one server has to offer, and what librdkafka logged of it.
fn visit(settings: &Settings, topic: &KafkaTopic, name: &str, deadline: Instant) -> (Server, Vec<String>) {
    let mut server = Server { name: name.to_owned(), addresses: Vec::new(), passed: Vec::new(), problem: None };
    let addresses = match reach::resolve(name, settings.client_config().get("broker.address.family")) {
        Ok(addresses) => addresses,
        Err(problem) => {
            server.problem = Some(problem);
            return (server, Vec::new());
        }
    };
    server.addresses = addresses.iter().map(|address| address.ip().to_string()).collect();
    server.passed.push(Step::Dns);
    if let Err(problem) = reach::connect(&addresses, deadline) {
        server.problem = Some(problem);
        return (server, Vec::new());
    }
    server.passed.push(Step::Connect);
    let mut client = match Client::open(settings, name, topic, deadline) {
        Ok(client) => client,
        Err(error) => {
            server.problem = Some(Problem::settings(&error.to_string()));
            return (server, Vec::new());
        }
    };
    let secured = secured_steps(settings);
    // A client that got through asks for the other brokers, and hears of those: whether it got through counts first.
    loop {
        let looked = client.look(deadline);
        let state = client.seen.state_of(name);
        // Only Kafka itself names brokers: it was asked through this server, whatever librdkafka made of the connection since. That
        // the connection is up says less: a listener that wants a login tells its versions to everybody, and hangs up then.
        if looked && !client.seen.brokers().is_empty() {
            server.passed.extend(secured);
            server.passed.push(Step::Kafka);
            break;
        }
        let ended = !looked;
        if let Some(problem) = client.seen.problem_of_server(ended, state) {
            server.passed.extend(secured.into_iter().take_while(|step| problem.is_after(*step)));
            server.problem = Some(problem);
            break;
        }
    }
    (server, client.end().said)
}

/// What lies between a connection and Kafka's protocol.
fn secured_steps(settings: &Settings) -> Vec<Step> {
    let config = settings.client_config();
    match config.get("security.protocol").map(str::to_ascii_lowercase).as_deref() {
        Some("ssl") => vec![Step::Tls],
        Some("sasl_plaintext") => vec![Step::Login],
        Some("sasl_ssl") => vec![Step::Tls, Step::Login],
        _ => Vec::new(),
    }
}

/// The record itself.
fn send(settings: &Settings, topic: &KafkaTopic, node: &str, deadline: Instant) -> (Result<Delivered, Problem>, Seen) {
    let begun = Instant::now();
    let user = user(settings);
    let mut client = match Client::open(settings, &settings.servers, topic, deadline) {
        Ok(client) => client,
        Err(error) => return (Err(Problem::settings(&error.to_string())), Seen::default()),
    };
    if let Err(error) = client.send(MARK, &value(node)) {
        let seen = client.end();
        return (Err(seen.problem_of_record(topic.as_str(), &user, error)), seen);
    }
    // An acknowledgement may come before librdkafka first tells of its brokers.
    let is_done = |seen: &Seen| seen.report.is_some_and(|report| report.is_err() || !seen.brokers().is_empty());
    while !is_done(&client.seen) && client.look(deadline + Duration::from_millis(500)) {}
    // Kafka does not say why it has not created it.
    let is_unknown = matches!(client.seen.report, Some(Err(Code::UnknownTopic | Code::UnknownTopicOrPartition)));
    if is_unknown {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        client.seen.colliding = client.colliding(topic.as_str(), left);
    }
    let seen = client.end();
    let outcome = match seen.report {
        Some(Ok((partition, offset))) => Ok(Delivered { partition, offset, took: begun.elapsed() }),
        Some(Err(error)) => Err(seen.problem_of_record(topic.as_str(), &user, error)),
        None => Err(seen.problem_of_record(topic.as_str(), &user, Code::MessageTimedOut)),
    };
    (outcome, seen)
}

/// Who Kafka takes the plugin for, as its access rules name it.
fn user(settings: &Settings) -> String {
    let config = settings.client_config();
    let sasl = secured_steps(settings).contains(&Step::Login);
    match config.get("sasl.username") {
        Some(name) if sasl => name.to_owned(),
        None if !sasl && config.get("ssl.certificate.location").is_none() => "ANONYMOUS".to_owned(),
        _ => "NAME".to_owned(),
    }
}

/// Says what it is, to whoever reads the topic.
fn value(node: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "type": "test",
        "plugin": "emq_plugin_kafka",
        "version": env!("CARGO_PKG_VERSION"),
        "cluster_node": node,
        "ts": u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
    })
    .to_string()
}
