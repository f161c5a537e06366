//! Histograms of values.

use std::sync::atomic::{AtomicU64, Ordering};

/// A histogram with fixed bounds.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// The largest value of each bucket but the last, which has no bound.
    pub bounds: &'static [u64],
    /// The number of values in each bucket; one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

/// The bounds of durations in microseconds: from a millisecond to a minute.
const MILLISECONDS: &[u64] = &[
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
    10_000_000, 60_000_000,
];

impl Histogram {
    /// Returns one of durations in microseconds.
    pub fn of_milliseconds() -> Histogram {
        Histogram::new(MILLISECONDS)
    }

    /// Returns one of the number of events in a request.
    pub fn of_events() -> Histogram {
        Histogram::new(&[1, 2, 5, 10, 20, 50, 100, 1000])
    }

    fn new(bounds: &'static [u64]) -> Histogram {
        Histogram { bounds, counts: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.counts[bucket(self.bounds, value)] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Returns the number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A histogram of durations that threads add to without a lock.
#[derive(Debug, Default)]
pub struct SharedHistogram {
    counts: [AtomicU64; MILLISECONDS.len() + 1],
    sum: AtomicU64,
}

impl SharedHistogram {
    /// Counts a duration in microseconds.
    pub fn add(&self, value: u64) {
        self.counts[bucket(MILLISECONDS, value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Returns a copy. The sum may include a duration that the counts do not, while one is added.
    pub fn read(&self) -> Histogram {
        Histogram {
            bounds: MILLISECONDS,
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// Returns the number of the bucket that a value belongs to.
fn bucket(bounds: &[u64], value: u64) -> usize {
    bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below() {
        let mut histogram = Histogram::of_events();
        for value in [1, 1, 2, 3, 5, 6, 1000, 1001] {
            histogram.add(value);
        }
        assert_eq!(histogram.counts, [2, 1, 2, 1, 0, 0, 0, 1, 1]);
        assert_eq!((histogram.count(), histogram.sum), (8, 2019));
    }

    #[test]
    fn a_shared_histogram_counts_as_one_of_durations() {
        let (shared, mut histogram) = (SharedHistogram::default(), Histogram::of_milliseconds());
        for value in [0, 999, 1000, 1001, 60_000_000, 60_000_001] {
            shared.add(value);
            histogram.add(value);
        }
        let read = shared.read();
        assert_eq!((read.counts, read.sum), (histogram.counts, histogram.sum));
    }
}
