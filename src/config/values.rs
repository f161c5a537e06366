//! Reads the values of configuration keys and of options, for clients, publishers and calls alike.
//!
//! A set of keys is an enum that derives `EnumString` and `VariantNames`, so that the names are
//! written once and a match over the keys is exhaustive. `KNOWN_KEYS` in lib.rs lists their names
//! for the test of docs/configuration.md.
//!
//! Errors name the key and say what would be right. They never show a value, which may be a secret
//! in the wrong place.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use strum::{EnumString, VariantNames};
use zeroize::Zeroizing;

use crate::bytes::owned_text;
use crate::circuit::CircuitPolicy;
use crate::error::Problem;
use crate::headers::{Headers, Refused, is_token};
use crate::json::{Json, shown};
use crate::retry::{Ratio, RetryPolicy};

/// The longest time that may be configured: ten minutes.
pub const MAX_TIMEOUT_MS: u64 = 600_000;

/// More attempts than any deadline has room for.
const MAX_ATTEMPTS: u64 = 100;

/// The keys of `retry`.
pub const RETRY_KEYS: &[&str] = RetryKey::VARIANTS;

#[derive(EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum RetryKey {
    Mode,
    MaxAttempts,
    Ratio,
}

/// More failures than that, and the breaker would hardly ever open.
const MAX_FAILURES: u64 = 1000;

/// The keys of `circuit_breaker`.
pub const CIRCUIT_KEYS: &[&str] = CircuitKey::VARIANTS;

#[derive(EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum CircuitKey {
    Failures,
    OpenMs,
}

/// Below this similarity a known key is not worth suggesting.
const MIN_SIMILARITY: f64 = 0.8;

/// A longer key is not compared with the known ones.
const MAX_COMPARED_BYTES: usize = 64;

/// Returns the key called `key`. `what` is what it should be: `a configuration key`.
pub fn known_key<K: FromStr + VariantNames>(key: &str, what: &str) -> Result<K, Problem> {
    key.parse().map_err(|_| {
        let message = match nearest(key, K::VARIANTS) {
            Some(known) => format!("is not {what}; did you mean {known}?"),
            None => format!("is not {what}"),
        };
        Problem::new(shown(key), message)
    })
}

/// Returns the same for a key of a whole configuration, where an empty key has no dot before it.
pub fn known_root_key<K: FromStr + VariantNames>(key: &str, what: &str) -> Result<K, Problem> {
    known_key(key, what).map_err(|problem| match key.is_empty() {
        true => Problem { argument: String::new(), ..problem },
        false => problem,
    })
}

/// Returns the known name that is most like `name`, if one is like it at all.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // The key is the caller's, of any length.
    let name = Some(name).filter(|name| name.len() <= MAX_COMPARED_BYTES)?.to_ascii_lowercase();
    let similarity = |known: &str| {
        // `timeout` and `app_key` are meant to be `timeout_ms` and `key`.
        let is_part = |long: &str, short: &str| {
            long.strip_prefix(short).is_some_and(|rest| rest.starts_with('_'))
                || long.strip_suffix(short).is_some_and(|rest| rest.ends_with('_'))
        };
        if is_part(&name, known) || is_part(known, &name) { 1.0 } else { strsim::jaro_winkler(&name, known) }
    };
    let scored = known.iter().map(|known| (similarity(known), *known)).filter(|(score, _)| *score >= MIN_SIMILARITY);
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}

