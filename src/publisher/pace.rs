//! Paces requests by the rate limit that the responses state, so that the server refuses none of
//! them. Time is an argument.
//!
//! The limit is a number of requests in a window of time, all of which may be sent at once. A
//! response states how many remain, but not which of the other requests in flight it has counted:
//! they all count.

use std::time::{Duration, Instant};

/// The longest wait. After it, one request is sent, whose response states the limit anew.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Servers state the time to a reset in whole seconds, and most of them round it down.
const SECOND: Duration = Duration::from_secs(1);

/// What the response to a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// There was no response, or a refusal that states no limit.
    Nothing,
    /// The server has no limit.
    Unlimited,
    /// The server has this limit.
    Limited {
        /// The number of requests in a window, if it is known.
        limit: Option<u64>,
        /// The number of requests that may still be sent in this window.
        remaining: u64,
        /// The time to the next window, rounded to a second.
        to_reset: Duration,
    },
}

/// Grants requests.
#[derive(Debug)]
pub struct Pace {
    /// How many requests may be sent before `renewal`. `None` for any number.
    budget: Option<u64>,
    /// When the next window has begun for certain.
    renewal: Option<Instant>,
    /// The budget of the next window. `None` for a single request, whose response tells.
    next_budget: Option<u64>,
    /// Whether the budget is such a single request.
    is_probe: bool,
    in_flight: u64,
}

impl Pace {
    /// Grants one request, whose response tells more.
    pub fn new() -> Pace {
        Pace { budget: Some(1), renewal: None, next_budget: None, is_probe: true, in_flight: 0 }
    }

    /// Returns when a request may be sent, unless one may be sent now.
    pub fn check(&mut self, now: Instant) -> Result<(), Instant> {
        if self.renewal.is_some_and(|renewal| now >= renewal) {
            self.renewal = None;
            self.is_probe = self.next_budget.is_none();
            self.budget = Some(self.next_budget.take().unwrap_or(1));
        }
        match self.budget {
            // The response to a request in flight comes earlier.
            Some(0) => Err(*self.renewal.get_or_insert(now + MAX_WAIT)),
            _ => Ok(()),
        }
    }

    /// Takes note that a request is sent.
    pub fn begin_request(&mut self) {
        self.in_flight += 1;
        self.budget = self.budget.map(|budget| budget.saturating_sub(1));
    }

    /// Takes note of the end of a request. Returns whether those that wait may wait less.
    pub fn end_request(&mut self, said: Said, now: Instant) -> bool {
        let (had_none, renewal) = (self.budget == Some(0), self.renewal);
        self.in_flight = self.in_flight.saturating_sub(1);
        match said {
            // Another request has to tell.
            Said::Nothing if self.is_probe && self.in_flight == 0 => (self.budget, self.renewal) = (Some(1), None),
            Said::Nothing => {}
            Said::Unlimited => {
                (self.budget, self.renewal, self.next_budget, self.is_probe) = (None, None, None, false);
            }
            Said::Limited { limit, remaining, to_reset } => self.learn(limit, remaining, to_reset, now),
        }
        had_none && (self.budget != Some(0) || self.renewal < renewal)
    }

