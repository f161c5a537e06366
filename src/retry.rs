//! Decides which failures are retried, when, and how often. Time and randomness are arguments.
//!
//! A request that may have been delivered is retried only if the user asked for it: see [`Mode`].

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use strum::{EnumString, VariantNames};

use crate::error::FailedExchange;
use crate::status::Delivery;

/// The names of failures in statistics. An unknown one counts as the last.
pub const CAUSES: [&str; 13] = [
    "dns",
    "connect",
    "tls",
    "proxy",
    "write",
    "timeout",
    "reset",
    "closed",
    "malformed",
    "transport",
    "rate_limited",
    "server_error",
    OTHER,
];

const OTHER: &str = "other";

/// Returns the name of a failure in statistics.
pub fn cause(failed: &FailedExchange) -> &'static str {
    match (failed.cause, failed.http_status) {
        (Some(cause), _) => cause,
        (None, Some(429)) => "rate_limited",
        (None, Some(500..)) => "server_error",
        _ => OTHER,
    }
}

/// The failures that are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// None.
    Never,
    /// Those that certainly delivered nothing and may now succeed, failed queries, and those that the server
    /// recognizes if they are repeated.
    Safe,
    /// These, and those that may have delivered: their events may be delivered twice.
    AtLeastOnce,
}

/// The retry policy of a client or a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Which failures are retried.
    pub mode: Mode,
    /// The number of attempts per call, the first one included.
    pub max_attempts: u32,
    /// The share of the calls that may be retried when the first ten retries are used up.
    pub ratio: Ratio,
}

/// A share, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(u32);

impl Ratio {
    /// A tenth.
    const TENTH: Ratio = Ratio(100);
    /// Everything.
    const WHOLE: Ratio = Ratio(THOUSANDTHS);

    /// Reads a JSON number from 0 to 1 with at most three decimals.
    pub fn parse(number: &str) -> Option<Ratio> {
        let (integer, decimals) = number.split_once('.').unwrap_or((number, ""));
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > 3 {
            return None;
        }
        // The digits of the thousandths, with the zeros at their end that the number leaves out.
        let thousandths: u32 = format!("{integer}{decimals:0<3}").parse().ok()?;
        (thousandths <= THOUSANDTHS).then_some(Ratio(thousandths))
    }
}

const THOUSANDTHS: u32 = 1000;

/// What the next attempt of a call would find.
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    /// The time within which it has to begin.
    pub left: Duration,
    /// Whether the server recognizes the request, if it has received it before, and does not publish it again.
    pub is_recognized: bool,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { mode: Mode::Safe, max_attempts: 3, ratio: Ratio::TENTH }
    }
}

/// The longest wait before the second attempt. It doubles with each further attempt, up to
/// [`MAX_WAIT`].
const MAX_FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait before any attempt.
const MAX_WAIT: Duration = Duration::from_secs(5);

impl RetryPolicy {
    /// Returns whether a call may be attempted again after `attempts` attempts.
    pub fn allows_another(&self, attempts: u32) -> bool {
        self.mode != Mode::Never && attempts < self.max_attempts
    }

    /// Returns how long to wait before the next attempt, or `None` if there is none. Takes a token
    /// from `budget`.
    ///
    /// `random` is any 64 bits. The wait is spread evenly from zero to its maximum (full jitter), so
    /// that clients that failed together do not return together.
    pub fn wait(&self, failed: &FailedExchange, chance: Chance, random: u64, budget: &RetryBudget) -> Option<Duration> {
        if !self.allows_another(failed.attempts) || !self.may_resend(failed, chance.is_recognized) {
            return None;
        }
        let longest = MAX_FIRST_WAIT.saturating_mul(1 << failed.attempts.saturating_sub(1).min(16)).min(MAX_WAIT);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        let wait = Duration::from_nanos(((u128::from(nanos) * u128::from(random)) >> 64) as u64)
            .max(Duration::from_millis(failed.retry_after_ms.unwrap_or(0)));
        // A wait to the deadline leaves no time to send: report the failure at once.
        (wait < chance.left && (self.ratio == Ratio::WHOLE || budget.take())).then_some(wait)
    }

    fn may_resend(&self, failed: &FailedExchange, is_recognized: bool) -> bool {
        // The server would refuse again, after repeating what it did before: the first events of a
        // batch, for example.
        let refused = failed.http_status.is_some_and(|status| (400..500).contains(&status));
        let unknown = failed.delivery == Some(Delivery::Unknown) && !refused;
        failed.retryable || (unknown && (is_recognized || self.mode == Mode::AtLeastOnce))
    }
}

