//! What a spool does on a good day.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Told, config, drain, open, temp_dir, wait_until};
use emq_kafka_spool::{AppendError, Batch, CloseError, OpenError, ReadError, Spool, State};

#[test]
fn gives_back_what_was_appended_in_order() {
    let dir = temp_dir();
    let (spool, told, recovery) = open(&config(dir.path()));
    assert_eq!((recovery.records, recovery.lost, recovery.notes.len()), (0, 0, 0));
    for number in 0..1000_u64 {
        let sequence = spool.append(&[b"n=", number.to_string().as_bytes()], number + 1).unwrap();
        assert_eq!(sequence, number + 1);
    }
    told.wait_committed(1000);
    let mut reader = spool.reader().unwrap();
    let records = drain(&mut reader, 1000);
    assert_eq!(records.len(), 1000);
    for (at, (sequence, record)) in records.iter().enumerate() {
        assert_eq!(*sequence, at as u64 + 1);
        assert_eq!(*record, format!("n={at}").into_bytes());
    }
    assert_eq!(told.committed(), (1..=1000).collect::<Vec<_>>());
}

#[test]
fn is_drained_once_the_reader_handed_everything_over() {
    let dir = temp_dir();
    let (spool, _, _) = open(&config(dir.path()));
    assert!(spool.is_drained());
    let last = (0..10).map(|_| spool.append(&[b"x"], 0).unwrap()).last().unwrap();
    assert!(!spool.is_drained());
    let mut reader = spool.reader().unwrap();
    assert_eq!(drain(&mut reader, 10).len(), 10);
    reader.handed(last - 1);
    assert!(!spool.is_drained());
    reader.handed(last);
    assert!(spool.is_drained());
    spool.append(&[b"x"], 0).unwrap();
    assert!(!spool.is_drained());
}

#[test]
fn a_new_reader_reads_again_what_was_not_acknowledged() {
    let dir = temp_dir();
    let (spool, _, _) = open(&config(dir.path()));
    for _ in 0..10 {
        spool.append(&[b"x"], 0).unwrap();
    }
    let mut reader = spool.reader().unwrap();
    assert!(spool.reader().is_none());
    drain(&mut reader, 10);
    reader.handed(10);
    spool.ack(&[1, 2, 5, 7, 5]);
    drop(reader);
    let mut reader = spool.reader().unwrap();
    assert!(!spool.is_drained());
    let sequences: Vec<u64> = drain(&mut reader, 6).into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, [3, 4, 6, 8, 9, 10]);
    reader.handed(10);
    assert!(spool.is_drained());
}

#[test]
fn handing_over_the_last_one_counts_for_acknowledged_ones_behind_it() {
    let dir = temp_dir();
    let (spool, told, _) = open(&config(dir.path()));
    for token in 1..=10 {
        spool.append(&[b"x"], token).unwrap();
    }
    told.wait_committed(10);
    spool.ack(&[9, 10]);
    let mut reader = spool.reader().unwrap();
    let records = drain(&mut reader, 8);
    assert_eq!(records.last().unwrap().0, 8);
    reader.handed(8);
    assert!(spool.is_drained());
    spool.ack(&(1..=8).collect::<Vec<_>>());
    drop(reader);
    let _reader = spool.reader().unwrap();
    assert!(spool.is_drained());
}

#[test]
fn what_was_acknowledged_out_of_order_is_not_read_after_a_restart() {
    let dir = temp_dir();
    let config = config(dir.path());
    let (spool, told, _) = open(&config);
    for token in 1..=500 {
        spool.append(&[b"abc"], token).unwrap();
    }
    told.wait_committed(500);
    let odd: Vec<u64> = (1..=500).rev().filter(|n| n % 2 == 1).collect();
    spool.ack(&odd);
    spool.close().unwrap();
    spool.close().unwrap();
    let (spool, _, recovery) = open(&config);
    assert_eq!((recovery.records, recovery.lost), (250, 0), "{:?}", recovery.notes);
    assert_eq!(spool.stats().records, 250);
    let mut reader = spool.reader().unwrap();
    let sequences: Vec<u64> = drain(&mut reader, 250).into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, (1..=500).filter(|n| n % 2 == 0).collect::<Vec<_>>());
    assert_eq!(spool.append(&[b"next"], 0), Ok(501));
}

