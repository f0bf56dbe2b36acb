//! Eight bytes at once: a shuffle puts a backslash before each quote and backslash. Every x86-64 processor since 2006 can do it.

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
