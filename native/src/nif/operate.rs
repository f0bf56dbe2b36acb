//! What the command line asks: a test record, what this library is, and any answer as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use rustler::serde::Deserializer;
use rustler::{Encoder, Env, ListIterator, NifMap, NifResult, Term};
use serde::Deserialize as _;

use super::HANDLE;
use crate::flow::flush::FlushError;
use crate::nif::atoms;
use crate::nif::life::apart;
use crate::nif::settings::parse_settings;
use crate::probe::{self, Delivered, Problem};
use crate::spool::store::Capacity;

/// Sends one record by a client of its own: `{ok, Report}`, whatever the report says, or `{error, [Problem]}` for settings that
/// cannot be used. An empty topic is the configured one.
#[rustler::nif(schedule = "DirtyIo")]
fn test<'a>(
    env: Env<'a>,
    settings: ListIterator<'a>,
    node: &'a str,
    topic: &'a str,
    timeout_ms: u64,
) -> NifResult<Term<'a>> {
    let settings = match parse_settings(settings)? {
        Ok(settings) => settings,
        Err(problems) => return Ok((atoms::error(), problems).encode(env)),
    };
    let topic = Some(topic).filter(|topic| !topic.is_empty());
    let report = probe::run(&settings, topic, node, Duration::from_millis(timeout_ms));
    Ok((atoms::ok(), ReportMap::from(report)).encode(env))
}

/// Waits until Kafka has all that is queued and spooled now: `ok`, `{error, {timeout, Left}}`, or `{error, closed | replaced}`.
#[rustler::nif(schedule = "DirtyIo")]
fn flush(env: Env<'_>, timeout_ms: u64) -> Term<'_> {
    // A producer that is closed meanwhile may end here.
    let flushed = apart(|| HANDLE.flush(Duration::from_millis(timeout_ms))).unwrap_or(Err(FlushError::Closed));
    match flushed {
        Ok(()) => atoms::ok().encode(env),
        Err(FlushError::Timeout(left)) => (atoms::error(), (atoms::timeout(), left)).encode(env),
        Err(FlushError::Closed) => (atoms::error(), atoms::closed()).encode(env),
        Err(FlushError::Replaced) => (atoms::error(), atoms::replaced()).encode(env),
    }
}

#[derive(NifMap)]
struct CapacityMap {
    dir: String,
    occupied: u64,
    limit: u64,
}

impl From<Capacity> for CapacityMap {
    fn from(room: Capacity) -> Self {
        Self { dir: room.dir.display().to_string(), occupied: room.occupied, limit: room.limit }
    }
}

#[derive(NifMap)]
struct ReportMap {
    topic: String,
    servers: Vec<ServerMap>,
    brokers: Vec<BrokerMap>,
    delivered: Option<DeliveredMap>,
    problem: Option<ProblemMap>,
    said: Vec<String>,
}

#[derive(NifMap)]
struct ServerMap {
    name: String,
    addresses: Vec<String>,
    passed: Vec<String>,
    problem: Option<ProblemMap>,
}

#[derive(NifMap)]
struct BrokerMap {
    id: i32,
    name: String,
    state: String,
}

#[derive(NifMap)]
struct DeliveredMap {
    partition: i32,
    offset: i64,
    took_ms: u64,
}

#[derive(NifMap)]
struct ProblemMap {
    kind: String,
    error: String,
    text: String,
    advice: String,
}

impl From<probe::Report> for ReportMap {
    fn from(report: probe::Report) -> Self {
        let server = |server: probe::Server| ServerMap {
            name: server.name,
            addresses: server.addresses,
            passed: server.passed.into_iter().map(|step| step.name().to_owned()).collect(),
            problem: server.problem.map(ProblemMap::from),
        };
        let broker = |broker: probe::Broker| BrokerMap { id: broker.id, name: broker.name, state: broker.state };
        let (delivered, problem) = match report.outcome {
            Ok(Delivered { partition, offset, took }) => {
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                (Some(DeliveredMap { partition, offset, took_ms }), None)
            }
            Err(problem) => (None, Some(problem.into())),
        };
        Self {
            topic: report.topic,
            servers: report.servers.into_iter().map(server).collect(),
            brokers: report.brokers.into_iter().map(broker).collect(),
            delivered,
            problem,
            said: report.said,
        }
    }
}

impl From<Problem> for ProblemMap {
    fn from(problem: Problem) -> Self {
        let Problem { kind, error, text, advice } = problem;
        Self { kind: kind.name().to_owned(), error, text, advice }
    }
}

/// What this library is and what it was told: versions, the hash of the settings in force, the rules that have a mode of their own,
/// how long records linger, whether a publisher may be disconnected, and what room the spool has.
#[rustler::nif]
fn about(env: Env<'_>) -> NifResult<Term<'_>> {
    let settings = HANDLE.settings();
    let linger = settings.as_ref().and_then(crate::config::Settings::linger_ms).unwrap_or(0);
    let modes = settings.as_ref().map(crate::config::Settings::other_modes).unwrap_or_default();
    let modes: BTreeMap<String, String> = modes.into_iter().collect();
    let hash = settings.map_or_else(|| atoms::none().encode(env), |settings| settings.fingerprint().encode(env));
    Term::map_from_pairs(
        env,
        &[
            (atoms::version(), env!("CARGO_PKG_VERSION").encode(env)),
            (atoms::librdkafka(), rdkafka::util::get_rdkafka_version().1.encode(env)),
            (atoms::config_hash(), hash),
            (atoms::modes(), Term::map_from_pairs(env, &Vec::from_iter(&modes))?),
            (atoms::linger_ms(), linger.encode(env)),
            (atoms::disconnects(), HANDLE.disconnects().encode(env)),
            (atoms::spool_room(), HANDLE.view().spool_room().map(CapacityMap::from).encode(env)),
        ],
    )
}

/// Counts messages that were published while the broker called no hook of the plugin. Returns all of them.
#[rustler::nif]
fn unseen(messages: u64) -> u64 {
    let unseen = &HANDLE.metrics().unseen;
    unseen.add(messages);
    unseen.count()
}

/// A term as JSON: maps with atoms or UTF-8 for keys, lists, numbers, UTF-8 binaries; atoms are strings, but for `true`, `false` and
/// `nil`, which is null. `{error, Why}` for what has no form in JSON.
#[rustler::nif(schedule = "DirtyCpu")]
fn to_json<'a>(env: Env<'a>, term: Term<'a>) -> Term<'a> {
    let json = serde_json::Value::deserialize(Deserializer::from(term)).map_err(|error| error.to_string());
    match json.and_then(|value| serde_json::to_string_pretty(&value).map_err(|error| error.to_string())) {
        Ok(json) => (atoms::ok(), json).encode(env),
        Err(why) => (atoms::error(), why).encode(env),
    }
}
