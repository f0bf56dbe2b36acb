//! The recorded system calls of a process, and the file system that a power loss would leave behind.
//!
//! The model: a file's bytes are safe when an fsync or fdatasync that began after the write has returned. Of everything
//! else each 512-byte sector may or may not have reached the disk, in any order. Names are safe when an fsync of the
//! directory that began after the call has returned; of later changes of names a prefix may have reached the disk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::child::Printed;
use super::payload::Random;
use super::strace::{Call, Calls, Event, Outcome};

const SECTOR: usize = 512;

/// What was recorded.
pub struct Trace(Calls);

impl Trace {
    pub fn parse(text: &str) -> Self {
        let calls = Calls::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert!(calls.calls.iter().any(|call| call.name == "fdatasync"), "no fdatasync in the trace");
        Self(calls)
    }

    pub fn len(&self) -> usize {
        self.0.events.len()
    }
}

fn unhex(arg: &str) -> Vec<u8> {
    assert!(!arg.ends_with("..."), "strace cut it short");
    let digits = arg.trim_matches('"').split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

fn path_of(arg: &str) -> PathBuf {
    PathBuf::from(String::from_utf8(unhex(arg)).unwrap())
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
    Grow(usize),
}

#[derive(Debug, Clone)]
struct Pending {
    id: usize,
    change: Change,
    done: bool,
}

impl Pending {
    /// A write may have written less than it was given.
    fn ended(&mut self, result: i64) {
        if let Change::Write(_, data) = &mut self.change {
            data.truncate(usize::try_from(result).unwrap());
        }
        self.done = true;
    }
}

#[derive(Debug, Clone, Default)]
struct File {
    safe: Vec<u8>,
    pending: Vec<Pending>,
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, data) => {
            bytes.resize(bytes.len().max(at + data.len()), 0);
            bytes[*at..at + data.len()].copy_from_slice(data);
        }
        Change::Resize(size) => bytes.resize(*size, 0),
        Change::Grow(size) => bytes.resize(bytes.len().max(*size), 0),
    }
}

impl File {
    fn cache(&self) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        self.pending.iter().for_each(|pending| apply(&mut bytes, &pending.change));
        bytes
    }

    /// What a power loss leaves: each sector that is not safe with a chance of `chance` in 8.
    fn after_loss(&self, random: &mut Random, chance: u64) -> Vec<u8> {
        let mut cache = self.safe.clone();
        let mut disk = self.safe.clone();
        for Pending { change, .. } in &self.pending {
            apply(&mut cache, change);
            match change {
                Change::Write(_, data) if data.is_empty() => {}
                Change::Write(at, data) => {
                    for sector in at / SECTOR..=(at + data.len() - 1) / SECTOR {
                        if random.below(8) < chance {
                            let range = sector * SECTOR..cache.len().min((sector + 1) * SECTOR);
                            disk.resize(disk.len().max(range.end), 0);
                            disk[range.clone()].copy_from_slice(&cache[range]);
                        }
                    }
                }
                other if random.below(8) < chance => apply(&mut disk, other),
                _ => {}
            }
        }
        disk
    }
}

#[derive(Debug, Clone)]
enum Name {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, name: &Name) {
    match name {
        Name::Link(path, file) => {
            names.insert(path.clone(), *file);
        }
        Name::Rename(from, to) => {
            let file = names.remove(from).unwrap();
            names.insert(to.clone(), file);
        }
        Name::Unlink(path) => {
            names.remove(path);
        }
    }
}

/// Which syncs are taken for absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignore {
    Nothing,
    /// fdatasync and fsync of files.
    Files,
    /// fsync of the directory.
    Names,
}

/// What a sync that has begun makes safe when it returns.
#[derive(Debug)]
enum Sync {
    /// Of this file, these changes.
    File(usize, Vec<usize>),
    /// The first so many changes of names.
    Names(usize),
}

/// The machine, as the calls went by.
pub struct Machine<'a> {
    trace: &'a Trace,
    dir: PathBuf,
    ignore: Ignore,
    at: usize,
    files: Vec<File>,
    fds: HashMap<String, usize>,
    dirs: Vec<String>,
    names: BTreeMap<PathBuf, usize>,
    safe_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<Name>,
    /// How many changes of names are safe: the first so many of all.
    safe_changes: usize,
    syncs: HashMap<usize, Sync>,
    output: Vec<u8>,
    /// All records up to here were in segments that have been freed.
    pub freed: u64,
    /// How often a freed file became a segment again.
    pub reused: u64,
}

impl<'a> Machine<'a> {
    pub fn new(trace: &'a Trace, dir: &Path, ignore: Ignore) -> Self {
        Self {
            trace,
            dir: dir.into(),
            ignore,
            at: 0,
            files: Vec::new(),
            fds: HashMap::new(),
            dirs: Vec::new(),
            names: BTreeMap::new(),
            safe_names: BTreeMap::new(),
            pending_names: Vec::new(),
            safe_changes: 0,
            syncs: HashMap::new(),
            output: Vec::new(),
            freed: 0,
            reused: 0,
        }
    }

    pub fn printed(&self) -> Printed {
        Printed::parse(std::str::from_utf8(&self.output).unwrap())
    }

