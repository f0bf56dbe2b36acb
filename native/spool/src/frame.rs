//! The bytes on disk: a segment's header, and the frame around each record. All numbers are little-endian.
//!
//! ```text
//! header (64 bytes)  magic 8 | version u32 | 0 u32 | epoch u64 | first u64 | follows u64 | created u64 | 0 12 | crc u32
//! frame              length u32 | crc u32 | epoch u64 | sequence u64 | payload
//! ```
//!
//! The epoch is a random number, new for each use of a segment. A frame counts only where it bears the header's: what an
//! earlier use left in a recycled segment never does. (A counter would not serve: after a power loss its last values may be
//! handed out again.)

use crc32c::{crc32c, crc32c_append};

/// The version that is written, and the only one read.
pub(crate) const VERSION: u32 = 1;
/// No version has this number: what was to follow the magic was never written, or cut off.
pub(crate) const NO_VERSION: u32 = 0;
/// Bytes of a segment's header.
pub(crate) const HEADER: usize = 64;
/// Bytes of a frame before the payload.
pub(crate) const FRAME: usize = 24;

const MAGIC: [u8; 8] = *b"EMQKSPL\n";

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub epoch: u64,
    /// The sequence number of its first record.
    pub first: u64,
    /// The last sequence number that counts in the segments before it. Numbers between that and `first` were lost while
    /// the spool was open, and told then.
    pub follows: u64,
    /// Unix time in ms.
    pub created: u64,
}

/// Why a header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Version(u32),
    Damaged,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for number in [self.epoch, self.first, self.follows, self.created] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.resize(HEADER - 4, 0);
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut header = [0; HEADER];
        header.copy_from_slice(&bytes);
        header
    }

    pub fn decode(bytes: &[u8; HEADER]) -> Result<Self, BadHeader> {
        Self::fields(bytes).unwrap_or(Err(BadHeader::Damaged))
    }

    fn fields(bytes: &[u8; HEADER]) -> Option<Result<Self, BadHeader>> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let mut rest = body;
        if take::<8>(&mut rest)? != MAGIC {
            return None;
        }
        // Before the CRC: where that is in a later version is not known.
        let version = take_u32(&mut rest)?;
        if version == NO_VERSION {
            return None;
        }
        if version != VERSION {
            return Some(Err(BadHeader::Version(version)));
        }
        take_u32(&mut rest)?;
        let header = Self {
            epoch: take_u64(&mut rest)?,
            first: take_u64(&mut rest)?,
            follows: take_u64(&mut rest)?,
            created: take_u64(&mut rest)?,
        };
        (crc32c(body) == u32::from_le_bytes(*crc) && header.follows < header.first).then_some(Ok(header))
    }
}

pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

pub(crate) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).map(u32::from_le_bytes)
}

pub(crate) fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

/// Adds a frame to `buffer`. Epoch and CRC come later, from [`seal`]: which segment it goes to is not known yet.
pub(crate) fn push(buffer: &mut Vec<u8>, sequence: u64, length: u32, parts: &[&[u8]]) {
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&[0; 12]);
    buffer.extend_from_slice(&sequence.to_le_bytes());
    for part in parts {
        buffer.extend_from_slice(part);
    }
}

/// A frame's own numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub length: usize,
    crc: u32,
    pub epoch: u64,
    pub sequence: u64,
}

impl Head {
    pub fn of(mut bytes: &[u8]) -> Option<Self> {
        Some(Self {
            length: take_u32(&mut bytes)? as usize,
            crc: take_u32(&mut bytes)?,
            epoch: take_u64(&mut bytes)?,
            sequence: take_u64(&mut bytes)?,
        })
    }
}

/// Sealed and written at once, unless one record is larger: what is still in the processor's cache.
const CHUNK: usize = 256 * 1024;

/// The first of `frames`, as many as fit into `room` and a chunk, are given their epoch and CRC. The answer is how many
/// bytes they are and the last one's sequence number; `None` when not even one fits into `room`.
pub(crate) fn seal(frames: &mut [u8], epoch: u64, room: u64) -> Option<(usize, u64)> {
    let mut rest = frames;
    let mut sealed = None;
    let mut total = 0;
    while let Some(head) = Head::of(rest) {
        let Some((frame, behind)) = rest.split_at_mut_checked(FRAME + head.length) else { break };
        if (total + frame.len()) as u64 > room || (total > 0 && total + frame.len() > CHUNK) {
            break;
        }
        if let Some((length, tail)) = frame.split_first_chunk_mut::<4>()
            && let Some((crc, body)) = tail.split_first_chunk_mut::<4>()
        {
            if let Some(field) = body.first_chunk_mut::<8>() {
                *field = epoch.to_le_bytes();
            }
            *crc = crc32c_append(crc32c(length), body).to_le_bytes();
        }
        total += frame.len();
        sealed = Some((total, head.sequence));
        rest = behind;
    }
    sealed
}