#[test]
fn segments_are_freed_recycled_and_never_more_than_max_size() {
    let dir = temp_dir();
    let (spool, told, _) = open(&config(dir.path()));
    let record = vec![7_u8; 1000];
    let mut reader = spool.reader().unwrap();
    for round in 0..200_u64 {
        for n in 0..20 {
            spool.append(&[&record], round * 20 + n + 1).unwrap();
        }
        let read = drain(&mut reader, 20);
        spool.ack(&read.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>());
        let on_disk = common::segment_bytes(dir.path());
        assert!(on_disk <= spool.stats().max_bytes, "{on_disk}");
    }
    assert_eq!(told.lost(), 0);
    wait_until("segments are freed", || spool.stats().segments <= 2);
    wait_until("the count is right", || spool.stats().bytes == common::segment_bytes(dir.path()));
    let free = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "free"))
        .count();
    assert!((1..=2).contains(&free), "{free}");
}

#[test]
fn is_full_at_max_size_and_goes_on_when_segments_are_freed() {
    let dir = temp_dir();
    let (spool, told, _) = open(&config(dir.path()));
    let record = vec![7_u8; 5000];
    let mut accepted = 0;
    wait_until("it is full", || {
        accepted += u64::from(spool.append(&[&record], accepted + 1).is_ok());
        spool.stats().state == State::Full
    });
    assert_eq!(spool.append(&[b"x"], 0), Err(AppendError::Full));
    assert!(!spool.has_room(1));
    let mut reader = spool.reader().unwrap();
    let mut read: Vec<u64> = Vec::new();
    let mut batch = Batch::default();
    while (read.len() as u64) < accepted {
        if reader.read(&mut batch, Duration::from_millis(200)).unwrap() {
            let sequences: Vec<u64> = batch.iter().map(|(sequence, _)| sequence).collect();
            read.extend(&sequences);
            spool.ack(&sequences);
        }
    }
    assert_eq!(read, (1..=accepted).collect::<Vec<_>>());
    told.wait_committed(usize::try_from(accepted).unwrap());
    wait_until("there is room", || spool.has_room(5000));
    assert!(told.rooms() > 0);
    assert_eq!(told.kinds(), ["full", "ok"]);
    assert_eq!(told.lost(), 0);
}

#[test]
fn a_close_while_it_is_full_says_how_many_records_had_no_room() {
    let dir = temp_dir();
    let config = config(dir.path());
    let (spool, told, _) = open(&config);
    let record = vec![7_u8; 5000];
    let mut accepted = 0;
    wait_until("it is full", || {
        accepted += u64::from(spool.append(&[&record], accepted + 1).is_ok());
        spool.stats().state == State::Full
    });
    let error = spool.close().unwrap_err();
    let lost = told.lost();
    assert!(matches!(error, CloseError::Lost(count) if count == lost && lost > 0), "{error} {lost}");
    assert_eq!(told.committed().len() as u64 + told.lost_tokens().len() as u64, accepted);
    assert_eq!(spool.stats().records, accepted - lost);
    drop(spool);
    let recovery = open(&config).2;
    assert_eq!((recovery.records, recovery.lost), (accepted - lost, 0));
}

#[test]
fn a_second_one_on_the_same_directory_is_refused_by_name() {
    let dir = temp_dir();
    let config = config(dir.path());
    let (spool, _, _) = open(&config);
    let error = Spool::open(config.clone(), Arc::new(Told::default())).err().unwrap();
    assert!(matches!(&error, OpenError::InUse(named) if named == dir.path()));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    spool.close().unwrap();
    open(&config);
}

#[test]
fn a_closed_spool_takes_and_gives_nothing() {
    let dir = temp_dir();
    let (spool, _, _) = open(&config(dir.path()));
    spool.append(&[b"x"], 0).unwrap();
    let mut reader = spool.reader().unwrap();
    spool.close().unwrap();
    assert_eq!(spool.append(&[b"x"], 0), Err(AppendError::Closed));
    assert!(!spool.has_room(0));
    assert!(matches!(reader.read(&mut Batch::default(), Duration::ZERO), Err(ReadError::Closed)));
    let acks = std::fs::read(dir.path().join("ACK")).unwrap();
    spool.ack(&[1]);
    assert_eq!(std::fs::read(dir.path().join("ACK")).unwrap(), acks);
}

#[test]
fn close_brings_everything_to_disk() {
    let dir = temp_dir();
    let config = emq_kafka_spool::Config { sync_interval: Duration::from_mins(1), ..config(dir.path()) };
    let (spool, _, _) = open(&config);
    for _ in 0..1000 {
        spool.append(&[b"x"], 0).unwrap();
    }
    spool.close().unwrap();
    assert_eq!(open(&config).2.records, 1000);
}

