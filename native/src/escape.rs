//! The escaping of JSON strings, the largest part of a record's cost.
//!
//! Our own, because what devices send is JSON itself, with a quote in every few bytes, and vectorised escapers begin anew after
//! each (`cargo bench --bench stages -- escape` compares). Here a block without any is copied as it is, and so is each word
//! of the others that has none; in the rest each byte costs the same, escaped or not, and no branch is guessed wrong.

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
    let mut rest = text.as_bytes();
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

/// Eight bytes at once: a shuffle puts a backslash before each quote and backslash. Every x86-64 processor since 2006 can do it.
#[cfg(target_arch = "x86_64")]
mod shuffle {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
    };

    use super::{WORD, escape_word};

    /// Where in the vector of a word and of as many backslashes the second half begins.
    const BACKSLASH: u8 = 8;

    /// For each set of bytes that need a backslash, what the shuffle takes from where.
    static SHUFFLES: [[u8; 2 * WORD]; 256] = shuffles();

    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
    const fn shuffles() -> [[u8; 2 * WORD]; 256] {
        let mut shuffles = [[0; 2 * WORD]; 256];
        let mut set = 0;
        while set < 256 {
            let (mut from, mut to) = (0, 0);
            while from < BACKSLASH {
                if set & (1 << from) != 0 {
                    shuffles[set][to] = BACKSLASH;
                    to += 1;
                }
                shuffles[set][to] = from;
                to += 1;
                from += 1;
            }
            set += 1;
        }
        shuffles
    }

    /// See `super::escape_words`.
    ///
    /// # Safety
    ///
    /// As there.
    #[target_feature(enable = "ssse3")]
    pub unsafe fn escape_words(words: &[[u8; WORD]], mut end: *mut u8) -> *mut u8 {
        let each = |byte: u8| _mm_set1_epi8(byte.cast_signed());
        let (quote, backslash, last_control) = (each(b'"'), each(b'\\'), each(0x1f));
        for word in words {
            let text = u64::from_le_bytes(*word);
            let bytes = _mm_set_epi64x(i64::from_ne_bytes([b'\\'; WORD]), text.cast_signed());
            let controls = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes));
            if controls != 0 {
                // SAFETY: the caller's.
                end = unsafe { escape_word(text, WORD, end) };
                continue;
            }
            let special = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
            // Of the word alone: the backslashes behind it are special, too.
            let [set, ..] = _mm_movemask_epi8(special).to_le_bytes();
            #[allow(clippy::indexing_slicing, reason = "256 entries for 256 sets")]
            let shuffle = &SHUFFLES[usize::from(set)];
            // SAFETY: 16 bytes are read from an array of 16, and 16 written, for which there is room; neither asks for alignment.
            #[allow(clippy::cast_ptr_alignment, reason = "both are the unaligned ones")]
            unsafe {
                let shuffle = _mm_loadu_si128(shuffle.as_ptr().cast::<__m128i>());
                _mm_storeu_si128(end.cast::<__m128i>(), _mm_shuffle_epi8(bytes, shuffle));
                end = end.add(WORD + set.count_ones() as usize);
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape_into(text, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn every_character_of_one_and_two_bytes_is_escaped_as_serde_json_does() {
        for c in (0..0x800).filter_map(char::from_u32) {
            assert_eq!(format!("\"{}\"", escaped(&c.to_string())), serde_json::to_string(&c).expect("JSON"));
        }
    }

    #[test]
    fn an_escape_anywhere_in_a_block_is_found() {
        for length in 0..100 {
            for place in 0..length {
                for c in ['"', '\\', '\n', '\u{1}', '\u{e9}'] {
                    let mut text = "x".repeat(length);
                    text.insert(place, c);
                    assert_eq!(format!("\"{}\"", escaped(&text)), serde_json::to_string(&text).expect("JSON"));
                }
            }
        }
    }

    #[test]
    fn every_processor_escapes_alike() {
        let mut state = 1_u64;
        for _ in 0..10_000 {
            // Mostly quotes, backslashes, control characters and letters, in any order.
            let word: [u8; WORD] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                [b'"', b'\\', b'\n', 0x1f, b' ', b'x', 0xc3, 0x7f][(state >> 61) as usize]
            });
            let words = [word, word];
            let mut results = [Vec::with_capacity(200), Vec::with_capacity(200)];
            // SAFETY: 200 bytes are room for six each of 16, and for two words; what is below the end was written.
            unsafe {
                let [one, other] = &mut results;
                let end = escape_words(&words, one.as_mut_ptr());
                one.set_len(end.offset_from_unsigned(one.as_ptr()));
                let end = escape_words_one_by_one(&words, other.as_mut_ptr());
                other.set_len(end.offset_from_unsigned(other.as_ptr()));
            }
            assert_eq!(results[0], results[1]);
        }
    }

    #[test]
    fn a_string_of_the_longest_escapes_has_room() {
        for length in 0..200 {
            let text = "\u{1f}".repeat(length);
            assert_eq!(escaped(&text), "\\u001f".repeat(length));
        }
    }
}
