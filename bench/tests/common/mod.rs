//! A counting Kafka for one test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use emq_plugin_kafka_bench::sink;

/// Starts one on a free port, for as long as the test's process lives.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || sink::serve(&listener, 4));
    address
}