#[test]
fn a_drop_without_close_lets_go_of_the_directory() {
    let dir = temp_dir();
    let config = config(dir.path());
    let (spool, _, _) = open(&config);
    for _ in 0..100 {
        spool.append(&[b"x"], 0).unwrap();
    }
    drop(spool);
    wait_until("the lock is free", || match Spool::open(config.clone(), Arc::new(Told::default())) {
        Ok((_, recovery)) => {
            assert_eq!(recovery.records, 100);
            true
        }
        Err(OpenError::InUse(_)) => false,
        Err(other) => panic!("{other}"),
    });
}

#[test]
fn a_record_larger_than_a_segment_is_refused_and_the_largest_is_not() {
    let dir = temp_dir();
    let (spool, told, _) = open(&config(dir.path()));
    let largest = common::SEGMENT as usize - 64 - 24;
    let record = vec![9; largest + 1];
    assert_eq!(spool.append(&[&record], 1), Err(AppendError::TooLarge));
    assert_eq!(spool.append(&[&record[1..]], 1), Ok(1));
    told.wait_committed(1);
    assert_eq!(drain(&mut spool.reader().unwrap(), 1), [(1, record[1..].to_vec())]);
}

#[test]
fn the_closure_runs_before_the_reader_can_see_the_record() {
    let dir = temp_dir();
    let (spool, _, _) = open(&config(dir.path()));
    let mut reader = spool.reader().unwrap();
    let seen = spool.append_then(&[b"x"], 1, |sequence| {
        assert_eq!(sequence, 1);
        assert!(!reader.read(&mut Batch::default(), Duration::from_millis(50)).unwrap());
    });
    assert_eq!(seen, Ok(1));
    assert_eq!(drain(&mut reader, 1).len(), 1);
}

#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = temp_dir();
    let inner = dir.path().join("data/kafka_spool");
    let (spool, told, _) = open(&config(&inner));
    spool.append(&[b"x"], 1).unwrap();
    told.wait_committed(1);
    assert_eq!(std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
    let files: Vec<_> = std::fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn knows_the_age_of_the_oldest_record() {
    let dir = temp_dir();
    let (spool, told, _) = open(&config(dir.path()));
    assert_eq!(spool.stats().oldest_ms, None);
    spool.append(&[b"x"], 1).unwrap();
    told.wait_committed(1);
    wait_until("it has aged", || spool.stats().oldest_ms.is_some_and(|age| age >= 20));
    spool.ack(&[1]);
    assert_eq!(spool.stats().oldest_ms, None);
}

/// A directory that is taken away is a disk that fails, and one that comes back.
#[test]
fn what_is_lost_is_not_waited_for_and_a_disk_that_returns_is_used_again() {
    let dir = temp_dir();
    let (spool, told, _) = open(&config(dir.path()));
    let mut reader = spool.reader().unwrap();
    std::fs::remove_dir_all(dir.path()).unwrap();
    spool.append(&[b"x"], 0).unwrap();
    let sequence = spool.append(&[b"y"], 7).unwrap_or(0);
    wait_until("it failed", || spool.stats().state == State::Failed && told.lost() > 0);
    assert_eq!(told.lost(), 1 + u64::from(sequence > 0));
    assert_eq!(spool.append(&[b"z"], 0), Err(AppendError::Failed));
    assert_eq!(spool.stats().records, 0);
    assert!(spool.is_drained());
    assert!(!reader.read(&mut Batch::default(), Duration::ZERO).unwrap());
    std::fs::create_dir(dir.path()).unwrap();
    wait_until("it works again", || spool.has_room(10));
    assert!(told.rooms() > 0);
    assert_eq!(told.kinds(), ["failed", "ok"]);
    let sequence = spool.append(&[b"new"], 8).unwrap();
    assert!(!spool.is_drained());
    assert_eq!(drain(&mut reader, 1), [(sequence, b"new".to_vec())]);
    reader.handed(sequence);
    assert!(spool.is_drained());
    spool.ack(&[sequence]);
    assert_eq!(spool.stats().records, 0);
}

#[test]
fn takes_nothing_more_when_its_events_panicked() {
    struct Panics;
    impl emq_kafka_spool::Events for Panics {
        fn committed(&self, _: &[u64]) {
            panic!("on purpose");
        }
        fn lost(&self, _: u64, _: &[u64], _: &str) {}
        fn corrupt(&self, _: u64, _: &str) {}
        fn notice(&self, _: &str, _: String) {}
    }
    let dir = temp_dir();
    let (spool, _) = Spool::open(config(dir.path()), Arc::new(Panics)).unwrap();
    spool.append(&[b"x"], 1).unwrap();
    wait_until("it refuses", || spool.append(&[b"x"], 0) == Err(AppendError::Failed));
    spool.close().unwrap();
    assert!(open(&config(dir.path())).2.records >= 1);
}
