//! A process for the crash tests: appends records, reads and acknowledges them, and prints each step as it happens.
//!
//! ```text
//! appender run DIR FIRST COUNT      append, read and acknowledge in a random order; leaves without close
//! appender write DIR FIRST COUNT    append, each record with a token, until each is committed or lost; close
//! appender full DIR FIRST COUNT     append until it is full, acknowledge everything, append again
//! ```
//!
//! Lines: `committed N..`, `lost N..`, `refused N ERROR`, `acking S..` and `acked S..` (records, not sequence numbers),
//! `notice KIND TEXT`, `read N`, `done`. The token of record N is N.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../tests/common/payload.rs"]
mod payload;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use emq_kafka_spool::{AppendError, Batch, Config, Events, Spool, State};
use payload::{Random, number, payload};

#[derive(Default)]
struct Printer {
    answered: AtomicU64,
}

fn words(numbers: &[u64]) -> String {
    numbers.iter().fold(String::new(), |line, number| line + " " + &number.to_string())
}

impl Events for Printer {
    fn committed(&self, tokens: &[u64]) {
        println!("committed{}", words(tokens));
        self.answered.fetch_add(tokens.len() as u64, Ordering::Relaxed);
    }

    fn lost(&self, records: u64, tokens: &[u64], error: &str) {
        println!("lost{}", words(tokens));
        println!("notice lost {records}: {error}");
        self.answered.fetch_add(tokens.len() as u64, Ordering::Relaxed);
    }

    fn corrupt(&self, records: u64, text: &str) {
        println!("notice corrupt {records}: {text}");
    }

    fn notice(&self, kind: &str, text: String) {
        println!("notice {kind} {text}");
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dir = PathBuf::from(&args[2]);
    let (first, count): (u64, u64) = (args[3].parse().unwrap(), args[4].parse().unwrap());
    let config = Config { dir, max_size: 1 << 19, segment_size: 16384, sync_interval: Duration::from_millis(1) };
    let printer = Arc::new(Printer::default());
    let (spool, recovery) = Spool::open(config, printer.clone()).expect("open");
    println!("notice opened {recovery:?}");
    match args[1].as_str() {
        "run" => run(&spool, first, count),
        "write" => write(&spool, &printer, first, count),
        "full" => full(&spool, first, count),
        other => panic!("{other}?"),
    }
    println!("done");
}

fn append(spool: &Spool, number: u64, token: u64) {
    loop {
        match spool.append(&[&payload(number)], token) {
            Ok(_) => return,
            Err(AppendError::Full) => std::thread::sleep(Duration::from_micros(200)),
            Err(error) => return println!("refused {number} {error}"),
        }
    }
}

fn run(spool: &Spool, first: u64, count: u64) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| acknowledge(spool, &done, first));
        let mut random = Random(first);
        let mut next = first;
        while next < first + count {
            for _ in 0..=random.below(20) {
                // Now and then nobody waits.
                append(spool, next, if random.below(8) == 0 { 0 } else { next });
                next += 1;
            }
            if random.below(3) == 0 {
                std::thread::sleep(Duration::from_micros(random.below(3000)));
            }
        }
        done.store(true, Ordering::Release);
    });
}

fn acknowledge(spool: &Spool, done: &AtomicBool, seed: u64) {
    let mut random = Random(seed ^ 1);
    let mut reader = spool.reader().unwrap();
    let mut batch = Batch::default();
    let mut open: Vec<(u64, u64)> = Vec::new();
    let start = Instant::now();
    // Until all that was appended has been read: how far it gets must not depend on who is given the processor.
    while !done.load(Ordering::Acquire) || spool.stats().records > open.len() as u64 {
        assert!(start.elapsed() < Duration::from_mins(10), "what was appended was never read");
        let read = reader.read(&mut batch, Duration::from_millis(2));
        if let Err(error) = &read {
            println!("notice read {error}");
        }
        if read.is_ok_and(|found| found) {
            open.extend(batch.iter().map(|(sequence, record)| (sequence, number(record).expect("whole"))));
            reader.handed(open.last().unwrap().0);
        }
        // Some stay for a while, a few hold up the watermark for longer.
        let newest = open.last().map_or(0, |record| record.1);
        let mut chosen = Vec::new();
        open.retain(|record| {
            let age = newest - record.1;
            let choose = age > 400 || (age > 50 && record.1 % 97 != 5 && random.below(3) == 0);
            if choose {
                chosen.push(*record);
            }
            !choose
        });
        if !chosen.is_empty() {
            let (sequences, numbers): (Vec<u64>, Vec<u64>) = chosen.into_iter().unzip();
            println!("acking{}", words(&numbers));
            spool.ack(&sequences);
            println!("acked{}", words(&numbers));
        }
    }
}

fn write(spool: &Spool, printer: &Printer, first: u64, count: u64) {
    let mut refused = 0;
    let start = Instant::now();
    // A record without an answer must not look like one that is late.
    let patience = || assert!(start.elapsed() < Duration::from_secs(40), "a record was never answered");
    for number in first..first + count {
        loop {
            match spool.append(&[&payload(number)], number) {
                Ok(_) => break,
                Err(AppendError::Full) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => {
                    refused += 1;
                    println!("refused {number} {error}");
                    std::thread::sleep(Duration::from_millis(80));
                    break;
                }
            }
        }
        // One batch each, mostly.
        if number % 4 != 0 {
            while printer.answered.load(Ordering::Relaxed) + refused <= number - first {
                patience();
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }
    while printer.answered.load(Ordering::Relaxed) + refused < count {
        patience();
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("notice state {}", spool.stats().state.name());
    if let Err(error) = spool.close() {
        println!("notice close {error}");
    }
}

fn full(spool: &Spool, first: u64, count: u64) {
    let start = Instant::now();
    let mut next = first;
    while spool.stats().state == State::Ok && start.elapsed() < Duration::from_secs(20) {
        if spool.append(&[&payload(next)], next).is_ok() {
            next += 1;
        }
    }
    println!("notice state {} {:?}", spool.stats().state.name(), spool.append(&[b"x"], 0));
    let mut reader = spool.reader().unwrap();
    let mut batch = Batch::default();
    let mut read = first;
    // What did not fit is kept until the first ones are acknowledged.
    while read < next && start.elapsed() < Duration::from_secs(20) {
        if reader.read(&mut batch, Duration::from_millis(100)).unwrap() {
            for (_, record) in batch.iter() {
                assert_eq!(number(record), Some(read), "in order");
                read += 1;
            }
            spool.ack(&batch.iter().map(|(sequence, _)| sequence).collect::<Vec<_>>());
        }
    }
    println!("read {}", read - first);
    assert_eq!(read, next, "all that was accepted");
    for number in next..next + count {
        append(spool, number, number);
    }
    spool.close().unwrap();
}
