//! A record as bytes: what the spool keeps, and what is kept of a record that librdkafka gave back.
//!
//! A stored record is finished: topic, key, value, headers and time stay as they were when its event happened. Beside them it
//! has its place in the order of all records of this node, which outlives restarts.

use std::borrow::Cow;

use thiserror::Error;

use crate::record::fill::Header;

/// The version of this layout, a record's first byte.
const VERSION: u8 = 1;
// A spool of another version is refused as a whole. If the layout changed alone, an older plugin would open the spool and
// throw away record after record.
const _: () = assert!(VERSION as u32 == emq_kafka_spool::FORMAT, "a new layout is a new version of the spool's files");
const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;

/// A record with the name of its topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<'a> {
    /// Its place in the order of this node's records.
    pub order: u64,
    /// The Kafka topic.
    pub topic: &'a str,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Cow<'a, [Header<'a>]>,
    /// When the hook ran, in ms since 1970.
    pub timestamp: i64,
}

/// Bytes that are no stored record of this version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoredError {
    /// Written by a newer version of this plugin.
    #[error("has the layout version {0}; this plugin reads {VERSION}")]
    Version(u8),
    /// It ends too early, or a name in it is no UTF-8.
    #[error("is not a record")]
    Malformed,
}

impl<'a> Stored<'a> {
    /// Writes all but the value, which follows: large values need not be copied for it.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        let flags = if self.key.is_some() { HAS_KEY } else { 0 } | if self.value.is_some() { HAS_VALUE } else { 0 };
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&self.order.to_le_bytes());
        out.extend_from_slice(&self.timestamp.to_le_bytes());
        write_bytes(out, self.topic.as_bytes());
        write_bytes(out, self.key.unwrap_or_default());
        write_length(out, self.headers.len());
        for (name, value) in self.headers.iter() {
            write_bytes(out, name.as_bytes());
            write_bytes(out, value);
        }
    }

    /// The whole record in bytes of its own.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_head(&mut bytes);
        bytes.extend_from_slice(self.value.unwrap_or_default());
        bytes
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// It is none, or of another version.
    pub fn read(bytes: &'a [u8]) -> Result<Self, StoredError> {
        let malformed = StoredError::Malformed;
        let (&version, rest) = bytes.split_first().ok_or(StoredError::Malformed)?;
        if version != VERSION {
            return Err(StoredError::Version(version));
        }
        let (&flags, mut rest) = rest.split_first().ok_or(StoredError::Malformed)?;
        let order = u64::from_le_bytes(read_array(&mut rest).ok_or(StoredError::Malformed)?);
        let timestamp = i64::from_le_bytes(read_array(&mut rest).ok_or(StoredError::Malformed)?);
        let topic = read_text(&mut rest).ok_or(StoredError::Malformed)?;
        let key = read_bytes(&mut rest).ok_or(StoredError::Malformed)?;
        let count = read_length(&mut rest).ok_or(StoredError::Malformed)?;
        let headers = (0..count)
            .map(|_| Some((read_text(&mut rest)?.into(), Cow::Borrowed(read_bytes(&mut rest)?))))
            .collect::<Option<Vec<_>>>()
            .ok_or(malformed)?;
        Ok(Self {
            order,
            topic,
            key: (flags & HAS_KEY != 0).then_some(key),
            value: (flags & HAS_VALUE != 0).then_some(rest),
            headers: Cow::Owned(headers),
            timestamp,
        })
    }
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    // Nothing here comes near 4 GB: MQTT's packets end at 256 MB.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn read_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*array)
}

fn read_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(read_array(rest)?)).ok()
}

fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = read_length(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn read_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(read_bytes(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>() -> Stored<'a> {
        Stored {
            order: 1 << 45,
            topic: "t",
            key: Some(b""),
            value: Some(b"v\xff"),
            headers: vec![("h".into(), Cow::Borrowed(&b"1"[..])), ("h".into(), Cow::Borrowed(&b""[..]))].into(),
            timestamp: -1,
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let bytes = record().to_bytes();
        assert_eq!(Stored::read(&bytes), Ok(record()));
        let bare = Stored { key: None, value: None, headers: Vec::new().into(), ..record() };
        let bytes = bare.to_bytes();
        assert_eq!(Stored::read(&bytes), Ok(bare));
    }

    #[test]
    fn what_is_no_record_is_told() {
        let mut bytes = record().to_bytes();
        assert_eq!(Stored::read(&[]), Err(StoredError::Malformed));
        for end in 1..bytes.len() - 2 {
            assert_eq!(Stored::read(&bytes[..end]), Err(StoredError::Malformed), "{end}");
        }
        bytes[0] = 9;
        assert_eq!(Stored::read(&bytes), Err(StoredError::Version(9)));
    }
}
