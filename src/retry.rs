//! What may be sent again, when, and how often. Time and randomness are arguments.
//!
//! Nothing that may have arrived is sent again unless the user asked for it: see [`Mode`].

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use strum::{EnumString, VariantNames};

use crate::error::FailedExchange;
use crate::status::Delivery;

/// What is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Nothing.
    Never,
    /// What was certainly not delivered and may now succeed, and calls that only ask.
    Safe,
    /// That, and what may have been delivered: it may then be delivered twice.
    AtLeastOnce,
}

/// How a client sends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// What.
    pub mode: Mode,
    /// How often a call is sent in all, the first time included.
    pub max_attempts: u32,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { mode: Mode::Safe, max_attempts: 3 }
    }
}

/// The longest wait before the second attempt; it doubles with each one more …
const MAX_FIRST_WAIT: Duration = Duration::from_millis(100);

/// … up to this.
const MAX_WAIT: Duration = Duration::from_secs(5);

impl RetryPolicy {
    /// Whether a call that was sent `attempts` times may be sent once more.
    pub fn allows_another(&self, attempts: u32) -> bool {
        self.mode != Mode::Never && attempts < self.max_attempts
    }

    /// How long to wait before the call is sent again, or `None` if it is not.
    ///
    /// `left` is what is left of the deadline, `random` any 64 bits: the wait is spread evenly from nothing to its longest (full
    /// jitter), so that clients which failed together do not come back together. It takes from `budget` what it grants.
    pub fn wait(&self, failed: &FailedExchange, left: Duration, random: u64, budget: &RetryBudget) -> Option<Duration> {
        if !self.allows_another(failed.attempts) || !self.may_resend(failed) {
            return None;
        }
        let longest = MAX_FIRST_WAIT.saturating_mul(1 << failed.attempts.saturating_sub(1).min(16)).min(MAX_WAIT);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        let wait = Duration::from_nanos(((u128::from(nanos) * u128::from(random)) >> 64) as u64)
            .max(Duration::from_millis(failed.retry_after_ms.unwrap_or(0)));
        // A wait that ends at the deadline leaves no time to send anything: then the failure is told at once.
        (wait < left && budget.take()).then_some(wait)
    }

    fn may_resend(&self, failed: &FailedExchange) -> bool {
        // A refusal would be repeated, and with it what was done before it: the first events of a batch, say.
        let refused = failed.http_status.is_some_and(|status| (400..500).contains(&status));
        let unknown = failed.delivery == Some(Delivery::Unknown) && !refused;
        failed.retryable || (unknown && self.mode == Mode::AtLeastOnce)
    }
}

/// Keeps retries to a tenth of the calls, so that a server in trouble is not asked many times as much: a token bucket.
#[derive(Debug)]
pub struct RetryBudget {
    /// Tenths of a token.
    tenths: AtomicU32,
}

/// Ten tokens.
const MAX_TENTHS: u32 = 100;

/// One token, which one retry costs; a call earns a tenth of it.
const TENTHS_PER_RETRY: u32 = 10;

impl RetryBudget {
    /// A full one.
    pub fn new() -> RetryBudget {
        RetryBudget { tenths: AtomicU32::new(MAX_TENTHS) }
    }

