//! Histograms of values.

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

const MILLISECOND_IN_US: u64 = 1000;

impl Histogram {
    /// Returns one of durations in microseconds, with bounds from a millisecond to a minute.
    pub fn of_milliseconds() -> Histogram {
        Histogram::new(
            &const {
                let mut bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000];
                let mut index = 0;
                while index < bounds.len() {
                    bounds[index] *= MILLISECOND_IN_US;
                    index += 1;
                }
                bounds
            },
        )
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
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Returns the number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
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
}
