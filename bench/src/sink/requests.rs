//! The requests of a connection, one after the other, read into one buffer.

use std::io::{self, ErrorKind, Read};

use thiserror::Error;

/// As Kafka has it (`socket.request.max.bytes`).
const MAX_REQUEST_BYTES: usize = 100 << 20;

/// Read at once where nobody knows yet what comes: a small request with its length, and those behind it.
const READ_AHEAD: usize = 64 << 10;

const LENGTH_BYTES: usize = size_of::<i32>();

/// Why there is no next request.
#[derive(Debug, Error)]
pub enum Unreadable {
    #[error("a request of {0} bytes")]
    Length(i32),
    #[error("the connection: {0}")]
    Io(#[from] io::Error),
}

/// What came in and is not yet taken is `buffer[from..to]`. The buffer grows to what is needed and stays.
pub struct Requests<S> {
    stream: S,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl<S: Read> Requests<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: vec![0; READ_AHEAD], from: 0, to: 0 }
    }

    /// None: the client has closed the connection.
    pub fn next(&mut self) -> Result<Option<&[u8]>, Unreadable> {
        if !self.fill(LENGTH_BYTES)? {
            return Ok(None);
        }
        let head = self.buffer.get(self.from..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        let number = i32::from_be_bytes(head);
        let length = usize::try_from(number)
            .ok()
            .filter(|length| *length <= MAX_REQUEST_BYTES)
            .ok_or(Unreadable::Length(number))?;
        self.fill(LENGTH_BYTES + length)?;
        let body = self.from + LENGTH_BYTES;
        self.from = body + length;
        Ok(Some(self.buffer.get(body..self.from).unwrap_or_default()))
    }

    /// Until so many bytes are there. False: the connection was closed before the first of them.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.to - self.from >= wanted {
            return Ok(true);
        }
        // Less than was read ahead, and mostly nothing.
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        // Of a large request just the rest: what follows it would have to be moved.
        let end = wanted.max(READ_AHEAD);
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while self.to < wanted {
            match self.stream.read(self.buffer.get_mut(self.to..end).unwrap_or_default()) {
                Ok(0) if self.to == 0 => return Ok(false),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.to += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.to == 0 && is_gone(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Producers that are done, or killed, just go.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(length: usize) -> Vec<u8> {
        let body = (0..=250).cycle().take(length);
        u32::try_from(length).unwrap().to_be_bytes().into_iter().chain(body).collect()
    }

    /// A stream that gives so many bytes at a time, at most.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(buffer.len());
            self.0.read(&mut buffer[..most])
        }
    }

    #[test]
    fn requests_come_whole_in_whatever_pieces() {
        let lengths = [0, 1, 5, READ_AHEAD - 4, READ_AHEAD - 3, 3, 300_000, 0, 7, 70_000];
        let stream: Vec<u8> = lengths.into_iter().flat_map(request).collect();
        for piece in [1, 3, 1000, READ_AHEAD, usize::MAX] {
            let mut requests = Requests::new(Pieces(&stream, piece));
            for length in lengths {
                assert_eq!(requests.next().unwrap().unwrap(), &request(length)[LENGTH_BYTES..], "{piece}");
            }
            assert!(requests.next().unwrap().is_none());
        }
    }

    #[test]
    fn a_stream_that_ends_within_a_request_is_an_error() {
        for end in [2, 4, 8] {
            let stream = &request(5)[..end];
            assert!(matches!(Requests::new(stream).next(), Err(Unreadable::Io(_))), "{end}");
        }
        assert!(matches!(Requests::new(&[0xff; 4][..]).next(), Err(Unreadable::Length(-1))));
    }
}
