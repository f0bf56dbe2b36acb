//! A process that dies by kill -9, many times over, on the same directory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::child::{Printed, appender, judge};
use common::payload::Random;
use common::{config, open, quick_temp_dir, read_all};

const ROUNDS: u64 = 40;
/// How many lines it has printed at most when it is killed.
const MOST_LINES: u64 = 300;

/// Every committed record that was not acknowledged is there, in order, none twice; none that was acknowledged.
#[test]
fn a_killed_process_loses_nothing_and_repeats_nothing() {
    let dir = quick_temp_dir();
    let config = emq_kafka_spool::Config { segment_size: 16384, ..config(dir.path()) };
    let mut random = Random(4);
    let mut all = Printed::default();
    let (mut killed, mut committed, mut recovered) = (0, 0, 0);
    for round in 0..ROUNDS {
        let first = (round + 1) * 1_000_000;
        let mut child = Command::new(appender())
            .arg("run")
            .arg(dir.path())
            .args([first.to_string(), "1000000".to_owned()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        // By what it has done, not by time: on a busy machine it would not have done anything.
        let (lines, mut text) = (random.below(MOST_LINES), Vec::new());
        for _ in 0..lines {
            output.read_until(b'\n', &mut text).unwrap();
        }
        let reading = std::thread::spawn(move || {
            output.read_to_end(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        });
        std::thread::sleep(Duration::from_micros(random.below(1000)));
        child.kill().unwrap();
        killed += u64::from(!child.wait().unwrap().success());
        let printed = Printed::parse(&reading.join().unwrap());
        committed += printed.committed.len();
        all.committed.extend(&printed.committed);
        all.acking.extend(&printed.acking);
        all.acked.extend(&printed.acked);

        let (spool, told, recovery) = open(&config);
        assert_eq!((recovery.lost, told.corrupt()), (0, 0), "round {round}: {:?}", recovery.notes);
        let records = read_all(&spool);
        let numbers = judge(&records, &all).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(recovery.records, numbers.len() as u64, "round {round}");
        let repeated: Vec<_> = numbers.iter().filter(|number| all.acked.contains(number)).collect();
        assert!(repeated.is_empty(), "round {round}: acknowledged and read again: {repeated:?}");
        recovered += numbers.len();
        // What is there counts from now on, committed or not; what is not, never will.
        all.committed = numbers.iter().copied().collect();
        (all.acking, all.acked) = Default::default();
        spool.close().unwrap();
    }
    println!("{killed} killed, {committed} records committed, {recovered} recovered");
    assert_eq!(killed, ROUNDS);
    assert!(committed > 1000 && recovered > 300);
}
