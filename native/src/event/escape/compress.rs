//! Thirty-two bytes at once: a backslash is put before each, and those that are not needed are taken out again by one instruction
//! that newer servers have (AVX-512 VBMI2: Intel since 2019, AMD since 2022).

use std::arch::x86_64::{
    _mm256_cmpeq_epi8_mask, _mm256_mask_cmplt_epu8_mask, _mm256_maskz_loadu_epi8, _mm256_set1_epi8,
    _mm256_storeu_si256, _mm512_cvtepu8_epi16, _mm512_maskz_compress_epi8, _mm512_or_si512, _mm512_set1_epi16,
    _mm512_slli_epi16, _mm512_storeu_si512, _pdep_u64,
};

use super::BLOCK;

/// Of the pairs of a backslash and a byte, the places of the backslashes and those of the bytes.
const BACKSLASHES: u64 = 0x5555_5555_5555_5555;
const BYTES: u64 = !BACKSLASHES;

/// What is written for each block.
const WRITTEN: usize = 2 * BLOCK;

/// How much text there is room made for at once.
const STRIDE: usize = 32 * BLOCK;

/// Whether this processor can.
pub fn is_supported() -> bool {
    std::arch::is_x86_feature_detected!("avx512vbmi2")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("bmi2")
}

/// See `super::escape_into`.
///
/// # Safety
///
/// The processor can, see `is_supported`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2")]
pub unsafe fn escape_into(text: &[u8], out: &mut Vec<u8>) {
    let each = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let (quote, backslash, first_plain) = (each(b'"'), each(b'\\'), each(0x20));
    for stride in text.chunks(STRIDE) {
        let mut end = room(out);
        for block in stride.chunks(BLOCK) {
            let these = u32::MAX >> (BLOCK - block.len());
            // SAFETY: only the bytes of the block are read; the others are zero.
            let bytes = unsafe { _mm256_maskz_loadu_epi8(these, block.as_ptr().cast()) };
            if _mm256_mask_cmplt_epu8_mask(these, bytes, first_plain) != 0 {
                // SAFETY: as below.
                unsafe { out.set_len(end.offset_from_unsigned(out.as_ptr())) };
                super::escape(block, out);
                end = room(out);
                continue;
            }
            let special = _mm256_cmpeq_epi8_mask(bytes, quote) | _mm256_cmpeq_epi8_mask(bytes, backslash);
            // SAFETY: since `room`, at most a stride was written, twice as long as it was, and there is room for a write more. What
            // is below `end` was written: of a write, what is kept, two bytes at most for each of the block.
            unsafe {
                if special == 0 {
                    _mm256_storeu_si256(end.cast(), bytes);
                } else {
                    let pairs = _mm512_or_si512(
                        _mm512_slli_epi16::<8>(_mm512_cvtepu8_epi16(bytes)),
                        _mm512_set1_epi16(i16::from(b'\\')),
                    );
                    let used = u64::MAX >> (WRITTEN - 2 * block.len());
                    let kept = (_pdep_u64(special.into(), BACKSLASHES) | BYTES) & used;
                    _mm512_storeu_si512(end.cast(), _mm512_maskz_compress_epi8(kept, pairs));
                }
                end = end.add(block.len() + special.count_ones() as usize);
            }
        }
        // SAFETY: as above.
        unsafe { out.set_len(end.offset_from_unsigned(out.as_ptr())) };
    }
}

/// The end of a vector that has room for a stride.
fn room(out: &mut Vec<u8>) -> *mut u8 {
    out.reserve(2 * STRIDE + WRITTEN);
    out.spare_capacity_mut().as_mut_ptr().cast()
}
