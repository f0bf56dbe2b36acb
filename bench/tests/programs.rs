//! `raw` and `offsets` as the orchestrator runs them, on a counting Kafka.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A program that is talked to in lines.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(path: &str, arguments: &[String]) -> Self {
        let mut child =
            Command::new(path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The JSON behind the word.
    fn hear_json(&mut self, word: &str) -> Value {
        let line = self.hear();
        serde_json::from_str(line.strip_prefix(word).unwrap_or_else(|| panic!("no {word}: {line}"))).unwrap()
    }

    fn ask(&mut self, question: &str) -> String {
        self.say(question);
        self.hear()
    }

    /// The number behind the word.
    fn ask_number(&mut self, question: &str, word: &str) -> i64 {
        let line = self.ask(question);
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some(word), "{line}");
        words.next().unwrap().parse().unwrap()
    }
}

fn measure(mode: &str, latency: &str) -> Value {
    let address = common::start();
    let mut offsets = Program::start(env!("CARGO_BIN_EXE_offsets"), &[address.to_string()]);
    assert_eq!(offsets.ask("create records 3"), "created records");

    let arguments =
        [format!("servers={address}"), format!("mode={mode}"), format!("latency={latency}"), "topic=records".into()];
    let others = ["processes=3", "seconds=0.2", "headers=3", "window=5000"].map(str::to_owned);
    let mut raw = Program::start(env!("CARGO_BIN_EXE_raw"), &[&arguments[..], &others].concat());
    assert!(raw.hear_json("ready ")["version"].is_string());
    let before = offsets.ask_number("sum records", "sum");
    raw.say("go");
    let sent = raw.hear_json("sent ");
    let all = before + sent["records"].as_i64().unwrap();
    assert_eq!(offsets.ask_number(&format!("wait records {all} 30"), "reached"), all);
    raw.say("stop");
    assert!(raw.child.wait().unwrap().success());
    assert_eq!(offsets.ask_number("sum records", "sum"), all);
    sent
}

#[test]
fn what_raw_says_it_sent_is_what_the_offsets_say() {
    let sent = measure("async", "off");
    assert!(sent["records"].as_u64().unwrap() > 5000 && sent["failed"] == 0 && sent["p50"].is_null(), "{sent}");
}

#[test]
fn threads_that_wait_tell_how_long() {
    let sent = measure("sync", "on");
    let time = |name: &str| sent[name].as_f64().unwrap();
    assert!(sent["failed"] == 0 && time("p50") > 1.0 && time("p50") <= time("p99") && time("p99") <= time("p999"));
}

#[test]
fn topics_come_and_go() {
    let mut offsets = Program::start(env!("CARGO_BIN_EXE_offsets"), &[common::start().to_string()]);
    for _ in 0..2 {
        assert_eq!(offsets.ask("create one 64"), "created one");
    }
    assert_eq!(offsets.ask("sum one"), "sum 0");
    assert_eq!(offsets.ask("wait one 1 0"), "timeout 0");
    for _ in 0..2 {
        assert_eq!(offsets.ask("delete one"), "deleted one");
    }
    for question in ["create none 0", "what", "wait one 1"] {
        assert!(offsets.ask(question).starts_with("error "), "{question}");
    }
    drop(offsets.input);
    assert!(offsets.child.wait().unwrap().success());
}

#[test]
fn raw_names_what_is_wrong() {
    for (arguments, words) in [
        (&["topic=t", "rdkafka.nothing=1"], "No such configuration property: \"nothing\""),
        (&["topic=t", "mode=durable"], "raw: mode=durable: neither async nor sync"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_raw")).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
}
