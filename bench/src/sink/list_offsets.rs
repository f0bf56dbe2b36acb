//! `ListOffsets`: where a partition begins and ends.

use super::error;
use super::topics::Topics;
use super::wire::{Malformed, Reader, Reply};

/// What stands for a time in a request for the end, or for the beginning.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

pub fn list_offsets(
    version: i16,
    request: &mut Reader<'_>,
    reply: &mut Reply<'_>,
    topics: &Topics,
) -> Result<(), Malformed> {
    let _replica = request.i32()?;
    if version >= 2 {
        let _isolation = request.i8()?;
        reply.i32(0); // Nobody is throttled.
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
            if version >= 4 {
                let _epoch = request.i32()?;
            }
            let time = request.i64()?;
            let end = topic.as_ref().and_then(|topic| topic.end(partition));
            let code = if end.is_some() { error::NONE } else { error::UNKNOWN_TOPIC_OR_PARTITION };
            let offset = match time {
                LATEST => end,
                EARLIEST => end.map(|_| 0),
                // No record is kept that has a time.
                _ => None,
            };
            reply.i32(partition).i16(code).i64(-1).i64(offset.unwrap_or(-1));
            if version >= 4 {
                reply.i32(0); // The leader's epoch.
            }
        }
    }
    Ok(())
}
