//! Headers that a caller adds to requests, such as those of a gateway before the server. This module uses no other.
//!
//! Their values may be secrets: they are in no message, no log and no debug output, and are wiped when they are dropped.

use std::collections::TryReserveError;
use std::fmt;

use zeroize::Zeroizing;

/// The size of all names and values together. Many servers refuse a head of more than 8 KiB.
const MAX_BYTES: usize = 4096;

/// Names that are refused, with the reason.
const REFUSED: [(&[&str], &str); 4] = [
    (
        &["content-length", "transfer-encoding", "content-encoding", "te", "trailer", "expect"],
        "frames the request, which the library does",
    ),
    (
        &["host", "connection", "keep-alive", "upgrade", "http2-settings", "proxy-connection"],
        "belongs to the connection, which the library manages; the key `host` sets the host",
    ),
    (
        &[
            "accept-encoding",
            "range",
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "if-range",
        ],
        "asks for a response that the library does not read",
    ),
    (&["content-type", "user-agent"], "is a header that the library sends itself"),
];

/// Headers, with their names in lower case.
#[derive(Clone, Default)]
pub struct Headers(Vec<(Box<str>, Zeroizing<String>)>);

impl Headers {
    /// Adds a header.
    pub fn add(&mut self, name: &str, value: Zeroizing<String>) -> Result<(), Refused> {
        self.check(name, &value).map_err(Refused::Wrong)?;
        let mut name = copied(name)?;
        name.make_ascii_lowercase();
        self.0.try_reserve(1)?;
        self.0.push((name.into(), value));
        Ok(())
    }

    fn check(&self, name: &str, value: &str) -> Result<(), &'static str> {
        const TOO_LONG: &str = "makes the names and values of all headers longer than 4,096 bytes";
        if name.len() > MAX_BYTES {
            return Err(TOO_LONG);
        }
        check_name(name)?;
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) || value.trim_ascii().len() != value.len() {
            return Err("must be visible ASCII characters, with spaces only between them");
        }
        if self.has(name) {
            return Err("is given twice (the case of a name does not matter)");
        }
        let size: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size + name.len() + value.len() > MAX_BYTES {
            return Err(TOO_LONG);
        }
        Ok(())
    }

    /// Returns the names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }
}

/// Why a header cannot be added.
#[derive(Debug)]
pub enum Refused {
    /// Says what is wrong, and shows neither the name nor the value.
    Wrong(&'static str),
    /// There is no memory for it: a caller decides its length.
    NoMemory,
}

impl From<TryReserveError> for Refused {
    fn from(_: TryReserveError) -> Refused {
        Refused::NoMemory
    }
}

fn copied(text: &str) -> Result<String, TryReserveError> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len())?;
    copy.push_str(text);
    Ok(copy)
}

/// Returns whether `name` can be the name of a header. (RFC 9110, 5.6.2)
pub fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Checks a name.
fn check_name(name: &str) -> Result<(), &'static str> {
    if !is_token(name) {
        return Err("must have a name of the characters of a header's name");
    }
    // Some servers take `_` for `-`.
    let bytes = || name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
    let is = |other: &str| bytes().eq(other.bytes());
    let begins_with = |other: &str| bytes().take(other.len()).eq(other.bytes());
    if begins_with("proxy-") {
        return Err("is for a proxy; the key `proxy` sets its credentials");
    }
    if begins_with("x-pusher-") {
        return Err("is a header that the library sends itself");
    }
    if is("x-idempotency-key") {
        return Err("belongs into the option idempotency_key");
    }
    match REFUSED.iter().find(|(names, _)| names.iter().any(|refused| is(refused))) {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The headers that a caller added to one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallerHeaders<'a> {
    /// Those of the client.
    pub of_client: Option<&'a Headers>,
    /// Those of the call, which replace those of the client with the same names.
    pub of_call: Option<&'a Headers>,
}

impl<'a> CallerHeaders<'a> {
    /// Returns the names and values.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let is_replaced = move |name: &str| self.of_call.is_some_and(|headers| headers.has(name));
        let of_client = self.of_client.into_iter().flat_map(Headers::iter);
        let of_call = self.of_call.into_iter().flat_map(Headers::iter);
        of_client.filter(move |(name, _)| !is_replaced(name)).chain(of_call)
    }

    /// Returns a copy of them. Allocates nothing if there is none.
    pub fn to_headers(self) -> Result<Headers, TryReserveError> {
        let mut headers = Vec::new();
        for (name, value) in self.iter() {
            let header = (copied(name)?.into(), Zeroizing::new(copied(value)?));
            headers.try_reserve(1)?;
            headers.push(header);
        }
        Ok(Headers(headers))
    }

    /// Returns whether there is none.
    pub fn is_empty(self) -> bool {
        [self.of_client, self.of_call].into_iter().flatten().all(|headers| headers.0.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in all {
            headers.add(name, Zeroizing::new((*value).to_owned())).unwrap();
        }
        headers
    }

    #[test]
    fn those_of_a_call_replace_those_of_the_client() {
        let (client, call) = (headers(&[("A", "1"), ("b", "2")]), headers(&[("B", "3"), ("c", "4")]));
        let all = CallerHeaders { of_client: Some(&client), of_call: Some(&call) };
        assert_eq!(all.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "3"), ("c", "4")]);
        assert!(!all.is_empty() && CallerHeaders::default().is_empty());
    }

    #[test]
    fn debug_output_shows_no_value() {
        let all = headers(&[("Authorization", "Bearer canary")]);
        let all = CallerHeaders { of_client: Some(&all), of_call: Some(&all) };
        let shown = format!("{all:?} {all:#?}");
        assert!(shown.contains("authorization") && !shown.contains("canary"), "{shown}");
    }
}
