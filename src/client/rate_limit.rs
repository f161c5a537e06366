//! The rate limit that a response states.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::rate_limit::RateLimitHeaders;

/// The largest `X-RateLimit-Reset` that counts as a time from now: a day. A larger one is a time of day.
const MAX_SECONDS_TO_RESET: u64 = 24 * 60 * 60;

/// The rate limit that a response states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of requests until a reset, if the response states it.
    pub limit: Option<u64>,
    /// The number of requests that may still be sent until the next reset.
    pub remaining: u64,
    /// The time to the next reset, as the response states it: in whole seconds, which most servers round down. Zero if it
    /// does not.
    pub to_reset: Duration,
}

impl RateLimit {
    /// Returns the rate limit that these headers of a response and its `Date` state, if they say how many requests remain.
    ///
    /// A time of day counts from the server's own `Date`, so that clocks need not agree.
    pub(super) fn read(headers: RateLimitHeaders, date: Option<&str>, now: fn() -> SystemTime) -> Option<RateLimit> {
        let seconds = match headers.reset.unwrap_or(0) {
            seconds @ 0..=MAX_SECONDS_TO_RESET => seconds,
            time_of_day => {
                let date = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
                let now = date.unwrap_or_else(now).duration_since(UNIX_EPOCH).unwrap_or_default();
                time_of_day.saturating_sub(now.as_secs())
            }
        };
        Some(RateLimit {
            limit: headers.limit,
            remaining: headers.remaining?,
            to_reset: Duration::from_secs(seconds.min(MAX_SECONDS_TO_RESET)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_in_seconds_from_now_or_since_1970() {
        let now = || UNIX_EPOCH + Duration::from_secs(784_111_777);
        let earlier = "Sun, 06 Nov 1994 08:49:27 GMT";
        for (reset, date, seconds) in [
            (None, None, 0),
            (Some(0), None, 0),
            (Some(59), Some(earlier), 59),
            (Some(86_400), None, 86_400),
            // Any other number is in the past, or in the future.
            (Some(86_401), None, 0),
            (Some(784_111_776), None, 0),
            (Some(784_111_787), None, 10),
            (Some(784_111_787), Some(earlier), 20),
            (Some(784_111_787), Some("soon"), 10),
            (Some(u64::MAX), None, 86_400),
        ] {
            let headers = RateLimitHeaders { limit: Some(5), remaining: Some(2), reset };
            let to_reset = Duration::from_secs(seconds);
            let expected = RateLimit { limit: Some(5), remaining: 2, to_reset };
            assert_eq!(RateLimit::read(headers, date, now), Some(expected), "{reset:?}");
        }
    }
}
