//! Throughput beside a plain file: `cargo run --release -p emq_kafka_spool --example bench [DIR [WAITERS..]]`.
//!
//! With W waiters there are W records on their way at a time, each waited for: as soon as one is committed, its waiter
//! appends the next. `raw` is the least that any log could do: records copied into a buffer and appended to one file that
//! is allocated 64 MiB at a time, fdatasync, in groups of W; no checksums, no threads. With no waiter, as fast as the spool
//! takes them; `raw` then writes 256 KiB at a time and syncs at the same interval. `read too`: while a reader reads and
//! acknowledges everything, and segments are freed and used again. Each is measured ROUNDS times for TIME, in turn.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_precision_loss)]

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use emq_kafka_spool::{AppendError, Batch, Config, Events, Spool};

const RECORD: usize = 350;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_millis(1500);
const INTERVAL: Duration = Duration::from_millis(5);
const SEGMENT: u64 = 64 << 20;

#[derive(Default)]
struct Waiters {
    ready: Mutex<usize>,
    more: Condvar,
}

impl Events for Waiters {
    fn committed(&self, tokens: &[u64]) {
        *self.ready.lock().unwrap() += tokens.len();
        self.more.notify_one();
    }

    fn lost(&self, records: u64, _tokens: &[u64], error: &str) {
        println!("{records} lost: {error}");
        std::process::exit(1);
    }

    fn corrupt(&self, _records: u64, text: &str) {
        println!("{text}");
        std::process::exit(1);
    }

    fn notice(&self, kind: &str, text: String) {
        println!("{kind}: {text}");
    }
}

/// Records a second, until they are on disk.
fn spool(dir: &Path, waiters: usize, read: bool) -> f64 {
    let config = Config { dir: dir.into(), max_size: 8 << 30, segment_size: SEGMENT, sync_interval: INTERVAL };
    let events = Arc::new(Waiters::default());
    let (spool, _) = Spool::open(config, events.clone()).unwrap();
    let record = vec![b'x'; RECORD];
    let rate = std::thread::scope(|scope| {
        scope.spawn(|| {
            if !read {
                return;
            }
            let mut reader = spool.reader().unwrap();
            let mut batch = Batch::default();
            // Until it is closed.
            while let Ok(found) = reader.read(&mut batch, Duration::from_millis(10)) {
                if found {
                    spool.ack(&batch.iter().map(|(sequence, _)| sequence).collect::<Vec<_>>());
                }
            }
        });
        let start = Instant::now();
        let mut count = 0_u64;
        let mut free = waiters;
        while start.elapsed() < TIME {
            for _ in 0..if waiters == 0 { 100 } else { free } {
                while spool.append(&[&record], u64::from(waiters > 0)) == Err(AppendError::Full) {
                    std::thread::sleep(Duration::from_micros(50));
                }
                count += 1;
            }
            if waiters > 0 {
                let ready = events.ready.lock().unwrap();
                let mut ready = events.more.wait_while(ready, |ready| *ready == 0).unwrap();
                free = std::mem::take(&mut *ready);
            }
        }
        spool.close().unwrap();
        count as f64 / start.elapsed().as_secs_f64()
    });
    std::fs::remove_dir_all(dir).unwrap();
    rate
}

fn raw(dir: &Path, waiters: usize) -> f64 {
    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("raw");
    let file = std::fs::File::create(&path).unwrap();
    let record = vec![b'x'; RECORD + 24];
    let (mut buffer, mut at, mut end, mut count) = (Vec::new(), 0, 0, 0_u64);
    let start = Instant::now();
    while start.elapsed() < TIME {
        let group = Instant::now();
        buffer.clear();
        let mut records = 0;
        while if waiters == 0 { group.elapsed() < INTERVAL } else { records < waiters } {
            for _ in 0..if waiters == 0 { 100 } else { 1 } {
                buffer.extend_from_slice(&record);
                records += 1;
            }
            if at + buffer.len() as u64 + 100_000 > end {
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), end, SEGMENT).unwrap();
                end += SEGMENT;
            }
            if waiters == 0 && buffer.len() >= 256 * 1024 {
                file.write_all_at(&buffer, at).unwrap();
                at += buffer.len() as u64;
                buffer.clear();
            }
        }
        file.write_all_at(&buffer, at).unwrap();
        at += buffer.len() as u64;
        file.sync_data().unwrap();
        count += records as u64;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    rate
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "target/spool-bench".to_owned());
    let dir = Path::new(&dir);
    println!("records of {RECORD} B, medians of {ROUNDS} rounds of {TIME:?}, in {}\n", dir.display());
    println!("waiters  raw/s      spool/s    of raw   read too/s of raw");
    let chosen: Vec<usize> = std::env::args().skip(2).map(|count| count.parse().unwrap()).collect();
    for waiters in if chosen.is_empty() { vec![0, 1, 100, 1000] } else { chosen } {
        let (mut raws, mut alone, mut read) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raws.push(raw(&dir.join("raw"), waiters));
            alone.push(spool(&dir.join("spool"), waiters, false));
            read.push(spool(&dir.join("spool"), waiters, true));
        }
        let (raw, alone, read) = (median(raws), median(alone), median(read));
        println!("{waiters:<8} {raw:<10.0} {alone:<10.0} {:<8.2} {read:<10.0} {:.2}", alone / raw, read / raw);
    }
}
