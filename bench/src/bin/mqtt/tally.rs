//! What counts, and what was counted.

use std::time::{Duration, Instant};

use emq_plugin_kafka_bench::histogram::Histogram;

use crate::Failure;

/// From the end of the warm-up to the end of the measurement.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    /// When all clients were connected.
    pub start: Instant,
    pub from: Instant,
    pub until: Instant,
}

impl Period {
    pub fn after(start: Instant, warmup: Duration, seconds: Duration) -> Self {
        let from = start + warmup;
        Self { start, from, until: from + seconds }
    }

    fn has(&self, time: Instant) -> bool {
        self.from <= time && time < self.until
    }
}

/// What a client, or all of them, have seen acknowledged.
pub struct Tally {
    period: Period,
    /// All, also before and after the period.
    pub acknowledged: u64,
    /// Those acknowledged in the period.
    pub messages: u64,
    /// Of those that were due in the period.
    pub latencies: Histogram,
}

impl Tally {
    pub fn new(period: Period) -> Result<Self, Failure> {
        Ok(Self { period, acknowledged: 0, messages: 0, latencies: Histogram::new()? })
    }

    /// Counts a message that was due, or written, at one time and acknowledged at another.
    pub fn add(&mut self, due: Instant, acknowledged: Instant) {
        self.acknowledged += 1;
        if self.period.has(acknowledged) {
            self.messages += 1;
        }
        if self.period.has(due) {
            self.latencies.add(acknowledged.saturating_duration_since(due));
        }
    }

    pub fn merge(&mut self, other: &Self) -> Result<(), Failure> {
        self.acknowledged += other.acknowledged;
        self.messages += other.messages;
        Ok(self.latencies.merge(&other.latencies)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_counts_when_it_began_in_the_period_and_a_message_when_it_was_acknowledged_there() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tally = Tally::new(Period::after(start, Duration::from_secs(1), Duration::from_secs(5))).unwrap();
        for (due, acknowledged) in [(0, 0), (0, 1), (1, 2), (5, 6)] {
            tally.add(at(due), at(acknowledged));
        }
        assert_eq!((tally.acknowledged, tally.messages, tally.latencies.count()), (4, 2, 2));
    }
}
