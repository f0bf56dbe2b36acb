//! What has been acknowledged: a watermark, and a bitmap of what was acknowledged beyond it.
//!
//! The file holds four slots, each with generation and CRC; the newest whole one counts. Two take turns at each call of
//! `ack`, without fsync: that survives the death of the process. Two others take turns at checkpoints, which are synced: a
//! power loss may tear both of the first two, but never both of these, and a segment is freed only after a checkpoint.
//!
//! Behind them is the number of the last record that is on disk, written after each fdatasync and never synced itself: it
//! is never too high, and after the death of a process it is exact. So records that vanish from the end are missed too.
//!
//! At most [`WORDS`] words of the bitmap are written, 524,288 records beyond the watermark. What was acknowledged beyond
//! that is known in memory only: after a crash it is read again, which means duplicates and nothing else.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use crc32c::crc32c;

use crate::error::OpenError;
use crate::frame::{NO_VERSION, VERSION, take, take_u32, take_u64};
use crate::segment::{no_space, read_up_to};

const MAGIC: [u8; 8] = *b"EMQKACK\n";
const HEAD: usize = 56;
const WORDS: usize = 8192;
/// A whole number of pages.
const SLOT: u64 = 68 * 1024;
const SIZE: u64 = 4 * SLOT + 16;

/// The acknowledgements, in memory and in their file.
pub(crate) struct Acks {
    file: Arc<File>,
    generation: u64,
    /// The slot of the newest checkpoint: the next one goes to the other.
    checkpoint: u64,
    /// Everything up to here is acknowledged, lost and told, or was never there.
    watermark: u64,
    /// Bit n of word w is sequence number (base + w) * 64 + n.
    words: VecDeque<u64>,
    base: u64,
    /// Bits set beyond the watermark.
    beyond: u64,
    highest: u64,
    closed: bool,
    buffer: Vec<u8>,
}

impl Acks {
    /// Notes that the records up to `sequence` are on disk.
    pub fn note_durable(file: &File, sequence: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        let (number, crc) = bytes.split_at_mut(8);
        number.copy_from_slice(&sequence.to_le_bytes());
        crc.copy_from_slice(&u64::from(crc32c(number)).to_le_bytes());
        file.write_all_at(&bytes, 4 * SLOT)
    }

