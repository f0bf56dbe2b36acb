//! One connection: requests, and their answers in the same order.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use thiserror::Error;

use super::apis::{self, Unanswerable};
use super::topics::Topics;
use super::wire::Reply;

/// As Kafka has it (`socket.request.max.bytes`).
const MAX_REQUEST_BYTES: usize = 100 << 20;

const LENGTH_BYTES: usize = size_of::<i32>();

/// Why a connection ended that its client did not close.
#[derive(Debug, Error)]
pub enum Ended {
    #[error("a request of {0} bytes")]
    Length(i32),
    #[error("the connection: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Request(#[from] Unanswerable),
}

/// Until the client closes it. Request and answer have one buffer each, which grows to what is needed and stays.
pub fn serve(mut stream: TcpStream, port: u16, topics: &Topics) -> Result<(), Ended> {
    stream.set_nodelay(true)?;
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    while let Some(length) = next_length(&mut stream)? {
        if request.len() < length {
            request.resize(length, 0);
        }
        let body = request.get_mut(..length).unwrap_or_default();
        stream.read_exact(body)?;
        answer.clear();
        answer.extend_from_slice(&[0; LENGTH_BYTES]);
        if apis::answer(body, &mut Reply(&mut answer), topics, port)? {
            let length = u32::try_from(answer.len() - LENGTH_BYTES).unwrap_or(u32::MAX);
            if let Some(head) = answer.first_chunk_mut() {
                *head = length.to_be_bytes();
            }
            stream.write_all(&answer)?;
        }
    }
    Ok(())
}

/// None: the client has closed.
fn next_length(stream: &mut TcpStream) -> Result<Option<usize>, Ended> {
    let mut bytes = [0; LENGTH_BYTES];
    match stream.read_exact(&mut bytes) {
        // Producers that are done, or killed, just go.
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return Ok(None),
        result => result?,
    }
    let length = i32::from_be_bytes(bytes);
    match usize::try_from(length) {
        Ok(length) if length <= MAX_REQUEST_BYTES => Ok(Some(length)),
        _ => Err(Ended::Length(length)),
    }
}
