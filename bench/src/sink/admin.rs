//! `CreateTopics` and `DeleteTopics`.

use super::error;
use super::topics::{self, Topics};
use super::wire::{Malformed, Reader, Reply};

pub fn create_topics(
    version: i16,
    request: &mut Reader<'_>,
    reply: &mut Reply<'_>,
    topics: &Topics,
) -> Result<(), Malformed> {
    let wanted = (0..request.array()?).map(|_| new_topic(request)).collect::<Result<Vec<_>, _>>()?;
    let _timeout = request.i32()?;
    let validate_only = version >= 1 && request.i8()? != 0;
    if version >= 2 {
        reply.i32(0); // Nobody is throttled.
    }
    reply.array(wanted.len());
    for (name, partitions) in wanted {
        let code = match usize::try_from(partitions).ok().filter(|partitions| topics::allowed(*partitions)) {
            None => error::INVALID_PARTITIONS,
            Some(_) if validate_only => error::NONE,
            Some(partitions) if topics.create(name, partitions) => error::NONE,
            Some(_) => error::TOPIC_ALREADY_EXISTS,
        };
        reply.string(name).i16(code);
        if version >= 1 {
            reply.null_string(); // More words.
        }
    }
    Ok(())
}

/// Its name and how many partitions it is to have.
fn new_topic<'a>(request: &mut Reader<'a>) -> Result<(&'a str, i32), Malformed> {
    let name = request.string()?;
    let partitions = request.i32()?;
    let _replication = request.i16()?;
    for _ in 0..request.array()? {
        let _partition = request.i32()?;
        for _ in 0..request.array()? {
            let _node = request.i32()?;
        }
    }
    for _ in 0..request.array()? {
        let _property = request.string()?;
        let _value = request.nullable_string()?;
    }
    Ok((name, partitions))
}

pub fn delete_topics(
    version: i16,
    request: &mut Reader<'_>,
    reply: &mut Reply<'_>,
    topics: &Topics,
) -> Result<(), Malformed> {
    if version >= 1 {
        reply.i32(0); // Nobody is throttled.
    }
    let count = request.array()?;
    reply.array(count);
    for _ in 0..count {
        let name = request.string()?;
        let code = if topics.delete(name) { error::NONE } else { error::UNKNOWN_TOPIC_OR_PARTITION };
        reply.string(name).i16(code);
    }
    Ok(())
}
