//! A disk that reports errors, and one that is full. The errors are injected from outside, by strace.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod common;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use common::child::{Printed, appender, judge, traced};
use common::{config, open, quick_temp_dir, read_all};

const RECORDS: u64 = 60;

/// Runs the appender with these injections, and says what it printed.
fn write_with(dir: &Path, injections: &[String]) -> Printed {
    let mut options: Vec<OsString> = ["-o", "/dev/null", "-e", "trace=fdatasync,pwrite64,ftruncate,fallocate,fsync"]
        .into_iter()
        .map(OsString::from)
        .collect();
    for injection in injections {
        options.extend(["-e".into(), format!("inject={injection}").into()]);
    }
    let output = traced(&options).arg("write").arg(dir).args(["1", &RECORDS.to_string()]).output().unwrap();
    let printed = Printed::parse(&String::from_utf8(output.stdout).unwrap());
    assert!(printed.done, "{injections:?}: {printed:?}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// What a start after it reads, judged.
fn recovered(dir: &Path, printed: &Printed, context: &str) -> Vec<u64> {
    let config = emq_kafka_spool::Config { segment_size: 16384, ..config(dir) };
    let (spool, told, recovery) = open(&config);
    let records = read_all(&spool);
    let numbers = judge(&records, printed).unwrap_or_else(|error| panic!("{context}: {error}\n{printed:?}"));
    assert_eq!((recovery.lost, told.corrupt()), (0, 0), "{context}: {:?} {:?}", recovery.notes, told.texts());
    assert_eq!(recovery.records, numbers.len() as u64, "{context}");
    spool.close().unwrap();
    numbers
}

/// One failed call costs nothing: all records are committed, once each, though the segment is given up. The header of a
/// fresh segment and the acknowledgements are hit as well, at some of these numbers.
fn one_failure_costs_nothing(call: &str, first: u32, also: &[&str]) {
    let mut poisoned = 0;
    for when in first..first + 24 {
        let dir = quick_temp_dir();
        // Made before, so that opening it takes one write: an error there would fail the open.
        open(&emq_kafka_spool::Config { segment_size: 16384, ..config(dir.path()) }).0.close().unwrap();
        let mut injections = vec![format!("{call}:error=EIO:when={when}")];
        injections.extend(also.iter().map(|injection| (*injection).to_owned()));
        let printed = write_with(dir.path(), &injections);
        let context = format!("{injections:?}");
        assert_eq!(printed.committed.len() as u64, RECORDS, "{context}: {printed:?}");
        assert!(printed.lost.is_empty() && printed.refused.is_empty(), "{context}: {printed:?}");
        poisoned += u32::from(printed.noticed("poisoned"));
        let numbers = recovered(dir.path(), &printed, &context);
        assert_eq!(numbers, (1..=RECORDS).collect::<Vec<_>>(), "{context}");
    }
    println!("{call} {also:?}: {poisoned} of 24 times a segment was given up");
    assert!(poisoned >= 5, "{poisoned}");
}

#[test]
fn a_failed_fdatasync_costs_nothing() {
    one_failure_costs_nothing("fdatasync", 1, &[]);
}

/// The records are in the cut-off tail and in the next segment then; they are read once.
#[test]
fn a_failed_fdatasync_and_a_failed_cut_cost_nothing() {
    one_failure_costs_nothing("fdatasync", 1, &["ftruncate:error=EIO"]);
}

#[test]
fn a_failed_write_costs_nothing() {
    // The first one is the open's, which says so and fails.
    one_failure_costs_nothing("pwrite64", 2, &[]);
}

/// From the 15th on, 4 calls fail: the segment's and the next one's, so records are lost. They are told, once each,
/// and those after it are kept: no record has two fates, and none has none.
#[test]
fn a_disk_that_fails_for_a_while_loses_what_it_says_and_nothing_else() {
    for (call, also) in [("fdatasync", None), ("fdatasync", Some("ftruncate:error=EIO")), ("pwrite64", None)] {
        let dir = quick_temp_dir();
        let mut injections = vec![format!("{call}:error=EIO:when=15..18")];
        injections.extend(also.map(str::to_owned));
        let printed = write_with(dir.path(), &injections);
        let context = format!("{injections:?}");
        assert!(printed.noticed("failed") && !printed.lost.is_empty(), "{context}: {printed:?}");
        assert!(printed.noticed("ok") && printed.noticed("state ok"), "{context}: it did not recover: {printed:?}");
        let mut fates: Vec<u64> =
            [&printed.committed, &printed.lost, &printed.refused].into_iter().flatten().copied().collect();
        fates.sort_unstable();
        assert_eq!(fates, (1..=RECORDS).collect::<Vec<_>>(), "{context}: {printed:?}");
        let numbers = recovered(dir.path(), &printed, &context);
        assert_eq!(numbers, printed.committed.into_iter().collect::<Vec<_>>(), "{context}");
    }
}

/// It never comes back: what was told to be lost stays lost, also after a restart, though some of it was written.
#[test]
fn a_disk_that_fails_for_good_loses_what_it_says_and_keeps_the_rest() {
    let dir = quick_temp_dir();
    let printed = write_with(dir.path(), &["fdatasync:error=EIO:when=15+".to_owned()]);
    assert!(printed.noticed("state failed") && !printed.lost.is_empty(), "{printed:?}");
    let numbers = recovered(dir.path(), &printed, "for good");
    assert_eq!(numbers, printed.committed.iter().copied().collect::<Vec<_>>(), "{printed:?}");
}

/// A read that fails is reported and tried again; what stays unreadable is given up, and told.
#[test]
fn a_failed_read_is_tried_again_before_records_are_given_up() {
    // Counted by thread: the first ones are the loader's and the opening one's.
    for (when, given_up) in [("15", false), ("15..17", false), ("15+", true)] {
        let dir = quick_temp_dir();
        let inject = format!("inject=pread64:error=EIO:when={when}");
        let options: Vec<OsString> =
            ["-o", "/dev/null", "-e", "trace=pread64", "-e", &inject].map(OsString::from).into();
        let output = traced(&options).arg("run").arg(dir.path()).args(["1", "2000"]).output().unwrap();
        let printed = Printed::parse(&String::from_utf8(output.stdout).unwrap());
        assert!(printed.done && printed.noticed("read"), "{when}: {printed:?}");
        assert_eq!(printed.noticed("corrupt"), given_up, "{when}: {printed:?}");
        if !given_up {
            let (spool, ..) = open(&emq_kafka_spool::Config { segment_size: 16384, ..config(dir.path()) });
            judge(&read_all(&spool), &printed).unwrap();
        }
    }
}

/// A file system that has no fallocate is used without; one that is full when a segment is to be made is waited for.
#[test]
fn a_full_disk_is_waited_for_and_a_missing_fallocate_is_done_without() {
    let dir = quick_temp_dir();
    let printed = write_with(dir.path(), &["fallocate:error=ENOSPC:when=1..3".to_owned()]);
    assert!(printed.noticed("full") && printed.noticed("ok"), "{printed:?}");
    assert_eq!(recovered(dir.path(), &printed, "ENOSPC"), (1..=RECORDS).collect::<Vec<_>>());

    let dir = quick_temp_dir();
    let printed = write_with(dir.path(), &["fallocate:error=EOPNOTSUPP".to_owned()]);
    assert_eq!(printed.notices.len(), 2, "{printed:?}");
    assert_eq!(recovered(dir.path(), &printed, "EOPNOTSUPP"), (1..=RECORDS).collect::<Vec<_>>());

    // Not at the fallocate: in the middle of a segment.
    let dir = quick_temp_dir();
    let printed = write_with(dir.path(), &["pwrite64:error=ENOSPC:when=9..12".to_owned()]);
    assert!(printed.noticed("full") && printed.noticed("ok") && !printed.noticed("poisoned"), "{printed:?}");
    assert_eq!(recovered(dir.path(), &printed, "ENOSPC at write"), (1..=RECORDS).collect::<Vec<_>>());
}

/// A real full disk: a tmpfs of 640 KiB in a mount namespace of its own (as root, or in a user namespace).
#[test]
fn a_real_full_disk_is_left_when_records_are_acknowledged() {
    let dir = quick_temp_dir();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new("unshare");
    if !root {
        command.arg("--map-root-user");
    }
    // In a chroot, where / is no mount point, its propagation cannot be changed: so it is tried inside, and what was mounted is
    // taken away again.
    let script = r#"mount --make-rprivate / 2>/dev/null
        mount -t tmpfs -o size=640k none "$1" || exit 1
        "$2" full "$1/spool" 1 500 && df -k "$1"
        status=$?
        umount "$1" && exit $status"#;
    command.args(["--mount", "--propagation", "unchanged", "sh", "-c", script, "sh"]).arg(dir.path()).arg(appender());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let printed = Printed::parse(&text);
    assert!(output.status.success() && printed.done, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        printed.notices.iter().any(|notice| notice.starts_with("full") && notice.contains("No space")),
        "{printed:?}"
    );
    assert!(printed.noticed("state full Err(Full)") && printed.noticed("ok"), "{printed:?}");
    assert!(printed.lost.is_empty(), "{printed:?}");
    // All that was accepted, and the 500 after it.
    assert_eq!(printed.committed.last().copied(), Some(printed.committed.len() as u64));
    println!("{} records committed on the small disk", printed.committed.len());
}
