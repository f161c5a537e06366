//! Verification of request signatures, written from the protocol and not from `src/`, with other crates.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;

/// The largest difference of a request's timestamp, in seconds. (Channels HTTP API reference, "Authentication")
pub const WINDOW: u64 = 600;

/// The lower-case hex HMAC-SHA256.
pub fn hmac_hex(secret: &[u8], message: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref())
}

/// The lower-case hex MD5.
pub fn md5_hex(bytes: &[u8]) -> String {
    hex(&md5_of_the_tests::compute(bytes).0)
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the path of a request target.
pub fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// Returns the query of a request target; `""` if there is none.
pub fn query_of(target: &str) -> &str {
    target.split_once('?').map_or("", |(_, query)| query)
}

/// Returns the signature in a request target; `""` if there is none.
pub fn signature_of(target: &str) -> &str {
    query_of(target).split("auth_signature=").nth(1).unwrap_or_default()
}

/// Returns the query to sign: keys in lower case, sorted by their bytes, values raw.
pub fn query_to_sign<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let sorted: BTreeMap<String, &str> =
        parameters.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
    sorted.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

/// A query's parameters, decoded.
pub fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("no = in {pair:?}"))?;
        Ok((percent_decoded(key)?, percent_decoded(value)?))
    };
    query.split('&').map(pair).collect()
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_hexdigit()));
                let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(value.ok_or_else(|| format!("a bad escape in {text:?}"))?);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => bytes.push(byte),
            other => return Err(format!("{:?} is not encoded in {text:?}", char::from(other))),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is not UTF-8"))
}

/// Returns the time in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns the timestamp of a request, in seconds since 1970.
pub fn timestamp(query: &str) -> Result<u64, String> {
    let text = parameters(query)?.into_iter().find_map(|(name, value)| (name == "auth_timestamp").then_some(value));
    text.ok_or("no auth_timestamp")?.parse().map_err(|e| format!("auth_timestamp: {e}"))
}

/// Checks whether a server would accept this request; the error says why not. `path` is the signed path.
pub fn verify(method: &str, path: &str, query: &str, body: &[u8], key: &str, secret: &str) -> Result<(), String> {
    verify_at(now(), method, path, query, body, key, secret)
}

/// Like [`verify`], for a server whose time is `now`.
pub fn verify_at(
    now: u64,
    method: &str,
    path: &str,
    query: &str,
    body: &[u8],
    key: &str,
    secret: &str,
) -> Result<(), String> {
    let parameters = parameters(query)?;
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    if names.last() != Some(&"auth_signature") || !names[..names.len() - 1].is_sorted() {
        return Err(format!("the parameters are not in order: {names:?}"));
    }
    let mut by_key = BTreeMap::new();
    for (name, value) in &parameters {
        if by_key.insert(name.as_str(), value.as_str()).is_some() {
            return Err(format!("{name} comes twice"));
        }
    }
    let signature = by_key.remove("auth_signature").ok_or("no auth_signature")?;
    let get = |name: &str| by_key.get(name).copied().ok_or_else(|| format!("no {name}"));
    if get("auth_key")? != key {
        return Err(format!("the key is {}", get("auth_key")?));
    }
    if get("auth_version")? != "1.0" {
        return Err(format!("the version is {}", get("auth_version")?));
    }
    let timestamp = timestamp(query)?;
    if timestamp.abs_diff(now) > WINDOW {
        return Err(format!("the clock is off: {timestamp} at {now}"));
    }
    match (method, by_key.get("body_md5")) {
        ("GET" | "DELETE", None) if body.is_empty() => {}
        ("GET" | "DELETE", None) => return Err("a body on a GET or DELETE".to_owned()),
        ("GET" | "DELETE", Some(_)) => return Err("body_md5 on a GET or DELETE".to_owned()),
        (_, None) => return Err("no body_md5".to_owned()),
        (_, Some(md5)) if **md5 == md5_hex(body) => {}
        (_, Some(md5)) => return Err(format!("body_md5 is {md5}, and the body's is {}", md5_hex(body))),
    }
    let to_sign = format!("{method}\n{path}\n{}", query_to_sign(by_key));
    if signature == hmac_hex(secret.as_bytes(), to_sign.as_bytes()) {
        Ok(())
    } else {
        Err(format!("the signature is not that of {to_sign:?}"))
    }
}
