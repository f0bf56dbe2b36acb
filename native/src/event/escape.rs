//! The escaping of JSON strings, the largest part of a record's cost.
//!
//! Our own, because what devices send is JSON itself, with a quote in every few bytes, and vectorised escapers begin anew after
//! each (`cargo bench --bench stages -- escape` compares). Here a block without any is copied as it is, and so is each word
//! of the others that has none; in the rest each byte costs the same, escaped or not, and no branch is guessed wrong.

#[cfg(target_arch = "x86_64")]
mod compress;
#[cfg(target_arch = "x86_64")]
mod shuffle;
#[cfg(test)]
mod tests;

/// Bytes that are copied together where none of them needs an escape.
const BLOCK: usize = 32;

/// Bytes that are looked at together otherwise.
const WORD: usize = size_of::<u64>();

/// The longest escape, `\u001f`.
const LONGEST: usize = 6;

/// What each byte becomes: up to six bytes, and in the last one how many.
static ESCAPED: [[u8; 8]; 256] = table();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const fn table() -> [[u8; 8]; 256] {
    let mut table = [[0; 8]; 256];
    let mut byte: u8 = 0;
    loop {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            _ => 0,
        };
        let digit = if byte & 0xf < 10 { b'0' + (byte & 0xf) } else { b'a' - 10 + (byte & 0xf) };
        table[byte as usize] = match (short, byte) {
            (0, 0..0x20) => [b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit, 0, 6],
            (0, _) => [byte, 0, 0, 0, 0, 0, 0, 1],
            _ => [b'\\', short, 0, 0, 0, 0, 0, 2],
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// Appends what stands between the quotes of a JSON string.
pub fn escape_into(text: &str, out: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if compress::is_supported() {
        // SAFETY: the processor has what it needs.
        return unsafe { compress::escape_into(text.as_bytes(), out) };
    }
    escape_blocks(text.as_bytes(), out);
}

/// The same without what only newer processors have.
fn escape_blocks(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
        if is_plain(block) {
            out.extend_from_slice(block);
        } else {
            escape(block, out);
        }
        rest = after;
    }
    escape(rest, out);
}

/// Whether nothing in it needs an escape. Without a branch, so that the compiler makes it a few vector instructions.
fn is_plain(block: &[u8; BLOCK]) -> bool {
    block
        .iter()
        .fold(0, |found, byte| found | u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\'))
        == 0
}

/// Of a block at most.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    // Each byte becomes LONGEST at most; what is written is always a whole word, or what one may become.
    out.reserve(bytes.len() * LONGEST + 2 * WORD);
    // SAFETY: `end` moves by LONGEST bytes at most for each byte of `bytes`, and each write is of two words at most: there is room
    // for that. Everything below `end` was written when the vector's length is set to it.
    unsafe {
        let mut end = out.as_mut_ptr().add(out.len());
        let (words, rest) = bytes.as_chunks::<WORD>();
        end = escape_words(words, end);
        if !rest.is_empty() {
            let mut last = [0; WORD];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            end = escape_word(u64::from_le_bytes(last), rest.len(), end);
        }
        out.set_len(end.offset_from_unsigned(out.as_ptr()));
    }
}

/// Writes words. Returns where they end.
///
/// # Safety
///
/// From `end` on there is room for LONGEST bytes for each byte of them, and two words more.
unsafe fn escape_words(words: &[[u8; WORD]], end: *mut u8) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has SSSE3; the room is as it asks.
        return unsafe { shuffle::escape_words(words, end) };
    }
    // SAFETY: the caller's.
    unsafe { escape_words_one_by_one(words, end) }
}

/// The same without what not every processor has.
///
/// # Safety
///
/// As above.
unsafe fn escape_words_one_by_one(words: &[[u8; WORD]], mut end: *mut u8) -> *mut u8 {
    for word in words {
        // SAFETY: each word takes LONGEST bytes for each of its bytes at most, so there is room for the next.
        end = unsafe { escape_word(u64::from_le_bytes(*word), WORD, end) };
    }
    end
}

/// Writes the first `length` bytes of a word, the first of which is its lowest. Returns where they end.
///
/// # Safety
///
/// From `end` on there is room for LONGEST bytes for each of them, and a word more.
#[inline]
unsafe fn escape_word(word: u64, length: usize, mut end: *mut u8) -> *mut u8 {
    // SAFETY: `end` moves by LONGEST bytes at most for each byte, and each write is of one word.
    unsafe {
        if specials(word) & (u64::MAX >> (8 * (WORD - length))) == 0 {
            end.cast::<[u8; WORD]>().write_unaligned(word.to_le_bytes());
            return end.add(length);
        }
        for byte in word.to_le_bytes().iter().take(length) {
            let escaped = escaped(*byte);
            end.cast::<[u8; WORD]>().write_unaligned(escaped);
            let [.., bytes] = escaped;
            end = end.add(usize::from(bytes));
        }
        end
    }
}

/// What a byte becomes.
#[allow(clippy::indexing_slicing, reason = "256 entries for 256 bytes")]
fn escaped(byte: u8) -> [u8; WORD] {
    ESCAPED[usize::from(byte)]
}

/// The highest bit of each byte that needs an escape.
const fn specials(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; WORD])
    }
    // The highest bit of each byte that is zero. No carry leaves a byte, so this is exact.
    const fn zeros(word: u64) -> u64 {
        !(((word & each(0x7f)) + each(0x7f)) | word | each(0x7f))
    }
    zeros(word & each(0xe0)) | zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\'))
}
