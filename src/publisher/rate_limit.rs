//! How many events may be sent in a second: a token bucket. Time is an argument.

use std::time::{Duration, Instant};

/// Grants a number of events a second, of which a tenth may come at once.
#[derive(Debug)]
pub struct Governor {
    per_second: f64,
    most: f64,
    tokens: f64,
    at: Instant,
}

impl Governor {
    /// A full one.
    pub fn new(per_second: u32, now: Instant) -> Governor {
        let per_second = f64::from(per_second);
        let most = (per_second / 10.0).max(1.0);
        Governor { per_second, most, tokens: most, at: now }
    }

    /// Up to `wanted` events, and at least one; or when there will be one.
    pub fn take(&mut self, wanted: usize, now: Instant) -> Result<usize, Instant> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.most);
        self.at = self.at.max(now);
        if self.tokens < 1.0 {
            // Rounded up: woken too early, there would still be none.
            let missing = Duration::from_secs_f64((1.0 - self.tokens) / self.per_second);
            return Err(self.at + missing + Duration::from_micros(1));
        }
        let granted = wanted.min(self.tokens as usize).max(1);
        self.tokens -= granted as f64;
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_long_run_there_are_as_many_as_there_may_be() {
        let start = Instant::now();
        for rate in [1, 3, 100, 12_345] {
            let (mut governor, mut now, mut sent) = (Governor::new(rate, start), start, 0);
            while now < start + Duration::from_secs(10) {
                match governor.take(10, now) {
                    Ok(granted) => sent += granted,
                    Err(until) => {
                        assert!(until > now);
                        now = until;
                    }
                }
            }
            let most = rate as usize * 10 + (rate as usize / 10).max(1) + 1;
            assert!((rate as usize * 10 - 1..=most).contains(&sent), "{rate}: {sent}");
        }
    }
}