/// Limits retries to a share of the calls, so that retries do not multiply the load of a failing
/// server: a token bucket. A retry costs one token, and a call earns the share that its policy
/// allows.
#[derive(Debug)]
pub struct RetryBudget {
    /// Thousandths of a token.
    thousandths: AtomicU32,
}

/// The capacity: ten tokens.
const MAX_THOUSANDTHS: u32 = 10 * THOUSANDTHS;

impl RetryBudget {
    /// Returns a full budget.
    pub fn new() -> RetryBudget {
        RetryBudget { thousandths: AtomicU32::new(MAX_THOUSANDTHS) }
    }

    /// Adds what a call with this ratio earns.
    pub fn earn(&self, ratio: Ratio) {
        // The budget is mostly full and then only read, so that threads do not contend for its
        // cache line.
        let more = |now: u32| Some((now + ratio.0).min(MAX_THOUSANDTHS)).filter(|more| *more != now);
        let _ = self.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn take(&self) -> bool {
        let less = |now: u32| now.checked_sub(THOUSANDTHS);
        self.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Chance = within(Duration::from_secs(3600));

    /// Returns the chance of a request that the server does not recognize.
    const fn within(left: Duration) -> Chance {
        Chance { left, is_recognized: false }
    }

    /// Returns the failure of a first attempt that was not sent.
    fn not_sent() -> FailedExchange {
        FailedExchange::not_sent("connect", String::new())
    }

    fn unknown(http_status: Option<u16>) -> FailedExchange {
        FailedExchange { delivery: Some(Delivery::Unknown), retryable: false, http_status, ..not_sent() }
    }

    fn policy(mode: Mode, max_attempts: u32) -> RetryPolicy {
        RetryPolicy { mode, max_attempts, ..RetryPolicy::default() }
    }

    #[test]
    fn each_mode_retries_the_failures_it_names() {
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
    fn a_request_that_the_server_recognizes_is_resent() {
        let chance = Chance { is_recognized: true, ..HOUR };
        for (failed, resent) in [
            (not_sent(), true),
            (FailedExchange { retryable: false, ..not_sent() }, false),
            (unknown(None), true),
            (unknown(Some(503)), true),
            (unknown(Some(400)), false),
        ] {
            for (mode, resent) in [(Mode::Never, false), (Mode::Safe, resent), (Mode::AtLeastOnce, resent)] {
                let wait = policy(mode, 3).wait(&failed, chance, 0, &RetryBudget::new());
                assert_eq!(wait.is_some(), resent, "{mode:?} {failed:?}");
            }
        }
        // The server says when.
        let busy = FailedExchange { retry_after_ms: Some(1000), ..unknown(Some(503)) };
        let wait = policy(Mode::Safe, 3).wait(&busy, chance, 0, &RetryBudget::new());
        assert_eq!(wait, Some(Duration::from_secs(1)));
    }

    #[test]
    fn max_attempts_counts_the_first_attempt() {
        for max_attempts in 1..5 {
            let sent = (1..100).find(|&attempts| {
                let failed = FailedExchange { attempts, ..not_sent() };
                policy(Mode::Safe, max_attempts).wait(&failed, HOUR, 0, &RetryBudget::new()).is_none()
            });
            assert_eq!(sent, Some(max_attempts));
        }
    }

    #[test]
    fn waits_spread_from_zero_to_a_maximum_that_doubles_up_to_five_seconds() {
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
    fn retry_after_is_obeyed_or_the_call_fails() {
        let failed = FailedExchange { retry_after_ms: Some(2000), ..not_sent() };
        let wait = |left_ms| {
            policy(Mode::Safe, 3).wait(&failed, within(Duration::from_millis(left_ms)), 0, &RetryBudget::new())
        };
        assert_eq!(wait(2001), Some(Duration::from_secs(2)));
        assert_eq!(wait(2000), None);
        // Retry-After does not shorten the jitter.
        let patient = FailedExchange { attempts: 7, retry_after_ms: Some(1000), ..not_sent() };
        let waited = policy(Mode::Safe, 100).wait(&patient, HOUR, 1 << 63, &RetryBudget::new());
        assert_eq!(waited, Some(Duration::from_millis(2500)));
    }

    #[test]
    fn a_call_keeps_its_deadline_whatever_the_waits() {
        // On this clock every attempt takes 300 ms and fails, and every wait is the longest.
        for deadline_ms in [0, 100, 300, 350, 1000, 5000] {
            let (deadline, attempt) = (Duration::from_millis(deadline_ms), Duration::from_millis(300));
            let (mut now, mut attempts, budget) = (Duration::ZERO, 0, RetryBudget::new());
            loop {
                assert!(attempts == 0 || now < deadline, "sent after the deadline");
                attempts += 1;
                now = (now + attempt).min(deadline);
                let failed = FailedExchange { attempts, ..not_sent() };
                match policy(Mode::Safe, 100).wait(&failed, within(deadline - now), u64::MAX, &budget) {
                    Some(wait) => now += wait,
                    None => break,
                }
            }
            assert!(now <= deadline);
            assert!(deadline_ms < 1000 || attempts > 1);
        }
    }

    #[test]
    fn retries_are_limited_to_a_tenth_of_the_calls() {
        let budget = RetryBudget::new();
        let retried = |calls: u32| {
            let retry = |_: &u32| {
                budget.earn(Ratio::TENTH);
                policy(Mode::Safe, 3).wait(&not_sent(), HOUR, 0, &budget).is_some()
            };
            (0..calls).filter(retry).count()
        };
        // The first ten find a token each, and earn an eleventh.
        assert_eq!(retried(11), 11);
        assert_eq!(retried(1000), 100);
        // Calls that succeed fill the budget up to its capacity.
        (0..10_000).for_each(|_| budget.earn(Ratio::TENTH));
        assert_eq!(budget.thousandths.load(Ordering::Relaxed), MAX_THOUSANDTHS);
        // A retry that is not granted costs nothing.
        let late = policy(Mode::Safe, 3).wait(&not_sent(), within(Duration::ZERO), 0, &budget);
        assert_eq!((late, budget.thousandths.load(Ordering::Relaxed)), (None, MAX_THOUSANDTHS));
    }

    #[test]
    fn a_failure_counts_under_its_cause_or_else_its_status() {
        for (cause_of_failure, http_status, counted) in [
            (Some("reset"), None, "reset"),
            (Some("malformed"), Some(200), "malformed"),
            (Some("closed"), Some(503), "closed"),
            (None, Some(428), "other"),
            (None, Some(429), "rate_limited"),
            (None, Some(499), "other"),
            (None, Some(500), "server_error"),
            (None, Some(599), "server_error"),
            (None, Some(302), "other"),
            (None, None, "other"),
        ] {
            let failed = FailedExchange { cause: cause_of_failure, http_status, ..not_sent() };
            assert_eq!(cause(&failed), counted, "{failed:?}");
            assert!(CAUSES.contains(&counted));
        }
    }

    #[test]
    fn a_ratio_of_the_calls_is_retried_beyond_the_first_ten() {
        for (ratio, retried) in [("0", 10), ("0.001", 10), ("0.25", 259), ("0.999", 1000), ("1", 1000)] {
            let policy = RetryPolicy { ratio: Ratio::parse(ratio).unwrap(), ..RetryPolicy::default() };
            let budget = RetryBudget::new();
            let retry = |_: &u32| {
                budget.earn(policy.ratio);
                policy.wait(&not_sent(), HOUR, 0, &budget).is_some()
            };
            assert_eq!((0..1000).filter(retry).count(), retried, "{ratio}");
        }
    }

    #[test]
    fn a_ratio_of_one_has_no_limit_even_in_one_call() {
        let policy = RetryPolicy { ratio: Ratio::WHOLE, max_attempts: 100, ..RetryPolicy::default() };
        let budget = RetryBudget::new();
        let again = |attempts: &u32| {
            let failed = FailedExchange { attempts: *attempts, ..not_sent() };
            policy.wait(&failed, HOUR, 0, &budget).is_some()
        };
        assert_eq!((1..100).filter(again).count(), 99);
    }

    #[test]
    fn a_ratio_is_a_number_from_0_to_1_in_thousandths() {
        for (number, thousandths) in [
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("0.1", Some(100)),
            ("0.100000", Some(100)),
            ("0.001", Some(1)),
            ("0.05", Some(50)),
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0.0001", None),
            ("1.001", None),
            ("2", None),
            ("-0.1", None),
            ("-0", None),
            ("1e-1", None),
            ("99999999999", None),
            ("\"0.1\"", None),
            ("null", None),
        ] {
            assert_eq!(Ratio::parse(number), thousandths.map(Ratio), "{number}");
        }
    }
}