    /// What was noted, 0 if nothing readable.
    pub fn noted_durable(&self) -> u64 {
        let mut bytes = [0; 16];
        let (number, crc) = match read_up_to(&self.file, &mut bytes, 4 * SLOT) {
            Ok(16) => bytes.split_at(8),
            _ => return 0,
        };
        if crc != u64::from(crc32c(number)).to_le_bytes() {
            return 0;
        }
        take_u64(&mut &*number).unwrap_or(0)
    }

    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Opens or makes the file. `false` beside it: the file is new or no slot of it is whole, so nothing is known.
    pub fn open(path: &Path) -> Result<(Self, bool), OpenError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(OpenError::at(path))?;
        let mut best: Option<Self> = None;
        let mut checkpoint = (0, 2);
        let file = Arc::new(file);
        for slot in 0..4 {
            let mut bytes = vec![0; HEAD + 8 * WORDS];
            let length = read_up_to(&file, &mut bytes, slot * SLOT).map_err(OpenError::at(path))?;
            bytes.truncate(length);
            match Self::decode(&bytes, &file) {
                Some(Err(version)) => return Err(OpenError::Version { path: path.into(), version, ours: VERSION }),
                Some(Ok(acks)) => {
                    if slot >= 2 {
                        checkpoint = checkpoint.max((acks.generation, slot));
                    }
                    if best.as_ref().is_none_or(|best| best.generation < acks.generation) {
                        best = Some(acks);
                    }
                }
                None => {}
            }
        }
        let known = best.is_some();
        let length = file.metadata().map_err(OpenError::at(path))?.len();
        // Room that is taken now: a full disk must not keep records from being acknowledged, which empties it.
        let zeros = vec![0; usize::try_from(SIZE.saturating_sub(length)).unwrap_or(0)];
        match file.write_all_at(&zeros, length) {
            Err(error) if !no_space(&error) => return Err(OpenError::at(path)(error)),
            _ => {}
        }
        let acks = best.unwrap_or_else(|| Self::starting_at(file, 0));
        Ok((Self { checkpoint: checkpoint.1, ..acks }, known))
    }

    fn starting_at(file: Arc<File>, watermark: u64) -> Self {
        Self {
            file,
            generation: 0,
            checkpoint: 2,
            watermark,
            words: VecDeque::new(),
            base: watermark / 64,
            beyond: 0,
            highest: watermark,
            closed: false,
            buffer: Vec::new(),
        }
    }

    fn decode(mut bytes: &[u8], file: &Arc<File>) -> Option<Result<Self, u32>> {
        if take::<8>(&mut bytes)? != MAGIC {
            return None;
        }
        let version = take_u32(&mut bytes)?;
        if version == NO_VERSION {
            return None;
        }
        if version != VERSION {
            return Some(Err(version));
        }
        let crc = take_u32(&mut bytes)?;
        let body = bytes;
        let generation = take_u64(&mut bytes)?;
        let watermark = take_u64(&mut bytes)?;
        let highest = take_u64(&mut bytes)?;
        let base = take_u64(&mut bytes)?;
        let count = usize::try_from(take_u64(&mut bytes)?).ok().filter(|count| *count <= WORDS)?;
        if crc32c(body.get(..HEAD - 16 + 8 * count)?) != crc {
            return None;
        }
        let mut acks = Self::starting_at(Arc::clone(file), watermark);
        (acks.generation, acks.highest, acks.base) = (generation, highest, base);
        for _ in 0..count {
            acks.words.push_back(take_u64(&mut bytes)?);
        }
        let passed = (watermark + 1).saturating_sub(base * 64).min(63);
        acks.beyond = acks.words.iter().map(|word| u64::from(word.count_ones())).sum();
        acks.beyond -= acks.words.front().map_or(0, |word| u64::from((word & (bit(passed) - 1)).count_ones()));
        Some(Ok(acks))
    }

    pub const fn watermark(&self) -> u64 {
        self.watermark
    }

    /// The highest number ever acknowledged: no new record may get it.
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// How many are acknowledged beyond the watermark.
    pub const fn beyond(&self) -> u64 {
        self.beyond
    }

    pub fn contains(&self, sequence: u64) -> bool {
        sequence <= self.watermark
            || self
                .index(sequence)
                .and_then(|index| self.words.get(index))
                .is_some_and(|word| word & bit(sequence) != 0)
    }

    fn index(&self, sequence: u64) -> Option<usize> {
        (sequence / 64).checked_sub(self.base).and_then(|index| usize::try_from(index).ok())
    }

    /// Takes everything up to `watermark` as done: where nothing was known, a spool begins with what it finds.
    pub fn begin_at(&mut self, watermark: u64) {
        (self.watermark, self.highest, self.beyond) = (watermark, self.highest.max(watermark), 0);
        self.words.clear();
    }

    /// True when it was not acknowledged before.
    pub fn set(&mut self, sequence: u64) -> bool {
        if self.contains(sequence) {
            return false;
        }
        if self.words.is_empty() {
            self.base = (self.watermark + 1) / 64;
        }
        let Some(index) = self.index(sequence) else { return false };
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        let Some(word) = self.words.get_mut(index) else { return false };
        *word |= bit(sequence);
        self.beyond += 1;
        self.highest = self.highest.max(sequence);
        self.advance();
        true
    }

    /// Acknowledges what will never be read, and says how many of them had not been acknowledged. A range may be long.
    pub fn set_all(&mut self, from: u64, to: u64) -> u64 {
        if self.beyond == 0 && from <= self.watermark + 1 {
            let news = to.saturating_sub(self.watermark);
            self.watermark = self.watermark.max(to);
            self.highest = self.highest.max(to);
            self.words.clear();
            return news;
        }
        (from..=to).map(|sequence| u64::from(self.set(sequence))).sum()
    }

    fn advance(&mut self) {
        while let Some(word) = self.words.front() {
            let next = self.watermark + 1;
            let start = self.base * 64;
            // Bits at or below the watermark may be unset in its own word.
            let offset = next.saturating_sub(start);
            let run = u64::from((word >> offset).trailing_ones());
            self.watermark += run;
            self.beyond -= run;
            if offset + run < 64 {
                return;
            }
            self.words.pop_front();
            self.base += 1;
        }
    }

    /// Writes the state into the slots of `ack`.
    pub fn persist(&mut self) -> io::Result<()> {
        self.generation += 1;
        self.write(self.generation % 2)
    }

    /// Writes the state into a slot of its own; the caller syncs the file that this returns.
    pub fn checkpoint(&mut self) -> io::Result<Arc<File>> {
        self.generation += 1;
        self.checkpoint = 5 - self.checkpoint;
        self.write(self.checkpoint)?;
        Ok(Arc::clone(&self.file))
    }

    fn write(&mut self, slot: u64) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let count = self.words.len().min(WORDS);
        let body = &mut self.buffer;
        body.clear();
        body.extend_from_slice(&MAGIC);
        body.extend_from_slice(&VERSION.to_le_bytes());
        body.extend_from_slice(&[0; 4]);
        for number in [self.generation, self.watermark, self.highest, self.base, count as u64] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        for word in self.words.iter().take(count) {
            body.extend_from_slice(&word.to_le_bytes());
        }
        let crc = crc32c(body.get(16..).unwrap_or_default());
        if let Some(field) = body.get_mut(12..16) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        self.file.write_all_at(body, slot * SLOT)
    }

    /// After this nothing is written: the directory may belong to another process.
    pub fn close(&mut self) {
        self.closed = true;
    }
}

