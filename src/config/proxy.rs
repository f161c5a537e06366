//! Reads the proxy from the configuration, or from the environment if the configuration says `env`.
//!
//! HTTP clients do the same, but some read `HTTP_PROXY`, which a CGI request can set, and keep copies of the
//! password.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::address::{Address, without_dot};
use super::environment::Variables;
use crate::error::Problem;
use crate::http::Proxy;

const FORM: &str = "http://USER:PASSWORD@HOST:PORT";

/// Parses a proxy's URL, the value of `key`.
pub(super) fn parse(url: &str, key: &str) -> Result<Proxy, Problem> {
    let address = Address::parse(url, key, FORM)?;
    if !address.scheme.eq_ignore_ascii_case("http") {
        return Err(Problem::new(key, format!("its scheme must be http; its form is {FORM}")));
    }
    if !matches!(address.path, "" | "/") {
        return Err(Problem::new(key, format!("has a path; its form is {FORM}")));
    }
    let authorization = address.credentials.map(|(user, password)| {
        let pair = Zeroizing::new(format!("{user}:{}", password.as_ref().map_or("", |password| password.as_str())));
        let encoded = Zeroizing::new(BASE64.encode(pair.as_bytes()));
        Zeroizing::new(format!("Basic {}", *encoded))
    });
    Ok(Proxy { host: address.host, port: address.port.unwrap_or(80), authorization })
}

/// Returns the environment's proxy for a host. Ignores `HTTP_PROXY` in capitals: under CGI a
/// request header can set it.
pub(super) fn from_environment(
    ssl: bool,
    host: &str,
    port: u16,
    variable: Variables<'_>,
) -> Result<Option<Proxy>, Problem> {
    for name in ["no_proxy", "NO_PROXY"] {
        if variable(name)?.is_some_and(|list| is_exempt(host, port, &list)) {
            return Ok(None);
        }
    }
    let names: &[&str] = match ssl {
        true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        false => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    for name in names {
        if let Some(url) = variable(name)?.map(Zeroizing::new) {
            // These variables often omit the scheme.
            let url = if url.contains("://") { url } else { Zeroizing::new(format!("http://{}", *url)) };
            return parse(&url, name).map(Some);
        }
    }
    Ok(None)
}

/// Returns whether `list` contains the host: `*`, or entries with commas between them. An entry is a name or a domain (with or
/// without a dot before it), an address, or a network such as `10.0.0.0/8`. A port after it, as in `name:8080` or `[::1]:8080`,
/// limits it to that port.
fn is_exempt(host: &str, port: u16, list: &str) -> bool {
    let host = without_dot(host);
    let address = host.parse::<IpAddr>().ok();
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| match address {
        _ if entry == "*" => true,
        Some(address) => is_in_network(address, port, entry),
        None => {
            let (name, only) = with_port(entry);
            let domain = without_dot(name.trim_start_matches("*.").trim_start_matches('.'));
            let before = host.len().checked_sub(domain.len()).and_then(|at| host.split_at_checked(at));
            let is_below = before.is_some_and(|(before, end)| {
                !domain.is_empty() && end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
            });
            is_below && only.is_none_or(|only| only == port)
        }
    })
}

/// Returns whether an entry is this address, with or without a port, or a network with this address.
fn is_in_network(address: IpAddr, port: u16, entry: &str) -> bool {
    let without_brackets = |text: &str| -> Option<IpAddr> {
        text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok()
    };
    if let Some((network, bits)) = entry.split_once('/') {
        let bits =
            Some(bits).filter(|bits| bits.bytes().all(|b| b.is_ascii_digit())).and_then(|bits| bits.parse().ok());
        return without_brackets(network).zip(bits).is_some_and(|(network, bits)| has_prefix(address, network, bits));
    }
    // An IPv6 address without brackets has colons, but no port.
    match without_brackets(entry) {
        Some(one) => one == address,
        None => {
            let (one, only) = with_port(entry);
            without_brackets(one) == Some(address) && only == Some(port)
        }
    }
}

/// Splits a port off an entry.
fn with_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, Some(port)),
        _ => (entry, None),
    }
}