/// What the bytes at some place of a segment are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole record of this many bytes, its frame included.
    Record(usize),
    /// The beginning of one of this many bytes, as it seems.
    Short(usize),
    /// Not the record that was looked for.
    Other,
}

/// Is the record numbered `sequence` there?
pub(crate) fn find(bytes: &[u8], epoch: u64, sequence: u64) -> Found {
    let Some(head) = Head::of(bytes) else { return Found::Short(FRAME) };
    if head.epoch != epoch || head.sequence != sequence {
        return Found::Other;
    }
    let size = FRAME + head.length;
    match (bytes.get(..4), bytes.get(8..size)) {
        (Some(length), Some(body)) if crc32c_append(crc32c(length), body) == head.crc => Found::Record(size),
        (_, Some(_)) => Found::Other,
        (_, None) => Found::Short(size),
    }
}

/// Where the next frame of this epoch may begin, after the first byte. Its own CRC has to tell.
pub(crate) fn next_candidate(bytes: &[u8], epoch: u64) -> Option<usize> {
    let epoch = epoch.to_le_bytes();
    bytes.get(9..)?.windows(8).position(|window| *window == epoch).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(first: u64, payloads: &[&[u8]], epoch: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (sequence, payload) in (first..).zip(payloads) {
            push(&mut bytes, sequence, u32::try_from(payload.len()).unwrap(), &[payload]);
        }
        seal(&mut bytes, epoch, u64::MAX);
        bytes
    }

    #[test]
    fn a_record_counts_only_whole_in_its_epoch_and_its_turn() {
        let bytes = frames(7, &[b"hello", b""], 99);
        assert_eq!(find(&bytes, 99, 7), Found::Record(29));
        assert_eq!(find(&bytes[29..], 99, 8), Found::Record(24));
        assert_eq!(find(&bytes, 98, 7), Found::Other);
        assert_eq!(find(&bytes, 99, 8), Found::Other);
        assert_eq!(find(&bytes[..28], 99, 7), Found::Short(29));
        assert_eq!(find(&bytes[..23], 99, 7), Found::Short(24));
        for bit in 0..29 * 8 {
            let mut flipped = bytes[..29].to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(find(&flipped, 99, 7), Found::Record(_)), "bit {bit}");
        }
    }

    #[test]
    fn seals_as_many_as_fit() {
        let mut bytes = frames(1, &[b"aaaa", b"bbbb", b"cccc"], 1);
        assert_eq!(seal(&mut bytes, 2, 27), None);
        assert_eq!(seal(&mut bytes, 2, 28), Some((28, 1)));
        assert_eq!(seal(&mut bytes, 2, 83), Some((56, 2)));
        assert_eq!(find(&bytes[28..], 2, 2), Found::Record(28));
        assert_eq!(find(&bytes[56..], 1, 3), Found::Record(28));
    }

    #[test]
    fn a_header_is_whole_or_damaged_and_a_later_version_is_neither() {
        let header = Header { epoch: 1, first: 3, follows: 2, created: 4 };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..HEADER * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit.checked_sub(64).filter(|bit| *bit < 32).map(|bit| VERSION ^ (1 << bit)) {
                None | Some(NO_VERSION) => BadHeader::Damaged,
                Some(version) => BadHeader::Version(version),
            };
            assert_eq!(Header::decode(&flipped), Err(expected), "bit {bit}");
        }
    }

    #[test]
    fn a_header_that_was_cut_off_anywhere_is_damaged() {
        let whole = Header { epoch: 1, first: 3, follows: 2, created: 4 }.encode();
        for length in 0..HEADER {
            let mut cut = [0; HEADER];
            cut[..length].copy_from_slice(&whole[..length]);
            assert_eq!(Header::decode(&cut), Err(BadHeader::Damaged), "{length} bytes are left");
        }
    }

    #[test]
    fn finds_the_next_frame_behind_damage() {
        let mut bytes = frames(1, &[b"first", b"second"], 0x1234_5678_9abc_def0);
        assert_eq!(next_candidate(&bytes, 0x1234_5678_9abc_def0), Some(29));
        bytes.insert(0, 0);
        assert_eq!(next_candidate(&bytes, 0x1234_5678_9abc_def0), Some(1));
        assert_eq!(next_candidate(&bytes, 0x1234_5678_9abc_def1), None);
        assert_eq!(next_candidate(&[], 1), None);
    }
}
