//! Headers that a caller adds to requests, such as those of a gateway before the server. This module uses no other.
//!
//! Their values may be secrets: they are in no message, no log and no debug output, and are wiped when they are dropped.

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
    /// Adds a header. The error says what is wrong, and shows neither the name nor the value.
    pub fn add(&mut self, name: &str, value: Zeroizing<String>) -> Result<(), &'static str> {
        const TOO_LONG: &str = "makes the names and values of all headers longer than 4,096 bytes";
        if name.len() > MAX_BYTES {
            return Err(TOO_LONG);
        }
        let name = name.to_ascii_lowercase();
        check_name(&name)?;
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) || value.trim_ascii().len() != value.len() {
            return Err("must be visible ASCII characters, with spaces only between them");
        }
        if self.has(&name) {
            return Err("is given twice (the case of a name does not matter)");
        }
        let size: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size + name.len() + value.len() > MAX_BYTES {
            return Err(TOO_LONG);
        }
        self.0.push((name.into(), value));
        Ok(())
    }

    /// Returns the names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| **own == *name)
    }
}

/// Returns whether `name` can be the name of a header. (RFC 9110, 5.6.2)
pub fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Checks a name in lower case.
fn check_name(name: &str) -> Result<(), &'static str> {
    if !is_token(name) {
        return Err("must have a name of the characters of a header's name");
    }
    // Some servers take `_` for `-`.
    let name = name.replace('_', "-");
    if name.starts_with("proxy-") {
        return Err("is for a proxy; the key `proxy` sets its credentials");
    }
    if name.starts_with("x-pusher-") {
        return Err("is a header that the library sends itself");
    }
    if name == "x-idempotency-key" {
        return Err("belongs into the option idempotency_key");
    }
    match REFUSED.iter().find(|(names, _)| names.contains(&&*name)) {
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
    pub fn to_headers(self) -> Headers {
        if self.is_empty() {
            return Headers::default();
        }
        Headers(self.iter().map(|(name, value)| (name.into(), Zeroizing::new(value.to_owned()))).collect())
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
