//! Produce, and the id that an idempotent producer asks for first.

use std::sync::atomic::{AtomicI64, Ordering};

use super::topics::{Topic, Topics};
use super::wire::{Malformed, Reader, Reply};
use super::{error, records};

/// Whether the client wants an answer.
pub fn produce(
    version: i16,
    request: &mut Reader<'_>,
    reply: &mut Reply<'_>,
    topics: &Topics,
) -> Result<bool, Malformed> {
    if version >= 3 {
        request.nullable_string()?;
    }
    let acks = request.i16()?;
    let _timeout = request.i32()?;
    let count = request.array()?;
    reply.array(count);
    for _ in 0..count {
        let name = request.string()?;
        let topic = topics.get(name);
        let partitions = request.array()?;
        reply.string(name).array(partitions);
        for _ in 0..partitions {
            let partition = request.i32()?;
            let (code, base) = match append(&topic, partition, request.bytes()?) {
                Ok(base) => (error::NONE, base),
                Err(code) => (code, -1),
            };
            reply.i32(partition).i16(code).i64(base);
            if version >= 2 {
                reply.i64(-1); // The time when it was appended: the producer's own counts.
            }
            if version >= 5 {
                reply.i64(0); // The first offset of the partition.
            }
            if version >= 8 {
                reply.array(0).null_string(); // Errors of single records.
            }
        }
    }
    if version >= 1 {
        reply.i32(0); // Nobody is throttled.
    }
    Ok(acks != 0)
}

fn append(topic: &Topic, partition: i32, bytes: &[u8]) -> Result<i64, i16> {
    topic.append(partition, records::count(bytes)?).ok_or(error::UNKNOWN_TOPIC_OR_PARTITION)
}

/// The next id.
pub fn init_producer_id(reply: &mut Reply<'_>) {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let (throttle, epoch) = (0, 0);
    reply.i32(throttle).i16(error::NONE).i64(NEXT.fetch_add(1, Ordering::Relaxed)).i16(epoch);
}
