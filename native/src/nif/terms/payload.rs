//! A payload: a binary, or, from parts of a broker and other plugins, an io list. Total, and bounded in time, size and depth.

use rustler::{Binary, Env, NewBinary, Term};

use crate::event::Reading;

/// What a normal scheduler reads of an io list, in cells: 0.1 ms.
const LIGHT_CELLS: usize = 2_000;

/// And in bytes: what MQTT clients send by way of EMQ 2.3's default limit.
const LIGHT_SIZE: usize = 64 * 1024;

/// What a dirty scheduler reads of one, in about half a second.
const MAX_CELLS: usize = 16_000_000;

/// The largest packet of MQTT. What is longer reaches no client. Shared parts can make terabytes of a few cells.
const MAX_SIZE: usize = 256 * 1024 * 1024;

/// Lists within lists, each with something after it.
const MAX_DEPTH: usize = 1_000_000;

/// Reads a payload: a plain binary as it lies there, an io list as a new binary of the environment. None where it is neither.
/// `patient`: the caller has time for a long one.
pub fn read(term: Term<'_>, patient: bool) -> Option<(&[u8], Reading)> {
    if let Ok(binary) = term.decode::<Binary<'_>>() {
        return Some((binary.as_slice(), Reading::Whole));
    }
    let (cells, size) = if patient { (MAX_CELLS, MAX_SIZE) } else { (LIGHT_CELLS, LIGHT_SIZE) };
    match measure(term, cells, size) {
        Ok(size) => Some((join(term, cells, size), Reading::Whole)),
        Err(Stop::Beyond) if patient => Some((&[], Reading::TooLarge)),
        Err(Stop::Beyond) => Some((&[], Reading::Later)),
        Err(Stop::NoIodata) => None,
    }
}

/// How many bytes it is. First, so that nothing is allocated for what is too much.
fn measure(list: Term<'_>, cells: usize, max: usize) -> Result<usize, Stop> {
    let mut size = 0_usize;
    for part in Parts::of(list, cells) {
        size = size.saturating_add(part?.len());
        if size > max {
            return Err(Stop::Beyond);
        }
    }
    Ok(size)
}

fn join<'a>(list: Term<'a>, cells: usize, size: usize) -> &'a [u8] {
    let env: Env<'a> = list.get_env();
    let mut joined = NewBinary::new(env, size);
    let mut free = joined.as_mut_slice();
    for part in Parts::of(list, cells).map_while(Result::ok) {
        let Some((place, rest)) = std::mem::take(&mut free).split_at_mut_checked(part.len()) else { break };
        part.copy_to(place);
        free = rest;
    }
    Binary::from(joined).as_slice()
}

/// Why an io list is not read to its end.
enum Stop {
    /// It is none.
    NoIodata,
    /// There is more than the bounds allow.
    Beyond,
}

/// A byte, or some.
enum Part<'a> {
    Byte(u8),
    Bytes(&'a [u8]),
}

impl Part<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Byte(_) => 1,
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn copy_to(&self, place: &mut [u8]) {
        match self {
            Self::Byte(byte) => place.fill(*byte),
            Self::Bytes(bytes) => place.copy_from_slice(bytes),
        }
    }
}

/// The parts of an io list in their order. Without recursion: lists may be as deep as memory allows.
struct Parts<'a> {
    /// The list that is read, from here on.
    rest: Option<Term<'a>>,
    /// What comes after it.
    after: Vec<Term<'a>>,
    cells_left: usize,
}

impl<'a> Parts<'a> {
    fn of(list: Term<'a>, cells: usize) -> Self {
        // Only the end of a list, and elements of one, may be a binary: that the whole is one was asked before.
        Self { rest: Some(list), after: Vec::new(), cells_left: cells }
    }

    /// Goes on with a list that is an element of another one.
    fn enter(&mut self, list: Term<'a>) -> Result<(), Stop> {
        if let Some(after) = self.rest.replace(list)
            && !after.is_empty_list()
        {
            if self.after.len() == MAX_DEPTH {
                return Err(Stop::Beyond);
            }
            self.after.push(after);
        }
        Ok(())
    }

    /// The next part of the list that is read; None where its next element is a list, or there is no more of it.
    fn step(&mut self, rest: Term<'a>) -> Result<Option<Part<'a>>, Stop> {
        let Ok((head, tail)) = rest.list_get_cell() else {
            // The end of a list may be a binary.
            return rest
                .decode::<Binary<'a>>()
                .map(|end| Some(Part::Bytes(end.as_slice())))
                .map_err(|_| Stop::NoIodata);
        };
        self.rest = Some(tail);
        if let Ok(number) = head.decode::<u32>() {
            // Not as u8: rustler cuts what is larger.
            return u8::try_from(number).map(|byte| Some(Part::Byte(byte))).map_err(|_| Stop::NoIodata);
        }
        if let Ok(binary) = head.decode::<Binary<'a>>() {
            return Ok(Some(Part::Bytes(binary.as_slice())));
        }
        if head.is_list() { self.enter(head).map(|()| None) } else { Err(Stop::NoIodata) }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest.take().filter(|rest| !rest.is_empty_list()).or_else(|| self.after.pop())?;
            let Some(left) = self.cells_left.checked_sub(1) else { return Some(Err(Stop::Beyond)) };
            self.cells_left = left;
            if let Some(part) = self.step(rest).transpose() {
                return Some(part);
            }
        }
    }
}