    /// For each call.
    pub fn earn(&self) {
        // It is mostly full, and then only read: threads that make calls do not fight for it.
        if self.tenths.load(Ordering::Relaxed) < MAX_TENTHS {
            let more = |tenths: u32| (tenths < MAX_TENTHS).then_some(tenths + 1);
            let _ = self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }

    fn take(&self) -> bool {
        let less = |tenths: u32| tenths.checked_sub(TENTHS_PER_RETRY);
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    const HOUR: Duration = Duration::from_secs(3600);

    /// As after a first attempt that never left.
    fn not_sent() -> FailedExchange {
        FailedExchange {
            status: Status::NotSent,
            delivery: Some(Delivery::NotSent),
            cause: Some("connect"),
            message: String::new(),
            retryable: true,
            attempts: 1,
            http_status: None,
            response: None,
            retry_after_ms: None,
            server_time: None,
        }
    }

    fn unknown(http_status: Option<u16>) -> FailedExchange {
        FailedExchange { delivery: Some(Delivery::Unknown), retryable: false, http_status, ..not_sent() }
    }

    fn policy(mode: Mode, max_attempts: u32) -> RetryPolicy {
        RetryPolicy { mode, max_attempts }
    }

    #[test]
    fn each_mode_sends_again_what_it_says() {
        let resends =
            |mode, failed: &FailedExchange| policy(mode, 3).wait(failed, HOUR, 0, &RetryBudget::new()).is_some();
        let final_refusal = FailedExchange { retryable: false, ..not_sent() };
        for (failed, in_safe, in_at_least_once) in [
            (not_sent(), true, true),
            (final_refusal, false, false),
            (unknown(None), false, true),
            (unknown(Some(503)), false, true),
            (unknown(Some(200)), false, true),
            (unknown(Some(400)), false, false),
        ] {
            assert!(!resends(Mode::Never, &failed));
            assert_eq!(resends(Mode::Safe, &failed), in_safe, "{failed:?}");
            assert_eq!(resends(Mode::AtLeastOnce, &failed), in_at_least_once, "{failed:?}");
        }
    }

    #[test]
    fn the_number_of_attempts_is_the_number_of_requests() {
        for max_attempts in 1..5 {
            let sent = (1..).find(|&attempts| {
                let failed = FailedExchange { attempts, ..not_sent() };
                policy(Mode::Safe, max_attempts).wait(&failed, HOUR, 0, &RetryBudget::new()).is_none()
            });
            assert_eq!(sent, Some(max_attempts));
        }
    }

    #[test]
    fn waits_are_spread_from_nothing_to_a_longest_that_doubles_to_five_seconds() {
        let wait = |attempts, random| {
            let failed = FailedExchange { attempts, ..not_sent() };
            policy(Mode::Safe, 100).wait(&failed, HOUR, random, &RetryBudget::new()).unwrap()
        };
        for (attempts, longest_ms) in [(1, 100), (2, 200), (3, 400), (6, 3200), (7, 5000), (40, 5000), (99, 5000)] {
            let longest = Duration::from_millis(longest_ms);
            assert_eq!(wait(attempts, 0), Duration::ZERO);
            assert_eq!(wait(attempts, 1 << 63), longest / 2);
            assert!(wait(attempts, u64::MAX) < longest);
            assert!(wait(attempts, u64::MAX) > longest - Duration::from_micros(1));
        }
    }

    #[test]
    fn what_the_server_asks_for_is_obeyed_or_nothing_is_sent_again() {
        let failed = FailedExchange { retry_after_ms: Some(2000), ..not_sent() };
        let wait =
            |left_ms| policy(Mode::Safe, 3).wait(&failed, Duration::from_millis(left_ms), 0, &RetryBudget::new());
        assert_eq!(wait(2001), Some(Duration::from_secs(2)));
        assert_eq!(wait(2000), None);
        // The jitter is no less than it would be.
        let patient = FailedExchange { attempts: 7, retry_after_ms: Some(1000), ..not_sent() };
        let waited = policy(Mode::Safe, 100).wait(&patient, HOUR, 1 << 63, &RetryBudget::new());
        assert_eq!(waited, Some(Duration::from_millis(2500)));
    }

    #[test]
    fn all_waits_of_a_call_fit_into_its_deadline() {
        // A clock of the test's own: every attempt takes 300 ms and fails, and every wait is the longest.
        for deadline_ms in [0, 100, 300, 350, 1000, 5000] {
            let (deadline, attempt) = (Duration::from_millis(deadline_ms), Duration::from_millis(300));
            let (mut now, mut attempts, budget) = (Duration::ZERO, 0, RetryBudget::new());
            loop {
                assert!(attempts == 0 || now < deadline, "sent after the deadline");
                attempts += 1;
                now = (now + attempt).min(deadline);
                let failed = FailedExchange { attempts, ..not_sent() };
                match policy(Mode::Safe, 100).wait(&failed, deadline - now, u64::MAX, &budget) {
                    Some(wait) => now += wait,
                    None => break,
                }
            }
            assert!(now <= deadline);
            assert!(deadline_ms < 1000 || attempts > 1);
        }
    }

    #[test]
    fn retries_stay_a_tenth_of_the_calls() {
        let budget = RetryBudget::new();
        let retried = |calls: u32| {
            let retry = |_: &u32| {
                budget.earn();
                policy(Mode::Safe, 3).wait(&not_sent(), HOUR, 0, &budget).is_some()
            };
            (0..calls).filter(retry).count()
        };
        // The first of these find ten tokens, and earn one more while they take them.
        assert_eq!(retried(11), 11);
        assert_eq!(retried(1000), 100);
        // Calls that go well fill it up, and no fuller.
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!(budget.tenths.load(Ordering::Relaxed), MAX_TENTHS);
        // A wait that is not granted costs nothing.
        let late = policy(Mode::Safe, 3).wait(&not_sent(), Duration::ZERO, 0, &budget);
        assert_eq!((late, budget.tenths.load(Ordering::Relaxed)), (None, MAX_TENTHS));
    }
}
