//! Tells what is in a Kafka: `offsets SERVERS`, a line on standard input for each question, a line on standard output for each
//! answer.
//!
//! | question | answer |
//! |---|---|
//! | `create TOPIC PARTITIONS` | `created TOPIC`, when all partitions have a leader; one that exists is as good |
//! | `delete TOPIC` | `deleted TOPIC`; one that is not there is as good |
//! | `sum TOPIC` | `sum N`, the end offsets of all partitions added up |
//! | `wait TOPIC N SECONDS` | `reached N_SEEN UNIX_NANOSECONDS` when the sum is at least N, else `timeout N_SEEN` |
//!
//! `error TEXT` is the answer where there is none. It ends when standard input does.

mod block_on;
mod cluster;
mod question;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use cluster::Cluster;
use question::Question;

/// What ends the program, or is the answer to a question.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("offsets: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let servers = std::env::args().nth(1).ok_or("usage: offsets SERVERS")?;
    let mut cluster = Cluster::new(&servers)?;
    let mut output = io::stdout().lock();
    for line in io::stdin().lines() {
        let line = line?;
        let answer = line.parse::<Question>().map_err(Failure::from).and_then(|question| question.ask(&mut cluster));
        match answer {
            Ok(answer) => writeln!(output, "{answer}")?,
            Err(failure) => writeln!(output, "error {}", failure.to_string().replace('\n', " "))?,
        }
        output.flush()?;
    }
    Ok(())
}
