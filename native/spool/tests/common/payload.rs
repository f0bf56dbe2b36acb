//! Records that prove to be what was written.

/// Record number `number`: the number, and 0 to 299 bytes that follow from it.
pub fn payload(number: u64) -> Vec<u8> {
    let mut random = Random(number);
    let length = random.below(300);
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|_| random.next().to_le_bytes()[0]));
    bytes
}

/// The number of a record; `None` if it is none that `payload` makes.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*bytes.first_chunk()?);
    (payload(number) == bytes).then_some(number)
}

/// `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
