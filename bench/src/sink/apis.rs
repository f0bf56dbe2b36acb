//! Which requests are known, in which versions, and who answers them.

use std::ops::RangeInclusive;

use thiserror::Error;

use super::topics::Topics;
use super::wire::{Malformed, Reader, Reply};
use super::{admin, consumers, error, list_offsets, metadata, produce};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const API_VERSIONS: i16 = 18;
const CREATE_TOPICS: i16 = 19;
const DELETE_TOPICS: i16 = 20;
const INIT_PRODUCER_ID: i16 = 22;

/// Up to the last version of each before it became a flexible one.
const KNOWN: [(i16, RangeInclusive<i16>); 9] = [
    (PRODUCE, 0..=8),
    (FETCH, 4..=10),
    (LIST_OFFSETS, 1..=5),
    (METADATA, 0..=7),
    (FIND_COORDINATOR, 0..=2),
    (API_VERSIONS, 0..=3),
    (CREATE_TOPICS, 0..=4),
    (DELETE_TOPICS, 0..=3),
    (INIT_PRODUCER_ID, 0..=1),
];

/// Why a connection is closed.
#[derive(Debug, Error)]
pub enum Unanswerable {
    #[error("request {0} of version {1} is not known here")]
    Unknown(i16, i16),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Answers a request. Whether the client wants the answer.
pub fn answer(request: &[u8], reply: &mut Reply<'_>, topics: &Topics, port: u16) -> Result<bool, Unanswerable> {
    let mut request = Reader(request);
    let (api, version, correlation) = (request.i16()?, request.i16()?, request.i32()?);
    let _client = request.nullable_string()?;
    reply.i32(correlation);
    if !KNOWN.iter().any(|(known, versions)| *known == api && versions.contains(&version)) {
        // A client begins with the newest version that it knows, and tries an older one then.
        if api == API_VERSIONS {
            api_versions(0, error::UNSUPPORTED_VERSION, reply);
            return Ok(true);
        }
        return Err(Unanswerable::Unknown(api, version));
    }
    let request = &mut request;
    match api {
        PRODUCE => return Ok(produce::produce(version, request, reply, topics)?),
        FETCH => consumers::fetch(version, request, reply, topics)?,
        LIST_OFFSETS => list_offsets::list_offsets(version, request, reply, topics)?,
        METADATA => metadata::metadata(version, request, reply, topics, port)?,
        FIND_COORDINATOR => consumers::find_coordinator(version, reply),
        API_VERSIONS => api_versions(version, error::NONE, reply),
        CREATE_TOPICS => admin::create_topics(version, request, reply, topics)?,
        DELETE_TOPICS => admin::delete_topics(version, request, reply, topics)?,
        INIT_PRODUCER_ID => produce::init_producer_id(reply),
        _ => return Err(Unanswerable::Unknown(api, version)),
    }
    Ok(true)
}

/// Version 3 is a flexible one: lengths are a byte and one too high, and behind each part are its tags, of which there are none.
fn api_versions(version: i16, code: i16, reply: &mut Reply<'_>) {
    let is_flexible = version >= 3;
    reply.i16(code);
    if is_flexible {
        reply.i8(i8::try_from(KNOWN.len() + 1).unwrap_or(i8::MAX));
    } else {
        reply.array(KNOWN.len());
    }
    for (api, versions) in &KNOWN {
        reply.i16(*api).i16(*versions.start()).i16(*versions.end());
        if is_flexible {
            reply.i8(0);
        }
    }
    if version >= 1 {
        reply.i32(0); // Nobody is throttled.
    }
    if is_flexible {
        reply.i8(0);
    }
}
