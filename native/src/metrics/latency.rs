//! How long it takes from the hook to Kafka's acknowledgement, as a histogram.
//!
//! A record in the spool counts from its hook too: after an outage of an hour, this tells of an hour.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The upper bounds of the buckets, in ms. Records that took longer are in one more.
pub const BOUNDS_MS: [u64; 17] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 600_000, 3_600_000];

const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// Times of some records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// By bucket, the last one without a bound; not cumulative.
    buckets: [u64; BUCKETS],
    /// Of all records, in ms.
    sum_ms: u64,
}

impl Latencies {
    /// Counts a record that took so long. Clocks that were put back make negative times, which count as none.
    pub fn add(&mut self, ms: i64) {
        let ms = u64::try_from(ms).unwrap_or(0);
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < ms);
        if let Some(records) = self.buckets.get_mut(bucket) {
            *records += 1;
        }
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// How many records there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time of all together, in ms.
    #[must_use]
    pub const fn sum_ms(&self) -> u64 {
        self.sum_ms
    }

    /// The bounds in ms, none for the last, each with the records that took so long or less.
    #[must_use]
    pub fn cumulative(&self) -> Vec<(Option<u64>, u64)> {
        let bounds = BOUNDS_MS.into_iter().map(Some).chain([None]);
        let mut sum = 0;
        bounds
            .zip(&self.buckets)
            .map(|(bound, records)| {
                sum += records;
                (bound, sum)
            })
            .collect()
    }
}

/// The times of all records. Only the threads that serve delivery reports count, a batch at a time.
#[derive(Debug, Default)]
pub struct Latency(Mutex<Latencies>);

impl Latency {
    /// Counts a batch, and empties it.
    pub fn add(&self, batch: &mut Latencies) {
        let mut all = self.lock();
        for (records, more) in all.buckets.iter_mut().zip(&batch.buckets) {
            *records += more;
        }
        all.sum_ms = all.sum_ms.saturating_add(batch.sum_ms);
        *batch = Latencies::default();
    }

    /// All of them, at one instant.
    #[must_use]
    pub fn snapshot(&self) -> Latencies {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Latencies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_of_its_bound() {
        let mut batch = Latencies::default();
        for ms in [i64::MIN, -1, 0, 1, 2, 3, 5, 3_600_000, 3_600_001] {
            batch.add(ms);
        }
        let all = Latency::default();
        all.add(&mut batch);
        assert_eq!(batch, Latencies::default(), "counted once");
        batch.add(4);
        all.add(&mut batch);
        let times = all.snapshot();
        let cumulative = times.cumulative();
        assert_eq!(&cumulative[..4], [(Some(1), 4), (Some(2), 5), (Some(5), 8), (Some(10), 8)]);
        assert_eq!(&cumulative[16..], [(Some(3_600_000), 9), (None, 10)]);
        assert_eq!((times.count(), times.sum_ms()), (10, 1 + 2 + 3 + 5 + 4 + 7_200_001));
    }
}
