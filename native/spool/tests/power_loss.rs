//! The machine loses power: simulated from the recorded system calls of a real run.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::child::{judge, traced};
use common::payload::{Random, number, payload};
use common::trace::{Ignore, Machine, Trace};
use common::{config, open, quick_temp_dir, read_all, temp_dir};

const RECORDS: u64 = 2000;
const SEED: u64 = 20_260_731;

/// One run, traced; all tests look at the same one.
fn recorded() -> &'static (PathBuf, Trace) {
    static RECORDED: OnceLock<(PathBuf, Trace)> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let dir = quick_temp_dir();
        let log = temp_dir();
        let log = log.path().join("trace");
        let calls = "trace=openat,close,write,pwrite64,fdatasync,fsync,rename,unlink,ftruncate,fallocate";
        let options =
            ["-o".as_ref(), log.as_os_str(), "-xx".as_ref(), "-s".as_ref(), "1000000".as_ref(), "-e".as_ref()];
        let mut options: Vec<_> = options.iter().map(|option| option.to_os_string()).collect();
        options.push(calls.into());
        let output = traced(&options).arg("run").arg(dir.path()).args(["1", &RECORDS.to_string()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (dir.path().into(), Trace::parse(&std::fs::read_to_string(log).unwrap()))
    })
}

/// Cuts the power at random moments, and says what went wrong.
fn cuts(ignore: Ignore, count: u64) -> Vec<String> {
    let (original, trace) = recorded();
    let mut random = Random(SEED);
    let mut moments: Vec<usize> = (0..count).map(|_| random.below(trace.len() as u64 + 1) as usize).collect();
    moments.sort_unstable();
    let mut machine = Machine::new(trace, original, ignore);
    let mut failures = Vec::new();
    let (mut found, mut torn) = (0, 0);
    for at in moments {
        machine.run_to(at);
        let dir = quick_temp_dir();
        machine.power_loss(dir.path(), &mut random);
        match recover(dir.path(), &machine) {
            Ok((records, notes)) => {
                found += records;
                torn += notes;
            }
            Err(error) => failures.push(format!("event {at} of {}, seed {SEED}: {error}", trace.len())),
        }
    }
    machine.run_to(trace.len());
    assert!(
        machine.freed > RECORDS / 3 && machine.reused >= 2,
        "{} freed, {} times reused",
        machine.freed,
        machine.reused
    );
    println!("{ignore:?}: {count} cuts, {found} records read back, {torn} damages noted, {} failures", failures.len());
    failures
}

fn recover(dir: &Path, machine: &Machine) -> Result<(usize, usize), String> {
    let printed = machine.printed();
    let config = emq_kafka_spool::Config { segment_size: 16384, ..config(dir) };
    let (spool, told, recovery) = open(&config);
    let records = read_all(&spool);
    let numbers = judge(&records, &printed).map_err(|error| format!("{error}; {:?}", recovery.notes))?;
    if let Some(stale) = numbers.iter().find(|number| **number <= machine.freed || **number > RECORDS + 20) {
        return Err(format!("{stale} is read, and everything up to {} was freed", machine.freed));
    }
    if recovery.records != numbers.len() as u64 + told.corrupt() {
        return Err(format!("{} announced, {} read", recovery.records, numbers.len()));
    }
    // A name never stands for a header that is not there.
    if recovery.notes.iter().any(|note| note.contains(".bad")) {
        return Err(format!("{:?}", recovery.notes));
    }
    // Life goes on: new records do not get lost among what was found, in this run or the next.
    for number in 1_000_000..1_000_010 {
        spool.append(&[&payload(number)], number).unwrap();
    }
    spool.close().map_err(|error| error.to_string())?;
    let (spool, _, second) = open(&config);
    let again: Vec<u64> = read_all(&spool).iter().map(|(_, record)| number(record).unwrap()).collect();
    let expected: Vec<u64> = numbers.iter().copied().chain(1_000_000..1_000_010).collect();
    if again != expected || second.lost != 0 {
        return Err(format!("after new records: {again:?} instead of {expected:?}; {:?}", second.notes));
    }
    Ok((numbers.len(), recovery.notes.len()))
}

#[test]
fn every_committed_record_survives_a_power_loss_and_nothing_stale_is_read() {
    let failures = cuts(Ignore::Nothing, 400);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The test above can fail: it does when the recorded syncs are taken for absent.
#[test]
fn the_simulation_notices_a_missing_fdatasync() {
    assert!(!cuts(Ignore::Files, 25).is_empty());
}

#[test]
fn the_simulation_notices_a_missing_fsync_of_the_directory() {
    assert!(!cuts(Ignore::Names, 25).is_empty());
}