/// Joins names for a message: `a, b or c`.
pub fn alternatives(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

/// The value of a key.
#[derive(Clone, Copy)]
pub struct Value<'a, 'n> {
    /// The key's full name for messages, such as `retry.mode`.
    name: &'n str,
    json: Json<'a>,
}

impl<'a, 'n> Value<'a, 'n> {
    /// Takes the value of the key with this full name.
    pub fn new(name: &'n str, json: Json<'a>) -> Value<'a, 'n> {
        Value { name, json }
    }

    /// Returns the key's full name.
    pub fn name(self) -> &'n str {
        self.name
    }

    /// Returns the value as JSON.
    pub fn json(self) -> Json<'a> {
        self.json
    }

    /// Returns whether the key counts as given. Null is what languages write for a value that is not there.
    pub fn is_given(self) -> bool {
        !self.json.is_null()
    }

    /// Returns whether a key whose value is a string counts as given: neither null nor empty.
    pub fn is_given_string(self) -> bool {
        self.is_given() && self.json.text() != r#""""#
    }

    /// Returns a problem with this value.
    pub fn problem(self, message: impl Into<String>) -> Problem {
        Problem::new(self.name, message)
    }

    /// Returns the string.
    pub fn string(self) -> Result<Cow<'a, str>, Problem> {
        self.json.string(self.name)
    }

    /// Returns the boolean.
    pub fn boolean(self) -> Result<bool, Problem> {
        self.json.boolean().ok_or_else(|| self.problem("must be true or false"))
    }

    /// Returns the integer, which must be in this range.
    pub fn integer(self, min: u64, max: u64) -> Result<u64, Problem> {
        let number = self.json.integer().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.problem(format!("must be an integer from {min} to {max}")))
    }

    /// Returns the same as a size or a number of things.
    pub fn count(self, min: u64, max: u64) -> Result<usize, Problem> {
        self.integer(min, max).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Returns the same as a number of milliseconds.
    pub fn milliseconds(self, min: u64, max: u64) -> Result<Duration, Problem> {
        self.integer(min, max).map(Duration::from_millis)
    }

    /// Returns a timeout: 1 ms to [`MAX_TIMEOUT_MS`].
    pub fn timeout(self) -> Result<Duration, Problem> {
        self.milliseconds(1, MAX_TIMEOUT_MS)
    }

    /// Returns the variant whose name the string is.
    pub fn word<T: FromStr + VariantNames>(self) -> Result<T, Problem> {
        let word = self.string()?;
        word.parse().map_err(|_| self.problem(format!("must be {}", alternatives(T::VARIANTS))))
    }

    /// Returns headers: an object of strings, except those that are null. No problem shows a value, nor a name that is none: it
    /// may be a value.
    pub fn headers(self) -> Result<Headers, Problem> {
        let mut headers = Headers::default();
        for (key, json) in self.json.members(self.name)?.into_iter().filter(|(_, json)| !json.is_null()) {
            let value = json.string("").and_then(|value| Ok(Zeroizing::new(owned_text(value)?)));
            let added = value.and_then(|value| {
                headers.add(&key, value).map_err(|refused| match refused {
                    Refused::Wrong(message) => Problem::new("", message),
                    Refused::NoMemory => Problem::OUT_OF_MEMORY,
                })
            });
            added.map_err(|problem| {
                if is_token(&key) { problem.within(shown(&key)) } else { problem }.within(self.name)
            })?;
        }
        Ok(headers)
    }

    /// Returns the retry policy `{"mode","max_attempts","ratio"}`. A member that is absent has its default.
    pub fn retry_policy(self) -> Result<RetryPolicy, Problem> {
        let mut policy = RetryPolicy::default();
        for (key, json) in self.json.members(self.name)? {
            set_retry(&mut policy, &key, json).map_err(|problem| problem.within(self.name))?;
        }
        Ok(policy)
    }

    /// Returns the policy of a circuit breaker `{"failures","open_ms"}`. A member that is absent has its default.
    pub fn circuit_policy(self) -> Result<CircuitPolicy, Problem> {
        let mut policy = CircuitPolicy::default();
        for (key, json) in self.json.members(self.name)? {
            set_circuit(&mut policy, &key, json).map_err(|problem| problem.within(self.name))?;
        }
        Ok(policy)
    }
}

/// Sets a member of the policy of a circuit breaker.
fn set_circuit(policy: &mut CircuitPolicy, key: &str, json: Json<'_>) -> Result<(), Problem> {
    let value = Value::new(shown(key), json);
    match known_key(key, "a configuration key")? {
        _ if !value.is_given() => {}
        CircuitKey::Failures => policy.failures = u32::try_from(value.integer(1, MAX_FAILURES)?).unwrap_or(u32::MAX),
        CircuitKey::OpenMs => policy.open = value.timeout()?,
    }
    Ok(())
}

/// Sets a member of the retry policy.
fn set_retry(policy: &mut RetryPolicy, key: &str, json: Json<'_>) -> Result<(), Problem> {
    let value = Value::new(shown(key), json);
    match known_key(key, "a configuration key")? {
        RetryKey::Mode if !value.is_given_string() => {}
        _ if !value.is_given() => {}
        RetryKey::Mode => policy.mode = value.word()?,
        RetryKey::MaxAttempts => {
            policy.max_attempts = u32::try_from(value.integer(1, MAX_ATTEMPTS)?).unwrap_or(u32::MAX);
        }
        RetryKey::Ratio => {
            let message = "must be a number from 0 to 1 with at most 3 decimals, such as 0.1";
            policy.ratio = Ratio::parse(value.json().text()).ok_or_else(|| value.problem(message))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_known_key_that_is_most_like_an_unknown_one() {
        let known = ["app_id", "key", "timeout_ms", "connect_timeout_ms", "max_batch_events", "ssl"];
        for (name, suggested) in [
            ("timeout", Some("timeout_ms")),
            ("timeoutMs", Some("timeout_ms")),
            ("appId", Some("app_id")),
            ("app_key", Some("key")),
            ("max_batch_event", Some("max_batch_events")),
            ("colour", None),
            ("", None),
            (&"timeout_ms".repeat(1000), None),
        ] {
            assert_eq!(nearest(name, &known), suggested, "{name}");
        }
    }

    #[test]
    fn alternatives_are_listed_with_commas_and_or() {
        assert_eq!(alternatives(&[]), "");
        assert_eq!(alternatives(&["a"]), "a");
        assert_eq!(alternatives(&["a", "b"]), "a or b");
        assert_eq!(alternatives(&["a", "b", "c"]), "a, b or c");
    }
}
