//! What `strace -f -xx -o FILE` writes, one line a call or half of one, read into calls and their beginnings and ends.
//!
//! A call has one of four ends, and only one of them is a failure: see [`Outcome`]. A line of no known form is an error, never
//! skipped: what it would have said is not known to be unimportant.

use std::collections::HashMap;

/// A system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub args: Vec<String>,
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this number, which is no error.
    Returned(i64),
    /// It failed: the name of the error (`EIO`).
    Failed(String),
    /// A signal came before it had done anything; the kernel or the caller makes it again, as a call of its own.
    Interrupted,
    /// The process was gone before it returned: it may have done its work, and nobody was told.
    NeverReturned,
}

/// What happened, in the order of the lines: the number is an index of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Start(usize),
    /// It returned, or failed. There is none for a call that was interrupted or never returned.
    End(usize),
}

/// The calls, in the order in which they began, and the events.
#[derive(Debug, Default)]
pub struct Calls {
    pub calls: Vec<Call>,
    pub events: Vec<Event>,
}

impl Calls {
    /// # Errors
    /// The number of a line that is of no known form, the line, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        let mut open = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            all.line(line, &mut open).map_err(|why| {
                let shown: String = line.chars().take(200).collect();
                format!("line {} of the trace: {why}: {shown}", index + 1)
            })?;
        }
        Ok(all)
    }

    /// `open`: of each thread, the call that it is in, and the text of its first half.
    fn line<'a>(&mut self, line: &'a str, open: &mut HashMap<&'a str, (usize, &'a str)>) -> Result<(), String> {
        let (thread, rest) = line.split_once(' ').ok_or("no thread in front")?;
        let rest = rest.trim();
        if is_end_of_thread(rest) {
            // It leaves in the middle of a call: that one began, and has no end.
            open.remove(thread);
        } else if rest.starts_with("--- ") {
            // A signal, or a stop by one.
        } else if let Some(begun) = rest.strip_suffix("<unfinished ...>").filter(|_| !rest.starts_with("<... ")) {
            let id = self.start(begun, Outcome::NeverReturned)?;
            if open.insert(thread, (id, begun)).is_some() {
                return Err("its thread is in another call".to_owned());
            }
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, tail) = resumed.split_once(" resumed>").ok_or("`<...` without `resumed>`")?;
            let (id, begun) = open.remove(thread).ok_or("it goes on with a call that did not begin")?;
            let (tail, outcome) = split_outcome(tail)?;
            self.calls[id] =
                call(&format!("{begun}{}", tail.trim_end().trim_end_matches("<unfinished ...>)")), outcome)?;
            self.end(id);
        } else {
            let (begun, outcome) = split_outcome(rest)?;
            let id = self.start(begun, outcome)?;
            self.end(id);
        }
        Ok(())
    }

    fn start(&mut self, begun: &str, outcome: Outcome) -> Result<usize, String> {
        let id = self.calls.len();
        self.calls.push(call(begun, outcome)?);
        self.events.push(Event::Start(id));
        Ok(id)
    }

    fn end(&mut self, id: usize) {
        if matches!(self.calls[id].outcome, Outcome::Returned(_) | Outcome::Failed(_)) {
            self.events.push(Event::End(id));
        }
    }
}

fn is_end_of_thread(rest: &str) -> bool {
    rest.starts_with("+++ exited with ") || rest.starts_with("+++ killed by ") || rest.starts_with("+++ superseded by ")
}

/// `NAME(ARGS)`, or `NAME(ARGS` where the line ended there.
fn call(text: &str, outcome: Outcome) -> Result<Call, String> {
    let (name, args) = text.split_once('(').ok_or("no call")?;
    let args = args.trim_end();
    let args = args.strip_suffix(')').unwrap_or(args).trim_end().trim_end_matches(',');
    let args = args.split(", ").filter(|arg| !arg.is_empty()).map(|arg| arg.trim().to_owned()).collect();
    Ok(Call { name: name.to_owned(), args, outcome })
}

/// The part before ` = `, and what stands behind it.
fn split_outcome(text: &str) -> Result<(&str, Outcome), String> {
    // With -xx no argument has an = in it.
    let (begun, result) = text.rsplit_once(" = ").ok_or("neither a result nor `<unfinished ...>`")?;
    Ok((begun, outcome(result)?))
}

/// `0`, `0x7f00`, `17 (DELAYED)`, `-1 EIO (Input/output error) (INJECTED)`, `?`, `? <unavailable>`,
/// `? ERESTARTSYS (To be restarted if SA_RESTART is set)`, `-1 (errno 18446744073709551613)`.
fn outcome(result: &str) -> Result<Outcome, String> {
    let mut words = result.split_whitespace();
    match (words.next(), words.next()) {
        (Some("?"), None | Some("<unavailable>")) => Ok(Outcome::NeverReturned),
        (Some("?"), Some(error)) if error.starts_with("ERESTART") => Ok(Outcome::Interrupted),
        (Some("-1"), Some("EINTR")) => Ok(Outcome::Interrupted),
        (Some("-1"), Some(error)) if error.starts_with('E') => Ok(Outcome::Failed(error.to_owned())),
        (Some("-1"), Some("(errno")) => unnamed(words.next().unwrap_or_default()),
        (Some(number), _) => returned(number).map(Outcome::Returned).ok_or("a result of no known form".to_owned()),
        _ => Err("no result".to_owned()),
    }
}

/// An error that strace has no name for. The kernel's are up to 4095: a number beyond is strace's own, which could not read the
/// result, because the thread was gone.
fn unnamed(number: &str) -> Result<Outcome, String> {
    match number.trim_end_matches(')').parse::<u64>() {
        Ok(number @ 1..=4095) => Ok(Outcome::Failed(format!("errno {number}"))),
        Ok(number) if number > 4095 => Ok(Outcome::NeverReturned),
        _ => Err("a result of no known form".to_owned()),
    }
}

fn returned(number: &str) -> Option<i64> {
    let parsed = match number.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => number.parse(),
    };
    parsed.ok().filter(|number| *number >= 0)
}
