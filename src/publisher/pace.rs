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

/// How far the resets that two responses of one window state may be apart: they are rounded, and one
/// response may come later than another.
const TOLERANCE: Duration = Duration::from_secs(2);

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
    /// How many requests may be sent in this window. `None` for any number.
    budget: Option<u64>,
    /// When the next window has begun for certain. `None` if no response has stated it.
    renewal: Option<Instant>,
    /// The budget of the next window. `None` for a single request, whose response tells.
    next_budget: Option<u64>,
    /// Whether the budget is such a single request.
    is_probe: bool,
    /// When the wait for a response that states a reset has been long enough.
    patience: Option<Instant>,
    in_flight: u64,
}

impl Pace {
    /// Grants one request, whose response tells more.
    pub fn new() -> Pace {
        Pace { budget: Some(1), renewal: None, next_budget: None, is_probe: true, patience: None, in_flight: 0 }
    }

    /// Returns until when a request has to wait, unless one may be sent now.
    pub fn check(&mut self, now: Instant) -> Result<(), Instant> {
        if self.renewal.is_some_and(|renewal| now >= renewal) {
            // The server may have counted those in flight in the new window.
            let next_budget = self.next_budget.take().map(|budget| budget.saturating_sub(self.in_flight));
            self.begin_window(next_budget);
        } else if self.patience.is_some_and(|patience| now >= patience) {
            self.begin_window(None);
        }
        match (self.budget, self.renewal) {
            (Some(0), Some(renewal)) => Err(renewal),
            (Some(0), None) => Err(*self.patience.get_or_insert(now + MAX_WAIT)),
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
        let before = self.check(now).err();
        self.in_flight = self.in_flight.saturating_sub(1);
        match said {
            // Another request has to tell.
            Said::Nothing if self.is_probe && self.in_flight == 0 => self.begin_window(None),
            Said::Nothing => {}
            Said::Unlimited => *self = Pace { budget: None, is_probe: false, in_flight: self.in_flight, ..Pace::new() },
            Said::Limited { limit, remaining, to_reset } => self.learn(limit, remaining, to_reset, now),
        }
        before.is_some_and(|before| self.check(now).err().is_none_or(|after| after < before))
    }

    fn begin_window(&mut self, budget: Option<u64>) {
        (self.renewal, self.patience, self.is_probe) = (None, None, budget.is_none());
        self.budget = Some(budget.unwrap_or(1));
    }

    fn learn(&mut self, limit: Option<u64>, remaining: u64, to_reset: Duration, now: Instant) {
        let wait = to_reset + SECOND;
        let renewal = now + wait.min(MAX_WAIT);
        // The server may not have counted the others yet.
        let budget = remaining.saturating_sub(self.in_flight);
        (self.budget, self.renewal) = match (self.budget, self.renewal) {
            // It belongs to the window before.
            (_, Some(known)) if !self.is_probe && renewal + TOLERANCE < known => return,
            // In the same window, a response that was overtaken by others states too many.
            (Some(own), known) if !self.is_probe && known.is_none_or(|known| renewal <= known + TOLERANCE) => {
                (Some(own.min(budget)), known.max(Some(renewal)))
            }
            _ => (Some(budget), Some(renewal)),
        };
        (self.patience, self.is_probe) = (None, false);
        self.next_budget = limit.filter(|limit| *limit > 0 && wait <= MAX_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

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
    fn another_window_is_recognized_by_its_reset() {
        let now = Instant::now();
        let mut pace = after(limited(Some(10), 2, 2), now);
        assert_eq!(granted(&mut pace, now), 2);
        // The first of them came late, and was counted in the next window.
        let later = now + seconds(2);
        assert!(pace.end_request(limited(Some(10), 9, 9), later));
        assert_eq!(granted(&mut pace, later), 8);
        // The response to the second was still later, and says nothing about this window.
        assert!(!pace.end_request(limited(Some(10), 0, 0), later));
        assert_eq!(pace.check(later), Err(later + seconds(10)));
    }

    #[test]
    fn requests_in_flight_may_count_in_the_next_window() {
        let now = Instant::now();
        let mut pace = after(limited(Some(3), 2, 1), now);
        assert_eq!(granted(&mut pace, now), 2);
        let reset = now + seconds(2);
        assert_eq!(granted(&mut pace, reset), 1);
        // None is left, and no response has stated the next reset.
        assert_eq!(pace.check(reset), Err(reset + MAX_WAIT));
        assert!(pace.end_request(limited(Some(3), 0, 5), reset));
        assert_eq!(pace.check(reset), Err(reset + seconds(6)));
    }

    /// A server that counts requests in windows, as sockudo does. A window begins with its first request.
    struct Server {
        limit: u64,
        window: Duration,
        began: Option<Instant>,
        counted: u64,
    }

    impl Server {
        /// Takes a request. Returns whether it is within the limit, and what the response says.
        fn take(&mut self, now: Instant) -> (bool, Said) {
            let began = self.began.filter(|began| now < *began + self.window).unwrap_or_else(|| {
                self.counted = 0;
                now
            });
            self.began = Some(began);
            self.counted += 1;
            let to_reset = seconds((began + self.window - now).as_secs());
            let remaining = self.limit.saturating_sub(self.counted);
            (self.counted <= self.limit, Said::Limited { limit: Some(self.limit), remaining, to_reset })
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: RngSeed::Fixed(7),
            cases: 300,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_server_that_counts_refuses_no_request(
            limit in 1_u64..20,
            window_ms in 300_u64..9_000,
            connections in 1_usize..9,
            delays in prop::collection::vec((0_u64..400, 0_u64..400, 0_u64..900), 50),
        ) {
            let (start, ms) = (Instant::now(), Duration::from_millis);
            let mut server = Server { limit, window: ms(window_ms), began: None, counted: 0 };
            let (mut pace, mut sent, mut delays) = (Pace::new(), 0, delays.iter().cycle());
            // What each connection does next, and when: ask, arrive at the server, or receive this.
            enum Next { Ask, Arrive(u64), Receive(Said) }
            let mut next: Vec<(Instant, Next)> = (0..connections).map(|_| (start, Next::Ask)).collect();
            let end = start + seconds(120);
            loop {
                let (index, now) = next.iter().enumerate().map(|(index, (at, _))| (index, *at)).min_by_key(|(_, at)| *at).unwrap();
                if now > end {
                    break;
                }
                next[index] = match std::mem::replace(&mut next[index].1, Next::Ask) {
                    Next::Ask => match pace.check(now) {
                        Err(until) => {
                            prop_assert!(until > now);
                            // A response may have changed it meanwhile.
                            (until.min(now + ms(50)), Next::Ask)
                        }
                        Ok(()) => {
                            let (up, down, _) = delays.next().unwrap();
                            pace.begin_request();
                            sent += 1;
                            (now + ms(*up), Next::Arrive(*down))
                        }
                    },
                    Next::Arrive(down) => {
                        let (is_within, said) = server.take(now);
                        prop_assert!(is_within, "429 after {:?}", now - start);
                        (now + ms(down), Next::Receive(said))
                    }
                    Next::Receive(said) => {
                        pace.end_request(said, now);
                        let (_, _, pause) = delays.next().unwrap();
                        (now + ms(*pause), Next::Ask)
                    }
                };
            }
            // It does not only wait: a request goes out in each window.
            prop_assert!(sent >= 120_000 / (window_ms + 5_000), "{sent}");
        }
    }
}
