//! The packet ids of a connection, and when the message of each that is in use was due.

use std::num::NonZero;
use std::time::Instant;

use crate::Failure;
use crate::packets::PacketId;

/// Ids from 1 to the size of the window. One that was acknowledged is used again.
pub struct Window {
    due: Vec<Option<Instant>>,
    free: Vec<PacketId>,
}

impl Window {
    pub fn new(size: NonZero<u16>) -> Self {
        Self { due: vec![None; usize::from(size.get()) + 1], free: (1..=size.get()).rev().collect() }
    }

    /// An id for a message that is due, or written, now. None where the window is full.
    pub fn take(&mut self, due: Instant) -> Option<PacketId> {
        let id = self.free.pop()?;
        *self.due.get_mut(usize::from(id))? = Some(due);
        Some(id)
    }

    /// When the message that is acknowledged now was due.
    ///
    /// # Errors
    /// No such message waits.
    pub fn release(&mut self, id: PacketId) -> Result<Instant, Failure> {
        let due = self.due.get_mut(usize::from(id)).and_then(Option::take);
        self.free.push(id);
        due.ok_or_else(|| format!("the broker acknowledged packet {id}, which does not wait for it").into())
    }

    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Whether every message was acknowledged.
    pub fn is_idle(&self) -> bool {
        self.free.len() + 1 == self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_window_is_in_use_and_each_id_once() {
        let now = Instant::now();
        let mut window = Window::new(NonZero::new(2).unwrap());
        assert_eq!((window.take(now), window.take(now), window.take(now)), (Some(1), Some(2), None));
        assert!(!window.is_idle());
        assert_eq!(window.release(2).unwrap(), now);
        assert_eq!((window.free(), window.take(now)), (1, Some(2)));
    }

    #[test]
    fn an_acknowledgement_that_nobody_waits_for_is_an_error() {
        let mut window = Window::new(NonZero::new(2).unwrap());
        assert!(window.release(1).is_err());
        assert!(window.release(9).is_err());
    }
}
