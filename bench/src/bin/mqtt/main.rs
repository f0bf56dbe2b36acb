//! MQTT 3.1.1 publishers: how many `QoS` 1 messages a broker acknowledges, how soon, and what each costs its process.
//!
//! `mqtt KEY=VALUE...`, see [`options::Options`]. The last line on standard output is one JSON object:
//!
//! `{"messages","seconds","messages_per_s","puback_us":{"p50","p99","p999"},"acknowledged","cpu_us_per_message"}`
//!
//! `messages` are those acknowledged after the warm-up, `acknowledged` all of them. Without `rate` every client keeps its window
//! full, and a latency is the time from the write of a PUBLISH to its PUBACK. With `rate` messages are sent when they are due,
//! however slow the broker is, and a latency begins when the message was due, so that none is left out because the one before
//! it was slow. A client that is refused or disconnected ends all, with status 1 and a line on standard error.

mod client;
mod options;
mod packets;
mod process;
mod tally;
mod window;

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use client::Client;
use options::Options;
use process::Process;
use tally::{Period, Tally};

/// What ends the program.
type Failure = Box<dyn Error + Send + Sync>;

fn main() {
    match Options::parse(std::env::args().skip(1)).map_err(Failure::from).and_then(|options| run(&options)) {
        Ok(result) => println!("{result}"),
        Err(failure) => end(&failure),
    }
}

/// At once: the other clients' threads may wait for a broker that is gone.
fn end(failure: &Failure) -> ! {
    eprintln!("mqtt: {failure}");
    std::process::exit(1)
}

fn run(options: &Options) -> Result<Value, Failure> {
    let broker = options.pid.map(Process);
    if options.rate.is_some() {
        process::sleep_precisely()?;
    }
    let clients =
        (1..=options.clients).map(|number| Client::connect(options, number)).collect::<Result<Vec<_>, _>>()?;
    let period = Period::after(Instant::now(), options.warmup, options.seconds);

    let threads: Vec<_> = clients
        .into_iter()
        .map(|client| thread::spawn(move || client.publish(period).unwrap_or_else(|failure| end(&failure))))
        .collect();
    let cpu = cpu_time(broker.as_ref(), period)?;

    let mut all = Tally::new(period)?;
    for thread in threads {
        all.merge(&thread.join().map_err(|_| "a client's thread panicked")?)?;
    }
    Ok(report(options, &all, cpu))
}

/// What the broker's process uses during the period.
fn cpu_time(broker: Option<&Process>, period: Period) -> Result<Option<Duration>, Failure> {
    let Some(broker) = broker else { return Ok(None) };
    thread::sleep(period.from.saturating_duration_since(Instant::now()));
    let before = broker.cpu_time()?;
    thread::sleep(period.until.saturating_duration_since(Instant::now()));
    Ok(Some(broker.cpu_time()?.saturating_sub(before)))
}

#[allow(clippy::cast_precision_loss)]
fn report(options: &Options, all: &Tally, cpu: Option<Duration>) -> Value {
    let messages = all.messages as f64;
    let mut report = json!({
        "messages": all.messages,
        "seconds": options.seconds.as_secs_f64(),
        "messages_per_s": messages / options.seconds.as_secs_f64(),
        "puback_us": all.latencies.percentiles(),
        "acknowledged": all.acknowledged,
    });
    if let (Some(cpu), Value::Object(fields)) = (cpu, &mut report) {
        fields.insert("cpu_us_per_message".into(), json!(cpu.as_secs_f64() * 1e6 / messages));
    }
    report
}