const fn bit(sequence: u64) -> u64 {
    1 << (sequence % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    fn file(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("emq-kafka-spool-ack-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(u64),
        SetAll(u64, u64),
        Reopen,
        Checkpoint,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (1..400_u64).prop_map(Step::Set),
            1 => (1..400_u64, 0..100_u64).prop_map(|(from, length)| Step::SetAll(from, from + length)),
            1 => Just(Step::Reopen),
            1 => Just(Step::Checkpoint),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(50) })]

        #[test]
        fn are_a_set_in_memory_and_on_disk(steps in steps()) {
            let path = file("model");
            let mut acks = Acks::open(&path).unwrap().0;
            let mut model = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Set(sequence) => assert_eq!(acks.set(sequence), model.insert(sequence)),
                    Step::SetAll(from, to) => {
                        let news = (from..=to).filter(|sequence| model.insert(*sequence)).count();
                        assert_eq!(acks.set_all(from, to), news as u64);
                    }
                    Step::Reopen => {
                        acks.persist().unwrap();
                        let (again, known) = Acks::open(&path).unwrap();
                        assert!(known);
                        acks = again;
                    }
                    Step::Checkpoint => drop(acks.checkpoint().unwrap()),
                }
                let watermark = (1..600).take_while(|sequence| model.contains(sequence)).last().unwrap_or(0);
                assert_eq!(acks.watermark(), watermark);
                assert_eq!(acks.beyond(), model.len() as u64 - watermark);
                assert_eq!(acks.highest(), model.last().copied().unwrap_or(0));
                assert!((1..600).all(|sequence| acks.contains(sequence) == model.contains(&sequence)));
            }
        }
    }

    #[test]
    fn a_torn_slot_costs_no_more_than_what_it_added() {
        let path = file("torn");
        let mut acks = Acks::open(&path).unwrap().0;
        for sequence in 1..=6 {
            acks.set(sequence);
            acks.persist().unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for slot in 0..2 {
            let mut torn = whole.clone();
            torn[slot * 68 * 1024 + 30] ^= 1;
            std::fs::write(&path, torn).unwrap();
            let (acks, known) = Acks::open(&path).unwrap();
            assert!(known);
            assert!(acks.watermark() >= 5, "{}", acks.watermark());
        }
    }

    #[test]
    fn both_slots_of_a_power_loss_torn_leave_the_checkpoint() {
        let path = file("checkpoint");
        let mut acks = Acks::open(&path).unwrap().0;
        for sequence in 1..=100 {
            acks.set(sequence);
            acks.persist().unwrap();
            if sequence % 25 == 0 {
                acks.checkpoint().unwrap();
            }
            // The newest checkpoint may be torn too: it is synced before anything is freed.
            let mut torn = std::fs::read(&path).unwrap();
            for slot in [0, 1, acks.checkpoint] {
                torn[usize::try_from(slot * SLOT).unwrap() + 30] ^= 1;
            }
            let copy = file("checkpoint-torn");
            std::fs::write(&copy, torn).unwrap();
            let (found, known) = Acks::open(&copy).unwrap();
            assert_eq!(known, sequence >= 50);
            assert_eq!(found.watermark(), (sequence / 25 * 25).saturating_sub(25));
        }
    }

    #[test]
    fn what_is_too_far_beyond_the_watermark_is_known_until_the_restart() {
        let path = file("bound");
        let mut acks = Acks::open(&path).unwrap().0;
        let far = WORDS as u64 * 64 + 1000;
        acks.set(2);
        acks.set(far);
        assert!(acks.contains(far));
        acks.persist().unwrap();
        let acks = Acks::open(&path).unwrap().0;
        assert!(acks.contains(2) && !acks.contains(far));
        assert_eq!(acks.highest(), far);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), SIZE);
    }
}
