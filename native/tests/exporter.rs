//! The endpoint for Prometheus, over real connections.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{assert_adds_up, cluster, nobody, publish, settings, submit, wait_for};
use emq_plugin_kafka_nif::config::Settings;
use emq_plugin_kafka_nif::exporter::Exporter;
use emq_plugin_kafka_nif::flow::endpoint::Listening;
use emq_plugin_kafka_nif::flow::handle::Handle;

const LONG: Duration = Duration::from_mins(1);

/// An open pipeline whose metrics are at the address.
fn open(address: &str) -> Handle {
    let handle = Handle::new(Exporter::default());
    handle.open(watched(address), "n@h").expect("opened");
    assert_eq!(handle.listening(), Listening::At(address.parse().expect("an address")));
    handle
}

fn watched(address: &str) -> Settings {
    settings(&nobody(), &[("metrics_listener", address)])
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream
}

/// Head and body of the answer to a request.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn get(address: &str, method: &str, path: &str) -> (String, String) {
    ask(address, &format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
}

fn scrape(address: &str) -> String {
    let (head, body) = get(address, "GET", "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    body
}

fn has_line(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
}

#[test]
fn what_is_counted_is_there_in_prometheus_words() {
    let (cluster, address, handle) = (cluster(1), nobody(), Handle::new(Exporter::default()));
    let more = [("metrics_listener", address.as_str()), ("hook.message.publish.1", "{}")];
    handle.open(settings(&cluster.bootstrap_servers(), &more), "n@h").expect("opened");
    (0..3).for_each(|_| drop(submit(&handle, &publish(b"c", b"x"))));
    wait_for(&handle, "all records", |s| s.success == 3);
    handle.metrics().unseen.add(7);
    let text = scrape(&address);
    for line in [
        "# HELP emq_plugin_kafka_records_accepted_total Records accepted.",
        "# TYPE emq_plugin_kafka_records_accepted_total counter",
        "emq_plugin_kafka_records_accepted_total 3",
        "emq_plugin_kafka_records_success_total 3",
        r#"emq_plugin_kafka_records_failed_total{error="topic_authorization_failed"} 0"#,
        r#"emq_plugin_kafka_records_dropped_total{reason="queue_full"} 0"#,
        r#"emq_plugin_kafka_rule_matched_total{event="message.publish",rule="1"} 3"#,
        r#"emq_plugin_kafka_rule_dropped_total{event="message.publish",rule="1"} 0"#,
        r#"emq_plugin_kafka_topic_success_total{topic="mqtt"} 3"#,
        "# TYPE emq_plugin_kafka_ack_latency_seconds histogram",
        r#"emq_plugin_kafka_ack_latency_seconds_bucket{le="3600"} 3"#,
        r#"emq_plugin_kafka_ack_latency_seconds_bucket{le="+Inf"} 3"#,
        "emq_plugin_kafka_ack_latency_seconds_count 3",
        "emq_plugin_kafka_records_queued 0",
        "emq_plugin_kafka_queue_max_records 100000",
        "emq_plugin_kafka_publishers_waiting 0",
        "emq_plugin_kafka_messages_unseen_total 7",
    ] {
        has_line(&text, line);
    }
    let hash = handle.settings().expect("open").fingerprint();
    has_line(&text, &format!("emq_plugin_kafka_config_info{{hash=\"{hash}\"}} 1"));
    handle.close(LONG);
}

#[test]
fn names_cannot_break_out_of_their_label() {
    let (address, handle) = (nobody(), Handle::new(Exporter::default()));
    let more = [("metrics_listener", address.as_str()), ("hook.message.publish.a\"} 1\nevil{b=\"\\", "{}")];
    handle.open(settings(&nobody(), &more), "n@h").expect("opened");
    let text = scrape(&address);
    has_line(&text, r#"emq_plugin_kafka_rule_matched_total{event="message.publish",rule="a\"} 1\nevil{b=\"\\"} 0"#);
    assert!(!text.lines().any(|line| line.starts_with("evil")));
    handle.close(LONG);
}

#[test]
fn nothing_else_is_answered() {
    let address = nobody();
    let handle = open(&address);
    let status = |method: &str, path: &str| {
        let (head, body) = get(&address, method, path);
        (head.split(' ').nth(1).expect("a status").to_owned(), head, body)
    };
    let (code, head, body) = status("HEAD", "/metrics");
    assert_eq!((code.as_str(), body.as_str()), ("200", ""));
    assert!(head.to_ascii_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    let (code, _, body) = status("GET", "/");
    assert!(code == "200" && body.contains("/metrics"), "{body}");
    for path in ["/metrics/", "/metrics2", "/../etc/passwd", "/favicon.ico"] {
        assert_eq!(status("GET", path).0, "404", "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let (code, head, _) = status(method, "/metrics");
        assert_eq!(code, "405", "{method}");
        assert!(head.to_ascii_lowercase().contains("allow: get, head"), "{head}");
    }
    let large = format!("GET /metrics HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = connect(&address);
    // It may be refused before all of it was read.
    let sent = stream.write_all(large.as_bytes());
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 431") || sent.is_err() || read.is_err(), "{answer}");
    scrape(&address);
    handle.close(LONG);
}

#[test]
fn it_is_off_unless_asked_for() {
    let handle = Handle::new(Exporter::default());
    handle.open(settings(&nobody(), &[]), "n@h").expect("opened");
    assert_eq!(handle.listening(), Listening::Off);
    handle.close(LONG);
}

#[test]
fn it_is_there_from_open_to_close() {
    let address = nobody();
    let handle = open(&address);
    scrape(&address);
    handle.close(Duration::ZERO);
    assert_eq!(handle.listening(), Listening::Off);
    assert!(TcpStream::connect(&address).is_err(), "nobody listens");
    handle.open(watched(&address), "n@h").expect("opened again");
    scrape(&address);
    drop(handle);
    assert!(TcpStream::connect(&address).is_err(), "nobody listens");
}

#[test]
fn a_port_that_is_taken_costs_the_endpoint_alone_and_a_reload_tries_again() {
    let (cluster, handle) = (cluster(1), Handle::new(Exporter::default()));
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let watched = || settings(&cluster.bootstrap_servers(), &[("metrics_listener", address.as_str())]);
    handle.open(watched(), "n@h").expect("opened");
    let Listening::Failed(problem) = handle.listening() else { panic!("{:?}", handle.listening()) };
    for part in ["emq.plugin.kafka.metrics.listener: ", &address, "in use", "still forwarded"] {
        assert!(problem.contains(part), "{part:?} is not in {problem:?}");
    }
    let told = handle.notices().take().into_iter().find(|notice| notice.kind == "setting metrics.listener");
    assert_eq!(told.map(|notice| notice.text), Some(problem));
    submit(&handle, &publish(b"c", b"x"));
    wait_for(&handle, "the record", |s| s.success == 1);
    drop(other);
    handle.reload(watched(), "n@h").expect("reloaded");
    scrape(&address);
    handle.close(LONG);
}

#[test]
fn a_reload_moves_it_or_ends_it_and_leaves_it_alone_where_nothing_changed() {
    let (first, second) = (nobody(), nobody());
    let handle = open(&first);
    // Half a request, which only the thread that began to read it can answer.
    let mut stream = connect(&first);
    stream.write_all(b"GET /metrics HTT").expect("sent");
    scrape(&first);
    handle.reload(watched(&first), "n@h").expect("reloaded");
    stream.write_all(b"P/1.1\r\nHost: h\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    handle.reload(watched(&second), "n@h").expect("reloaded");
    assert!(TcpStream::connect(&first).is_err(), "nobody listens there any more");
    scrape(&second);
    handle.reload(watched("off"), "n@h").expect("reloaded");
    assert!(TcpStream::connect(&second).is_err(), "nobody listens");
    handle.close(LONG);
}

#[test]
fn connections_that_only_sit_there_keep_nobody_out() {
    let address = nobody();
    let handle = open(&address);
    // As many as one thread can open within the descriptors that a process has by default.
    let mut idle = Vec::new();
    for n in 0..800 {
        let mut stream = connect(&address);
        if n % 2 == 0 {
            // One that was among the oldest may be gone already.
            stream.write_all(b"GET /metrics HTTP/1.1\r\nX-Slow: ").ok();
        }
        idle.push(stream);
        if n % 100 == 0 {
            let begun = Instant::now();
            scrape(&address);
            // An idle one goes by itself after 5 s.
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
    }
    scrape(&address);
    // All are ended in the end: the oldest at once, the last 64 after some seconds.
    for mut stream in idle {
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
    handle.close(LONG);
}

#[test]
fn scraping_goes_on_through_reload_close_and_open() {
    let (cluster, address, handle) = (cluster(1), nobody(), Handle::new(Exporter::default()));
    let other = nobody();
    let (stop, scraped) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(&address) else { continue };
                    stream.set_read_timeout(Some(LONG)).expect("a timeout");
                    // It may be closed at any point; what comes is whole or not at all.
                    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").ok();
                    let mut answer = String::new();
                    if stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
                        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with('\n'), "{answer}");
                        scraped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut submitted = 0;
        let watched = |address: &str| settings(&cluster.bootstrap_servers(), &[("metrics_listener", address)]);
        for _ in 0..10 {
            handle.open(watched(&address), "n@h").expect("opened");
            for at in [&address, &other, &address] {
                handle.reload(watched(at), "n@h").expect("reloaded");
                submit(&handle, &publish(b"c", b"x"));
                submitted += 1;
            }
            let seen = scraped.load(Ordering::Relaxed);
            let deadline = Instant::now() + common::DEADLINE;
            while scraped.load(Ordering::Relaxed) == seen {
                assert!(Instant::now() < deadline, "nothing was scraped");
                std::thread::yield_now();
            }
            let closing = Instant::now();
            handle.close(LONG);
            assert!(closing.elapsed() < LONG, "a scrape never holds up a close");
            assert_adds_up(&handle.metrics().snapshot());
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(handle.metrics().snapshot().accepted, submitted);
    });
}

#[test]
fn it_is_there_while_settings_are_wrong() {
    let address = nobody();
    let handle = Handle::new(Exporter::default());
    handle.degrade(Settings::partial([("topic", "a b"), ("metrics_listener", address.as_str())]), "n@h");
    submit(&handle, &publish(b"c", b"x"));
    let text = scrape(&address);
    has_line(&text, "emq_plugin_kafka_degraded 1");
    has_line(&text, "emq_plugin_kafka_records_dropped_total{reason=\"degraded\"} 1");
    has_line(&text, "emq_plugin_kafka_rule_dropped_total{event=\"message.publish\",rule=\"default\"} 1");
    handle.open(watched(&address), "n@h").expect("mended");
    has_line(&scrape(&address), "emq_plugin_kafka_degraded 0");
    handle.close(LONG);
    assert_eq!(handle.listening(), Listening::Off);
}
