//! Fetch and `FindCoordinator`: there is nothing to consume. They are answered because librdkafka takes their versions for a
//! sign that a broker knows record batches, lz4 and zstd.

use super::error;
use super::topics::Topics;
use super::wire::{Malformed, Reader, Reply};

/// No record is kept, so every offset is out of range.
pub fn fetch(version: i16, request: &mut Reader<'_>, reply: &mut Reply<'_>, topics: &Topics) -> Result<(), Malformed> {
    // The replica, how long to wait, the least and the most bytes, the isolation; a session.
    request.take(4 * size_of::<i32>() + 1)?;
    reply.i32(0); // Nobody is throttled.
    if version >= 7 {
        request.take(2 * size_of::<i32>())?;
        reply.i16(error::NONE).i32(0); // No session.
    }
    let count = request.array()?;
    reply.array(count);
    for _ in 0..count {
        let name = request.string()?;
        let topic = topics.find(name);
        let partitions = request.array()?;
        reply.string(name).array(partitions);
        for _ in 0..partitions {
            let partition = request.i32()?;
            let end = topic.as_ref().and_then(|topic| topic.end(partition));
            partition_wanted(version, request)?;
            let code = if end.is_some() { error::OFFSET_OUT_OF_RANGE } else { error::UNKNOWN_TOPIC_OR_PARTITION };
            let end = end.unwrap_or(-1);
            reply.i32(partition).i16(code).i64(end).i64(end);
            if version >= 5 {
                reply.i64(end); // The first offset that is kept.
            }
            reply.null_array().array(0); // Transactions that were aborted; records.
        }
    }
    Ok(())
}

/// What a request says of a partition behind its number.
fn partition_wanted(version: i16, request: &mut Reader<'_>) -> Result<(), Malformed> {
    if version >= 9 {
        let _epoch = request.i32()?;
    }
    let _offset = request.i64()?;
    if version >= 5 {
        let _log_start = request.i64()?;
    }
    let _most = request.i32()?;
    Ok(())
}

/// There is none.
pub fn find_coordinator(version: i16, reply: &mut Reply<'_>) {
    if version >= 1 {
        reply.i32(0); // Nobody is throttled.
    }
    reply.i16(error::COORDINATOR_NOT_AVAILABLE);
    if version >= 1 {
        reply.null_string(); // More words.
    }
    let (node, host, port) = (-1, "", -1);
    reply.i32(node).string(host).i32(port);
}
