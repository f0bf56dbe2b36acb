//! Metadata: one node that leads everything.

use super::topics::{Topic, Topics};
use super::wire::{Malformed, Reader, Reply};
use super::{HOST, NODE, error};

pub fn metadata(
    version: i16,
    request: &mut Reader<'_>,
    reply: &mut Reply<'_>,
    topics: &Topics,
    port: u16,
) -> Result<(), Malformed> {
    let names = wanted(version, request)?;
    let create = version < 4 || request.i8()? != 0;
    node(version, reply, port);
    match names {
        None => {
            let all = topics.names();
            reply.array(all.len());
            for name in &all {
                topic(version, reply, name, topics.find(name).as_deref());
            }
        }
        Some(names) => {
            reply.array(names.len());
            for name in names {
                let found = if create { Some(topics.get(name)) } else { topics.find(name) };
                topic(version, reply, name, found.as_deref());
            }
        }
    }
    Ok(())
}

/// None: all.
fn wanted<'a>(version: i16, request: &mut Reader<'a>) -> Result<Option<Vec<&'a str>>, Malformed> {
    let count = match request.nullable_array()? {
        None => return Ok(None),
        // At first an empty list meant all.
        Some(0) if version == 0 => return Ok(None),
        Some(count) => count,
    };
    (0..count).map(|_| request.string()).collect::<Result<_, _>>().map(Some)
}

fn node(version: i16, reply: &mut Reply<'_>, port: u16) {
    if version >= 3 {
        reply.i32(0); // Nobody is throttled.
    }
    reply.array(1).i32(NODE).string(HOST).i32(port.into());
    if version >= 1 {
        reply.null_string(); // The rack.
    }
    if version >= 2 {
        reply.string("sink"); // The cluster.
    }
    if version >= 1 {
        reply.i32(NODE); // The controller.
    }
}

fn topic(version: i16, reply: &mut Reply<'_>, name: &str, found: Option<&Topic>) {
    reply.i16(if found.is_some() { error::NONE } else { error::UNKNOWN_TOPIC_OR_PARTITION }).string(name);
    if version >= 1 {
        reply.bool(false); // One of Kafka's own.
    }
    let partitions = found.map_or(0, Topic::partitions);
    reply.array(partitions);
    for (partition, _) in (0..).zip(0..partitions) {
        reply.i16(error::NONE).i32(partition).i32(NODE);
        if version >= 7 {
            reply.i32(0); // The leader's epoch.
        }
        reply.array(1).i32(NODE); // Its replicas.
        reply.array(1).i32(NODE); // Those in sync.
        if version >= 5 {
            reply.array(0); // Replicas that are down.
        }
    }
}
