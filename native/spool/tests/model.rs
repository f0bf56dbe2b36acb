//! Random histories against a model: appends, acknowledgements in any order, restarts, and damage to the files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::payload::{Random, number, payload};
use common::{Told, drain, open, quick_temp_dir, read_all, segments};
use emq_kafka_spool::{AppendError, Config, OpenError, Spool};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(u16),
    /// Of what is not acknowledged, every so manyth.
    Ack(u8),
    /// All but the last few.
    AckMost(u8),
    Restart,
    /// Ends without close.
    Drop,
    Flip(u64),
    Truncate(u64),
    Delete(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..120_u16).prop_map(Step::Append),
        3 => (1..6_u8).prop_map(Step::Ack),
        2 => (0..30_u8).prop_map(Step::AckMost),
        2 => Just(Step::Restart),
        1 => Just(Step::Drop),
        2 => any::<u64>().prop_map(Step::Flip),
        1 => any::<u64>().prop_map(Step::Truncate),
        1 => any::<u64>().prop_map(Step::Delete),
    ];
    prop::collection::vec(step, 1..40)
}

struct World {
    config: Config,
    /// None while it is restarted.
    spool: Option<Spool>,
    told: Arc<Told>,
    /// What is not acknowledged: sequence number and record.
    open: BTreeMap<u64, u64>,
    next: u64,
    appended: usize,
}

impl World {
    fn new(dir: &Path) -> Self {
        let config = Config {
            dir: dir.into(),
            max_size: 128 * 4096,
            segment_size: 4096,
            sync_interval: Duration::from_millis(1),
        };
        let (spool, told, _) = open(&config);
        Self { config, spool: Some(spool), told, open: BTreeMap::new(), next: 1, appended: 0 }
    }

    fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(count) => self.append(*count),
            Step::Ack(nth) => {
                let chosen: Vec<u64> = self.open.keys().rev().step_by(usize::from(*nth)).copied().collect();
                self.ack(&chosen);
            }
            Step::AckMost(keep) => {
                let keep = self.open.len().saturating_sub(usize::from(*keep));
                let chosen: Vec<u64> = self.open.keys().take(keep).copied().collect();
                self.ack(&chosen);
            }
            Step::Restart => self.restart(true, |_| 0),
            Step::Drop => self.restart(false, |_| 0),
            Step::Flip(seed) => self.restart(true, |dir| flip(dir, *seed)),
            Step::Truncate(seed) => self.restart(true, |dir| truncate(dir, *seed)),
            Step::Delete(seed) => self.restart(true, |dir| delete(dir, *seed)),
        }
    }

    fn append(&mut self, count: u16) {
        for _ in 0..count {
            match self.spool().append(&[&payload(self.next)], self.next) {
                Ok(sequence) => {
                    let before = self.open.insert(sequence, self.next);
                    assert_eq!(before, None, "a number is used twice");
                    self.next += 1;
                    self.appended += 1;
                }
                Err(AppendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        // What is on disk can be acknowledged; what waits for room comes later.
        if self.spool().stats().state == emq_kafka_spool::State::Ok {
            common::wait_until("it is on disk, or full", || {
                self.told.committed().len() == self.appended || self.spool().stats().state != emq_kafka_spool::State::Ok
            });
        }
    }

    fn ack(&mut self, sequences: &[u64]) {
        let committed = self.told.committed().last().copied().unwrap_or(u64::MAX);
        let sequences: Vec<u64> = sequences.iter().filter(|s| self.open[*s] <= committed).copied().collect();
        self.spool().ack(&sequences);
        for sequence in sequences {
            self.open.remove(&sequence);
        }
    }

    /// Closes, has the files damaged, and opens again. The damage says how many records it may cost at most.
    fn restart(&mut self, close: bool, damage: impl FnOnce(&Path) -> usize) {
        if close {
            if self.spool().close().is_err() {
                // Full: what had no room is lost, and told.
                let lost = self.told.lost_tokens();
                self.open.retain(|_, record| !lost.contains(record));
            }
        } else {
            common::wait_until("all is on disk, or full", || {
                self.told.committed().len() == self.appended || self.spool().stats().state != emq_kafka_spool::State::Ok
            });
            if self.spool().stats().state != emq_kafka_spool::State::Ok {
                return;
            }
        }
        let dir = self.config.dir.clone();
        let most = damage(&dir);
        self.spool = None;
        let told = Arc::new(Told::default());
        let mut opened = None;
        common::wait_until("it can be opened", || match Spool::open(self.config.clone(), told.clone()) {
            Ok(found) => {
                opened = Some(found);
                true
            }
            Err(OpenError::InUse(_)) => false,
            Err(error) => panic!("{error}"),
        });
        let (spool, recovery) = opened.unwrap();
        let found: BTreeMap<u64, u64> = read_all(&spool)
            .iter()
            .map(|(sequence, record)| (*sequence, number(record).unwrap_or_else(|| panic!("{sequence} is not whole"))))
            .collect();
        let strange: Vec<_> =
            found.iter().filter(|(sequence, record)| self.open.get(sequence) != Some(record)).collect();
        assert!(strange.is_empty(), "acknowledged, or never written so: {strange:?}");
        let lost = self.open.len() - found.len();
        let context = format!("{:?} {:?}", recovery.notes, told.texts());
        assert_eq!(
            lost as u64,
            recovery.lost + told.corrupt(),
            "all that is lost is told, and nothing else: {context}"
        );
        assert_eq!(recovery.records, found.len() as u64 + told.corrupt(), "{context}");
        assert_eq!(spool.stats().records, found.len() as u64);
        assert!(lost <= most, "{lost} records lost, at most {most} were damaged: {context}");
        (self.spool, self.told, self.open, self.appended) = (Some(spool), told, found, 0);
    }
}

fn pick(dir: &Path, random: &mut Random) -> Option<std::path::PathBuf> {
    let segments = segments(dir);
    (!segments.is_empty()).then(|| segments[random.below(segments.len() as u64) as usize].clone())
}

fn flip(dir: &Path, seed: u64) -> usize {
    let mut random = Random(seed);
    let Some(path) = pick(dir, &mut random) else { return 0 };
    let mut bytes = std::fs::read(&path).unwrap();
    // The version is not a matter of damage: see below.
    let at = random.below(bytes.len() as u64) as usize;
    let at = if (8..12).contains(&at) { 12 } else { at };
    bytes[at] ^= 1 << random.below(8);
    std::fs::write(&path, &bytes).unwrap();
    // One record, or a whole segment if it is the header.
    if at >= 64 { 1 } else { 4096 / 32 }
}

fn truncate(dir: &Path, seed: u64) -> usize {
    let mut random = Random(seed);
    let Some(path) = pick(dir, &mut random) else { return 0 };
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(random.below(file.metadata().unwrap().len() + 1)).unwrap();
    4096 / 32
}

fn delete(dir: &Path, seed: u64) -> usize {
    let Some(path) = pick(dir, &mut Random(seed)) else { return 0 };
    std::fs::remove_file(path).unwrap();
    4096 / 32
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_what_is_not_acknowledged_and_tells_exactly_what_it_lost(steps in steps()) {
        let dir = quick_temp_dir();
        let mut world = World::new(dir.path());
        for step in &steps {
            world.step(step);
        }
        world.restart(true, |_| 0);
    }
}

#[test]
fn damage_found_at_read_time_costs_one_record_and_is_told_once() {
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(200);
    world.spool().close().unwrap();
    let path = segments(dir.path())[1].clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let (spool, told, recovery) = open(&world.config);
    assert_eq!((recovery.records, recovery.lost), (200, 0));
    let mut reader = spool.reader().unwrap();
    let records = drain(&mut reader, 199);
    reader.handed(records.last().unwrap().0);
    assert!(spool.is_drained());
    assert_eq!(told.corrupt(), 1);
    let text = told.texts().join("\n");
    assert!(text.contains(path.to_str().unwrap()) && text.contains("at byte"), "{text}");
    // A second reader, and a second start, do not find it again.
    drop(reader);
    assert_eq!(read_all(&spool).len(), 199);
    assert_eq!(told.corrupt(), 1);
    assert_eq!(spool.stats().records, 199);
    spool.close().unwrap();
    let (_, _, recovery) = open(&world.config);
    assert_eq!((recovery.records, recovery.lost), (199, 0));
}

#[test]
fn a_missing_segment_is_told_with_its_neighbour_and_numbers() {
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(200);
    world.spool().close().unwrap();
    let paths = segments(dir.path());
    std::fs::remove_file(&paths[1]).unwrap();
    let (spool, _, recovery) = open(&world.config);
    assert!(recovery.lost > 5, "{recovery:?}");
    assert_eq!(recovery.records + recovery.lost, 200);
    assert_eq!(recovery.notes.len(), 1, "{recovery:?}");
    assert!(recovery.notes[0].contains(paths[0].to_str().unwrap()), "{recovery:?}");
    assert_eq!(read_all(&spool).len() as u64, recovery.records);
}

#[test]
fn a_missing_end_is_missed() {
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(200);
    world.spool().close().unwrap();
    for path in segments(dir.path()) {
        std::fs::remove_file(path).unwrap();
    }
    let (spool, _, recovery) = open(&world.config);
    assert_eq!((recovery.records, recovery.lost), (0, 200), "{recovery:?}");
    assert_eq!(spool.append(&[b"x"], 0), Ok(201));
}

#[test]
fn without_its_acknowledgements_everything_is_read_again() {
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(200);
    world.spool().ack(&(1..=60).collect::<Vec<_>>());
    world.spool().close().unwrap();
    std::fs::write(dir.path().join("ACK"), [0xff; 5000]).unwrap();
    let (spool, _, recovery) = open(&world.config);
    let records = read_all(&spool);
    // From the first segment that was not freed.
    assert!((140..=200).contains(&records.len()), "{}", records.len());
    assert_eq!((recovery.records, recovery.lost), (records.len() as u64, 0), "{recovery:?}");
    assert_eq!(recovery.notes.len(), 1, "{recovery:?}");
    assert_eq!(records.last().unwrap().0, 200);
}

#[test]
fn numbers_beyond_the_records_that_were_acknowledged_are_not_used_again() {
    // After a power loss the acknowledgements may be ahead of the records.
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(20);
    world.spool().ack(&[20]);
    world.spool().close().unwrap();
    let path = segments(dir.path())[0].clone();
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(64).unwrap();
    let (spool, told, _) = open(&world.config);
    assert_eq!(spool.append(&[b"new"], 1), Ok(21));
    told.wait_committed(1);
    assert_eq!(read_all(&spool), [(21, b"new".to_vec())]);
    spool.ack(&[21]);
    assert_eq!(spool.stats().records, 0);
}

#[test]
fn a_later_version_is_refused_by_name_and_left_as_it_is() {
    for (file, at) in [("seg", 8), ("ACK", 8)] {
        let dir = quick_temp_dir();
        let mut world = World::new(dir.path());
        world.append(100);
        world.spool().close().unwrap();
        let path = if file == "ACK" { dir.path().join(file) } else { segments(dir.path())[1].clone() };
        let mut bytes = std::fs::read(&path).unwrap();
        for slot in 0..4 {
            if let Some(version) = bytes.get_mut(slot * 68 * 1024 + at).filter(|_| file == "ACK" || slot == 0) {
                *version = 2;
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        let before = listing(dir.path());
        let error = Spool::open(world.config.clone(), Arc::new(Told::default())).err().unwrap();
        assert!(matches!(error, OpenError::Version { version: 2, ours: 1, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("version 2") && text.contains(path.to_str().unwrap()), "{text}");
        assert_eq!(listing(dir.path()), before);
    }
}

fn listing(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_segment_with_a_damaged_header_is_kept_aside() {
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(200);
    world.spool().close().unwrap();
    let path = segments(dir.path())[2].clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (spool, _, recovery) = open(&world.config);
    assert_eq!(recovery.records + recovery.lost, 200, "{recovery:?}");
    assert!(path.with_extension("bad").exists());
    assert!(recovery.notes.iter().any(|note| note.contains(".bad")), "{recovery:?}");
    assert_eq!(read_all(&spool).len() as u64, recovery.records);
}

#[test]
fn a_segment_in_the_wrong_place_is_kept_aside_and_costs_nothing() {
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(200);
    world.spool().close().unwrap();
    let paths = segments(dir.path());
    let wrong = dir.path().join(format!("{:020}.seg", 900));
    std::fs::copy(&paths[0], &wrong).unwrap();
    let (spool, told, recovery) = open(&world.config);
    assert_eq!((recovery.records, recovery.lost), (200, 0), "{recovery:?}");
    assert!(wrong.with_extension("bad").exists());
    assert!(recovery.notes[0].contains(".bad"), "{recovery:?}");
    assert_eq!(read_all(&spool).len(), 200);
    assert_eq!(told.corrupt(), 0);
}

#[test]
fn what_an_earlier_use_left_in_a_recycled_segment_is_never_read() {
    let dir = quick_temp_dir();
    let mut world = World::new(dir.path());
    world.append(5);
    world.spool().close().unwrap();
    let path = segments(dir.path())[0].clone();
    let written = std::fs::read(&path).unwrap();
    let mut at = 64;
    for _ in 0..5 {
        at += 24 + u32::from_le_bytes(written[at..at + 4].try_into().unwrap()) as usize;
    }
    // The very next record, whole, of this epoch or of another.
    let epoch = u64::from_le_bytes(written[16..24].try_into().unwrap());
    for (epoch, counts) in [(epoch, true), (epoch.wrapping_add(1), false), (epoch.wrapping_sub(1), false)] {
        let mut tail = epoch.to_le_bytes().to_vec();
        tail.extend(6_u64.to_le_bytes());
        tail.extend(b"stale");
        let mut frame = 5_u32.to_le_bytes().to_vec();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&frame), &tail);
        frame.extend(crc.to_le_bytes());
        frame.extend(tail);
        let mut bytes = written.clone();
        bytes[at..at + frame.len()].copy_from_slice(&frame);
        std::fs::write(&path, &bytes).unwrap();
        let (spool, _, recovery) = open(&world.config);
        assert_eq!((recovery.records, recovery.lost), (5 + u64::from(counts), 0));
        assert_eq!(read_all(&spool).len(), 5 + usize::from(counts));
        spool.close().unwrap();
    }
}
