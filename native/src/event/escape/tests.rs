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

#[cfg(target_arch = "x86_64")]
#[test]
fn texts_of_any_length_are_compressed_as_they_are_shuffled() {
    if !compress::is_supported() {
        eprintln!("not tried: this processor has no AVX-512 VBMI2");
        return;
    }
    let mut state = 7_u64;
    for length in (0..200).chain(0..200).chain(0..200) {
        let text: String = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Control characters are rare, so that there are blocks without.
                ['"', '\\', 'x', ' ', '\u{e9}', '\u{7f}', 'y', if state & (0x1f << 32) == 0 { '\n' } else { 'z' }]
                    [(state >> 61) as usize]
            })
            .collect();
        let (mut one, mut other) = (b"kept".to_vec(), b"kept".to_vec());
        // SAFETY: the processor has what it needs.
        unsafe { compress::escape_into(text.as_bytes(), &mut one) };
        escape_blocks(text.as_bytes(), &mut other);
        assert_eq!(one, other, "{text:?}");
    }
}

#[test]
fn a_string_of_the_longest_escapes_has_room() {
    for length in 0..200 {
        let text = "\u{1f}".repeat(length);
        assert_eq!(escaped(&text), "\\u001f".repeat(length));
    }
}
