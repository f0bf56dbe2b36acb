//! One connection: requests, and their answers in the same order.

use std::io::{self, Write};
use std::net::TcpStream;

use thiserror::Error;

use super::apis::{self, Unanswerable};
use super::requests::{self, Requests, Unreadable};
use super::topics::Topics;
use super::wire::Reply;

/// Where the length of an answer goes.
const NO_LENGTH: [u8; 4] = [0; 4];

/// Why a connection ended that its client did not close.
#[derive(Debug, Error)]
pub enum Ended {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the connection: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Request(#[from] Unanswerable),
}

/// Until the client closes it.
pub fn serve(mut stream: &TcpStream, port: u16, topics: &Topics) -> Result<(), Ended> {
    stream.set_nodelay(true)?;
    let mut incoming = Requests::new(stream);
    let mut answer = Vec::new();
    while let Some(request) = incoming.next()? {
        answer.clear();
        answer.extend_from_slice(&NO_LENGTH);
        if apis::answer(request, &mut Reply(&mut answer), topics, port)? {
            let length = u32::try_from(answer.len() - NO_LENGTH.len()).unwrap_or(u32::MAX);
            if let Some(head) = answer.first_chunk_mut() {
                *head = length.to_be_bytes();
            }
            match stream.write_all(&answer) {
                Err(error) if requests::is_gone(&error) => return Ok(()),
                result => result?,
            }
        }
    }
    Ok(())
}
