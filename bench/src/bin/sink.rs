//! A Kafka on loopback that only counts: `sink PORT [PARTITIONS]`, see [`emq_plugin_kafka_bench::sink`].

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;

use emq_plugin_kafka_bench::sink;

/// What a topic gets whose name asks for nothing else.
const PARTITIONS: usize = 4;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let (port, partitions) = match arguments {
        [port] => (port.parse()?, PARTITIONS),
        [port, partitions] => (port.parse()?, partitions.parse()?),
        _ => return Err("usage: sink PORT [PARTITIONS]".into()),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    sink::serve(&listener, partitions)?;
    Ok(())
}
