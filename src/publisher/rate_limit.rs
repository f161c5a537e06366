//! Limits how many events are sent per second: a token bucket. Time is an argument.

use std::time::{Duration, Instant};

/// Grants a number of events per second, of which a tenth may be sent at once.
#[derive(Debug)]
pub struct RateLimit {
    per_second: f64,
    max_tokens: f64,
    tokens: f64,
    updated: Instant,
}

impl RateLimit {
    /// Returns a full bucket.
    pub fn new(per_second: u32, now: Instant) -> RateLimit {
        let per_second = f64::from(per_second);
        let max_tokens = (per_second / 10.0).max(1.0);
        RateLimit { per_second, max_tokens, tokens: max_tokens, updated: now }
    }

    /// Takes tokens for up to `wanted` events, and at least one. If there is none, returns when
    /// there will be one.
    pub fn take(&mut self, wanted: usize, now: Instant) -> Result<usize, Instant> {
        let passed = now.saturating_duration_since(self.updated).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.max_tokens);
        self.updated = self.updated.max(now);
        if self.tokens < 1.0 {
            // Round up: a thread that is woken too early would find none.
            let missing = Duration::from_secs_f64((1.0 - self.tokens) / self.per_second);
            return Err(self.updated + missing + Duration::from_micros(1));
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
    fn the_average_rate_is_the_limit() {
        let start = Instant::now();
        for rate in [1, 3, 100, 12_345] {
            let (mut limit, mut now, mut sent) = (RateLimit::new(rate, start), start, 0);
            while now < start + Duration::from_secs(10) {
                match limit.take(10, now) {
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
