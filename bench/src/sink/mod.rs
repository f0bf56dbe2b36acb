//! A Kafka that only counts: what a producer can reach when the broker costs next to nothing.
//!
//! One node with every partition. It looks at the heads of record batches, never decompresses, keeps no record, and checks no
//! sequence of an idempotent producer: what a producer sends twice is counted twice. Topics come into being when somebody
//! asks for them.

mod admin;
mod apis;
mod connection;
mod consumers;
mod list_offsets;
mod metadata;
mod produce;
mod records;
mod requests;
mod topics;
mod wire;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use topics::Topics;

/// What Kafka answers where something is wrong.
mod error {
    pub const NONE: i16 = 0;
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub const CORRUPT_MESSAGE: i16 = 2;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_PARTITIONS: i16 = 37;
    pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
}

/// The only node.
const NODE: i32 = 0;

/// The address that clients are sent to.
const HOST: &str = "127.0.0.1";

/// Serves connections, a thread each, until the operating system gives no more. New topics have so many partitions, unless
/// their names end in `-pN`.
///
/// # Errors
/// What the operating system said.
pub fn serve(listener: &TcpListener, partitions: usize) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    let topics = Arc::new(Topics::new(partitions));
    loop {
        let (stream, peer) = listener.accept()?;
        let topics = Arc::clone(&topics);
        thread::Builder::new().name(peer.to_string()).spawn(move || {
            if let Err(reason) = connection::serve(&stream, port, &topics) {
                eprintln!("sink: {peer}: {reason}");
            }
        })?;
    }
}
