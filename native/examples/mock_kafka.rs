//! librdkafka's mock cluster in a process of its own, for machines that cannot get a real Kafka.
//!
//! Prints `host:port` and runs until its standard input ends.

use std::io::Read as _;

use rdkafka::mocking::MockCluster;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = MockCluster::new(1)?;
    println!("{}", cluster.bootstrap_servers());
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    Ok(())
}
