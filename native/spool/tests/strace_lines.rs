//! How the lines of strace are read: a call that was interrupted, or that never returned, is no failed call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::strace::{Calls, Event, Outcome};

fn outcomes(text: &str) -> Vec<(String, Vec<String>, Outcome)> {
    Calls::parse(text).unwrap().calls.into_iter().map(|call| (call.name, call.args, call.outcome)).collect()
}

fn one(line: &str) -> (String, Vec<String>, Outcome) {
    let mut all = outcomes(line);
    assert_eq!(all.len(), 1, "{line}");
    all.remove(0)
}

/// What became of the first call, and the events.
fn assert_begins_with(text: &str, outcome: &Outcome, events: &[Event]) {
    let all = Calls::parse(text).unwrap();
    assert_eq!((&all.calls[0].outcome, all.calls[0].args.as_slice()), (outcome, &["6".to_owned()][..]), "{text}");
    assert_eq!(all.events, events, "{text}");
}

fn sync(outcome: Outcome) -> (String, Vec<String>, Outcome) {
    ("fdatasync".into(), vec!["6".into()], outcome)
}

#[test]
fn a_call_that_returned_has_its_number() {
    assert_eq!(one("20417 fdatasync(6)                      = 0"), sync(Outcome::Returned(0)));
    assert_eq!(one("20417 fdatasync(6)                      = 0 (DELAYED)"), sync(Outcome::Returned(0)));
    let (name, args, outcome) = one(r#"7   pwrite64(5, "\x0a\x00", 16, 278528) = 16"#);
    assert_eq!((name.as_str(), args.len(), outcome), ("pwrite64", 4, Outcome::Returned(16)));
    assert_eq!(one("7 mmap(NULL, 4096, PROT_READ) = 0x7f0000000000").2, Outcome::Returned(0x7f00_0000_0000));
}

#[test]
fn a_call_that_failed_has_the_name_of_its_error() {
    assert_eq!(one("7 fdatasync(6)  = -1 EIO (Input/output error)"), sync(Outcome::Failed("EIO".into())));
    assert_eq!(one("7 fdatasync(6)  = -1 EIO (Input/output error) (INJECTED)"), sync(Outcome::Failed("EIO".into())));
    assert_eq!(
        one("7 pwrite64(6, \"\\x00\", 1, 0)  = -1 ENOSPC (No space left on device)").2,
        Outcome::Failed("ENOSPC".into())
    );
}

/// As strace 6.1 wrote them of a process that left while a thread of it was in the call.
#[test]
fn a_call_that_never_returned_is_no_failed_one() {
    let unread = "7 fdatasync(6)   = -1 (errno 18446744073709551613)";
    for line in ["7 fdatasync(6)   = ?", "7 fdatasync(6)   = ? <unavailable>", unread] {
        assert_eq!(one(line), sync(Outcome::NeverReturned), "{line}");
    }
    for end in [
        "7 <... fdatasync resumed>)          = ?\n7 +++ exited with 0 +++",
        "7 <... fdatasync resumed>)          = ? <unavailable>\n7 +++ killed by SIGKILL +++",
        "7 <... fdatasync resumed>)          = -1 (errno 18446744073709551613)\n7 +++ exited with 0 +++",
        "7 <... fdatasync resumed> <unfinished ...>) = ?\n7 +++ exited with 0 +++",
        "7 +++ exited with 0 +++",
        "7 +++ killed by SIGKILL (core dumped) +++",
        "8 +++ exited with 0 +++",
    ] {
        let text = format!("7 fdatasync(6 <unfinished ...>\n8 close(4) = 0\n{end}\n");
        assert_begins_with(&text, &Outcome::NeverReturned, &[Event::Start(0), Event::Start(1), Event::End(1)]);
    }
    assert_eq!(one("7 ???()  = ?").2, Outcome::NeverReturned);
}

#[test]
fn an_interrupted_call_is_no_failed_one_and_has_no_end() {
    for result in [
        "? ERESTARTSYS (To be restarted if SA_RESTART is set)",
        "? ERESTARTNOINTR (To be restarted)",
        "? ERESTART_RESTARTBLOCK (Interrupted by signal)",
        "-1 EINTR (Interrupted system call)",
    ] {
        let text = format!("7 fdatasync(6) = {result}\n7 --- SIGCHLD {{si_signo=SIGCHLD, si_code = 1}} ---\n");
        assert_begins_with(&text, &Outcome::Interrupted, &[Event::Start(0)]);
    }
}

#[test]
fn the_halves_of_a_call_are_put_together_by_thread() {
    let text = "7 fdatasync(6 <unfinished ...>\n\
                8 pwrite64(5, \"\\x00\\x01\", 2, 512 <unfinished ...>\n\
                7 <... fdatasync resumed>)          = -1 EIO (Input/output error)\n\
                8 <... pwrite64 resumed>)           = 2\n";
    let all = Calls::parse(text).unwrap();
    assert_eq!(all.calls[0].outcome, Outcome::Failed("EIO".into()));
    assert_eq!(
        (all.calls[1].args.join(" ").as_str(), &all.calls[1].outcome),
        (r#"5 "\x00\x01" 2 512"#, &Outcome::Returned(2))
    );
    assert_eq!(all.events, [Event::Start(0), Event::Start(1), Event::End(0), Event::End(1)]);
}

/// What cannot be read is told, with its number: a trace with a hole proves nothing.
#[test]
fn a_line_of_no_known_form_is_an_error() {
    for line in [
        "7 fdatasync(6",
        "7 fdatasync(6) = ",
        "7 fdatasync(6) = -1",
        "7 fdatasync(6) = -5",
        "7 fdatasync(6) = ? SOMETHING",
        "7 fdatasync(6) = maybe",
        "7 fdatasync(6 <detached ...>",
        "7 <... fdatasync resumed>) = 0",
        "7 fdatasync(6 <unfinished ...>\n7 fdatasync(6 <unfinished ...>",
        "fdatasync",
    ] {
        let told = Calls::parse(&format!("7 close(3) = 0\n{line}")).unwrap_err();
        assert!(told.starts_with("line ") && !told.starts_with("line 1 "), "{line}: {told}");
    }
}
