//! Parses URLs with credentials, hosts and ports.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::error::Problem;

/// The parts of `SCHEME://[USER:PASSWORD@]HOST[:PORT][/PATH]`.
///
/// Parsed by hand: a general parser would leave copies of the password in memory, and would accept
/// and repair malformed URLs.
pub(super) struct Address<'a> {
    pub(super) scheme: &'a str,
    /// Percent-decoded. The password is absent if there is no colon.
    pub(super) credentials: Option<(String, Option<Zeroizing<String>>)>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// The path with its leading `/`, or an empty string.
    pub(super) path: &'a str,
}

impl<'a> Address<'a> {
    /// Parses `url`, the value of `key`. Messages show `form`.
    pub(super) fn parse(url: &'a str, key: &str, form: &str) -> Result<Address<'a>, Problem> {
        let malformed = |what: &str| Problem::new(key, format!("{what}; its form is {form}"));
        if url.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(malformed(
                "has white space or a control character (in a user or a password, percent-encode it)",
            ));
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| malformed("has no scheme"))?;
        if rest.contains(['?', '#']) {
            return Err(malformed("has a query or a fragment (in a user or a password, write ? as %3F and # as %23)"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // It is a password with a slash that was not encoded: the rest of it would be taken for a path.
        if path.contains('@') {
            return Err(malformed(
                "has @ after a slash: in a user or a password, write / as %2F and @ as %40; the key `path` may have an @",
            ));
        }
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        let decoded = |text: &str| {
            // Reserved at once: a string that grows leaves copies of its beginning in memory.
            let mut bytes = Vec::with_capacity(text.len());
            bytes.extend(percent_decode_str(text));
            String::from_utf8(bytes).map_err(|_| malformed("has credentials that are not UTF-8 after percent-decoding"))
        };
        let credentials = match credentials {
            None => None,
            Some(credentials) => {
                let (user, password) = match credentials.split_once(':') {
                    Some((user, password)) => (user, Some(Zeroizing::new(decoded(password)?))),
                    None => (credentials, None),
                };
                Some((decoded(user)?, password))
            }
        };
        // An IPv6 address is in brackets, so the port follows the last colon that no bracket
        // follows.
        let (host, port_text) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (host, None),
        };
        let port = port_text.map(|text| port(text, key)).transpose()?;
        Ok(Address { scheme, credentials, host: checked_host(host, key)?, port, path })
    }
}

/// Parses a port: 1 to 65535 in decimal digits.
pub(super) fn port(text: &str, key: &str) -> Result<u16, Problem> {
    let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    number.filter(|port| *port > 0).ok_or_else(|| Problem::new(key, "the port must be an integer from 1 to 65535"))
}

/// Checks a host name or an IP address (IPv6 with or without brackets), and returns it as the
/// resolver accepts it. A name may end with a dot: the resolver then appends no domain.
pub(super) fn checked_host(host: &str, key: &str) -> Result<String, Problem> {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = inside.unwrap_or(host).parse::<IpAddr>().ok().filter(|a| inside.is_none() || a.is_ipv6()) {
        return Ok(address.to_string());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = without_dot(host);
    // Some resolvers read a name that ends in a number as an IPv4 address.
    let ends_in_number = name.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if inside.is_none() && name.len() <= 253 && name.split('.').all(is_label) && !ends_in_number {
        Ok(host.to_owned())
    } else {
        let message = match host.contains("://") {
            true => "the host may have no scheme but http:// or https://, and no port or path after it",
            false => "the host must be a name or an IP address, without port and path: these have keys of their own",
        };
        Err(Problem::new(key, message))
    }
}

/// Returns the name of a host without the dot at its end.
pub(super) fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Takes a scheme off a host, and returns whether it is https.
pub(super) fn scheme_of_host(host: &str) -> (Option<bool>, &str) {
    match host.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Some(true), rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Some(false), rest),
        _ => (None, host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_malformed_hosts() {
        for host in [
            "",
            " ",
            "a b",
            "a\r\nHost: b",
            "a\n",
            "a@b",
            "a/b",
            "a?b",
            "a#b",
            "a:80",
            "http://a",
            ".",
            "a..b",
            "a..",
            "1.2.3.",
            "127.0.0.1.",
            "[::1].",
            "[a]",
            "[127.0.0.1]",
            "::1]",
            "256.1.1.1",
            "1.2.3",
            "a%2fb",
            "ä.de",
            "a\\b",
        ] {
            assert_eq!(checked_host(host, "host").unwrap_err().argument, "host", "{host:?}");
        }
        assert!(checked_host(&"a".repeat(64), "host").is_err());
        let same = ["localhost", "a-b.c_d.e1", "127.0.0.1", "::1", "a.b.", "localhost."];
        for (host, kept) in same.map(|host| (host, host)).into_iter().chain([("[::1]", "::1")]) {
            assert_eq!(checked_host(host, "host").unwrap(), kept);
        }
    }
}
