//! A counter that many threads write and hardly anybody reads.
//!
//! Each thread counts on a cache line of its own. A counter that all write to would travel between the processors with every
//! record.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many lines there are. With more threads some share one, which is slower and still right.
pub const STRIPES: usize = 32;

/// This thread's number below `STRIPES`.
#[must_use]
pub fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    }
    // `with` fails only while the thread is being torn down.
    MINE.try_with(|mine| *mine).unwrap_or(0)
}

/// A cache line, or two: some processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicUsize);

/// A number that goes up and down. Its parts wrap around; their sum does not.
#[derive(Debug, Default)]
pub struct Striped {
    lines: [Line; STRIPES],
}

impl Striped {
    /// Counts up.
    pub fn add(&self, count: usize) {
        if let Some(line) = self.mine() {
            line.fetch_add(count, Ordering::AcqRel);
        }
    }

    /// Counts down, in any thread.
    pub fn sub(&self, count: usize) {
        if let Some(line) = self.mine() {
            line.fetch_sub(count, Ordering::AcqRel);
        }
    }

    /// The sum. Right when nobody counts up meanwhile; what is counted down meanwhile is in it or not.
    #[must_use]
    pub fn sum(&self) -> usize {
        self.lines.iter().fold(0, |sum, line| sum.wrapping_add(line.0.load(Ordering::Acquire)))
    }

    fn mine(&self) -> Option<&AtomicUsize> {
        self.lines.get(stripe()).map(|line| &line.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_thread_counts_up_another_counts_down() {
        let counter = Striped::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..1000).for_each(|_| counter.add(3)));
            }
        });
        assert_eq!(counter.sum(), 2 * STRIPES * 3000);
        std::thread::scope(|scope| {
            scope.spawn(|| counter.sub(2 * STRIPES * 3000 - 1));
        });
        assert_eq!(counter.sum(), 1);
    }
}
