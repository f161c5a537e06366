//! The limit of a request's size, head and body: `max_request_bytes`.

use crate::error::{Error, Problem};
use crate::idempotency::{IdempotencyKey, KEY_HEADER};

/// The limit of requests that differ in their body only.
#[derive(Clone, Copy, Debug)]
pub struct SizeLimit {
    /// The size of the same request without a body, and without the digits of its `Content-Length`.
    pub(super) bodiless: usize,
    /// The size of the header with the longest idempotency key that the library makes for such a request.
    pub(super) generated_key: usize,
    /// The largest size.
    pub(super) max: usize,
}

impl SizeLimit {
    /// Checks a request whose body has this size, and which may have an idempotency key of the caller's. `argument` is the
    /// one that most of it comes from.
    pub fn check(self, argument: &str, body: usize, key: Option<&IdempotencyKey>) -> Result<(), Error> {
        let key = key.map_or(self.generated_key, |key| of_header(KEY_HEADER, key.as_str().len()));
        check(argument, self.size(body, key), self.max)
    }

    /// Returns the size of the largest body.
    pub fn max_body(self) -> usize {
        let fits = |body: &usize| self.size(*body, self.generated_key) <= self.max;
        let room = self.max.saturating_sub(self.bodiless + self.generated_key);
        (room.saturating_sub(digits(room))..=room).rev().find(fits).unwrap_or(0)
    }

    fn size(self, body: usize, key: usize) -> usize {
        self.bodiless + key + digits(body) + body
    }
}

/// Returns the size of a header line.
pub(super) fn of_header(name: &str, value: usize) -> usize {
    name.len() + ": \r\n".len() + value
}

/// Checks the size of a request.
pub(super) fn check(argument: &str, size: usize, max: usize) -> Result<(), Error> {
    if size <= max {
        return Ok(());
    }
    let message = format!("is too large: the request has {size} bytes, and the limit is {max} (max_request_bytes)");
    Err(Error::DataTooLarge(Problem::new(argument, message)))
}

/// Returns how many digits a number has.
pub(super) fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_body_fits_and_a_larger_one_does_not() {
        for max in (0..400).chain(1000..1200).chain(10_000..10_500) {
            let limit = SizeLimit { bodiless: 40, generated_key: 50, max };
            let body = limit.max_body();
            assert!(limit.check("data", body + 1, None).is_err(), "{max}");
            assert_eq!(limit.check("data", body, None).is_ok(), max > 90, "{max}");
            let key = IdempotencyKey::parse(&"k".repeat(50 - of_header(KEY_HEADER, 0)), "key").unwrap();
            assert_eq!(limit.check("data", body, Some(&key)).is_ok(), max > 90, "{max}");
        }
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 1, 9, 10, 99, 100, 9999, 10_000, usize::MAX] {
            assert_eq!(digits(number), number.to_string().len());
        }
    }
}