    fn learn(&mut self, limit: Option<u64>, remaining: u64, to_reset: Duration, now: Instant) {
        let wait = to_reset + SECOND;
        let (renewal, budget) = (now + wait.min(MAX_WAIT), remaining.saturating_sub(self.in_flight));
        // Within a window, the smallest budget and the earliest renewal are right: a response that was
        // overtaken by others states too many.
        let is_same_window = !self.is_probe && self.renewal.is_none_or(|known| renewal <= known + SECOND);
        let known = (self.budget, self.renewal);
        (self.budget, self.renewal) = match known {
            (Some(known), since) if is_same_window => {
                (Some(known.min(budget)), Some(since.map_or(renewal, |since| since.min(renewal))))
            }
            _ => (Some(budget), Some(renewal)),
        };
        self.next_budget = limit.filter(|limit| *limit > 0 && wait <= MAX_WAIT);
        self.is_probe = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn limited(limit: Option<u64>, remaining: u64, to_reset: u64) -> Said {
        Said::Limited { limit, remaining, to_reset: seconds(to_reset) }
    }

    /// A pace whose first response, at `now`, said this.
    fn after(said: Said, now: Instant) -> Pace {
        let mut pace = Pace::new();
        pace.check(now).unwrap();
        pace.begin_request();
        pace.end_request(said, now);
        pace
    }

    /// Begins as many requests as are granted, at most ten.
    fn granted(pace: &mut Pace, now: Instant) -> usize {
        let mut begin = || pace.check(now).map(|()| pace.begin_request()).is_ok();
        (0..10).take_while(|_| begin()).count()
    }

    #[test]
    fn the_first_request_goes_alone_and_its_response_tells() {
        let now = Instant::now();
        let mut pace = Pace::new();
        assert_eq!(granted(&mut pace, now), 1);
        // Without a response, another one has to tell.
        assert!(pace.end_request(Said::Nothing, now));
        assert_eq!(granted(&mut pace, now), 1);
        assert!(pace.end_request(limited(Some(5), 4, 10), now));
        assert_eq!(granted(&mut pace, now), 4);
        assert_eq!(granted(&mut after(Said::Unlimited, now), now), 10);
        // A response that never comes does not hold the others for ever.
        let mut pace = Pace::new();
        assert_eq!(granted(&mut pace, now), 1);
        assert_eq!(pace.check(now), Err(now + MAX_WAIT));
        assert_eq!(granted(&mut pace, now + MAX_WAIT), 1);
    }

    #[test]
    fn a_window_grants_its_limit_a_second_after_the_stated_reset() {
        let now = Instant::now();
        let mut pace = after(limited(Some(3), 0, 10), now);
        let reset = now + seconds(11);
        assert_eq!(pace.check(now), Err(reset));
        assert_eq!(pace.check(reset - Duration::from_millis(1)), Err(reset));
        assert_eq!(granted(&mut pace, reset), 3);
        // Without a limit, one request tells.
        assert_eq!(granted(&mut after(limited(None, 0, 10), now), reset), 1);
        assert_eq!(granted(&mut after(limited(Some(0), 0, 10), now), reset), 1);
    }

    #[test]
    fn a_wait_is_at_most_a_minute_and_then_one_request_tells() {
        let now = Instant::now();
        let mut pace = after(limited(Some(100), 0, 3600), now);
        assert_eq!(pace.check(now), Err(now + MAX_WAIT));
        assert_eq!(granted(&mut pace, now + MAX_WAIT), 1);
        let later = now + MAX_WAIT;
        pace.end_request(limited(Some(100), 0, 3540), later);
        assert_eq!(pace.check(later), Err(later + MAX_WAIT));
        // A window of a minute, whose time to the reset is rounded down, is no longer.
        assert_eq!(granted(&mut after(limited(Some(4), 0, 59), now), later), 4);
    }

    #[test]
    fn requests_in_flight_count_and_an_overtaken_response_does_not() {
        let now = Instant::now();
        let mut pace = after(limited(Some(10), 9, 30), now);
        for _ in 0..4 {
            assert_eq!(pace.check(now), Ok(()));
            pace.begin_request();
        }
        // The server had counted all of them. The last to be counted is the first to be answered.
        pace.end_request(limited(Some(10), 5, 30), now);
        pace.end_request(limited(Some(10), 8, 29), now);
        pace.end_request(limited(Some(10), 7, 30), now);
        pace.end_request(limited(Some(10), 6, 29), now);
        // Five remain. One that is not sure of them sends fewer, and never more.
        assert_eq!(granted(&mut pace, now), 2);
    }

    #[test]
    fn a_new_window_is_recognized_by_its_reset() {
        let now = Instant::now();
        let mut pace = after(limited(Some(10), 1, 2), now);
        assert_eq!(granted(&mut pace, now), 1);
        let later = now + seconds(2);
        assert!(pace.end_request(limited(Some(10), 9, 9), later));
        assert_eq!(granted(&mut pace, later), 9);
    }

    #[test]
    fn a_server_that_counts_refuses_none() {
        const LIMIT: u64 = 7;
        const WINDOW: Duration = Duration::from_millis(2500);
        let start = Instant::now();
        let (mut pace, mut now, mut sent) = (Pace::new(), start, 0);
        let (mut window, mut counted) = (start, 0);
        while now < start + seconds(60) {
            match pace.check(now) {
                Err(until) => {
                    assert!(until > now);
                    now = until;
                }
                Ok(()) => {
                    pace.begin_request();
                    if now >= window + WINDOW {
                        (window, counted) = (now, 0);
                    }
                    counted += 1;
                    sent += 1;
                    assert!(counted <= LIMIT, "429");
                    let to_reset = (window + WINDOW - now).as_secs();
                    now += Duration::from_millis(3);
                    pace.end_request(limited(Some(LIMIT), LIMIT - counted, to_reset), now);
                }
            }
        }
        assert!(sent > 60 / 4 * LIMIT, "{sent}");
    }
}
