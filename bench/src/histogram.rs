//! How long something took, many times over.

use std::time::Duration;

use serde_json::{Value, json};

/// Counts times from 1 ns to a minute, each exact to 0.1 %. What is longer counts as a minute.
pub struct Histogram(hdrhistogram::Histogram<u64>);

const LONGEST: Duration = Duration::from_mins(1);
const DIGITS: u8 = 3;

impl Histogram {
    /// # Errors
    /// Never with the bounds above; the crate cannot know.
    pub fn new() -> Result<Self, hdrhistogram::CreationError> {
        hdrhistogram::Histogram::new_with_bounds(1, nanos(LONGEST), DIGITS).map(Self)
    }

    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        self.0.saturating_record(nanos(time));
    }

    /// Adds what another one has counted.
    ///
    /// # Errors
    /// Never between two made by [`Self::new`].
    pub fn merge(&mut self, other: &Self) -> Result<(), hdrhistogram::AdditionError> {
        self.0.add(&other.0)
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// `{"p50":..,"p99":..,"p999":..}`, in microseconds.
    #[must_use]
    pub fn percentiles(&self) -> Value {
        let us = |quantile| micros(self.0.value_at_quantile(quantile));
        json!({"p50": us(0.5), "p99": us(0.99), "p999": us(0.999)})
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Three decimals: whole nanoseconds.
#[allow(clippy::cast_precision_loss)]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentiles_of_a_thousand_times_are_found() {
        let mut histogram = Histogram::new().unwrap();
        for us in 1..=1000 {
            histogram.add(Duration::from_micros(us));
        }
        let found = histogram.percentiles();
        for (name, us) in [("p50", 500.0), ("p99", 990.0), ("p999", 999.0)] {
            let value = found[name].as_f64().unwrap();
            assert!((value / us - 1.0).abs() < 0.002, "{name}: {value}");
        }
    }

    #[test]
    fn a_merged_histogram_has_the_times_of_both() {
        let (mut one, mut other) = (Histogram::new().unwrap(), Histogram::new().unwrap());
        one.add(Duration::from_nanos(10));
        other.add(Duration::from_secs(100));
        one.merge(&other).unwrap();
        assert_eq!(one.count(), 2);
        assert!(one.percentiles()["p999"].as_f64().unwrap() > 59e6);
    }
}
