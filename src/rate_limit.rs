//! What a server says about its limit of requests.

use crate::decimal::decimal;

/// The figures of the headers `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, as the server wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitHeaders {
    /// The requests that are allowed in a period.
    pub limit: Option<u64>,
    /// The requests that are left in this period.
    pub remaining: Option<u64>,
    /// When the next period begins: in seconds from now, or seconds since 1970. Servers differ.
    pub reset: Option<u64>,
}

/// The largest integer that every JSON parser reads exactly.
const MAX_FIGURE: u64 = (1 << 53) - 1;

impl RateLimitHeaders {
    /// Takes note of a header if it is one of the three. Of several with one name the first counts, as long as it is a number.
    pub fn take_header(&mut self, name: &str, value: &[u8]) {
        const PREFIX: &str = "x-ratelimit-";
        let Some((prefix, figure)) = name.split_at_checked(PREFIX.len()) else { return };
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return;
        }
        let place = match figure.len() {
            5 if figure.eq_ignore_ascii_case("limit") => &mut self.limit,
            9 if figure.eq_ignore_ascii_case("remaining") => &mut self.remaining,
            5 if figure.eq_ignore_ascii_case("reset") => &mut self.reset,
            _ => return,
        };
        if place.is_none() {
            *place = number(value);
        }
    }

    /// Returns whether the server said nothing.
    pub fn is_empty(&self) -> bool {
        *self == RateLimitHeaders::default()
    }
}

/// Reads a number. Anything else is ignored, and so is one too large to be a figure.
fn number(value: &[u8]) -> Option<u64> {
    decimal(value.trim_ascii()).filter(|number| *number <= MAX_FIGURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_numbers_of_up_to_53_bits() {
        for (value, expected) in [
            ("0", Some(0)),
            (" 12\t", Some(12)),
            ("9007199254740991", Some(MAX_FIGURE)),
            ("9007199254740992", None),
            ("99999999999999999999999", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("100, 100;w=60", None),
        ] {
            let mut limits = RateLimitHeaders::default();
            limits.take_header("X-RateLimit-Reset", value.as_bytes());
            assert_eq!(limits, RateLimitHeaders { reset: expected, ..RateLimitHeaders::default() }, "{value:?}");
        }
    }

    #[test]
    fn only_the_three_headers_count_and_the_first_of_each() {
        let mut limits = RateLimitHeaders::default();
        let headers = [
            ("x-ratelimit-limits", "1"),
            ("x-ratelimit-", "1"),
            ("xxratelimit-limit", "1"),
            ("x-ratelimit-limi\u{e9}", "1"),
            ("x-ratelimi\u{e9}-limit", "1"),
            ("retry-after", "1"),
            ("", "1"),
        ];
        headers.iter().for_each(|(name, value)| limits.take_header(name, value.as_bytes()));
        assert!(limits.is_empty());
        for (name, value) in [("X-RATELIMIT-LIMIT", "7"), ("x-ratelimit-limit", "8"), ("x-ratelimit-remaining", "6")] {
            limits.take_header(name, value.as_bytes());
        }
        assert_eq!(limits, RateLimitHeaders { limit: Some(7), remaining: Some(6), reset: None });
    }
}
