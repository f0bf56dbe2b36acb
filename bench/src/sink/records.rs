//! How many records there are in what a producer sends, without a look into them.

use super::error;
use super::wire::Reader;

/// Before the magic byte, in all formats: an offset, a length, and a leader's epoch or a checksum.
const BEFORE_MAGIC: usize = 16;

/// Of a batch of format 2, between its magic byte and its number of records.
const MAGIC_TO_COUNT: usize = 40;

/// An offset and a length; the length counts what is behind it.
const BEFORE_LENGTH: usize = 8;

/// The bits of a message's attributes that name a compression.
const COMPRESSION: i8 = 0x07;

/// The number of records in the batches (format 2) and messages (formats 0 and 1). An error is Kafka's number of it.
pub fn count(records: &[u8]) -> Result<i64, i16> {
    let mut rest = Reader(records);
    let mut count = 0;
    while !rest.0.is_empty() {
        let magic = rest.0.get(BEFORE_MAGIC).copied().ok_or(error::CORRUPT_MESSAGE)?;
        let mut batch = next(&mut rest).ok_or(error::CORRUPT_MESSAGE)?;
        count += match magic {
            2 => batch_count(&mut batch).filter(|count| *count >= 0).ok_or(error::CORRUPT_MESSAGE)?,
            0 | 1 => message(&mut batch)?,
            _ => return Err(error::CORRUPT_MESSAGE),
        };
    }
    Ok(count)
}

/// A batch or a message, from its magic byte on.
fn next<'a>(rest: &mut Reader<'a>) -> Option<Reader<'a>> {
    rest.take(BEFORE_LENGTH).ok()?;
    let length = usize::try_from(rest.i32().ok()?).ok()?;
    let mut batch = Reader(rest.take(length).ok()?);
    batch.take(BEFORE_MAGIC - BEFORE_LENGTH - size_of::<i32>()).ok()?;
    Some(batch)
}

fn batch_count(batch: &mut Reader<'_>) -> Option<i64> {
    batch.take(MAGIC_TO_COUNT + 1).ok()?;
    batch.i32().ok().map(i64::from)
}

/// One; a compressed one holds others, and only decompressing would tell how many.
fn message(message: &mut Reader<'_>) -> Result<i64, i16> {
    let attributes = message.take(1).and_then(|_| message.i8()).map_err(|_| error::CORRUPT_MESSAGE)?;
    if attributes & COMPRESSION == 0 { Ok(1) } else { Err(error::UNSUPPORTED_COMPRESSION_TYPE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of format 2 that says it has so many records.
    fn batch(count: i32) -> Vec<u8> {
        let mut bytes = vec![0; 61];
        bytes[8..12].copy_from_slice(&49_i32.to_be_bytes());
        bytes[16] = 2;
        bytes[57..].copy_from_slice(&count.to_be_bytes());
        bytes
    }

    /// A message of format 0 or 1.
    fn message(magic: u8, attributes: u8) -> Vec<u8> {
        let body = [0, 0, 0, 0, magic, attributes, 1, 2, 3];
        [&[0; 8][..], &9_i32.to_be_bytes(), &body].concat()
    }

    #[test]
    fn batches_and_messages_are_counted() {
        assert_eq!(count(&[]), Ok(0));
        assert_eq!(count(&[batch(7), batch(3)].concat()), Ok(10));
        assert_eq!(count(&[message(0, 0), message(1, 8)].concat()), Ok(2));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert_eq!(count(&batch(-1)), Err(error::CORRUPT_MESSAGE));
        assert_eq!(count(&batch(7)[..60]), Err(error::CORRUPT_MESSAGE));
        assert_eq!(count(&[batch(7), vec![0; 5]].concat()), Err(error::CORRUPT_MESSAGE));
        assert_eq!(count(&message(3, 0)), Err(error::CORRUPT_MESSAGE));
        assert_eq!(count(&message(0, 2)), Err(error::UNSUPPORTED_COMPRESSION_TYPE));
        let mut endless = message(0, 0);
        endless[8] = 0x80;
        assert_eq!(count(&endless), Err(error::CORRUPT_MESSAGE));
    }
}
