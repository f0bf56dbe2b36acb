//! librdkafka alone, called as the plugin calls it, with records that are encoded beforehand: the limit.
//!
//! `raw KEY=VALUE...`, see [`options::Options`]. It says `ready {"version"}` when it is connected, works when it reads `go`, says
//! `sent {"records","failed"}` after its last call, and goes on until it reads `stop`. With `latency=on`, `sent` has the
//! percentiles of a call, in microseconds; waiting for room in the queue is no part of one.

mod client;
mod headers;
mod job;
mod options;
mod queue;
mod reports;
mod room;
mod shared;
mod slot;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use rdkafka::util::get_rdkafka_version;
use serde_json::{Value, json};

use client::Client;
use job::Job;
use options::Options;

/// What ends the program.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).map_err(Failure::from).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("raw: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let client = Client::open(options)?;
    let job = Job::new(options, &client);
    job.warm_up()?;
    let (_, version) = get_rdkafka_version();
    say("ready", &json!({"version": version}))?;
    hear("go")?;
    say("sent", &job.work()?)?;
    hear("stop")?;
    client.close()
}

fn say(word: &str, rest: &Value) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{word} {rest}")?;
    output.flush()
}

fn hear(word: &str) -> Result<(), Failure> {
    match io::stdin().lines().next().transpose()? {
        Some(line) if line.trim() == word => Ok(()),
        line => Err(format!("expected `{word}`, got {line:?}").into()),
    }
}