/// Returns whether two addresses have the same first bits.
fn has_prefix(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |difference: u128, width: u32| bits <= width && difference.checked_shr(width - bits).unwrap_or(0) == 0;
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(u128::from(one.to_bits() ^ other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits() ^ other.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_url_has_a_host_and_optional_credentials() {
        let proxy = parse("http://us%40er:p%3Aw@proxy.local:3128/", "proxy").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.local", 3128));
        assert_eq!(proxy.authorization.as_ref().unwrap().as_str(), "Basic dXNAZXI6cDp3");
        assert_eq!(format!("{proxy:?}"), "proxy.local:3128");
        // A password may be empty.
        for url in ["http://user@proxy:3128", "http://user:@proxy:3128"] {
            let proxy = parse(url, "proxy").unwrap();
            assert_eq!(proxy.authorization.as_ref().unwrap().as_str(), "Basic dXNlcjo=");
        }
        for wrong in [
            "",
            "proxy:1",
            "https://proxy",
            "socks5://proxy",
            "http://a:b@c/d@proxy",
            "http://proxy/x",
            "http://proxy:0",
        ] {
            assert_eq!(parse(wrong, "proxy").unwrap_err().argument, "proxy", "{wrong}");
        }
    }

    #[test]
    fn the_environment_is_read_except_http_proxy_in_capitals() {
        let find = |ssl, pairs: &'static [(&str, &str)]| {
            let variable =
                |name: &str| Ok(pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()));
            from_environment(ssl, "api.example.org", 443, &variable).unwrap().map(|proxy| proxy.host)
        };
        assert_eq!(find(true, &[("HTTPS_PROXY", "http://a:1")]).as_deref(), Some("a"));
        assert_eq!(find(true, &[("https_proxy", "b:1"), ("HTTPS_PROXY", "http://a:1")]).as_deref(), Some("b"));
        assert_eq!(find(false, &[("HTTP_PROXY", "http://a:1")]), None);
        assert_eq!(find(false, &[("http_proxy", "http://a:1")]).as_deref(), Some("a"));
        assert_eq!(find(true, &[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "x, .Example.org")]), None);
        assert_eq!(find(true, &[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "ample.org,")]).as_deref(), Some("a"));
        assert_eq!(find(true, &[("ALL_PROXY", "http://a:1"), ("no_proxy", "*")]), None);
    }

    #[test]
    fn no_proxy_has_names_domains_addresses_networks_and_ports() {
        for (host, list, expected) in [
            ("api.example.org", "api.example.org", true),
            ("api.example.org", "API.Example.ORG", true),
            ("api.example.org", "example.org", true),
            ("api.example.org", ".example.org", true),
            ("api.example.org", "*.example.org", true),
            ("api.example.org", "example.org.", true),
            ("api.example.org.", "example.org", true),
            ("api.example.org", "ample.org", false),
            ("api.example.org", "x.api.example.org", false),
            ("api.example.org", "api.example.org:443", true),
            ("api.example.org", ".example.org:443", true),
            ("api.example.org", "api.example.org:80", false),
            ("api.example.org", " a , *", true),
            ("api.example.org", ", ,.,:443", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("10.1.2.3", "10.1.2.0/31", false),
            ("10.1.2.3", "10.1.2.2/31", true),
            ("10.1.2.3", "10.1.2.3/32", true),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.0.0.0/33", false),
            ("10.1.2.3", "10.0.0.0/+8", false),
            ("10.1.2.3", "10.0.0.0/", false),
            ("10.1.2.3", "::/0", false),
            ("10.1.2.3", "2.3", false),
            ("10.1.2.3", "10.1.2.3:443", true),
            ("10.1.2.3", "10.1.2.3:80", false),
            ("::1", "::1", true),
            ("::1", "[::1]", true),
            ("::1", "[::1]:443", true),
            ("::1", "[::1]:80", false),
            ("::1", "0:0:0:0:0:0:0:1", true),
            ("fd00::7", "fd00::/8", true),
            ("fd00::7", "[fd00::]/8", true),
            ("fd00::7", "fe80::/10", false),
            ("fd00::7", "::/0", true),
            ("fd00::7", "0.0.0.0/0", false),
            ("fd00::7", "*", true),
        ] {
            assert_eq!(is_exempt(host, 443, list), expected, "{host} in {list}");
        }
    }
}