    /// Goes on to the event numbered `at`.
    pub fn run_to(&mut self, at: usize) {
        while self.at < at {
            let Calls { calls, events } = &self.trace.0;
            match events[self.at] {
                Event::Start(id) => self.started(id, &calls[id]),
                Event::End(id) => self.ended(id, &calls[id]),
            }
            self.at += 1;
        }
    }

    fn started(&mut self, id: usize, call: &Call) {
        let fd = call.args.first().map_or("", String::as_str);
        let number = |index: usize| call.args[index].parse::<usize>().unwrap();
        let file = self.fds.get(fd).copied();
        let change = match (call.name.as_str(), file) {
            ("pwrite64", Some(_)) => Change::Write(number(3), unhex(&call.args[1])),
            ("ftruncate", Some(_)) => Change::Resize(number(1)),
            ("fallocate", Some(_)) => Change::Grow(number(2) + number(3)),
            ("fdatasync" | "fsync", Some(file)) => {
                let done = self.files[file].pending.iter().filter(|pending| pending.done);
                let covered = done.map(|pending| pending.id).collect();
                self.syncs.insert(id, Sync::File(file, covered));
                return;
            }
            ("fsync", None) if self.dirs.iter().any(|dir| dir == fd) => {
                self.syncs.insert(id, Sync::Names(self.safe_changes + self.pending_names.len()));
                return;
            }
            // The number is free before the call returns: another thread may have it already.
            ("close", _) => {
                self.fds.remove(fd);
                self.dirs.retain(|dir| dir != fd);
                return;
            }
            _ => return,
        };
        self.files[file.unwrap()].pending.push(Pending { id, change, done: false });
    }

    fn ended(&mut self, id: usize, call: &Call) {
        let result = match &call.outcome {
            Outcome::Returned(result) => *result,
            Outcome::Failed(_) if matches!(call.name.as_str(), "openat" | "close") => return,
            outcome => panic!("a call of the traced process failed, and not by a power loss: {outcome:?} of {call:?}"),
        };
        let fd = call.args.first().map_or("", String::as_str);
        match call.name.as_str() {
            "openat" => self.opened(call, result),
            "write" if fd == "1" => self.output.extend(&unhex(&call.args[1])[..usize::try_from(result).unwrap()]),
            "rename" => self.renamed(path_of(&call.args[0]), path_of(&call.args[1])),
            "unlink" if path_of(&call.args[0]).starts_with(&self.dir) => {
                self.change_names(Name::Unlink(path_of(&call.args[0])));
            }
            "fdatasync" | "fsync" => self.synced(id),
            _ => {
                for file in &mut self.files {
                    file.pending
                        .iter_mut()
                        .filter(|pending| pending.id == id)
                        .for_each(|pending| pending.ended(result));
                }
            }
        }
    }

    fn opened(&mut self, call: &Call, fd: i64) {
        let (path, fd) = (path_of(&call.args[1]), fd.to_string());
        if path == self.dir {
            self.dirs.push(fd);
        } else if path.starts_with(&self.dir) {
            if !self.names.contains_key(&path) {
                self.files.push(File::default());
                self.change_names(Name::Link(path.clone(), self.files.len() - 1));
            }
            self.fds.insert(fd, self.names[&path]);
        }
    }

    fn renamed(&mut self, from: PathBuf, to: PathBuf) {
        if from.extension().is_some_and(|kind| kind == "seg") {
            self.freed = self.freed.max(last_record(&self.files[self.names[&from]].cache()));
        } else if from.file_stem() != to.file_stem() {
            self.reused += 1;
        }
        self.change_names(Name::Rename(from, to));
    }

    fn change_names(&mut self, name: Name) {
        rename(&mut self.names, &name);
        self.pending_names.push(name);
    }

    fn synced(&mut self, id: usize) {
        match self.syncs.remove(&id) {
            Some(Sync::File(file, covered)) if self.ignore != Ignore::Files => {
                let File { safe, pending } = &mut self.files[file];
                for pending in pending.iter().filter(|pending| covered.contains(&pending.id)) {
                    apply(safe, &pending.change);
                }
                pending.retain(|pending| !covered.contains(&pending.id));
            }
            Some(Sync::Names(changes)) if self.ignore != Ignore::Names => {
                // Another sync may have made some of them safe meanwhile.
                let new = changes.saturating_sub(self.safe_changes);
                for name in self.pending_names.drain(..new) {
                    rename(&mut self.safe_names, &name);
                }
                self.safe_changes += new;
            }
            _ => {}
        }
    }

    /// Writes into `dir` what is left if the power fails now.
    pub fn power_loss(&self, dir: &Path, random: &mut Random) {
        let mut names = self.safe_names.clone();
        let survived = random.below(self.pending_names.len() as u64 + 1);
        self.pending_names.iter().take(survived as usize).for_each(|name| rename(&mut names, name));
        // Nothing, everything, or some.
        let chance = [0, 8, 1 + random.below(7)][random.below(3) as usize];
        for (path, file) in names {
            let bytes = self.files[file].after_loss(random, chance);
            std::fs::write(dir.join(path.file_name().unwrap()), bytes).unwrap();
        }
    }
}

/// The number of the last record of a segment, read independently of the code under test.
fn last_record(bytes: &[u8]) -> u64 {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (epoch, mut at, mut last) = (number(16), 64, 0);
    while at + 24 <= bytes.len() && number(at + 8) == epoch {
        last = number(at + 16);
        at += 24 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    last
}
